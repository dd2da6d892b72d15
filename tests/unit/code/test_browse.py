"""What there is on a node: modules, names, signatures, docs and sources, and that looking runs nothing."""

from __future__ import annotations

import collections
import enum
import functools
import linecache
import os
import sys
import textwrap
import types
import typing
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from beampy.code import browse, browse_source, space
from beampy.code.browse import Name, Source, doc_here, modules_here, names_here, signature_here, source_here
from beampy.errors import CallTimeout, NodeDown
from tests.unit.code.fake_source import FakeSource, connect, receiver
from tests.unit.otp.rpc_ground import calling, here


class Ran(BaseException):
    """Something ran that must not."""


def runs(*args: Any, **kwargs: Any) -> Any:
    raise Ran


class Trap:
    """Whatever is done with it but looking at how it is stored is seen."""

    __getattr__ = __dir__ = __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = runs  # type: ignore[assignment]
    __class__ = property(runs)  # type: ignore[assignment]
    __doc__ = property(runs)  # type: ignore[assignment]
    __signature__ = property(runs)
    __wrapped__ = property(runs)

    @property
    def seen(self) -> int:
        """How often."""
        raise Ran

    def method(self, n: int) -> int:
        """Never called."""
        raise Ran


class Descriptor:
    def __get__(self, obj: Any, cls: Any = None) -> Any:
        raise Ran


