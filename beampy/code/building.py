"""Building: live functions, classes and values from the recipes of another process, each version once.

Rule: a version is built at most once while anything here uses it, so a class keeps its identity from message to message
and a function keeps what it has cached. The newest version of each name is kept; older ones are free when nothing uses
them. What is half built is seen by nobody: all that belongs together appears at once, or not at all.

Cycles: functions are made empty and filled when all are there; classes are made empty and filled at once, as their
subclasses need them whole.

What is imported for a definition is imported before it is built, while no lock is held. Never on an event loop. Place:
under hook.py; it does not know how recipes came here.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import marshal
import sys
import weakref
from collections import OrderedDict, deque
from importlib.util import MAGIC_NUMBER
from threading import RLock
from types import CellType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from beampy.code import closures, contextvars
from beampy.code.ahead import Ahead
from beampy.code.definitions import ATTRIBUTE, CLASS, CODE, FRAME, FUNCTION, IMPORT, VALUE
from beampy.code.manifest import components, globals_of
from beampy.code.origin import here
from beampy.code.origin_files import offered
from beampy.code.othercode import compiled_here, remember_lines
from beampy.code.passing import fleeting, key
from beampy.code.recipe import Unknown
from beampy.code.repair import replaced
from beampy.code.worlds import ABSENT, Binding, Bound, Box, World, atom, defined
from beampy.errors import OriginLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from beampy.code.recipe import Recipe
    from beampy.code.space import Space
    from beampy.core.standin import StandIn

NAMES, ALIKE = 4096, 64  # names whose newest version is kept; of names that say little, as lambdas have, so many


class Frame:
    """What functions run: code, and globals, theirs alone or their world's."""

    __slots__ = ("__weakref__", "code", "module", "names")

    def __init__(self, code: CodeType, names: dict[str, Any], module: str) -> None:
        self.code = code
        self.names = names
        self.module = module  # the name their module has here


class NotYet(Exception):
    """Something is needed that is being made."""


class Built:
    """What was built here, by version."""

    def __init__(self) -> None:
        self.objects: weakref.WeakValueDictionary[bytes, Any] = weakref.WeakValueDictionary()
        self.versions: dict[int, tuple[Any, bytes]] = {}  # by id: a weak reference, and the version
        self.bound: dict[bytes, Bound] = {}  # what a version means by the names in worlds, with all that it refers to
        self.kept: OrderedDict[Any, deque[Any]] = OrderedDict()  # the newest of each name
        self.standins: dict[bytes, dict[bytes, Any]] = {}  # those built of remote references, or of such: which ones

    def add(self, version: bytes, thing: Any, name: Any) -> None:
        """Remember one; `name`, (origin, module, qualname), lets it be kept."""
        self.objects[version] = thing
        place, itself = id(contextvars.subject(thing)), weakref.ref(self)

        def forget(_: Any, place: int = place) -> None:
            alive = itself()
            if alive is not None:
                alive.versions.pop(place, None)
                alive.bound.pop(version, None)
                alive.standins.pop(version, None)

        self.versions[place] = weakref.ref(thing, forget), version
        if name is None:
            return
        kept = self.kept.get(name)
        if kept is None:
            kept = self.kept[name] = deque(maxlen=ALIKE if "<" in name[-1] else 1)
            if len(self.kept) > NAMES:
                self.kept.popitem(last=False)
        elif kept.maxlen == 1 and isinstance(thing, type):
            replaced(kept[0], thing)
        kept.append(thing)
        self.kept.move_to_end(name)

    def frame_of(self, fn: FunctionType) -> bytes | None:
        """The version of the frame that a function was built on."""
        kept: Any = fn.__globals__.get("__beampy__")
        if kept.__class__ is World:
            return self.version_of(kept.frame(fn.__code__))
        if kept.__class__ is list and kept[0].code is fn.__code__:
            return self.version_of(kept[0])
        return None

    def version_of(self, thing: Any) -> bytes | None:
        """The version that a thing was built from."""
        found = self.versions.get(id(thing))
        return found[1] if found is not None and contextvars.subject(found[0]()) is thing else None

    def drop(self, origin: str) -> None:
        """Keep nothing of an origin for its own sake."""
        for name in [name for name in self.kept if name[0] == origin]:
            del self.kept[name]


