"""Paths: what "helpers.Model.fit" names on a node, be it imported or only in a source.

Rule: what is imported counts first, then what can be read; a name that a source imports is followed to where it is
defined. A search has an end in time and in number of modules, and goes around no circle. Place: between browse.py and
the two kinds of places, browse_objects.py's `Live` and `Read` here, which stands on browse_source.py.
"""

from __future__ import annotations

import importlib
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from beampy.code import browse_source as sources
from beampy.code.browse_objects import Live, told
from beampy.code.browse_signature import own_dict
from beampy.code.browse_source import FILE, NoSource, first_line

if TYPE_CHECKING:
    from types import ModuleType

WALK: Final = 1.0  # seconds that one search takes
HOPS: Final = 200  # modules that one search reads: what a large package's __init__ imports from
BASES: Final = 50  # classes above a class


def shipped() -> dict[str, tuple[str, str]]:
    """The modules that came from other nodes, by their names in sys.modules: their names there, and the node."""
    if "beampy.code.space" not in sys.modules:
        return {}  # nothing has come
    from beampy.code.space import spaces

    of = spaces().shipped
    all_of = [(name, of(name)) for name in list(sys.modules) if type(name) is str]
    return {name: (came.module, came.node) for name, came in all_of if came is not None}


class Search:
    """One question: finds places by names. LookupError, also when it leads through too many modules."""

    def __init__(self, caller: str = "", import_: bool = False) -> None:
        self.caller = caller
        self.import_ = import_
        self.end = time.monotonic() + WALK
        self.hops = HOPS
        self.looking: set[tuple[str, str]] = set()  # the names of modules that are being looked for
        self._names: dict[str, str] | None = None
        self._read: dict[str, Read | None] = {}

    def find(self, path: str) -> Place:
        """What a path names."""
        module, colon, rest = path.partition(":")
        parts = module.split(".")
        ends = [len(parts)] if colon else range(len(parts), 0, -1)
        inside = parts if not colon else [*parts, *rest.split(".")]
        why = f"nothing is named {path} on this node: no module {module if colon else parts[0]} is there"
        for how in (self.loaded, self.imported) if self.import_ else (self.loaded, self.not_loaded):
            for end in ends:
                place = how(".".join(parts[:end]))
                if place is None:
                    continue
                for at, part in enumerate(inside[end:], end):
                    there = self.step(place, part)
                    if there is None:
                        why = f"nothing is named {path} on this node: {'.'.join(inside[:at])} has no {part}"
                        break
                    place = there
                else:
                    return place
        raise LookupError(why)

    def step(self, place: Place, name: str) -> Place | None:
        """What a name means in a place; None where it means nothing."""
        there = place.step(name)
        if there is None and isinstance(place, Live) and place.kind == "module":
            return self.lazy(place.value, name)
        return there

    # modules

    def loaded_as(self, name: str) -> str | None:
        """Under which name a module is loaded: the caller's own first, then this node's, then anybody's."""
        if self._names is None:
            self._names = {}
            for there, (origin_name, node) in shipped().items():
                taken = origin_name in sys.modules or origin_name in self._names
                if node == self.caller or not taken:
                    self._names[origin_name] = there
        name = self._names.get(name, name)
        return name if sys.modules.get(name) is not None else None

    def loaded(self, name: str) -> Place | None:
        """A module that is imported."""
        there = self.loaded_as(name)
        return None if there is None else Live(sys.modules[there])

    def imported(self, name: str) -> Place | None:
        """A module, which is imported now."""
        try:
            return Live(importlib.import_module(name))
        except ModuleNotFoundError as missing:
            if missing.name is not None and (name == missing.name or name.startswith(f"{missing.name}.")):
                return None
            raise  # it is there, and what it imports is not

    def not_loaded(self, name: str) -> Place | None:
        """A module of which only the source can say what is in it."""
        return self.read(name) if self.loaded(name) is None else None

    def read(self, name: str) -> Place | None:
        """A module that is not imported, or one whose source is asked."""
        if name not in self._read:
            self.hops -= 1
            if self.hops < 0 or time.monotonic() > self.end:
                raise LookupError(f"what is looked for leads through too many modules, the last one {name}")
            found = sources.locate(name)
            self._read[name] = None if found is None else Read(self, found)
        return self._read[name]

    def module(self, name: str) -> Place | None:
        """A module, imported or not."""
        return self.loaded(name) or self.read(name)

    def lazy(self, module: ModuleType, name: str) -> Place | None:
        """What a module makes when it is asked for, as its source tells type checkers what it is."""
        own = own_dict(module)
        if "__getattr__" not in own:
            return None
        if self.import_ and name in told(module):
            return Live(getattr(module, name))
        module_name = own.get("__name__")
        place = self.read(module_name) if type(module_name) is str else None
        return None if place is None else place.step(name)