class Meta(type):
    __getattr__ = __dir__ = __repr__ = __instancecheck__ = __subclasscheck__ = __hash__ = runs  # type: ignore[assignment]

    @property
    def __signature__(cls) -> Any:
        raise Ran


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module that is loaded and has no file."""
    module = types.ModuleType("made_by_hand", "What it is.\n\nAnd more.")
    monkeypatch.setitem(sys.modules, "made_by_hand", module)
    return module


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes files of a package `zoo`, which can be imported and is not."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(**files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / "zoo" / f"{name.replace('__of__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return tmp_path / "zoo"

    yield write
    assert "zoo" not in sys.modules, "it was imported"


def told(path: str, prefix: str = "", **options: Any) -> dict[str, Name]:
    return {name.name: name for name in names_here(path, prefix, **options)}


# --- on a node


@calling
async def test_the_modules_of_a_node():
    found = await browse.modules(here(), "beampy.otp.rpc")
    assert {"beampy.otp.rpc", "beampy.otp.rpc_server"} <= set(found)
    assert all(name.startswith("beampy.otp.rpc") for name in found)
    assert found == sorted(found)


@calling
async def test_names_signature_doc_and_source_of_a_node():
    found = await browse.names(here(), "beampy.errors", "Enc")
    assert [(name.name, name.kind) for name in found] == [("EncodeError", "class")]
    assert await browse.signature(here(), "beampy.code.browse.names_here") == (
        "(path: str, prefix: str = '', caller: str = '', import_: bool = False) -> list[Name]"
    )
    assert await browse.doc(here(), "beampy.code.browse:names_here") == "`names` of this node."
    text, file, line = await browse.source(here(), "beampy.code.browse.names_here")
    assert text.startswith("def names_here(")
    assert file == browse.__file__
    assert linecache.getline(file, line).startswith("def names_here(")


@calling
async def test_what_is_not_there_is_a_lookup_error():
    with pytest.raises(LookupError, match=r"nothing is named no\.such on this node: no module no is there"):
        await browse.names(here(), "no.such")
    with pytest.raises(LookupError, match=r"nothing is named beampy\.errors\.such on this node: beampy\.errors has no"):
        await browse.doc(here(), "beampy.errors.such")
    with pytest.raises(OSError, match=r"no source of math.*: "):
        await browse.source(here(), "math")


@calling
@pytest.mark.parametrize("path", ["", ".", "a..b", "a b", "a:", ":a", "a:b:c", "a.b()", "os;x"])
async def test_a_path_is_a_dotted_name(path):
    with pytest.raises(ValueError, match="no dotted name"):
        browse.names(here(), path)


@calling
async def test_it_has_a_deadline():
    with pytest.raises(CallTimeout):
        await browse.modules(here(), timeout=0)


@calling
@pytest.mark.loops("asyncio", "uvloop")
async def test_a_node_that_is_not_there():
    with pytest.raises(NodeDown):
        await browse.modules("nobody@127.0.0.1")


# --- modules


def test_top_level_modules_are_told_without_importing_them(package):
    package(__init__="raise SystemExit", lion="")
    found = modules_here("zo")
    assert "zoo" in found
    assert modules_here("zoo.") == ["zoo.lion"]


def test_modules_are_of_all_kinds():
    found = modules_here("")
    assert {"sys", "json", "json.decoder", "itertools", "beampy.errors"} <= set(found)
    assert len(found) == len(set(found))
    assert not [name for name in found if any(part.startswith("_") for part in name.split("."))]


def test_private_modules_only_when_asked_for(package):
    package(__init__="", _cage="", lion="")
    assert modules_here("zoo.") == ["zoo.lion"]
    assert modules_here("zoo._") == ["zoo._cage"]
    assert "__main__" in modules_here("__")


def test_submodules_of_a_package_that_is_not_imported_nor_its_parent(package):
    package(__init__="raise SystemExit", cats__of____init__="raise SystemExit", cats__of__lion="")
    assert modules_here("zoo.") == ["zoo.cats"]
    assert modules_here("zoo.cats.li") == ["zoo.cats.lion"]
    assert modules_here("zoo.cats.lion.") == []
    assert modules_here("no_such_package.") == []


def test_a_namespace_package_in_another_one_that_is_not_imported(tmp_path, monkeypatch):
    folder = tmp_path / "browsed_outer" / "inner"
    folder.mkdir(parents=True)
    (folder / "leaf.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    found = browse_source.locate("browsed_outer.inner")
    assert found is not None
    assert (found.file, found.path) == (None, [str(folder)])
    found = browse_source.locate("browsed_outer.inner.leaf")
    assert found is not None
    assert (found.file, found.path) == (str(folder / "leaf.py"), None)


def test_the_modules_with_the_fewest_dots_are_told(monkeypatch, made):
    for name in ("made_by_hand.a", "made_by_hand.a.b", "made_by_hand.b"):
        monkeypatch.setitem(sys.modules, name, made)
    monkeypatch.setattr(browse, "MODULES", 3)
    assert modules_here("made_by_hand") == ["made_by_hand", "made_by_hand.a", "made_by_hand.b"]


def test_a_name_that_is_blocked_is_no_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "blocked_by_hand", None)
    assert modules_here("blocked_by_hand") == []
    with pytest.raises(LookupError, match="no module blocked_by_hand"):
        names_here("blocked_by_hand")


def test_a_folder_is_looked_at_up_to_a_limit(package, monkeypatch):
    package(**{f"m{n}": "" for n in range(10)})
    monkeypatch.setattr(browse, "ENTRIES", 4)
    assert len(modules_here("zoo.")) == 4


def test_without_time_nothing_new_is_looked_at(package, monkeypatch):
    package(__init__="", lion="")
    monkeypatch.setattr(browse, "WALK", -1)
    assert "zoo" not in modules_here("zoo")
    monkeypatch.setattr(browse, "WALK", 1)
    assert "zoo" in modules_here("zoo")


def test_strange_path_entries_are_passed_over(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, "/no/such/folder", Path("/"), 7, "/dev/null", "\0"])
    assert "json" in modules_here("json")


# --- shipped modules


FILES = {
    "shipped/__init__.py": "'Of one.'",
    "shipped/deep.py": "def far(n: int):\n    return n\n\nclass Far:\n    def near(self):\n        return 1\n",
}


@pytest.fixture
def two_origins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two notebooks with a package `shipped` each, of which the first has the plain name; and another with more."""
    with receiver() as spaces:
        monkeypatch.setattr(space, "spaces", lambda: spaces)
        monkeypatch.setattr(browse, "_folders", {})
        for node, origin, files in (
            ("first@h", "1" * 16, FILES),
            ("second@h", "2" * 16, FILES | {"shipped/__init__.py": "'Of another.'", "shipped_more.py": "'More.'"}),
        ):
            source = FakeSource(files, node, f"/{origin}")
            one = connect(spaces, source, origin)
            for name in ("shipped", "shipped.deep", *(["shipped_more"] if len(files) > 2 else ())):
                one.module(*source.ref(name))
            one.pseudo("__main__").__dict__["cell"] = lambda n: n
        yield


