"""How an `import` statement finds shipped modules: an end finder for what nobody else has, a path hook for submodules.

The rule: shipped code sees its origin's modules, everything else imports as ever. So the end finder, last in
sys.meta_path, answers only when shipped code is on the stack or the thread is importing for a space; a submodule of a
shipped package is found by whoever has the package, through the package's `__path__`. Place: under space.py, which says
what a name means for an origin. It does not know how modules are fetched or run.
"""

from __future__ import annotations

import importlib.machinery
import sys
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from beampy.code.loader import Loader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from importlib.metadata import Distribution, DistributionFinder
    from types import FrameType, ModuleType

    from beampy.code.shipped import Space
    from beampy.code.space import Spaces

SCHEME: Final = "beampy:"  # no directory is called so, and no other path hook takes it

_importing: ContextVar[Space | None] = ContextVar("beampy_importing", default=None)


@contextmanager
def importing(space: Space) -> Iterator[None]:
    """Imports of this thread are for `space` inside, where the plain way finds nothing."""
    token = _importing.set(space)
    try:
        yield
    finally:
        _importing.reset(token)


def current_space(frame: FrameType | None) -> Space | None:
    """The space of the nearest shipped code on this stack, else the one that the thread imports for."""
    while frame is not None:
        loader = getattr(frame.f_globals.get("__spec__"), "loader", None)
        if type(loader) is Loader:
            return loader.space
        frame = frame.f_back
    return _importing.get()


class EndFinder:
    """The last in sys.meta_path: a name that no other finder has, asked for by shipped code."""

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = spaces

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not self._spaces:
            return None
        labelled = self._spaces.labelled(name)
        if labelled is not None:
            return labelled.own_spec()
        reloaded = getattr(getattr(target, "__spec__", None), "loader", None)
        space = reloaded.space if type(reloaded) is Loader else current_space(sys._getframe(1))
        return space.find_plain(name) if space is not None else None

    def find_distributions(self, context: DistributionFinder.Context) -> Iterable[Distribution]:
        """The metadata of a named distribution whose package came from the caller's origin."""
        if not self._spaces or context.name is None:
            return ()
        space = current_space(sys._getframe(1))
        return space.distributions(context.name) if space is not None else ()

    def invalidate_caches(self) -> None:
        """There are none: what is known of an origin is renewed by its versions."""


class PathHook:
    """Makes the finder for the `__path__` entry of a shipped package."""

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = spaces

    def __call__(self, entry: str) -> PackageFinder:
        if not entry.startswith(SCHEME):
            raise ImportError("this is not the path of a shipped package")
        origin, _, package = entry[len(SCHEME) :].partition("/")
        return PackageFinder(self._spaces, origin, package)


class PackageFinder:
    """Finds the submodules of one shipped package; of the package "", the modules below the space's own name."""

    def __init__(self, spaces: Spaces, origin: str, package: str) -> None:
        self._spaces = spaces
        self.beampy_origin = origin  # by this, others know it
        self._package = package

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        space = self._spaces.find(self.beampy_origin)
        return space.find(fullname) if space is not None else None

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """For pkgutil: the submodules that the origin has told of."""
        space = self._spaces.find(self.beampy_origin)
        if space is not None:
            yield from [(prefix + name, package) for name, package in space.submodules(self._package)]

    def invalidate_caches(self) -> None:
        """There are none."""


def path_entry(origin: str, package: str) -> str:
    """What the `__path__` of this package holds."""
    return f"{SCHEME}{origin}/{package}"


def spec(its_loader: Loader) -> importlib.machinery.ModuleSpec:
    """The spec of the module that this loader loads."""
    entry, file = its_loader.entry, its_loader.path or None
    made = importlib.machinery.ModuleSpec(its_loader.name, its_loader, origin=file, is_package=entry.package)  # type: ignore[arg-type]
    made.has_location = file is not None
    if entry.package:
        made.submodule_search_locations = [path_entry(its_loader.space.origin, entry.name)]
    return made


class PseudoSpec(importlib.machinery.ModuleSpec):
    """The spec of a module that stands for a live one: its relative imports start from `package`."""

    package = ""

    @property
    def parent(self) -> str:
        return self.package
