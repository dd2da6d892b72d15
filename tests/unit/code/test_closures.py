"""One definition as bytes: its own parts only, the same each time, and read again as what it was."""

from __future__ import annotations

import functools
import pickle
import sys
import typing
from types import FunctionType
from typing import Any

import pytest

from beampy.code import classes, closures
from beampy.code.closures import NotPortable


def written(obj: Any, *refs: Any) -> bytes:
    """`obj` alone: of all other functions and classes those in `refs` are references, the rest goes by name."""

    def number(part: Any) -> Any:
        if part is obj:
            return None
        return next((at for at, ref in enumerate(refs) if ref is part), NotImplemented)

    return closures.write(obj, number, lambda fn: len(refs))


def again(body: bytes, *refs: Any) -> Any:
    def reader(what: Any, *more: Any) -> Any:
        if what.__class__ is not int:
            (state,) = more
            closures.set_function_state(what, state) if state.__class__ is dict else state[0](what, state[1][:3])
            return None
        if what >= 0:
            return refs[what]
        if what == closures.FUNCTION:
            index, name, cells = more
            code, names = refs[index]
            return FunctionType(code, names, name, None, cells)
        maker, *args = more
        return maker(*args)

    return closures.read(body, reader)


def helper() -> int:
    return 1


def test_another_definition_is_a_number() -> None:
    body = written([helper, helper, {"a": helper}], helper)
    assert b"helper" not in body
    other = object()
    assert again(body, other) == [other, other, {"a": other}]


def test_a_function_is_its_own_parts_and_a_reference_to_what_it_runs() -> None:
    def f(a: int, b: Any = (1, 2), *, c: Any = 3) -> Any:
        """What it does."""
        return a, b, c, helper

    f.told = [1]  # type: ignore[attr-defined]
    body = written(f)
    assert f.__code__.co_filename.encode() not in body
    made = again(body, (f.__code__, {"helper": 5}))
    assert made(0) == (0, (1, 2), 3, 5)
    assert (made.__qualname__, made.__doc__, made.told, made.__annotations__) == (
        f.__qualname__,
        f.__doc__,
        [1],
        f.__annotations__,
    )


def test_cells_are_shared_as_they_were() -> None:
    n = 0

    def inc() -> int:
        nonlocal n
        n += 1
        return n

    def get() -> int:
        return n

    frames: Any = _Frames()
    fns: Any = inc, get
    one, two = closures.function_parts(frames, fns[0]), closures.function_parts(frames, fns[1])
    assert one[1][3][0] is two[1][3][0]


class _Frames:
    def frame(self, fn: Any) -> int:
        return 0


def test_a_class_is_written_the_same_each_time_it_is_made() -> None:
    source = """
class A:
    'doc'
    x, y = 1, {"x": 2}
    __slots__ = ("a", "b")
    def f(self): return self
"""
    bodies = set()
    for lines in (0, 5):
        names: dict[str, Any] = {"__name__": "somewhere"}
        exec(compile("\n" * lines + source, f"<{lines}>", "exec"), names)
        cls = names["A"]
        bodies.add(_whole(cls))
    assert len(bodies) == 1


def _whole(cls: Any) -> bytes:
    return closures.write(cls, lambda part: None if part in (cls, cls.f) else NotImplemented, lambda fn: 0)


def test_what_has_no_portable_parts_raises_what_pickle_says() -> None:
    with pytest.raises(TypeError, match="generator"):
        written([(n for n in range(3))])
    with open("/dev/null") as file, pytest.raises(TypeError, match="TextIOWrapper"):
        written([file])


def test_modules_go_by_name() -> None:
    import json.decoder

    assert again(written([json.decoder, sys])) == [json.decoder, sys]


T = typing.TypeVar("T", bound=int, covariant=True)
C = typing.TypeVar("C", int, str)
P = typing.ParamSpec("P")
Ts = typing.TypeVarTuple("Ts")
Id = typing.NewType("Id", int)


@pytest.mark.parametrize("one", [T, C, P, Ts, Id], ids=str)
def test_type_variables_are_made_again(one: Any) -> None:
    made = again(written(one))
    assert type(made) is type(one)
    assert (made.__name__, made.__module__) == (one.__name__, one.__module__)
    for name in ("__bound__", "__constraints__", "__covariant__", "__contravariant__", "__supertype__"):
        assert getattr(made, name, None) == getattr(one, name, None)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="they have no default")