@pytest.mark.usefixtures("two_origins")
def test_shipped_modules_have_the_names_of_their_origin_once():
    assert modules_here("shipped") == ["shipped", "shipped.deep", "shipped_more"]
    assert modules_here("shipped.") == ["shipped.deep"]
    assert modules_here("second_") == []
    assert modules_here("__main__") == ["__main__"]


@pytest.mark.usefixtures("two_origins")
@pytest.mark.parametrize(
    ("path", "caller", "doc"),
    [
        ("shipped", "first@h", "Of one."),
        ("shipped", "second@h", "Of another."),
        ("shipped", "third@h", "Of one."),
        ("shipped_more", "first@h", "More."),
        ("second_222222.shipped", "first@h", "Of another."),
    ],
)
def test_everybody_sees_his_own_modules_first(path, caller, doc):
    assert doc_here(path, caller) == doc


@pytest.mark.usefixtures("two_origins")
@pytest.mark.parametrize("node", ["first@h", "second@h"])
def test_names_and_sources_of_shipped_modules(node):
    assert signature_here("shipped.deep.far", node) == "(n: int)"
    assert list(told("shipped.deep", caller=node)) == ["Far", "far"]
    found = source_here("shipped.deep.far", node)
    assert found.text == "def far(n: int):\n    return n\n"
    assert source_here("shipped.deep:Far.near", node).line == 5
    assert source_here("shipped.deep:Far", node).text == FILES["shipped/deep.py"][len(found.text) + 1 :]
    assert source_here("shipped.deep", node).text == FILES["shipped/deep.py"]
    assert list(told("__main__", "cell", caller=node)) == ["cell"]
    assert "cell" not in told("__main__", caller="third@h")


def test_source_that_only_linecache_has(made, monkeypatch):
    text = "def far(n):\n    return n\n\n@mark\nclass Far:\n    def near(self):\n        return 1\n"
    file = "/not/on/this/machine.py"
    names: dict[str, Any] = {"mark": lambda cls: cls, "__name__": "made_by_hand"}
    exec(compile(text, file, "exec"), names)
    monkeypatch.setitem(linecache.cache, file, (len(text), None, text.splitlines(keepends=True), file))
    made.far, made.Far = names["far"], names["Far"]  # by value: the module itself has no file
    assert source_here("made_by_hand.far") == Source("def far(n):\n    return n\n", file, 1)
    assert source_here("made_by_hand.Far") == (text[text.index("@mark") :], file, 4)
    assert source_here("made_by_hand.Far.near").line == 6
    made.__file__ = file
    assert source_here("made_by_hand") == (text, file, 1)


# --- what is loaded


def test_kinds(made):
    class Inner:
        """A class."""

        __slots__ = ("slot",)

        def method(self, a: int) -> str: ...
        @classmethod
        def of_class(cls, b: int): ...
        @staticmethod
        def static(c: int): ...
        @property
        def prop(self) -> int: ...

        number = 7

    made.Inner, made.fn, made.value, made.module, made.built_in = Inner, lambda x: x, 3, os, len
    made.part = functools.partial(int, base=2)
    assert {name: known.kind for name, known in told("made_by_hand").items()} == {
        "Inner": "class",
        "built_in": "function",
        "fn": "function",
        "module": "module",
        "part": "function",
        "value": "value",
    }
    assert [tuple(name) for name in names_here("made_by_hand.Inner")] == [
        ("method", "method", "(self, a: int) -> str", ""),
        ("number", "value", None, ""),
        ("of_class", "method", "(b: int)", ""),
        ("prop", "property", None, ""),
        ("slot", "value", None, ""),
        ("static", "method", "(c: int)", ""),
    ]