class Builder:
    """Builds what recipes say. `space(origin)` is where an origin's modules are; `mine(version)` what is our own."""

    def __init__(self, space: Callable[[str], Space], mine: Callable[[bytes], Any]) -> None:
        self.built, self.ahead = Built(), Ahead()
        self.space = space
        self.mine = mine
        self.lock = RLock()
        self.worlds: weakref.WeakValueDictionary[tuple[str, str, int], World] = weakref.WeakValueDictionary()

    def get(self, version: bytes) -> Any:
        """What there is of a version: a function, a class, a Frame, or a Box with a value; None."""
        found = self.built.objects.get(version)
        if found is None:
            return self.mine(version)
        bound = self.built.bound.get(version)
        if bound is not None:
            for key, names in bound.items():
                world = self.worlds.get(key)
                if world is not None and not world.bind(names, self.built.objects.get):
                    return None  # it was built long ago: all that it means is to be built again
        return found

    def world(self, key: tuple[str, str, int]) -> World:
        """The globals of those functions of a live module that share them: (origin, module, number of its globals)."""
        found = self.worlds.get(key)
        if found is None:
            found = self.worlds[key] = World()
        return found

    def build(self, root: bytes, recipes: dict[bytes, Recipe], standins: Iterable[StandIn] = ()) -> Any:
        """The thing of version `root`. `recipes` has all it refers to that is not here, `standins` their references."""
        for recipe in recipes.values():
            self.import_for(recipe)
        with self.lock:
            found = self.get(root)
            building = _Building(self, recipes, standins)
            thing = building.whole(root) if found is None else found
        self.ahead.run(building.things, {root}.union(*(recipe.refs for recipe in recipes.values())))
        return thing

    def import_for(self, recipe: Recipe) -> None:
        """Import what a recipe names, so that it is there when it is looked for."""
        if recipe.kind == ATTRIBUTE:
            self.attribute(recipe.head)
        elif recipe.kind == IMPORT:
            origin, module, version, _, _ = recipe.head
            if origin != here().id:
                with contextlib.suppress(OriginLost):  # the statement will say so, if it is reached
                    self.space(origin).entry(module, version)  # an older one is imported anew
        elif recipe.kind == FRAME:
            origin, module, how, _, _, by_name, imports, _ = recipe.head
            named = {*imports, *(there for _, there, _ in by_name), *((module,) if how == "named" else ())}
            with self.space(origin).importing():
                for name in named:
                    if name not in sys.modules:
                        self.imported(origin, name)

    def imported(self, origin: str, name: str) -> Any:
        """A module that the origin has by this name, as code of that origin would import it."""
        with self.space(origin).importing():
            return importlib.import_module(name)

    def attribute(self, head: Any) -> Any:
        """What a reference to a module's attribute means here."""
        origin, module, version, name, digest = head
        if offered(origin) is not None:
            if module not in sys.modules:
                importlib.import_module(module)  # code of ours has imported it elsewhere, and not yet here
            if origin != here().id:  # of a file as it was there: what is imported here is the nearest to it
                version = here().version(module)
            return here().attribute(module, version, name) if name else sys.modules[module]
        space = self.space(origin)
        if name:
            return space.attribute(module, version, name, digest)
        return space.module(module, version, digest)