class Read:
    """A place in the source of a module that is not imported: the module itself, or `item` in it."""

    def __init__(self, search: Search, module: sources.Located, item: sources.Item | None = None) -> None:
        self.search = search
        self.module = module
        self.item = item

    def outline(self) -> sources.Outline | None:
        """What the source says; None for modules without. LookupError where it cannot be read."""
        if self.module.file is None:
            return None
        try:
            return sources.read(self.module)
        except (OSError, SyntaxError, ValueError) as error:
            raise LookupError(f"{self.module.name} is not imported, and its source cannot be read: {error}") from None

    @property
    def kind(self) -> str:
        """One of the words of `Name.kind`."""
        return "module" if self.item is None else self.item.kind

    def signature(self) -> str | None:
        """As it is written; a class has that of the first of its bases that says one."""
        if self.item is None or self.item.signature is not None or self.item.members is None:
            return None if self.item is None else self.item.signature
        return next((text for base in self.ancestors()[1:] if (text := own_signature(base)) is not None), None)

    def doc(self) -> str:
        """As it is written."""
        if self.item is not None:
            return self.item.doc
        outline = self.outline()
        return "" if outline is None else outline.doc

    def line(self) -> str:
        """The first line of it."""
        return first_line(self.doc())

    def step(self, name: str) -> Place | None:
        """What a name means here; where it is imported, what it is there."""
        if self.item is None:
            key = (self.module.name, name)
            if key in self.search.looking:
                return None  # two modules that import it from each other
            self.search.looking.add(key)
            try:
                return self.of_module(name)
            finally:
                self.search.looking.discard(key)
        for place in self.ancestors():
            if isinstance(place, Live):
                found: Place | None = place.step(name)
            else:
                item = place.members().get(name)
                found = None if item is None else place.follow(item)
            if found is not None:
                return found
        return None

    def of_module(self, name: str) -> Place | None:
        """What a name means in a module."""
        outline = self.outline()
        item = None if outline is None else outline.items.get(name)
        if item is not None:
            return self.follow(item)
        for star in () if outline is None else outline.stars:
            place = self.search.module(star)
            there = None if place is None else self.search.step(place, name)
            if there is not None:
                return there
        return None if self.module.path is None else self.search.module(f"{self.module.name}.{name}")

    def members(self) -> dict[str, sources.Item]:
        """What the body of a class binds."""
        return {} if self.item is None or self.item.members is None else self.item.members

    def follow(self, item: sources.Item) -> Place:
        """An item of this module; for an import, what it imports, where that can be found in time."""
        here = Read(self.search, self.module, item)
        if item.target is None or time.monotonic() > self.search.end:
            return here
        module, name = item.target
        place = self.search.module(module)
        if place is None or not name:
            return place or here
        return self.search.step(place, name) or self.search.module(f"{module}.{name}") or here

    def ancestors(self) -> list[Place]:
        """This class and those above it, as far as they can be found; nearly in the order of Python."""
        found: list[Place] = [self]
        for place in found:
            if isinstance(place, Read) and place.item is not None:
                for base in place.item.bases:
                    there = place.base(base)
                    if there is not None and len(found) < BASES and not any(same(there, known) for known in found):
                        found.append(there)
        return found

    def base(self, path: str) -> Place | None:
        """A base class, as the module calls it."""
        first, *rest = path.split(".")
        try:
            place = Read(self.search, self.module).step(first) or Live(sys.modules["builtins"]).step(first)
            for part in rest:
                place = None if place is None else self.search.step(place, part)
        except LookupError:
            return None
        return place if place is not None and place.kind == "class" else None

    def listed(self) -> set[str]:
        """The names in it."""
        if self.item is not None:
            return set().union(
                *(place.listed() if isinstance(place, Live) else place.members() for place in self.ancestors())
            )
        return self.of_stars(set())

    def of_stars(self, seen: set[str]) -> set[str]:
        """The names in a module, those that it imports all at once too."""
        seen.add(self.module.name)
        outline = self.outline()
        if outline is None:
            return set()
        lazy = "__getattr__" in outline.items
        names = {name for name, item in outline.items.items() if lazy or not item.hidden}
        if lazy:
            names.update(outline.public or ())
        for star in outline.stars:
            try:
                place = None if star in seen else self.search.module(star)
                names |= set() if place is None else public(place, seen)
            except LookupError:
                continue
        return names

    def source(self) -> tuple[str, str, int]:
        """Its text, file, and first line. NoSource."""
        file = self.module.file
        if file is None:
            raise NoSource(f"{self.module.name} is not imported, and has no Python source")
        if self.item is not None and not self.item.first:
            raise NoSource("it is imported from where there is none")
        try:
            text = sources.text_of(file)
        except (OSError, SyntaxError, ValueError) as error:
            raise NoSource(f"its file cannot be read: {error}") from None
        if self.item is None:
            return text[:FILE], file, 1
        lines = sources.lines_in(text)
        return "".join(lines[self.item.first - 1 : self.item.last]), file, self.item.first


Place = Live | Read


def same(one: Place, other: Place) -> bool:
    """Whether two places are one class."""
    if isinstance(one, Live) or isinstance(other, Live):
        return isinstance(one, Live) and isinstance(other, Live) and one.value is other.value
    return one.item is other.item


def own_signature(place: Place) -> str | None:
    """That of a class, not of those above it."""
    return place.signature() if isinstance(place, Live) else place.item.signature if place.item else None


def public(place: Place, seen: set[str]) -> set[str]:
    """The names that `from … import *` gives."""
    if isinstance(place, Read):
        outline = place.outline()
        if outline is not None and outline.public is not None:
            return set(outline.public)
        names = place.of_stars(seen)
    else:
        told_names: Any = own_dict(place.value).get("__all__")
        if type(told_names) in (list, tuple):
            return {name for name in told_names if type(name) is str}
        names = place.listed()
    return {name for name in names if not name.startswith("_")}