def test_attributes_of_objects_are_found(made):
    class Settings:
        """All of it."""

        __slots__ = ("__dict__", "db", "unset")

        def load(self, path: str) -> None:
            """Read a file."""

    settings = Settings()
    settings.db = types.SimpleNamespace(host="h", port=5432)
    settings.name = "s"  # type: ignore[attr-defined]
    made.settings = settings
    assert list(told("made_by_hand:settings")) == ["db", "load", "name", "unset"]
    assert list(told("made_by_hand.settings.db")) == ["host", "port"]
    assert signature_here("made_by_hand:settings.load") == "(path: str) -> None"
    assert doc_here("made_by_hand:settings") == "All of it."
    with pytest.raises(LookupError, match="settings has no unset"):
        names_here("made_by_hand:settings.unset")


def test_private_names_only_when_asked_for(made):
    made.public, made._private = 1, 2
    assert list(told("made_by_hand")) == ["public"]
    assert "_private" in told("made_by_hand", "_")
    assert list(told("made_by_hand", "_p")) == ["_private"]


def test_there_is_a_limit_to_names(made):
    for n in range(100_000):
        vars(made)[f"n{n:06}"] = n
    found = names_here("made_by_hand")
    assert [name.name for name in found] == [f"n{n:06}" for n in range(browse.NAMES)]
    assert [name.name for name in names_here("made_by_hand", "n09999")] == [f"n{n:06}" for n in range(99990, 100_000)]


def test_names_that_are_none_are_passed_over(made):
    class Text(str):
        __slots__ = ()
        __lt__ = startswith = runs  # type: ignore[assignment]

    vars(made).update({"no name": 1, 7: 2, Text("evil"): 3, "good": 4})  # type: ignore[dict-item]
    assert list(told("made_by_hand")) == ["good"]


def test_nothing_of_an_object_runs(made):
    made.trap = Trap()

    def default(x=made.trap, *, y: int = made.trap): ...

    made.default = default
    assert told("made_by_hand")["trap"] == ("trap", "value", None, "")
    assert told("made_by_hand")["default"].signature == "(x=…, *, y: int = …)"
    assert set(told("made_by_hand.trap")) == {"method", "seen"}
    assert told("made_by_hand.trap")["seen"] == ("seen", "property", None, "How often.")
    assert signature_here("made_by_hand.trap") is None
    assert signature_here("made_by_hand.trap.method") == "(n: int) -> int"
    assert doc_here("made_by_hand.trap") == ""
    assert source_here("made_by_hand.trap.method").text.lstrip().startswith("def method")
    with pytest.raises(OSError, match="it is a value"):
        source_here("made_by_hand.trap")
    with pytest.raises(LookupError, match="seen is a property: what it gives is known only when it runs"):
        names_here("made_by_hand.trap.seen.more")


def test_nothing_of_a_class_runs(made):
    class Odd(metaclass=Meta):
        raising = Descriptor()

        def __init__(self, n: int) -> None: ...

    class Note:
        __repr__ = runs  # type: ignore[assignment]

    made.Odd = Odd
    made.odd = Odd(1)
    made.typed = lambda x: x
    made.typed.__annotations__ = {"x": Odd, "return": typing.Annotated[int, Note()]}
    assert told("made_by_hand")["Odd"] == ("Odd", "class", "(n: int)", "")
    assert told("made_by_hand.Odd") == {"raising": ("raising", "value", None, "")}
    assert told("made_by_hand.odd") == {"raising": ("raising", "value", None, "")}
    assert signature_here("made_by_hand.typed") == f"(x: {__name__}.{Odd.__qualname__}) -> int"
    assert source_here("made_by_hand.Odd").text.lstrip().startswith("class Odd(")


def test_a_dict_that_is_anybodys_code_is_not_read(made):
    class Hidden:
        __dict__ = property(runs)  # type: ignore[assignment]

        def method(self): ...

    made.hidden = Hidden()
    assert list(told("made_by_hand.hidden")) == ["method"]


