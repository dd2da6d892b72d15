"""What editors ask about a node's names, answered on that node: what is in something, how it is called, what it says.

Rule: that of beampy.code's browsing: looking runs nothing, imports nothing and changes nothing; attributes are read as
they are stored, and each answer has a limit in number and in time. What is asked about is a Target (scope.py): a name
of the notebook's namespace here, a module, or what comes out of a call as far as its annotations say. An unknown thing
is None, never an error.

Place: on any node, the notebook's own too, in a thread. It knows nothing of cells, editors or IPython.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
import time
from types import FunctionType, MethodType
from typing import Any, Final, NamedTuple

from beampy.code import browse
from beampy.code.browse import Name
from beampy.code.browse_objects import Live
from beampy.code.browse_paths import Place, Read, Search
from beampy.code.browse_signature import class_dict, constant, own_dict
from beampy.code.browse_source import NoSource
from beampy.notebook.parameters import without_self
from beampy.notebook.scope import Target

DETAILS: Final = 0.1  # seconds for signatures and docs of one answer; what is left over comes with names only
NAMES: Final = 2000  # names of one answer, as in browse.py
KEYS: Final = 200  # of a dict
DOC: Final = 20_000  # characters of a docstring that is shown
SOURCE: Final = 100_000  # characters of a source
DEEP: Final = 20  # types that lead to types
LINE: Final = 200  # characters of a value that is shown

_returns: Final = re.compile(r"\) -> (.+)$", re.DOTALL)
BUILTINS: Final = frozenset(dir(builtins))


class Facts(NamedTuple):
    """What hovering shows.

    type    the class of a value, as "module.Class"; "" for what is no value
    value   a plain constant, or the length of something; "" for anything else
    where   the file and line of its source, "file:line", or ""
    """

    name: str
    kind: str
    signature: str | None
    doc: str
    type: str
    value: str
    where: str
    source: str | None


# questions


def names_here(owner: str, targets: tuple[Target, ...], caller: str = "") -> list[tuple[Any, ...]] | None:
    """What is in the first of the targets that is known here: the fields of `Name`, sorted. None: none is known."""
    return rows(space_of(owner), targets, Search(caller))


def space_here(owner: str) -> list[tuple[Any, ...]] | None:
    """The names that cells of this notebook have bound here. None: none has run."""
    space = space_of(owner)
    return None if space is None else rows_of(Space(space), Search())


def facts_here(owner: str, targets: tuple[Target, ...], detail: int = 0, caller: str = "") -> Facts | None:
    """What there is to say about the first of the targets that is known here."""
    return facts(space_of(owner), targets, Search(caller), detail)


def keys_here(owner: str, targets: tuple[Target, ...], caller: str = "") -> list[str]:
    """The keys of a dict that are texts."""
    return keys(space_of(owner), targets, Search(caller))


def modules_here(package: str, caller: str = "") -> list[str]:
    """The modules directly in a package; of "" those at the top level. The last parts of their names, sorted."""
    prefix = f"{package}." if package else ""
    return sorted({name[len(prefix) :].partition(".")[0] for name in browse.modules_here(prefix, caller)})


def names_of(value: Any, steps: tuple[tuple[str, str], ...]) -> list[tuple[Any, ...]] | None:
    """What is in an object of this node."""
    return rows({"it": value}, (Target("name", "it", steps),), Search())


def facts_of(value: Any, steps: tuple[tuple[str, str], ...], detail: int = 0) -> Facts | None:
    """What there is to say about an object of this node, or about something in it."""
    return facts({"it": value}, (Target("name", "it", steps),), Search(), detail)


def warm() -> int:
    """Load what answers: nothing but this module, which is loaded now."""
    return NAMES


# answers from a namespace


def space_of(owner: str) -> dict[str, Any] | None:
    """The namespace of a notebook's cells on this node."""
    evaluator: Any = sys.modules.get("beampy.notebook.evaluator")
    found: dict[str, Any] | None = None if evaluator is None else evaluator.namespace_of(owner)
    return found


def rows(space: dict[str, Any] | None, targets: tuple[Target, ...], search: Search) -> list[tuple[Any, ...]] | None:
    """What is in the first target that is known."""
    place = find(space, targets, search)
    return None if place is None else rows_of(place, search)


def rows_of(place: AnyPlace, search: Search, details: float | None = None) -> list[tuple[Any, ...]]:
    """All names in a place; private ones last, since the number is limited. `details`: seconds for more than names."""
    try:
        listed = sorted(
            (name for name in place.listed() if name.isidentifier()), key=lambda name: (name[0] == "_", name)
        )
    except LookupError:
        return []
    end = time.monotonic() + (DETAILS if details is None else details)
    search.end = end
    return [tuple(_row(name, place, search, end)) for name in listed[:NAMES]]


