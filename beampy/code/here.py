"""What this process has itself: its own modules, imported or on its path, and whether their sources equal others'.

The rule: looking imports nothing. Place: under space.py, which asks it before it gives a shipped module a name. Modules
that were shipped to this process are not its own; it does not know from where they came.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from beampy.code.classify import is_namespace, spec_of
from beampy.code.classify_find import find
from beampy.code.loader import Loader
from beampy.code.manifest import digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec

SOURCE_LIMIT: Final = 16 << 20  # bytes: generated modules have a few MiB at most; what is longer counts as different


class Here:
    """This process's own modules; `imported` gives the digest of the source of an imported one, as imported."""

    def __init__(self, imported: Callable[[str], bytes | None]) -> None:
        self._imported = imported

    def has(self, name: str) -> bool:
        """Whether it has imported a module of this name itself, or could."""
        return self._loaded(name) or self.spec(name) is not None

    def digest(self, name: str) -> bytes | None:
        """Of the source as imported, or as an import would read it now; None: there is none, or it is not known."""
        if self._loaded(name):
            return self._imported(name) or None
        spec = self.spec(name)
        if spec is None or not spec.has_location or not spec.origin or not spec.origin.endswith(".py"):
            return None
        try:
            with open(spec.origin, "rb") as file:
                source = file.read(SOURCE_LIMIT + 1)
        except OSError:
            return None
        return digest(source) if len(source) <= SOURCE_LIMIT else None

    def path(self, name: str) -> str:
        """Its file; "" if there is none."""
        spec = self.spec(name)
        return spec.origin or "" if spec is not None and spec.has_location else ""

    def regular(self, name: str) -> bool:
        """Whether it has this name, and not as a package without an __init__."""
        loaded = self._loaded(name)
        spec = spec_of(sys.modules[name]) if loaded else self.spec(name)
        return loaded if spec is None else not is_namespace(spec)

    def installed(self, distribution: str) -> bool:
        """Whether a distribution of this name is installed here."""
        import importlib.metadata  # it takes as long as all the rest

        try:
            importlib.metadata.distribution(distribution)
        except (importlib.metadata.PackageNotFoundError, ValueError):
            return False
        return True

    def in_site(self, name: str) -> bool:
        """Whether its own module of this name was installed, by whatever distribution."""
        return "site-packages" in self.path(name) or "dist-packages" in self.path(name)

    def spec(self, name: str) -> ModuleSpec | None:
        """Of what it has imported by this name, or else would find; None: nothing."""
        spec = find(name)
        return None if spec is None or isinstance(spec.loader, Loader) else spec

    @staticmethod
    def _loaded(name: str) -> bool:
        module = sys.modules.get(name)
        return module is not None and not isinstance(getattr(spec_of(module), "loader", None), Loader)