def test_a_module_that_warns_and_one_that_lies(made):
    def deprecated(name: str) -> Any:
        warnings.warn(f"{name} is deprecated", DeprecationWarning, stacklevel=2)
        raise Ran

    made.__getattr__ = deprecated  # type: ignore[method-assign]
    made.there = 1
    assert list(told("made_by_hand")) == ["there"]
    made.__all__ = ["lazily", "there", 7, "no name"]
    assert told("made_by_hand")["lazily"] == ("lazily", "lazy", None, "")
    made.__dir__ = lambda: iter(["also", Trap()])  # type: ignore[method-assign]
    assert list(told("made_by_hand")) == ["also", "lazily", "there"]
    made.__dir__ = lambda: 1 / 0  # type: ignore[method-assign]
    assert list(told("made_by_hand")) == ["lazily", "there"]
    with pytest.raises(LookupError, match="made_by_hand has no lazily"):
        names_here("made_by_hand.lazily")


def test_what_is_in_sys_modules_may_be_anything(monkeypatch):
    monkeypatch.setitem(sys.modules, "trap_by_hand", Trap())  # type: ignore[arg-type]
    assert set(told("trap_by_hand")) == {"method", "seen"}
    assert modules_here("trap_by_hand") == ["trap_by_hand"]


# --- signatures and docs


def plain(a, b: int = 1, /, c: str = "s", *rest: int, d, e: list[int] | None = None, **more: Any) -> dict[str, int]: ...


def typed() -> None: ...


typed.__annotations__ = {"return": typing.Optional[typing.Callable[[int, str], collections.abc.Iterable[bytes]]]}  # noqa: UP045


@functools.lru_cache
def cached(n: int) -> int: ...


@functools.wraps(plain)
def wrapper(*args: Any) -> None: ...


@dataclass
class Point:
    """A place."""

    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)

    def __call__(self, z: int) -> None: ...
    def far(self) -> bool:
        """Whether it is."""


class Near(Point):
    def far(self) -> bool: ...


class Color(enum.Enum):
    RED = 1


class Made(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any: ...


class Anything(metaclass=Made):
    def __new__(cls, *args: Any, **kwargs: Any) -> Any: ...
    def __init__(self, exact: int) -> None: ...


point = Point(1)
partial = functools.partial(plain, 1, c="t")
bound = point.far
large = lambda n=10**5000, s="x" * 1000, t=(1, "a", (None,)), o=os, c=int: n  # noqa: E731
many = eval(f"lambda {', '.join(f'a_long_name_{n}' for n in range(200))}: 1")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", "(a, b: int = 1, /, c: str = 's', *rest: int, d, e: list[int] | None = None, **more: Any)"),
        ("typed", "() -> collections.abc.Callable[[int, str], collections.abc.Iterable[bytes]] | None"),
        ("cached", "(n: int) -> int"),
        ("wrapper", "(a, b: int = 1, /, c: str = 's', *rest: int, d, e: list[int] | None = None, **more: Any)"),
        ("partial", "(b: int = 1, /, *, c: str = 't', d, e: list[int] | None = None, **more: Any)"),
        ("Point", "(x: 'int', y: 'int' = 2, tags: 'list[str]' = …)"),
        ("Near", "(x: 'int', y: 'int' = 2, tags: 'list[str]' = …)"),
        ("point", "(z: int) -> None"),
        ("bound", "() -> bool"),
        ("Point.far", "(self) -> bool"),
        ("point.far", "() -> bool"),
        ("Anything", "(exact: int)"),
        ("Color.RED", None),
        ("os", None),
        ("large", f"(n=…, s='{'x' * 40}'…, t=(1, 'a', (None,)), o=…, c=int)"),
    ],
)
def test_signatures(name, expected):
    found = signature_here(f"{__name__}:{name}")
    if found is not None and expected is not None and expected.endswith("**more: Any)"):
        expected += " -> dict[str, int]"
    assert (
        found == expected
        if found is None
        else found.replace("'int'", "int").replace("'list[str]'", "list[str]")
        == (expected.replace("'int'", "int").replace("'list[str]'", "list[str]"))
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("builtins.len", "(obj, /)"),
        ("builtins.str.join", "(self, iterable, /)"),
        ("builtins.dict.fromkeys", "(iterable, value=None, /)"),
        ("builtins.dict.update", None),
        ("builtins.complex", "(real=0, imag=0)"),
        ("builtins.object", "()"),
        ("builtins.min", None),
        ("math.pi", None),
    ],
)
def test_signatures_of_compiled_code(path, expected):
    assert signature_here(path) == expected


