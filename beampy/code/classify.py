"""What kind of module a name stands for in this process: does it travel by name, as source, or not as a module at all.

The rule: what an installer or an interpreter put there is installed; what is Python source anywhere else is source;
what has no source is live. Place: under origin.py. It reads no file and imports nothing, and it does not know whether
the source is still what was imported.
"""

from __future__ import annotations

import importlib.machinery
import os
import site
import sys
import sysconfig
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

Kind = Literal["installed", "source", "live", "shipped"]

INSTALLED: Final = "installed"  # travels by name
LOCAL: Final = "source"  # travels as a reference, fetched as source
LIVE: Final = "live"  # its definitions travel by value
SHIPPED: Final = "shipped"  # of another origin: never ours

# `python -m`, scripts and notebooks; the second is multiprocessing's name for the parent's main module.
MAIN: Final = ("__main__", "__mp_main__")
_OWN: Final = __name__.partition(".")[0]
# Whatever environment it is that a path of packages belongs to: another venv on PYTHONPATH, Debian's python3.
_PACKAGE_DIRECTORIES: Final = frozenset({"site-packages", "dist-packages"})
_COMPILED: Final = (
    importlib.machinery.ExtensionFileLoader,
    importlib.machinery.BuiltinImporter,
    importlib.machinery.FrozenImporter,
)


def spec_of(module: object) -> ModuleSpec | None:
    """The spec of a module object, without waking a lazy one (importlib.util.LazyLoader). None: it has none."""
    try:
        spec = object.__getattribute__(module, "__dict__").get("__spec__")
    except (AttributeError, TypeError):  # no module: sys.modules takes anything
        return None
    return spec if isinstance(spec, importlib.machinery.ModuleSpec) else None


def kind_of(name: str, spec: ModuleSpec | None) -> Kind:
    """The kind of the module `name` with this spec; a spec of None is that of no file, made by hand or absent."""
    top = name.partition(".")[0]
    if top == _OWN:
        return INSTALLED
    if name in MAIN or spec is None:
        return INSTALLED if is_stdlib(name) and name not in MAIN else LIVE
    loader = spec.loader
    if getattr(loader, "beampy_space", None) is not None:
        return SHIPPED
    if _is_compiled(spec):
        return INSTALLED
    places = locations(spec) if is_namespace(spec) else [spec.origin or ""]
    if places and all(place and is_installed_path(place) for place in places):
        return INSTALLED
    if is_namespace(spec):
        return LOCAL
    return LOCAL if has_source(spec) else LIVE


def is_namespace(spec: ModuleSpec) -> bool:
    """Whether it is a package without an `__init__`."""
    if spec.submodule_search_locations is None:
        return False
    return spec.loader is None or isinstance(spec.loader, importlib.machinery.NamespaceLoader)


def locations(spec: ModuleSpec) -> list[str]:
    """The directories of a package; [] of a module."""
    try:
        return [each for each in spec.submodule_search_locations or () if isinstance(each, str)]
    except KeyError:  # a namespace package asks its parent, which was removed from sys.modules
        return []


def has_source(spec: ModuleSpec) -> bool:
    """Whether there is Python source behind it, as far as its loader tells."""
    if _is_compiled(spec) or isinstance(spec.loader, importlib.machinery.SourcelessFileLoader):
        return False
    if spec.origin is not None and spec.origin.endswith(tuple(importlib.machinery.SOURCE_SUFFIXES)):
        return True
    return callable(getattr(spec.loader, "get_source", None)) and spec.origin is not None


def _is_compiled(spec: ModuleSpec) -> bool:
    loader: object = spec.loader  # an instance, or for what is built in the class itself
    return loader in _COMPILED or isinstance(loader, _COMPILED) or spec.origin in ("built-in", "frozen")


def is_stdlib(name: str) -> bool:
    """Whether the standard library has a top-level module of this name; a file beside a script may shadow it."""
    return name.partition(".")[0] in sys.stdlib_module_names


def is_everywhere(name: str) -> bool:
    """Whether it is of the interpreter or of beampy: every node has its own."""
    return is_stdlib(name) or name.partition(".")[0] == _OWN


@cache
def roots() -> tuple[str, ...]:
    """The directories of the standard library and of installed packages, as real paths, each with a slash at its end.

    Known for good at the first call: an interpreter does not move.
    """
    paths = sysconfig.get_paths()
    found = [paths.get(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    found += site.getsitepackages() if hasattr(site, "getsitepackages") else []
    found += [site.getusersitepackages()] if hasattr(site, "getusersitepackages") else []
    zipped = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
    found += [os.path.join(sys.base_prefix, "lib", zipped), os.path.join(sys.base_prefix, zipped)]
    return tuple({os.path.join(_real(path), "") for path in found if path})


@cache
def _directory_is_installed(directory: str) -> bool:
    """Cached by directory: a process has as many as it has packages."""
    real = os.path.join(_real(directory), "")
    return real.startswith(roots()) or not _PACKAGE_DIRECTORIES.isdisjoint(real.split(os.sep))


def is_installed_path(path: str) -> bool:
    """Whether a file, or a package's directory, lies where installers put modules."""
    return _directory_is_installed(os.path.dirname(path))


def _real(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))


def variables(module: object) -> dict[str, Any]:
    """The module's `__dict__`, without waking a lazy one; {} for what has none."""
    try:
        found: dict[str, Any] = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return {}
    return found


# The `__dict__` of a class, whatever its metaclass does.
class_variables: Any = type.__dict__["__dict__"].__get__


def is_class(value: object) -> bool:
    """Whether it is a class. isinstance() would ask a value that is none for its `__class__`, which runs its code."""
    return issubclass(type(value), type)
