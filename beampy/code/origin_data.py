"""What belongs to packages and is no code: their data files, and what describes the distribution they came in.

The rule: files that are no modules, by relative paths that stay inside the package's directory. Place: beside
origin.py, which asks. Nothing is kept but which distribution a package came in: that takes long to find out.
"""

from __future__ import annotations

import importlib.machinery
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from beampy.code.classify import is_namespace, locations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType

FILES: Final = 10_000  # data files of one package: larger trees are data sets, which do not travel as code
FILE_LIMIT: Final = 256 * 1024 * 1024  # bytes of one of them; it travels in one piece
TEXT_LIMIT: Final = 4 * 1024 * 1024  # characters of a text of metadata: a METADATA holds the project's README
TEXTS: Final = ("METADATA", "PKG-INFO", "WHEEL", "entry_points.txt", "top_level.txt")
# Seconds until the map of packages is made again for a name that is not in it: it reads every RECORD there is.
MAP_AGE: Final = 5.0

_MODULE_SUFFIXES: Final = tuple(importlib.machinery.all_suffixes())


def _installed() -> ModuleType:
    """importlib.metadata, which takes longer to import than all of this package: at the first question."""
    import importlib.metadata

    return importlib.metadata


def files(spec: ModuleSpec) -> list[str]:
    """The data files of the package with this spec, at most FILES, sorted; [] if it is none."""
    found: list[str] = []
    for name in _files(spec):
        found.append(name)
        if len(found) >= FILES:
            break
    return sorted(found)


def _files(spec: ModuleSpec) -> Iterator[str]:
    for directory in locations(spec):
        if os.path.isdir(directory):
            yield from _in_directory(directory)
        elif not is_namespace(spec):
            yield from _in_tree(_traversable(spec), "")


def _in_directory(top: str) -> Iterator[str]:
    for directory, subdirectories, names in os.walk(top):
        subdirectories[:] = sorted(
            each
            for each in subdirectories
            if each != "__pycache__" and not os.path.isfile(os.path.join(directory, each, "__init__.py"))
        )
        inside = os.path.relpath(directory, top).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        yield from (prefix + name for name in names if not name.endswith(_MODULE_SUFFIXES))


def _in_tree(tree: Any, prefix: str) -> Iterator[str]:
    for each in tree.iterdir() if tree is not None else ():
        if each.is_dir():
            if each.name != "__pycache__" and not each.joinpath("__init__.py").is_file():
                yield from _in_tree(each, f"{prefix}{each.name}/")
        elif not each.name.endswith(_MODULE_SUFFIXES):
            yield prefix + each.name


def _traversable(spec: ModuleSpec) -> Any:
    """What importlib.resources would walk through, of a loader that has more than a directory; None: nothing."""
    try:
        reader = spec.loader.get_resource_reader(spec.name)  # type: ignore[union-attr]
        return reader.files()
    except (AttributeError, OSError, ImportError, KeyError):
        return None


def file(spec: ModuleSpec, path: str) -> bytes:
    """One of them. FileNotFoundError: there is none of this path; OSError: it is too large."""
    parts = path.split("/")
    refused = not all(parts) or any(part in (".", "..") or os.sep in part or ":" in part for part in parts)
    if refused or path.endswith(_MODULE_SUFFIXES) or "\0" in path:
        raise FileNotFoundError(f"{spec.name} has no data file {path!r}")
    for directory in locations(spec):
        if os.path.isdir(directory):
            try:
                with open(os.path.join(directory, *parts), "rb") as opened:
                    if os.fstat(opened.fileno()).st_size > FILE_LIMIT:
                        raise OSError(f"{path!r} of {spec.name} is larger than {FILE_LIMIT} bytes")
                    return opened.read(FILE_LIMIT)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                continue
        elif (tree := _traversable(spec)) is not None:
            found = tree.joinpath(*parts)
            if found.is_file():
                with found.open("rb") as opened:
                    data: bytes = opened.read(FILE_LIMIT + 1)
                if len(data) > FILE_LIMIT:
                    raise OSError(f"{path!r} of {spec.name} is larger than {FILE_LIMIT} bytes")
                return data
    raise FileNotFoundError(f"{spec.name} has no data file {path!r}")


def metadata(distribution: str) -> dict[str, str]:
    """The texts that describe an installed distribution, by file name; {}: not installed."""
    try:
        found = _installed().distribution(distribution)
    except (_installed().PackageNotFoundError, ValueError):
        return {}
    texts = {name: found.read_text(name) for name in TEXTS}
    return {name: text[:TEXT_LIMIT] for name, text in texts.items() if text}


class Distributions:
    """Which distribution an installed package came in, ("", "") where that is not known. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, str]] = {}
        self._map: dict[str, list[str]] = {}
        self._mapped = float("-inf")

    def of(self, package: str, path: str) -> tuple[str, str]:
        """The name and version of the distribution that `package`, with this `__init__`, came in."""
        known = self._known.get(package)
        if known is not None:
            return known
        found = _named_like(package, path)
        if found is None:
            with self._lock:
                top = package.partition(".")[0]
                if top not in self._map and time.monotonic() - self._mapped > MAP_AGE:
                    self._map = {name: list(each) for name, each in _installed().packages_distributions().items()}
                    self._mapped = time.monotonic()
            names = self._map.get(top)
            found = _owner(names or [], path)
        if found is None:
            return "", ""
        self._known[package] = found
        return found


def _named_like(package: str, path: str) -> tuple[str, str] | None:
    """Most packages come in a distribution of their own name: surely so if it lies in the same directory."""
    try:
        found = _installed().distribution(package)
        place = os.path.realpath(str(found.locate_file("")))
    except (_installed().PackageNotFoundError, ValueError, NotImplementedError):
        return None
    if not path or not os.path.realpath(path).startswith(os.path.join(place, "")):
        return None
    return found.metadata["Name"], found.version


def _owner(distributions: list[str], path: str) -> tuple[str, str] | None:
    """The one of these that installed the file; of several for which that is not known, the first."""
    found = None
    for name in dict.fromkeys(distributions):
        try:
            each = _installed().distribution(name)
        except _installed().PackageNotFoundError:
            continue
        found = found or (name, each.version)
        if len(distributions) > 1 and any(
            os.path.samefile(file.locate(), path) for file in each.files or () if _like(file, path)
        ):
            return name, each.version
    return found


def _like(file: Any, path: str) -> bool:
    return file.name == os.path.basename(path) and os.path.isfile(path) and os.path.isfile(file.locate())