def test_a_signature_has_a_limit():
    found = signature_here(f"{__name__}:many")
    assert found is not None
    assert len(found) == 1000
    assert found.endswith("…")


def test_decorators_that_go_in_circles(made):
    def a(n): ...
    def b(m): ...

    a.__wrapped__, b.__wrapped__ = b, a
    made.a = a
    assert signature_here("made_by_hand.a") in ("(n)", "(m)")
    assert told("made_by_hand")["a"].kind == "function"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{__name__}:Point", "A place."),
        (f"{__name__}:Near", "A place."),
        (f"{__name__}:Near.far", "Whether it is."),
        (f"{__name__}:bound", "Whether it is."),
        (f"{__name__}:point", "A place."),
        (f"{__name__}:plain", ""),
        ("math.pi", "Convert a string or number to a floating"),
        ("made_by_hand", "What it is.\n\nAnd more."),
        ("builtins.str.join", "Concatenate any number of strings."),
    ],
)
@pytest.mark.usefixtures("made")
def test_docs(path, expected):
    found = doc_here(path)
    assert found.startswith(expected)
    assert bool(found) == bool(expected)


def test_sources_of_what_is_loaded():
    assert source_here(f"{__name__}:Near").text == "class Near(Point):\n    def far(self) -> bool: ...\n"
    assert source_here(f"{__name__}:Point").text.startswith("@dataclass\nclass Point:")
    for name in ("plain", "wrapper", "partial"):
        assert source_here(f"{__name__}:{name}").text.startswith("def plain(")
    assert source_here(f"{__name__}:cached").text.startswith("@functools.lru_cache\ndef cached")
    assert source_here(f"{__name__}:bound").text.startswith("    def far(self)")
    assert source_here(f"{__name__}:Trap.seen").text.startswith("    @property\n    def seen")
    with pytest.raises(OSError, match=r"no source of builtins\.len: it is written in C"):
        source_here("builtins.len")
    with pytest.raises(OSError, match=r"no source of sys: .*it has no file"):
        source_here("sys")


def test_sources_that_are_gone_or_too_large(made, tmp_path, monkeypatch):
    file = tmp_path / "gone.py"
    names: dict[str, Any] = {}
    exec(compile("\n\ndef gone(): ...\n", str(file), "exec"), names)
    made.gone = names["gone"]
    with pytest.raises(OSError, match=r"no source of made_by_hand\.gone: its file, .*gone\.py, is not there"):
        source_here("made_by_hand.gone")
    file.write_text("# short\n")
    with pytest.raises(OSError, match="has no line 3 any more"):
        source_here("made_by_hand.gone")
    monkeypatch.setattr("beampy.code.browse_objects.FILE", 4)
    with pytest.raises(OSError, match="has 8 bytes: more than 4 are not read"):
        source_here("made_by_hand.gone")


# --- what is not imported


ZOO = '''
"""Animals.

Many of them.
"""
raise SystemExit

import os.path as where
from typing import TYPE_CHECKING, NamedTuple
from dataclasses import dataclass
from .base import Animal, nothing
from . import base
import no_such_module

if TYPE_CHECKING:
    import decimal

try:
    import fast
except ImportError:
    fast = None

first, (second, *others) = 1, (2, 3)
count: int = 0
_secret = 1

def feed(animal: "Animal", *, grams: int = 10) -> bool:
    """Give it food.

    At once.
    """
    return True

async def wait(): ...

class Lion(Animal, metaclass=abc):
    "A cat."
    legs = 4
    @property
    def mane(self) -> str:
        """Long."""
    @classmethod
    def born(cls, name: str = "x"): ...
    @staticmethod
    def roar(loud): ...
    def __init__(self, name: str) -> None: ...
    class Cub: ...

@dataclass
class Cage:
    width: int
    locked: bool = True

class Mouse(Animal):
    pass
'''
BASE = '''
class Animal:
    """Lives."""
    def __init__(self, weight): ...
    def eat(self, food):
        "Much."
'''


