"""Finding a module's spec without importing anything, not even its parents.

The rule: as the import system would find it on sys.path, by the path entry finders, which only look at directories. Of
the finders in sys.meta_path only those of editable installs are asked: they map names to directories. Place: under
origin.py. What other finders would answer is known once they have imported it.
"""

from __future__ import annotations

import importlib.machinery
import os
import pkgutil
import sys
from typing import TYPE_CHECKING, Final

from beampy.code.classify import locations, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec

_NOT_IN_NAMES: Final = frozenset("/\\\0")  # what would lead a path out of its directory
_EDITABLE: Final = "__editable__"  # how setuptools' finders of editable installs are called, with an underscore more


def find(name: str) -> ModuleSpec | None:
    """The spec that importing `name` would use; of a module that is imported, its own. None: there is none.

    >>> find("json.decoder").name, find("json.absent")
    ('json.decoder', None)
    """
    module = sys.modules.get(name)
    if module is not None:
        return spec_of(module)
    if name in sys.modules:  # None there says: not to be imported
        return None
    if not all(name.split(".")) or not _NOT_IN_NAMES.isdisjoint(name):
        return None
    parent, _, _ = name.rpartition(".")
    if not parent:
        if name in sys.builtin_module_names:
            return importlib.machinery.BuiltinImporter.find_spec(name)
        return on_path(name, sys.path) or _editable(name)
    above = find(parent)
    if above is None or above.submodule_search_locations is None:
        return None
    return on_path(name, locations(above)) or _editable(name)


def on_path(name: str, path: Iterable[str]) -> ModuleSpec | None:
    """What these directories have for a name, by its last part; parts of a namespace package put together."""
    portions: list[str] = []
    for entry in path:
        finder = pkgutil.get_importer(entry or os.getcwd()) if isinstance(entry, str) else None
        if finder is None or hasattr(finder, "beampy_origin"):  # of a shipped package: not ours to look into
            continue
        spec = finder.find_spec(name, None)
        if spec is None:
            continue
        if spec.loader is not None:
            return spec
        portions.extend(spec.submodule_search_locations or ())
    if not portions:
        return None
    found = importlib.machinery.ModuleSpec(name, None, is_package=True)
    found.submodule_search_locations = portions
    return found


def _editable(name: str) -> ModuleSpec | None:
    for finder in list(sys.meta_path):
        kind = finder if isinstance(finder, type) else type(finder)
        if kind.__module__.startswith(_EDITABLE):
            spec = finder.find_spec(name, None)
            if spec is not None:
                return spec
    return None
