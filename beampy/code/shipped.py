"""A space: the modules of another Python process in this one, from their first reference to the end of that process.

The rule: code of one origin sees that origin's modules and nobody else's, in the newest version that a reference asked
for; running code keeps the module objects that it has. Place: under space.py, which has them all; above fetching.py
(what is known), naming.py (the names that modules go by), finder.py, loader.py and mapped.py (how importlib gets
there). It does not know what a message is, nor how an origin is reached.

No lock of this module is held while something is imported or asked for: importlib's own module locks order what runs.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
import time
import weakref
from _frozen_importlib import _DeadlockError  # type: ignore[attr-defined]
from asyncio import _get_running_loop
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from beampy.code import finder, loader, mapped, missing
from beampy.code.classify import spec_of
from beampy.code.deps import normalised
from beampy.code.entry import ABSENT, COMPILED, NAMESPACE, SOURCE, Module
from beampy.code.fetching import Fetching
from beampy.code.naming import OWN, PLAIN, PREFIXED, Names
from beampy.errors import MissingPackage, OriginLost

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager
    from importlib.machinery import ModuleSpec
    from importlib.metadata import Distribution
    from types import ModuleType

    from beampy.code.entry import Source
    from beampy.code.space import Spaces

TRIES: Final = 4  # imports until a module has the wanted version: one may meet another thread's, or its own, import
MISSES: Final = 4096  # names an origin was asked for in vain; optional imports of a large environment are some hundreds
MISSED: Final = 1.0  # s in which it is not asked again; who installs a package there takes longer to run a cell again
INSTALLING: Final = 900.0  # s for another thread's installation of a package; compilers take minutes


class Shipped(NamedTuple):
    """Where a module of sys.modules came from: `module` is its name there."""

    origin: str
    node: str
    module: str
    version: int
    digest: bytes


class Loaded(NamedTuple):
    version: int
    module: ModuleType
    name: str  # in sys.modules
    own: bool  # this process's own module, which is not ours to remove


class Space:
    """The modules of one origin. `node` is its node's name; `label` names it in sys.modules, like "nb_3f2a9c".

    The methods that ask or import block: call them in threads. They raise OriginLost when what they need was never
    fetched and nobody answers any more; the next call asks again.
    """

    def __init__(self, spaces: Spaces, origin: str, node: str, label: str) -> None:
        self.origin = origin
        self.node = node
        self.label = label
        self.missing: missing.Missing = spaces.missing
        self.fetching = Fetching(node, spaces.store)
        self._spaces = spaces
        self._entries: dict[str, Module] = {}
        self.names = Names(label, self._entries, spaces.here, lambda unit: spaces.hold(self, unit))
        self.builtins = mapped.builtins_of(self)
        self._misses: dict[str, float] = {}  # until when, on the monotonic clock
        self._loaded: dict[str, Loaded] = {}
        self._running: dict[loader.Loader, None] = {}  # modules whose code runs now
        self._old: weakref.WeakValueDictionary[tuple[str, int], ModuleType] = weakref.WeakValueDictionary()
        self._loaders: weakref.WeakSet[loader.Loader] = weakref.WeakSet()
        self._retired: set[str] = set()
        self._renamed: dict[str, str] = {}  # what `renamed` found out, since the last news
        self._admitted: dict[str, str | Exception] = {}
        self._pseudo: dict[str, ModuleType] = {}
        self._lock = threading.RLock()  # for dict operations only; a finalizer may run in between

    def __repr__(self) -> str:
        return f"<space {self.label} of {self.node}>"

    # ---- what messages refer to ----

    def add_source(self, source: Source) -> None:
        """Ask this one first from now on. What failed because the origin could not be asked is tried again."""
        self.fetching.add(source)
        self._again()

    def module(self, name: str, version: int, digest: bytes) -> ModuleType:
        """The module `name` of the origin, of this version or a newer one; loaded if it is not.

        An older version than the loaded one: the old module while something uses it, else the loaded one. If the
        origin cannot be asked, what has this digest will do. Errors: the module's own; OriginLost; MissingPackage.
        """
        loaded = self._loaded.get(name)
        if loaded is not None and loaded.version >= version:
            if loaded.version > version:
                old = self._old.get((name, version))
                if old is not None:
                    return old
            return loaded.module
        for attempt in range(TRIES):
            try:
                module = self._load(name, version, digest)
            except (_DeadlockError, KeyError) as error:
                # Another thread imports what we need and needs what we import: now one of us waits. Or it has taken the
                # parent of what we import out of sys.modules, which importlib does not expect.
                if attempt == TRIES - 1 or not self._interrupted(error):
                    raise
                continue
            loaded = self._loaded.get(name)
            entry = self._entries.get(name)
            if loaded is not None and (loaded.version >= version or entry is None or loaded.version >= entry.version):
                return loaded.module
        return module  # pyright: ignore[reportPossiblyUnboundVariable]  -- the last try has raised otherwise

    def attribute(self, name: str, version: int, qualname: str, digest: bytes) -> object:
        """What `qualname`, like "Class.method", is in that module. AttributeError: nothing; and as `module`."""
        module = value = self.module(name, version, digest)
        for part in qualname.split("."):
            try:
                value = getattr(value, part)
            except AttributeError as error:
                said = f"module {name} of {self.node} has no {qualname}"
                raise AttributeError(said, name=qualname, obj=module) from error
        return value

    def importing(self) -> AbstractContextManager[None]:
        """Inside, what this thread imports and this process has not comes from the origin."""
        return finder.importing(self)

    def pseudo(self, name: str) -> ModuleType:
        """The module that stands for a live one of the origin, like its `__main__`: `<label>.<name>` in sys.modules.

        It is made empty, once; imports of code that runs in it are the origin's.
        """
        found = self._pseudo.get(name)
        if found is None:
            mapped.import_module(self.label)
            fullname = f"{self.label}.{name}"
            its_loader = loader.Loader(self, Module(name, ABSENT), fullname)
            spec = finder.PseudoSpec(fullname, its_loader)  # type: ignore[arg-type]
            parent = name.rpartition(".")[0]
            if parent:
                with suppress(OriginLost):  # to know which name it goes by here
                    self.entry(parent)
            spec.package = self.names.here(parent) if parent else self.label
            found = importlib.util.module_from_spec(spec)
            found.__dict__["__builtins__"] = self.builtins
            self._loaders.add(its_loader)
            with self._lock:
                found = self._pseudo.setdefault(name, found)
            sys.modules[fullname] = found
            self._spaces.register(fullname, Shipped(self.origin, self.node, name, 0, b""))
        return found

    def prefetch(self, names: Sequence[str]) -> None:
        """Have the sources of these modules and of what they need. Nothing is run."""
        unknown = [name for name in names if name not in self._entries]
        if unknown:
            self._ask(unknown)
        units = {self.names.unit(name) for name in names}
        self.fetching.fetch(self._fetched_with(names, units))

    # ---- what is known ----

    def entry(self, name: str, version: int = 0) -> Module | None:
        """What the origin says of a module, of this version or a newer one; None: it has none."""
        known = self._entries.get(name)
        if known is not None and known.version >= version:
            return known
        if known is None and not version and self._missed(name):
            return None
        if version:
            self._again()
        self._ask([name])
        return self._entries.get(name)

    def _again(self) -> None:
        self._misses.clear()
        self._admitted = {unit: each for unit, each in self._admitted.items() if isinstance(each, str)}

    def _ask(self, names: Sequence[str]) -> None:
        answers = self.fetching.entries(names)
        news = False
        with self._lock:
            for entry in answers:
                known = self._entries.get(entry.name)
                if entry.kind == ABSENT:
                    continue
                if known is None or known.version <= entry.version:
                    news = news or entry != known
                    self._entries[entry.name] = entry
                    self._spaces.tops.add(entry.name.partition(".")[0])
                    self._misses.pop(entry.name, None)
            for name in names:
                if name not in self._entries:
                    self._miss(name)
            if news:
                self.fetching.keep_only(self._entries.values())
        if news:
            self.names.settle()
            self._renamed = {}
            self._sweep()

    def _miss(self, name: str) -> None:
        if len(self._misses) >= MISSES:
            self._misses.clear()
        self._misses[name] = time.monotonic() + MISSED

    def _missed(self, name: str) -> bool:
        """Whether the origin was asked for this in vain just now; or ever, where asking again would hold a loop up."""
        until = self._misses.get(name)
        return until is not None and (time.monotonic() < until or _get_running_loop() is not None)

    def submodules(self, package: str) -> list[tuple[str, bool]]:
        """Known modules directly in this package, and whether they are packages."""
        start = f"{package}." if package else ""
        names = [(name[len(start) :], entry) for name, entry in list(self._entries.items()) if name.startswith(start)]
        return sorted((name, entry.package) for name, entry in names if "." not in name)

    def parent(self, entry: Module) -> Module | None:
        return self._entries.get(entry.name.rpartition(".")[0])

    def filename(self, entry: Module) -> str:
        """The file of this module, which is its path at the origin unless another origin has another one there."""
        return self._spaces.filename(self, entry.path, entry.digest) if entry.path else ""

    def distributions(self, name: str) -> Iterable[Distribution]:
        """The metadata of the distribution of this name, if a package of it came from the origin."""
        for unit, verdict in list(self._admitted.items()):
            entry = self._entries.get(unit)
            if verdict == "load" and entry is not None and normalised(entry.package_name) == normalised(name):
                from beampy.code.resources import distributions

                return distributions(self.fetching, entry.package_name)
        return ()

    # ---- loading ----

    def _load(self, name: str, version: int, digest: bytes) -> ModuleType:
        try:
            entry = self.entry(name, version)
        except OriginLost:
            entry = self._entries.get(name)
            if entry is None or not digest or entry.digest != digest:
                if not digest or self._spaces.here.digest(name) != digest:
                    raise
                return mapped.import_module(name)
            loaded = self._loaded.get(name)
            if loaded is not None:
                return loaded.module
        if entry is None:
            raise ModuleNotFoundError(f"{self.node} has no module {name}", name=name)
        self._sweep()
        unit = self.names.unit(name)
        if self._place(name) != OWN:
            self.fetching.fetch(self._fetched_with([name], {unit}))
        with self.importing():
            # Parents first: who waits for a parent's import while holding a submodule's lock is in the way of that.
            for parent in accumulate(name.split(".")[:-1], "{}.{}".format):
                mapped.import_module(self.names.here(parent))
            module = mapped.import_module(self.names.here(name))
        if self.names.place(name) == OWN:
            if not entry.package_name and entry.kind == SOURCE and self._spaces.here.digest(name) != entry.digest:
                self.names.prefix(unit)  # it was edited since it was compared
                self._renamed = {}
            else:
                self._loaded[name] = Loaded(entry.version, module, name, own=True)
        return module

    def _place(self, name: str) -> str | None:
        """The place of this module, once its package may be loaded. MissingPackage."""
        place = self.names.place(name)
        unit = self.names.unit(name)
        entry = self._entries.get(unit)
        if place == OWN or entry is None or not entry.package_name:
            return place
        verdict = self._admitted.get(unit)
        if verdict is None:
            decide = lambda: self._decide(unit, entry)  # noqa: E731
            verdict = self.fetching.once(("missing", unit), f"package {unit}", decide, INSTALLING)
        if isinstance(verdict, Exception):
            raise verdict
        return self.names.place(name)

    def _decide(self, unit: str, entry: Module) -> str | Exception:
        verdict: str | Exception | None = self._admitted.get(unit)
        if verdict is None:
            try:
                verdict = self.missing.decide(entry, self._spaces.node, self.node)
            except MissingPackage as error:
                verdict = error
            if verdict == "installed":
                importlib.invalidate_caches()
                self.names.own(unit)
                self._renamed = {}
            self._admitted[unit] = verdict
        return verdict

    def _fetched_with(self, names: Iterable[str], units: set[str]) -> list[Module]:
        """The modules whose sources are fetched with these: what they need, without packages not yet let in."""

        def through(entry: Module) -> bool:
            unit = self.names.unit(entry.name)
            if self.names.place(unit) == OWN:
                return False
            return unit in units or not entry.package_name or self._admitted.get(unit) == "load"

        found = {entry.name: entry for entry in self.names.reach(names, through)}
        for name, entry in list(self._entries.items()):
            if entry.package_name and name not in found and self.names.unit(name) in units:
                found[name] = entry
        return list(found.values())

    def _sweep(self) -> None:
        """Take the modules whose version was raised out of sys.modules, but for those that run just now."""
        for name, loaded in list(self._loaded.items()):
            entry = self._entries.get(name)
            if entry is not None and entry.version > loaded.version and not self._runs(loaded.name):
                self._retire(name, loaded)

    def _runs(self, fullname: str) -> bool:
        """Whether this module, or one below it, is being imported: importlib expects to find it in sys.modules."""
        below = f"{fullname}."
        if any(each.name == fullname or each.name.startswith(below) for each in list(self._running)):
            return True
        return bool(getattr(spec_of(sys.modules.get(fullname)), "_initializing", False))

    def _interrupted(self, error: Exception) -> bool:
        """Whether an import failed only because of what another thread did."""
        if isinstance(error, _DeadlockError):
            return True
        name = error.args[0] if error.args else None
        known = isinstance(name, str) and (name == self.label or self.names.there(name) in self._entries)
        return known and name not in sys.modules

    def _retire(self, name: str, loaded: Loaded) -> None:
        with self._lock:
            if self._loaded.get(name) is not loaded:
                return
            del self._loaded[name]
            self._retired.add(name)
        if loaded.own:
            return
        if sys.modules.get(loaded.name) is loaded.module:
            del sys.modules[loaded.name]
        with suppress(TypeError):  # it may have put something else in its place
            self._old[name, loaded.version] = loaded.module

    # ---- for the finders ----

    def renamed(self, name: str) -> str:
        """The prefixed name that an import of `name` by the origin's code is for; "": it is not renamed."""
        known = self._renamed
        found = known.get(name)
        if found is None:
            found = self._rename(name)
            if name in self._entries:
                known[name] = found
        return found

    def _rename(self, name: str) -> str:
        if self._missed(name):
            return ""
        top = name.partition(".")[0]
        if top not in self._entries:
            if top in sys.stdlib_module_names or self._missed(top) or self._spaces.labelled(top) is not None:
                return ""
            try:
                if self.entry(top) is None:
                    return ""
            except OriginLost:
                return ""  # whoever finds it nowhere else will say so
        if not self.names.prefixed(name):
            return ""
        self._place(name)
        return f"{self.label}.{name}" if self.names.prefixed(name) else ""

    def find_plain(self, name: str) -> ModuleSpec | None:
        """A module by its plain name, which nothing else in this process has."""
        top = name.partition(".")[0]
        if top not in self._entries and top in sys.stdlib_module_names:
            return None
        if self.names.place(name) in (OWN, PREFIXED):
            return None
        entry = self.entry(name)
        if entry is None or self.names.place(name) != PLAIN:
            return None
        if self._place(name) == OWN:
            return self._spaces.here.spec(name)
        return self._spec(entry, name)

    def find(self, fullname: str) -> ModuleSpec | None:
        """A submodule of a shipped package, by the name that it would have here."""
        name = self.names.there(fullname)
        entry = self.entry(name)
        if entry is None:
            return None
        place = self._place(name)
        if name != fullname and place != PREFIXED and not (entry.kind == NAMESPACE and self.names.prefixed(name)):
            return None
        if name == fullname and place != PLAIN:
            return None
        return self._spec(entry, fullname)

    def _spec(self, entry: Module, fullname: str) -> ModuleSpec:
        if entry.kind == COMPILED:
            raise missing.Refused(entry, self.node)
        if entry.kind == SOURCE and self.fetching.have(entry.digest) is None:
            self.fetching.fetch(self._fetched_with([entry.name], {self.names.unit(entry.name)}))
        return finder.spec(loader.Loader(self, entry, fullname))

    def own_spec(self) -> ModuleSpec:
        """The package that prefixed modules lie in."""
        return finder.spec(loader.Loader(self, Module("", NAMESPACE, package=True), self.label))

    # ---- for the loader ----

    def begin(self, its_loader: loader.Loader, module: ModuleType) -> None:
        """The module's code will run now."""
        entry = its_loader.entry
        self._running[its_loader] = None
        self._loaders.add(its_loader)
        if entry.name and entry.kind != ABSENT:
            self._spaces.register(its_loader.name, self._shipped(entry))
            if self.names.mapped(entry.name) or self.names.strange(entry):
                module.__dict__["__builtins__"] = self.builtins
            if entry.name in self._retired:  # its submodules whose version did not change stay where they were
                for name, _ in self.submodules(entry.name):
                    below = self._loaded.get(f"{entry.name}.{name}")
                    if below is not None and not below.own:
                        module.__dict__.setdefault(name, below.module)

    def _shipped(self, entry: Module) -> Shipped:
        return Shipped(self.origin, self.node, entry.name, entry.version, entry.digest)

    def loaded(self, its_loader: loader.Loader, module: ModuleType) -> None:
        """It has run."""
        entry = its_loader.entry
        if entry.name and entry.kind != ABSENT:
            now = sys.modules.get(its_loader.name, module)
            self._loaded[entry.name] = Loaded(entry.version, now, its_loader.name, own=False)
        self._running.pop(its_loader, None)

    def failed(self, its_loader: loader.Loader, module: ModuleType, error: BaseException) -> None:
        """It has raised. MissingPackage: because its package has compiled modules."""
        self._running.pop(its_loader, None)
        entry = its_loader.entry
        if entry.name not in self._loaded and entry.name not in self._retired:
            self._spaces.forget(its_loader.name)
        refused = missing.refused(error)
        if refused is not None and entry.name == self.names.unit(refused.name):
            raise missing.needs_compiled(entry, refused, self._spaces.node, self.node) from error

    # ---- the end ----

    def again(self) -> None:
        """The origin was dropped, and is back: its plain names were free for others."""
        self.names.again()
        self._renamed = {}

    def forked(self) -> None:
        """In a forked child."""
        self._lock = threading.RLock()
        self._running.clear()
        self.fetching.reset()

    def alive(self) -> bool:
        """Whether some of its code can still run."""
        return len(self._loaders) > 0

    def leave(self) -> None:
        """Take everything out of sys.modules, but for what is imported just now."""
        for name, loaded in list(self._loaded.items()):
            if not self._runs(loaded.name):
                self._retire(name, loaded)
        self._spaces.forget_all(self.origin)
        for name in [f"{self.label}.{name}" for name in list(self._pseudo)] + [self.label]:
            if not self._runs(name):
                sys.modules.pop(name, None)
        self._pseudo.clear()
        start = finder.path_entry(self.origin, "")
        for path in [path for path in list(sys.path_importer_cache) if path.startswith(start)]:
            sys.path_importer_cache.pop(path, None)