def test_names_of_a_module_that_is_not_imported(package):
    package(__init__="raise SystemExit", cats=ZOO, base=BASE)
    found = told("zoo.cats")
    assert {name: known.kind for name, known in found.items()} == {
        "Animal": "class",
        "Cage": "class",
        "Lion": "class",
        "Mouse": "class",
        "NamedTuple": "function",
        "TYPE_CHECKING": "value",
        "base": "module",
        "count": "value",
        "dataclass": "function",
        "fast": "import",
        "feed": "function",
        "first": "value",
        "no_such_module": "import",
        "nothing": "import",
        "others": "value",
        "second": "value",
        "wait": "function",
        "where": "module",
    }
    assert found["feed"] == ("feed", "function", "(animal: 'Animal', *, grams: int = 10) -> bool", "Give it food.")
    assert found["Animal"] == ("Animal", "class", "(weight)", "Lives.")
    assert found["Cage"].signature == "(width: int, locked: bool = True)"
    assert list(told("zoo.cats", "_s")) == ["_secret"]
    assert doc_here("zoo.cats") == "Animals.\n\nMany of them."


def test_members_of_a_class_that_is_not_imported(package):
    package(__init__="raise SystemExit", cats=ZOO, base=BASE)
    assert [tuple(name) for name in names_here("zoo.cats.Lion")] == [
        ("Cub", "class", None, ""),
        ("born", "method", "(name: str = 'x')", ""),
        ("eat", "method", "(self, food)", "Much."),
        ("legs", "value", None, ""),
        ("mane", "property", None, "Long."),
        ("roar", "method", "(loud)", ""),
    ]
    assert signature_here("zoo.cats.Lion") == "(name: str)"
    assert signature_here("zoo.cats:Mouse") == "(weight)"
    assert doc_here("zoo.cats.Lion.eat") == "Much."
    found = source_here("zoo.cats.Lion.mane")
    assert found.text == '    @property\n    def mane(self) -> str:\n        """Long."""\n'
    assert source_here("zoo.cats.Lion.eat").file.endswith("base.py")
    assert source_here("zoo.cats").text == ZOO
    with pytest.raises(LookupError, match=r"zoo\.cats\.Lion has no wings"):
        names_here("zoo.cats.Lion.wings")
    with pytest.raises(OSError, match="from where there is none"):
        source_here("zoo.cats.nothing")


def test_stars_and_circles_end(package):
    package(
        __init__="from .a import *\nfrom .c import public_",
        a="from .b import *\nfrom .b import again\nclass Up(Down): ...\nmine = 1",
        b="from .a import *\nfrom .a import again, Up\nclass Down(Up): ...\n_no = 1",
        c="from zoo.c import *\n__all__ = ['public_']\npublic_ = 1\nnot_it = 2",
    )
    assert {"Up", "Down", "again", "mine", "public_"} == set(told("zoo"))
    assert told("zoo")["Up"].kind == "class"
    assert told("zoo")["again"].kind == "import"
    assert names_here("zoo.Up") == []
    assert signature_here("zoo.Up") is None


def test_a_module_that_makes_its_names_lazily(package):
    package(
        __init__="""
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from .base import Animal
        __all__ = ["Animal", "unknown"]
        def __getattr__(name): raise SystemExit
        """,
        base=BASE,
    )
    found = told("zoo")
    assert found["Animal"] == ("Animal", "class", "(weight)", "Lives.")
    assert found["unknown"].kind == "import"
    assert list(told("zoo.Animal")) == ["eat"]