def _row(name: str, place: AnyPlace, search: Search, end: float) -> Name:
    if time.monotonic() > end:
        return Name(name, "value")
    try:
        there = step(search, place, name)
    except LookupError:
        there = None
    if there is None:
        return Name(name, "import" if isinstance(place, Read) else "lazy")
    return Name(name, there.kind, there.signature(), there.line())


def facts(space: dict[str, Any] | None, targets: tuple[Target, ...], search: Search, detail: int) -> Facts | None:
    """What there is to say about the first target that is known."""
    for target in targets:
        place = find(space, (target,), search)
        if place is None:
            continue
        name = next((what for step, what in reversed(target.steps) if step == "attr"), target.name.rpartition(":")[2])
        where, source = "", None
        try:
            text, file, line = place.source()
            where = f"{file}:{line}"
            source = text[:SOURCE] if detail else None
        except (NoSource, LookupError, OSError):
            pass
        signature = place.signature()
        doc = place.doc()[:DOC]
        own = target.root == "name" and not target.steps  # of modules no value is shown: there are passwords among them
        kind, value = type_of(place), value_of(place) if own else ""
        return Facts(name, place.kind, signature, doc, kind, value, where, source)
    return None


def keys(space: dict[str, Any] | None, targets: tuple[Target, ...], search: Search) -> list[str]:
    """The text keys of a dict. Those of dicts only: any other object would run code."""
    place = find(space, targets, search)
    if isinstance(place, Live) and issubclass(type(place.value), dict):
        found = [key for key in dict.copy(place.value) if type(key) is str]
        return found[:KEYS]
    return []


def signature_of(space: dict[str, Any] | None, targets: tuple[Target, ...], search: Search) -> str | None:
    """How something is called."""
    place = find(space, targets, search)
    return None if place is None else place.signature()


# places


class Space:
    """The names of a namespace, as a place."""

    kind = "module"

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names

    def listed(self) -> set[str]:
        """What is bound in it."""
        found = {name for name in list(self.names) if type(name) is str and not name.startswith("__")}
        return found - BUILTINS - {"display"}

    def step(self, name: str) -> Live | None:
        """What a name is."""
        return Live(self.names[name]) if name in self.names else None


class Made:
    """An instance of a class, of which nothing but the class is known."""

    kind = "value"

    def __init__(self, of: Place) -> None:
        self.of = of

    def listed(self) -> set[str]:
        """What its class has."""
        return self.of.listed()

    def signature(self) -> str | None:
        """An instance that can be called says so by its class only."""
        return None

    def doc(self) -> str:
        """That of its class."""
        return self.of.doc()

    def line(self) -> str:
        """The first line of it."""
        return self.of.line()

    def source(self) -> tuple[str, str, int]:
        """That of its class."""
        return self.of.source()


class Method:
    """A method of such an instance, where only its source is known."""

    def __init__(self, of: Read) -> None:
        self.of = of
        self.kind = of.kind

    def listed(self) -> set[str]:
        """Nothing that anybody asks for."""
        return self.of.listed()

    def signature(self) -> str | None:
        """Without its self."""
        text = self.of.signature()
        return None if text is None else without_self(text)

    def doc(self) -> str:
        """As it is written."""
        return self.of.doc()

    def line(self) -> str:
        """The first line of it."""
        return self.of.line()

    def source(self) -> tuple[str, str, int]:
        """As it is written."""
        return self.of.source()


AnyPlace = Place | Made | Method | Space
Found = Place | Made | Method


def find(space: dict[str, Any] | None, targets: tuple[Target, ...], search: Search) -> Found | None:
    """The first target that leads somewhere. An object that is there tells more than the class that made it."""
    found: Found | None = None
    for target in targets:
        try:
            place = follow(space, target, search)
        except (LookupError, ValueError):
            continue
        if found is None:
            found = place
        elif isinstance(found, Made) and isinstance(place, Live) and isinstance(found.of, Live):
            found = place if type(place.value) is found.of.value else found
        if found is not None and not isinstance(found, Made):
            return found
    return found


def follow(space: dict[str, Any] | None, target: Target, search: Search) -> Found | None:
    """What a target is."""
    place: Found | None = _root(space, target, search)
    for kind, what in target.steps:
        if place is None:
            return None
        if kind == "attr":
            place = step(search, place, what)
        elif kind == "call":
            place = called(place, search)
        elif kind == "item":
            place = item(place, what)
    return place


def step(search: Search, place: AnyPlace, name: str) -> Found | None:
    """What a name means in a place."""
    if isinstance(place, Space):
        return place.step(name)
    if isinstance(place, Method):
        return None
    if not isinstance(place, Made):
        return search.step(place, name) or _submodule(place, name, search)
    there = search.step(place.of, name)
    if isinstance(there, Live) and isinstance(place.of, Live):
        return Live(there.value, name, place.of.value, True)
    return Method(there) if isinstance(there, Read) and there.kind == "method" else there


