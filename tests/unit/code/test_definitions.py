"""Versions: what makes a new one, of what, and what travels then."""

from __future__ import annotations

import gc
import logging
import weakref

import pytest

from beampy.code import closures
from tests.unit.code.cells_ground import Ground, ground, notebook

__all__ = ["ground", "notebook"]

WHOLE = """
    import dataclasses, enum, functools, typing
    @dataclasses.dataclass(order=True)
    class Point:
        x: int
        y: list[int] = dataclasses.field(default_factory=list)
        def far(self): return helper(self.x) if self.x else super().__hash__
    class Color(enum.Enum):
        RED = 1
        def twice(self): return self.value * 2
    T = typing.TypeVar("T")
    class Base(typing.Generic[T]):
        limit = 3
        __slots__ = ("v",)
        kinds: dict = {}
        def __init_subclass__(cls):
            super().__init_subclass__()
            cls.kinds[cls.__name__] = cls.__name__
    class Sub(Base[int]):
        def name(self, text="x" * 50): return __class__, f"{text}{self!r}"
    def helper(x, acc=[], *, k={"a": (1, 2.5, None)}): return {"a", "b", "c"}, [y for y in acc if y in {"p", "q"}], x
    @functools.lru_cache
    def cached(n): return cached(n - 1) if n else Color.RED
    @functools.singledispatch
    def show(x): return "object"
    @show.register
    def _(x: int): return "int"
    def counted(fn):
        calls = {"n": 0, "m": 0}
        @functools.wraps(fn)
        def wrapper(*args): return fn(*args), calls
        return wrapper
    @counted
    def decorated(x): return Sub, x
    table = {"a": [1, {"b": Point}], "f": lambda x: helper(x), "set": {"x", "y", "z"}, "names": ("a", "b")}
    def even(n): return n == 0 or odd(n - 1)
    def odd(n): return n != 0 and even(n - 1)
    async def everything(x=None): return Point, Color, Base, Sub, cached, show, decorated, table, even(3), T
    """
NAMES = ("Point", "Color", "Base", "Sub", "helper", "cached", "show", "decorated", "even", "odd", "everything")


def versions(ground: Ground, *names: str) -> dict[str, bytes]:
    return {name: ground.version(name) for name in names}


@pytest.mark.parametrize("down", [0, 7])
def test_a_cell_that_is_run_again_unchanged_makes_no_new_version(ground: Ground, down: int) -> None:
    ground.run(WHOLE)
    before = versions(ground, *NAMES)
    assert len(set(before.values())) == len(NAMES)
    ground.there(ground["everything"])
    ground.run(WHOLE, down=down)
    assert versions(ground, *NAMES) == before
    ground.there(ground["everything"])
    assert ground.sent == []


def test_an_unchanged_class_that_is_made_again_is_the_class_that_was_sent(ground: Ground) -> None:
    ground.run(WHOLE)
    point = ground.there(ground["Point"])
    ground.run(WHOLE)
    assert ground.there(ground["Point"]) is point
    assert ground.back(point) is ground["Point"]