class _Building:
    """One go at building: all that it makes becomes known together."""

    def __init__(self, builder: Builder, recipes: dict[bytes, Recipe], standins: Iterable[StandIn]) -> None:
        self.standins = {key(each): each for each in standins}
        self.fleeting = fleeting(recipes, builder.built.standins)
        self.found: dict[bytes, dict[bytes, Any]] = {version: {} for version in self.fleeting}
        self.builder = builder
        self.recipes = recipes
        self.things: dict[bytes, Any] = {}
        self.names: dict[bytes, Any] = {}
        self.making: set[bytes] = set()
        self.unfilled: deque[Callable[[], None]] = deque()
        self.bound: dict[bytes, Bound] = {}  # of the frames in worlds

    def whole(self, root: bytes) -> Any:
        """Build it, and all that it needs."""
        thing = self.part(root)
        self.fill()
        if self.unfilled:
            raise InternalCycle(root.hex())
        self.builder.ahead.things.update(self.things)
        for version, made in self.things.items():
            self.builder.built.add(version, made, self.names[version])
        self.builder.built.standins.update(
            {version: self.found[version] for version in self.found.keys() & self.things}
        )
        if self.bound or self.builder.built.bound:
            self.remember_bound()
        return thing

    def remember_bound(self) -> None:
        """Of each version that was made: what it means by the names in worlds, with all that it refers to."""
        known = self.builder.built.bound
        found: dict[bytes, Bound] = {}
        graph = {version: recipe.refs for version, recipe in self.recipes.items()}
        for component in components(graph):
            parts: dict[int, Bound] = {}
            for version in component:
                for one in (self.bound.get(version), *(found.get(ref) or known.get(ref) for ref in graph[version])):
                    if one:
                        parts[id(one)] = one
            if len(parts) > 1:
                merged: Bound = {}
                for each in parts.values():
                    for key, names in each.items():
                        merged.setdefault(key, {}).update(names)
                parts = {0: merged}
            for each in parts.values():
                found.update(dict.fromkeys(component, each))
        known.update({version: bound for version, bound in found.items() if version in self.things})

    def part(self, version: bytes) -> Any:
        """The thing of a version, perhaps still to be filled: a function, a class, a Frame, a Box."""
        if (found := self.things.get(version)) is None:
            found = self.builder.get(version)
        if found is not None:
            return found
        if version in self.making:
            raise NotYet
        self.making.add(version)
        try:
            if (recipe := self.recipes.get(version)) is None:
                raise Unknown(version)
            return MAKERS[recipe.kind](self, version, recipe)
        finally:
            self.making.discard(version)

    def value(self, version: bytes) -> Any:
        """The same, as code sees it."""
        found = self.part(version)
        return found.value if found.__class__ is Box else found

    def made(self, version: bytes, thing: Any, name: Any = None) -> Any:
        """One that others may refer to from here on; with a name, it is kept until it has a newer version."""
        self.things[version] = thing
        self.names[version] = None if version in self.fleeting else name
        return thing

    def fill(self) -> None:
        """Fill what can be filled: all but what needs something that is being made just now."""
        for _ in range(len(self.recipes) + 1):  # each round makes at least one more of them
            waiting, self.unfilled = self.unfilled, deque()
            if not waiting:
                return
            for one in waiting:
                try:
                    one()
                except NotYet:
                    self.unfilled.append(one)
            if len(self.unfilled) == len(waiting) and [*self.unfilled] == [*waiting]:
                return

    # each kind

    def make_attribute(self, version: bytes, recipe: Recipe) -> Any:
        origin, module, _, name, _ = recipe.head
        thing = self.builder.attribute(recipe.head)
        box = contextvars.boxed(thing)
        return self.made(version, box, None if box is thing else (origin, module, name))

    def make_import(self, version: bytes, recipe: Recipe) -> Any:
        return self.made(version, Box(None))

    def make_code(self, version: bytes, recipe: Recipe) -> CodeType:
        magic, python, path, text, first, name, line, flags, start = recipe.head
        if magic == MAGIC_NUMBER:
            code: CodeType = marshal.loads(recipe.body)
        else:
            code = compiled_here(python, path, text, first, name, line, flags, start)
        remember_lines(path, text, first)
        self.made(version, code)
        return code

    def make_frame(self, version: bytes, recipe: Recipe) -> Frame:
        origin, module, how, atoms, referred, by_name, _, shared = recipe.head
        code = self.part(recipe.refs[0])
        if how == "module":
            there = self.part(recipe.refs[1])
            frame = Frame(code, vars(there), there.__name__)
        elif how == "named":
            frame = Frame(code, vars(sys.modules[module]), module)
        elif shared:
            frame = self.frame_in_world(version, recipe, code)
        else:
            names = dict(atoms)
            names = {**self.surroundings(origin, module, names.pop("__package__", "")), **names}
            frame = Frame(code, names, self.pseudo(origin, module))
            # Values live as long as the globals that have them, and so does the frame: its functions have only these.
            kept: list[Any] = [frame]
            names["__beampy__"] = kept

            def fill() -> None:
                parts = [self.part(ref) for ref in recipe.refs[1:]]
                kept[1:] = parts  # those of its globals, and then its imports
                for (name, at), part in zip(referred, parts, strict=False):
                    value = part.value if part.__class__ is Box else part
                    names[name] = value if at < 0 else value[at]
                for name, there, path in by_name:
                    names[name] = _named(self.builder.imported(origin, there), path)

            self.unfilled.append(fill)
        self.made(version, frame, (origin, module, f"{code.co_qualname}()"))
        return frame

    def surroundings(self, origin: str, module: str, package: str) -> dict[str, Any]:
        """The globals that the interpreter and importlib look for in a live module of an origin."""
        names: dict[str, Any] = {"__name__": self.pseudo(origin, module)}
        if package:
            names["__package__"] = package
        if origin != here().id:
            # Its imports are those of its origin: by statement, and where importlib looks who asks.
            space = self.builder.space(origin)
            spec: Any = space.pseudo(module).__spec__
            if package:
                names["__package__"] = space.names.here(package)
                spec = copy.copy(spec)
                spec.package = names["__package__"]
            names |= {"__builtins__": space.builtins, "__spec__": spec}
        return names

    def frame_in_world(self, version: bytes, recipe: Recipe, code: CodeType) -> Frame:
        """A frame whose globals others have too, because one of them assigns some."""
        origin, module, _, atoms, referred, by_name, _, number = recipe.head
        key = origin, module, number
        world = self.builder.world(key)
        values = dict(atoms)
        around = self.surroundings(origin, module, values.pop("__package__", ""))
        for name, value in around.items():
            if name not in world.names or "__package__" in around:
                world.names[name] = value
        frame = world.frames[id(code)] = Frame(code, world.names, around["__name__"])
        bindings: dict[str, Binding] = dict.fromkeys(globals_of(code), ABSENT)
        bindings |= {name: atom(value) for name, value in values.items()}
        bindings |= {name: defined(ref, at) for (name, at), ref in zip(referred, recipe.refs[1:], strict=False)}

        def fill() -> None:
            for ref in recipe.refs[1:]:
                self.part(ref)
            for name, there, path in by_name:
                bindings[name] = Binding((there, path), _named(self.builder.imported(origin, there), path))
            world.bind(bindings, self.part)

        self.bound[version] = {key: bindings}
        self.unfilled.append(fill)
        return frame

    def make_function(self, version: bytes, recipe: Recipe) -> Any:
        origin, module, qualname, name = recipe.head
        reader = self.reader(version, recipe)
        if not name:
            maker, args = closures.read(recipe.body, reader)
            fn = maker(*args)
        else:
            frame = self.part(recipe.refs[0])
            fn = FunctionType(frame.code, frame.names, name, None, tuple(CellType() for _ in frame.code.co_freevars))
            fn.__qualname__ = qualname

            def fill() -> None:
                state = closures.read(recipe.body, reader)
                state["__module__"] = frame.module
                closures.set_function_state(fn, state)

            self.unfilled.append(fill)
        self.show(version, origin, module, qualname, fn)
        return self.made(version, fn, (origin, module, qualname))

    def make_class(self, version: bytes, recipe: Recipe) -> Any:
        origin, module, qualname, found, _ = recipe.head
        cls = closures.read(recipe.body, self.reader(version, recipe))
        if cls.__module__ == module:
            type.__setattr__(cls, "__module__", self.pseudo(origin, module))
        if found:
            self.show(version, origin, module, qualname, cls)
        return cls

    def make_value(self, version: bytes, recipe: Recipe) -> Any:
        origin, module, name = recipe.head
        value = closures.read(recipe.body, self.reader(version, recipe))
        if type(value) not in closures.DEFINED_KINDS or isinstance(value, ModuleType):
            return self.made(version, Box(value))
        if type(value) in closures.NAMED and value.__module__ == module:
            with contextlib.suppress(AttributeError):
                value.__module__ = self.pseudo(origin, module)
        self.show(version, origin, module, name, value)
        return self.made(version, contextvars.boxed(value), (origin, module, name))

    def reader(self, version: bytes, recipe: Recipe) -> Callable[..., Any]:
        """What the body of a recipe asks while it is read."""
        refs = recipe.refs
        origin, module = recipe.head[:2]

        def reader(what: Any, *more: Any) -> Any:
            if what.__class__ is not int:
                (state,) = more
                if state.__class__ is dict:
                    if state.get("__module__") == module:
                        state["__module__"] = self.pseudo(origin, module)
                    closures.set_function_state(what, state)
                else:
                    fill, values = state
                    fill(what, values[:3])
                    self.hint(origin, module, *values[3:])
                return None
            if what >= 0:
                return self.value(refs[what])
            if what == closures.STANDIN:
                one = self.standins.get(more[0])
                if one is None:
                    raise OriginLost(origin, "a remote reference that a function uses", "it did not come with it")
                self.found[version][more[0]] = one
                return one
            if what == closures.FUNCTION:
                index, name, cells = more
                frame = self.part(refs[index])
                return FunctionType(frame.code, frame.names, name, None, cells)
            self.fill()  # the bases run code of their own when a class is made of them
            maker, *args = more
            return self.made(
                version, maker(*args), recipe.head[:3] if recipe.head[3] or "<" in recipe.head[2] else None
            )

        return reader

    def pseudo(self, origin: str, module: str) -> str:
        """The name that a live module of the origin has here."""
        if origin == here().id:
            return module
        return self.builder.space(origin).pseudo(module).__name__

    def hint(self, origin: str, module: str, meant: dict[str, Any] | None = None) -> None:
        """Let the module have what a class's annotations mean, where it has nothing of that name."""
        if meant and origin != here().id:
            there = vars(self.builder.space(origin).pseudo(module))
            for name, value in meant.items():
                there.setdefault(name, value)

    def show(self, version: bytes, origin: str, module: str, qualname: str, thing: Any) -> None:
        """Let the module that stands for the origin's have it: there typing, pickle and people look for it."""
        if origin != here().id and qualname.isidentifier() and version not in self.fleeting:
            setattr(self.builder.space(origin).pseudo(module), qualname, thing)


class InternalCycle(Exception):
    """Definitions that need each other in a way that cannot be built."""


MAKERS: dict[str, Callable[[_Building, bytes, Recipe], Any]] = {
    ATTRIBUTE: _Building.make_attribute,
    IMPORT: _Building.make_import,
    CODE: _Building.make_code,
    FRAME: _Building.make_frame,
    FUNCTION: _Building.make_function,
    CLASS: _Building.make_class,
    VALUE: _Building.make_value,
}


def _named(there: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        there = getattr(there, part)
    return there