def test_a_type_variable_keeps_its_default() -> None:
    one: Any = getattr(typing, "TypeVar")("T", default=int)  # noqa: B009
    assert again(written(one)).__default__ is int


def test_a_forward_reference_says_the_same_before_and_after_it_is_evaluated() -> None:
    hint: Any = typing.Optional["Later"]  # noqa: F821
    before = written([hint])

    def f(x: Any) -> None: ...

    f.__annotations__ = {"x": hint}
    typing.get_type_hints(f, {"Later": int})
    assert written([hint]) == before
    assert again(before) == [hint]


def test_what_a_cache_holds_stays_here() -> None:
    @functools.lru_cache(maxsize=3, typed=True)
    def f(x: Any) -> Any:
        return [x]

    empty = closures.cached_parts(f)
    f(1)
    assert closures.cached_parts(f) == empty
    made = empty[0](*empty[1])
    assert made.cache_parameters() == {"maxsize": 3, "typed": True}
    assert made.cache_info().currsize == 0


def test_a_cached_property_has_no_lock_in_it() -> None:
    class A:
        @functools.cached_property
        def p(self) -> int:
            """The p."""
            return 3

    prop = A.__dict__["p"]
    made = again(written(prop, A.p.func), A.p.func)  # type: ignore[attr-defined]
    assert (made.attrname, made.__doc__) == ("p", "The p.")


def test_hints_are_what_texts_refer_to() -> None:
    names = {"A": int, "m": typing, "f": helper, "data": [1], "T": T}
    annotations = {"a": "list[A]", "b": "m.Any | data", "c": "not python", "d": int, "e": "T", "f": "missing"}
    assert closures.hinted(annotations, names) == {"A": int, "m": typing, "T": T}


def test_submodules_that_code_reaches_are_found() -> None:
    import xml
    import xml.dom.minidom

    def f() -> Any:
        return lambda: xml.dom.minidom.parse

    found = closures.submodules(f.__code__, [xml, 3], sys.modules)
    assert sorted(found) == ["xml.dom", "xml.dom.minidom"]


# classes made again


def test_making_a_class_again_runs_none_of_its_code() -> None:
    ran = []

    class Meta(type):
        def __new__(mcls, *args: Any, tag: str, key: int) -> Any:
            ran.append("new")
            return super().__new__(mcls, *args, key=key)

        def __init__(cls, *args: Any, tag: str, key: int) -> None:
            ran.append("init")

        def __setattr__(cls, name: str, value: Any) -> None:
            raise AttributeError(name)

        @classmethod
        def __prepare__(mcls, *args: Any, **more: Any) -> dict[str, Any]:
            ran.append("prepare")
            return {}

    class Field:
        def __set_name__(self, owner: Any, name: str) -> None:
            ran.append(name)

    class Base:
        def __init_subclass__(cls, key: int) -> None:
            ran.append("subclass")

    class A(Base, metaclass=Meta, tag="t", key=1):
        x = Field()

        def f(self) -> int:
            return 1

    assert ran == ["prepare", "new", "x", "subclass", "init"]
    ran.clear()
    maker, args, state = classes.parts(A)
    made = maker(*args)
    assert "f" not in vars(made)
    classes.fill(made, state)
    assert ran == []
    assert (type(made), made.__mro__[1:], made().f(), made.x) == (Meta, A.__mro__[1:], 1, A.x)
    assert (made.__name__, made.__qualname__, made.__module__) == (A.__name__, A.__qualname__, A.__module__)
    assert set(vars(made)) == set(vars(A)) - {"__firstlineno__"}


def test_a_metaclass_of_c_makes_its_classes_itself() -> None:
    import ctypes

    class S(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int)]

    maker, args, _ = classes.parts(S)
    assert issubclass(maker(*args), ctypes.Structure)


def test_a_class_whose_bases_are_no_bases_is_refused_as_python_does() -> None:
    with pytest.raises(TypeError):
        classes.empty(type, "A", (bool,), {})
    with pytest.raises(TypeError):
        classes.empty(type, "A", (int, str), {})


def test_not_portable_is_no_error_of_pickle() -> None:
    assert not issubclass(NotPortable, pickle.PickleError)