def test_what_source_does_not_tell(package, tmp_path):
    folder = package(__init__="", broken="def (", dull="x = '\\d'")
    (folder / "data.py").mkdir()
    with pytest.raises(
        LookupError, match=r"zoo\.broken is not imported, and its source cannot be read: invalid syntax"
    ):
        names_here("zoo.broken")
    assert source_here("zoo.broken").text == "def ("
    assert list(told("zoo.dull")) == ["x"]
    assert names_here("_elementtree_" if "_elementtree_" in sys.modules else "xxlimited") == []
    with pytest.raises(OSError, match="xxlimited is not imported, and has no Python source"):
        source_here("xxlimited")
    with pytest.raises(LookupError):
        names_here("zoo.data.x")


def test_a_large_source_is_parsed_in_pieces(package, monkeypatch):
    parts = [f'def f{n}(a):\n    """Doc {n}."""\n' for n in range(300)]
    parts[150] = 'text = """\ndef not_one(a): ...\n' + "def nor_this(): ...\n" * 50 + '"""\n'
    parts[200] = "@mark(\n1)\n@mark\n" + parts[200]
    monkeypatch.setattr(browse_source, "PIECE", 500)
    pieces = []
    parse = browse_source._parse
    monkeypatch.setattr(browse_source, "_parse", lambda text: pieces.append(text) or parse(text))
    package(__init__="", large="".join(parts))
    found = told("zoo.large")
    assert len(found) == 300
    assert "nor_this" not in found
    assert found["f299"].doc == "Doc 299."
    assert len(pieces) > 10
    assert source_here("zoo.large.f299").text == parts[299]
    assert source_here("zoo.large.f200").text == parts[200]


def test_a_form_feed_ends_no_line(package):
    package(__init__="", old="x = 1\n\x0c\n\x0cdef f():\n    pass\n")
    assert source_here("zoo.old.f") == ("\x0cdef f():\n    pass\n", source_here("zoo.old").file, 3)


def test_a_statement_has_a_limit(package, monkeypatch):
    package(
        __init__="",
        large="class A:\n" + "    x = 1\n" * 100 + "\ndef f(): ...\n",
        broken="def (\n" + "def f(): ...\n" * 99,
    )
    monkeypatch.setattr(browse_source, "PIECE", 50)
    assert list(told("zoo.large")) == ["A", "f"]
    browse_source._outlines.clear()
    monkeypatch.setattr(browse_source, "STATEMENT", 500)
    with pytest.raises(LookupError, match=r"source cannot be read: line 1 begins a statement of more than 500 char"):
        names_here("zoo.large")
    with pytest.raises(LookupError, match=r"source cannot be read: (invalid syntax|line 1 begins)"):
        names_here("zoo.broken")


def test_outlines_are_made_anew_when_a_file_changes(package):
    folder = package(__init__="", lion="def one(): ...")
    assert list(told("zoo.lion")) == ["one"]
    (folder / "lion.py").write_text("def two(n): ...")
    assert list(told("zoo.lion")) == ["two"]


def test_what_is_not_imported_can_be_imported(package):
    package(__init__="", lion="import sys\nmade = 1\nexec('computed = 2')")
    try:
        assert "computed" not in told("zoo.lion")
        assert "zoo.lion" not in sys.modules
        assert "computed" in told("zoo.lion", import_=True)
        assert doc_here("zoo.lion.computed", import_=True).startswith("int(")
        with pytest.raises(LookupError, match=r"nothing is named zoo\.tiger on this node: zoo has no tiger"):
            doc_here("zoo.tiger", import_=True)
    finally:
        for name in ("zoo", "zoo.lion"):
            sys.modules.pop(name, None)


def test_lazy_names_are_made_only_with_import(made):
    made.__all__ = ["Made"]
    made.__getattr__ = lambda name: types.SimpleNamespace(inside=1)  # type: ignore[method-assign]
    assert list(told("made_by_hand:Made", import_=True)) == ["inside"]
    with pytest.raises(LookupError, match="made_by_hand has no other"):
        names_here("made_by_hand:other", import_=True)