def called(place: Found, search: Search) -> Found | None:
    """What comes out when it is called, as far as a class or an annotation says."""
    if place.kind == "class" and not isinstance(place, Made | Method):
        return Made(place)
    text = place.signature()
    said = None if text is None else _returns.search(text)
    if said is None:
        return None
    name = _class_named(said[1])
    if name == "Self":
        cls = place.owner if isinstance(place, Live) else None
        return None if cls is None else Made(Live(cls))
    home = _home(place, search)
    found = None if not name or home is None else named(name, home, search)
    return Made(found) if found is not None and found.kind == "class" else None


def item(place: Found, index: str) -> Live | None:
    """What is in a plain list, tuple or dict."""
    value: Any = place.value if isinstance(place, Live) else None
    key = ast.literal_eval(index)
    if type(value) is dict and key in value:
        return Live(value[key])
    if type(value) in (list, tuple) and type(key) is int and -len(value) <= key < len(value):
        return Live(value[key])
    return None


def named(path: str, home: Place, search: Search) -> Place | None:
    """A dotted name, as the module `home` understands it."""
    first, *rest = path.split(".")
    place = search.step(home, first)
    if place is None and first in BUILTINS:
        place = Live(getattr(builtins, first))
    if place is None:
        place = search.loaded(first)  # annotations of live objects are shown with their modules
    for part in rest:
        place = None if place is None else search.step(place, part) or _submodule(place, part, search)
    return place


def _submodule(place: Place, part: str, search: Search) -> Place | None:
    if not isinstance(place, Live) or place.kind != "module":
        return None
    name = own_dict(place.value).get("__name__")
    return search.module(f"{name}.{part}") if type(name) is str else None


def _root(space: dict[str, Any] | None, target: Target, search: Search) -> Found | None:
    name = target.name
    match target.root:
        case "name":
            if space is not None and name in space:
                return Live(space[name])
            return Live(getattr(builtins, name)) if name in BUILTINS else None
        case "module":
            return search.module(name)
        case "from":
            module, _, inner = name.partition(":")
            place = search.module(module)
            found = None if place is None else search.step(place, inner)
            return found or search.module(f"{module}.{inner}")
        case "path":
            return search.find(name)
        case "class":
            return Made(Live(getattr(builtins, name))) if name in BUILTINS else None
    return None


def _class_named(hint: str) -> str:
    """The class that an annotation names, without what is optional; "" where it is none."""
    parts = [part.strip().strip("'\"") for part in hint.split(" | ")]
    parts = [part for part in parts if part not in ("None", "")]
    text = parts[0] if len(parts) == 1 else ""
    wrapped = re.fullmatch(r"(?:typing\.)?(?:Optional|Awaitable|ClassVar|Final)\[(.*)\]", text)
    text = (wrapped[1] if wrapped else text).partition("[")[0]
    return text.rpartition(".")[2] if text.endswith(".Self") else text if re.fullmatch(r"[\w.]+", text) else ""


def _home(place: Found, search: Search) -> Place | None:
    """The module that something was written in."""
    if isinstance(place, Method):
        place = place.of
    if isinstance(place, Read):
        return Read(search, place.module)
    if isinstance(place, Made):
        return None
    value: Any = place.value
    for _ in range(DEEP):
        cls = type(value)
        if cls is MethodType:
            value = value.__func__
        elif issubclass(cls, staticmethod | classmethod):
            value = class_dict(classmethod if issubclass(cls, classmethod) else staticmethod)["__func__"].__get__(value)
        elif cls is FunctionType:
            break
        elif "__wrapped__" in (names := own_dict(value)):
            value = names["__wrapped__"]
        else:
            break
    if type(value) is not FunctionType:
        return None
    name = value.__globals__.get("__name__")
    module = sys.modules.get(name) if type(name) is str else None
    return None if module is None else Live(module)


# values


def type_of(place: Found) -> str:
    """The class of a value."""
    if isinstance(place, Made):
        place = place.of
        return class_name(place.value) if isinstance(place, Live) else ""
    if not isinstance(place, Live) or place.kind != "value":
        return ""
    return class_name(type(place.value))


def class_name(cls: type) -> str:
    """The name of a class, with its module where that is not Python's own."""
    return constant(cls)


def value_of(place: Found) -> str:
    """A constant as it is, and how many are in something plain."""
    if not isinstance(place, Live) or place.kind != "value":
        return ""
    value: Any = place.value
    cls: Any = type(value)
    if cls in (dict, list, tuple, set, frozenset):
        return f"{len(value)} items"
    if cls in (str, bytes, bytearray) and len(value) > LINE:
        return f"{len(value)} long"
    return constant(value) if cls in (int, float, complex, bool, str, bytes) else ""