CHANGES = {
    # what there is: the change, and of whom it makes a new version
    "a helper": (
        "def a(): return b()\ndef b(): return c()\ndef c(): return 1\ndef d(): return 2",
        "def c(): return 3",
        "abc",
        "d",
    ),
    "in the middle": (
        "def a(): return b()\ndef b(): return c()\ndef c(): return 1",
        "def b(): return c() + 1",
        "ab",
        "c",
    ),
    "in a circle": (
        "def a(n): return n and b(n - 1)\ndef b(n): return n and a(n - 1)\ndef c(): return a(1)\ndef d(): return 1",
        "def b(n): return n and a(n - 2)",
        "abc",
        "d",
    ),
    "a circle's helper": (
        "def a(n): return n and b(n - 1)\ndef b(n): return n and a(d())\ndef d(): return 1\ndef e(): return d()",
        "def d(): return 2",
        "abde",
        "",
    ),
    "a default": ("def a(x=1): return x\ndef b(): return a()\ndef c(): return 1", "a.__defaults__ = (2,)", "ab", "c"),
    "a mutable default": (
        "def a(x=[]): return x\ndef b(): return a()\ndef c(): return 1",
        "a.__defaults__[0].append(1)",
        "ab",
        "c",
    ),
    "a keyword default": (
        "def a(*, x=1): return x\ndef b(): return a()\ndef c(): return 1",
        "a.__kwdefaults__['x'] = 2",
        "ab",
        "c",
    ),
    "code in place": (
        "def a(): return 1\ndef b(): return a()\ndef c(): return 1",
        "a.__code__ = (lambda: 2).__code__",
        "ab",
        "c",
    ),
    "an attribute's name": (
        "def a(): return vars(a)\na.x = 1\ndef b(): return a()\ndef c(): return 1",
        "del a.x\na.y = 1",
        "ab",
        "c",
    ),
    "a closure": (
        "def make(k):\n    def get(): return k\n    def set(v):\n"
        "        nonlocal k\n        k = v\n    return get, set\n"
        "a, change = make(1)\ndef b(): return a()\ndef c(): return 1",
        "change(5)",
        "b",
        "c",
    ),
    "a global number": ("n = 1\ndef a(): return n\ndef b(): return a()\ndef c(): return 1", "n = 2", "ab", "c"),
    "a number's type": ("n = 1\ndef a(): return n\ndef c(): return 1", "n = 1.0", "a", "c"),
    "a global list in place": (
        "l = [1]\ndef a(): return l\ndef b(): return a()\ndef c(): return 1",
        "l.append(2)",
        "ab",
        "c",
    ),
    "deep in a global": ("d = {'a': [{1}]}\ndef a(): return d\ndef c(): return 1", "d['a'][0].add(2)", "a", "c"),
    "an attribute of a global": (
        "class X: pass\nx = X()\nx.v = [1]\ndef a(): return x\ndef c(): return X",
        "x.v.append(1)",
        "a",
        "cX",
    ),
    "a handler": (
        "def f(): return 1\nh = {'f': f}\ndef a(): return h['f']()\ndef c(): return 1",
        "def f(): return 2\nh['f'] = f",
        "a",
        "c",
    ),
    "a global that was not there": ("def a(): return later\ndef b(): return 1", "later = 3", "a", "b"),
    "a global that was not there and is None": ("def a(): return later\ndef b(): return 1", "later = None", "a", "b"),
    "a global that goes": ("n = 3\ndef a(): return n\ndef b(): return 1", "del n", "a", "b"),
    "a shadowed builtin": ("def a(x): return len(x)\ndef b(): return 1", "def len(x): return 3", "a", "b"),
    "a method": (
        "class X:\n    def f(self): return 1\nclass Y(X): pass\ndef a(): return Y\ndef c(): return 1",
        "X.f = lambda self: 2",
        "XYa",
        "c",
    ),
    "a method that was not there": (
        "class X: pass\ndef a(): return X()\ndef c(): return 1",
        "def f(self): return 1\nX.f = f",
        "Xa",
        "c",
    ),
    "a method's code in place": (
        "class X:\n    def f(self): return 1\ndef a(): return X\ndef c(): return 1",
        "X.f.__code__ = (lambda self: 2).__code__",
        "Xa",
        "c",
    ),
    "a method's defaults": (
        "class X:\n    def f(self, x=[1]): return x\ndef a(): return X\ndef c(): return 1",
        "X.f.__defaults__ = ([2],)",
        "Xa",
        "c",
    ),
    "a method's keyword default": (
        "class X:\n    def f(self, *, x=[1]): return x\ndef a(): return X\ndef c(): return 1",
        "X.f.__kwdefaults__['x'] = [2]",
        "Xa",
        "c",
    ),
    "a static method's code in place": (
        "class X:\n    @staticmethod\n    def f(): return 1\ndef a(): return X\ndef c(): return 1",
        "X.f.__code__ = (lambda: 2).__code__",
        "Xa",
        "c",
    ),
    "a property's code in place": (
        "class X:\n    @property\n    def f(self): return 1\ndef a(): return X\ndef c(): return 1",
        "vars(X)['f'].fget.__code__ = (lambda self: 2).__code__",
        "Xa",
        "c",
    ),
    "what a method calls": (
        "def h(): return 1\nclass X:\n    def f(self): return h()\nclass Y(X): pass\ndef c(): return 1",
        "def h(): return 2",
        "XYh",
        "c",
    ),
    "a base": ("class X: n = 1\nclass Y(X): pass\ndef a(): return X\ndef b(): return Y", "class X: n = 2", "Xa", "Yb"),
    "a base and its subclass": (
        "class X: n = 1\nclass Y(X): pass\ndef b(): return Y",
        "class X: n = 2\nclass Y(X): pass",
        "XYb",
        "",
    ),
    "a decorator": (
        "def deco(fn):\n    def w(): return fn()\n    return w\n"
        "@deco\ndef a(): return 1\ndef b(): return a()\ndef c(): return 1",
        "def deco(fn):\n    def w(): return fn() + 1\n    return w\n@deco\ndef a(): return 1",
        "b",
        "c",
    ),
    "a default of what is wrapped": (
        "import functools\ndef deco(fn):\n    @functools.wraps(fn)\n    def w(): return fn()\n    return w\n"
        "@deco\ndef a(x=[1]): return x\ndef b(): return a()\ndef c(): return 1",
        "a.__wrapped__.__defaults__[0].append(2)",
        "ab",
        "c",
    ),
    "in a closure's closure": (
        "def outer():\n    data = [1]\n    def inner(): return data\n    global a\n    def a(): return inner()\n"
        "    a.__qualname__ = 'a'\n    return data\n_data = outer()\ndef b(): return a()\ndef c(): return 1",
        "_data.append(5)",
        "ab",
        "c",
    ),
    "in what is cached": (
        "import functools\ndef h(): return 1\n@functools.lru_cache\ndef a(): return h()\ndef c(): return 1",
        "def h(): return 2",
        "ah",
        "c",
    ),
    "an implementation": (
        "import functools\n@functools.singledispatch\ndef a(x): return 1\ndef b(): return a(1)\ndef c(): return 1",
        "@a.register\ndef _(x: int): return 3",
        "ab",
        "c",
    ),
    "another module": ("import json as m\ndef a(): return m\ndef c(): return 1", "import pickle as m", "a", "c"),
    "a docstring": ("def a():\n    'one'\ndef b(): return a()\ndef c(): return 1", "def a():\n    'two'", "ab", "c"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_makes_new_versions_of_what_has_it_and_of_nothing_else(ground: Ground, what: str) -> None:
    cell, change, changed, same = CHANGES[what]
    ground.run(cell)
    before = versions(ground, *changed, *same)
    assert versions(ground, *changed, *same) == before
    ground.run(change)
    after = versions(ground, *changed, *same)
    assert {name for name in before if before[name] != after[name]} == set(changed)


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_sent_before_a_change_is_sent_as_it_is_after_it(ground: Ground, what: str) -> None:
    cell, change, changed, _ = CHANGES[what]
    ground.run(cell)
    old = {name: ground.there(ground[name]) for name in changed}
    ground.run(change)
    for name in changed:
        there = ground.there(ground[name])
        assert there is not old[name]
        assert ground.back(there) is ground[name]


def test_a_change_that_is_taken_back_is_the_first_version_again(ground: Ground) -> None:
    ground.run("def a(): return b()\ndef b(): return 1")
    first = ground.version("a")
    ground.run("def b(): return 2")
    assert ground.version("a") != first
    ground.run("def b(): return 1")
    assert ground.version("a") == first


def test_equal_code_under_other_names_is_another_definition(ground: Ground) -> None:
    ground.run("def make(): return lambda: 1\ndef a(): return 1\ndef b(): return 1")
    assert ground.version("a") != ground.version("b")


# what travels


def test_the_second_call_ships_a_version_and_nothing_else(ground: Ground) -> None:
    ground.run(WHOLE)
    ground.there((ground["everything"], 1))
    first = ground.connection.size
    assert first > 5_000
    ground.there((ground["everything"], 1))
    assert ground.sent == []
    ground.there(("everything", 1))
    plain = ground.connection.size
    ground.there((ground["everything"], 1))
    assert ground.connection.size - plain < 40  # a version, and opcodes


def test_a_changed_value_ships_the_value_and_no_code(ground: Ground) -> None:
    ground.run("data = list(range(1000))\ndef f(): return len(data) + g()\ndef g(): return 1")
    assert ground.there(ground["f"])() == 1001
    ground.run("data.append(1)")
    assert ground.there(ground["f"])() == 1002
    assert [kind for kind, _ in ground.sent] == ["frame", "function", "value"]
    size = ground.connection.size
    ground.run("data = [3]")
    assert ground.there(ground["f"])() == 2
    assert ground.connection.size < size - 2000


def test_a_changed_number_ships_no_code(ground: Ground) -> None:
    ground.run("n = 1\ndef f(): return n + g()\n" + "def g(): return " + "+".join(map(str, range(300))))
    ground.there(ground["f"])
    first = ground.connection.size
    ground.run("n = 2")
    assert ground.there(ground["f"])() == 2 + sum(range(300))
    assert ("code", "f") not in ground.sent
    assert ("code", "g") not in ground.sent
    assert ground.connection.size < first / 2


def test_a_changed_helper_ships_only_its_own_code(ground: Ground) -> None:
    ground.run("def a(): return b()\ndef b(): return 1\ndef c(): return a()")
    ground.there(ground["c"])
    ground.run("def b(): return 2")
    assert ground.there(ground["c"])() == 2
    assert [name for kind, name in ground.sent if kind == "code"] == ["b"]


def test_a_value_in_many_functions_travels_once(ground: Ground) -> None:
    ground.run("data = b'x' * 9000\n" + "\n".join(f"def f{i}(): return len(data) + {i}" for i in range(20)))
    ground.there([ground[f"f{i}"] for i in range(20)])
    assert [one for one in ground.sent if one[0] == "value"] == [("value", "data")]
    assert ground.connection.size < 40_000


def test_many_lambdas_from_one_line_ship_their_code_once(ground: Ground) -> None:
    ground.run("base = [10]\ndef make(k): return lambda x: x + k + base[0]\nall = [make(k) for k in range(1000)]")
    there = ground.there(ground["all"])
    assert [f(1) for f in there[::100]] == [11 + k for k in range(0, 1000, 100)]
    assert sorted(kind for kind, _ in ground.connection.recipes) == ["code", "frame", "value"]
    assert ground.connection.size < 1000 * 100
    ground.there(ground["all"])
    assert ground.connection.recipes == []


def test_what_came_from_there_is_not_sent_back(ground: Ground) -> None:
    ground.run(WHOLE)
    there = ground.there(ground["everything"])
    assert ground.back(there) is ground["everything"]
    assert ground.connection.recipes == []


def test_a_class_with_a_counter_is_sent_once(ground: Ground) -> None:
    ground.run("class Counter:\n    n = 0\n    def inc(self):\n        type(self).n += 1\n        return self.n")
    counter = ground.there(ground["Counter"])
    assert [ground.there(ground["Counter"])().inc() for _ in range(3)] == [1, 2, 3]
    assert ground["Counter"].n == 0
    ground["Counter"].n = 7
    assert ground.there(ground["Counter"]) is counter
    assert counter.n == 3


# memory


def test_ten_thousand_lambdas_leave_nothing(ground: Ground) -> None:
    home, away = ground.home, ground.away
    for k in range(100):
        for fn in [eval(f"lambda x: x + {k * 100 + i}", ground.notebook.names) for i in range(100)]:
            assert ground.there(fn)(0) >= 0
    gc.collect()
    known = home.definitions
    assert max(len(known.nodes), len(known.named)) < 100
    assert len(known.past.nodes) <= known.recent.maxlen * 3  # type: ignore[operator]
    built = away.builder.built
    assert len(built.kept) < 10
    assert len(built.objects) < 500
    assert len(built.versions) < 500


def test_cached_functions_and_type_variables_of_no_name_leave_nothing(ground: Ground) -> None:
    ground.run(
        """
        import functools, typing
        def make(n):
            @functools.lru_cache
            def f(x): return x, n, T
            T = typing.TypeVar("T")
            return f
        """
    )
    for n in range(100):
        assert ground.there(ground["make"](n))(3)[:2] == (3, n)
    gc.collect()
    assert len(ground.home.definitions.nodes) < 10


def test_classes_made_in_functions_leave_nothing(ground: Ground) -> None:
    ground.run(
        """
        import dataclasses, enum
        def make(n):
            @dataclasses.dataclass
            class L:
                x: int = n
                def me(self): return super().__repr__(), L, helper(self)
                @classmethod
                def new(cls): return cls()
            L.own = L()
            L.kind = enum.Enum("L.kind", "A B")
            return L
        def helper(x): return n
        n = []
        """
    )
    for n in range(150):
        assert ground.there(ground["make"](n)).new().x == n
    gc.collect()
    assert len(ground.home.definitions.nodes) < 20
    assert len(ground.away.builder.built.objects) < 64 * 30


def test_a_large_text_is_not_written_again_for_each_call(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.run("data = b'x' * 100_000\ndef f(): return len(data)")
    ground.there(ground["f"])
    monkeypatch.setattr(closures, "write", None)
    assert ground.there(ground["f"])() == 100_000


def test_a_redefined_function_is_free_at_home_and_there(ground: Ground) -> None:
    ground.run("def f(n): return f(n - 1) if n else 1\ndef g(): return f(3)")
    there = ground.there(ground["g"])
    home, away = weakref.ref(ground["f"]), weakref.ref(there.__globals__["f"])
    del there
    ground.run("def f(n): return f(n - 2) if n > 0 else 1")
    ground.there(ground["g"])
    gc.collect()
    assert home() is None
    assert away() is None


def test_a_redefined_class_is_free_at_home_and_there(ground: Ground) -> None:
    cell = (
        "class A:\n    n = {}\n    def me(self): return A\n"
        "class B(A):\n    n = {}\n    def up(self): return super().me()"
    )
    ground.run(cell.format(1, 1))
    away = [weakref.ref(ground.there(ground[name])) for name in "AB"]
    home = [weakref.ref(ground[name]) for name in "AB"]
    ground.run(cell.format(2, 2))
    for name in "AB":
        ground.there(ground[name])
    gc.collect()
    assert [ref() for ref in home] == [None, None]
    assert [ref() for ref in away] == [None, None]


class Blob(bytearray):
    """Data that can be watched."""


def test_large_captured_data_is_free_after_a_redefinition(ground: Ground, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "beampy.code")
    ground.notebook.names["Blob"] = Blob
    ground.run("data = Blob(50_000_000)\ndef f(): return len(data)")
    there = ground.there(ground["f"])
    assert there() == 50_000_000
    home, away = weakref.ref(ground["data"]), weakref.ref(there.__globals__["data"])
    del there
    ground.run("data = Blob(3)")
    assert ground.there(ground["f"])() == 3
    gc.collect()
    assert (home(), away()) == (None, None)
