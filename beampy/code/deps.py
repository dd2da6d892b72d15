"""What this process runs on: its Python, the packages it could import, those that it has imported; how two differ.

The rule: it is read from directory names and remembered by the directories' change times, so that the question is
cheap enough to ask again at every miss, and packages installed in the meantime count. Place: the origin states it when
two nodes meet, and a receiver compares. It does not know what anybody does about a difference: see environment.py.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import sys
import sysconfig
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Names in one line of a log; more are counted.
SHOWN: Final = 8
# Characters of a name or a version that another node states. The longest name on the index has 80.
TEXT: Final = 80
# Entries of one directory that are looked at: ten times what the largest environments have.
ENTRIES: Final = 65_536
# Bytes read of a list of installed files. That of torch, 12,000 files, has 1.3 MB.
RECORD: Final = 32 << 20
# Bytes read of what describes a package. The version is among the first lines.
METADATA: Final = 64 << 10
# A directory that was changed less than this before it was read may change again with the same time: FAT counts
# changes in steps of 2 s, the others are finer. Nanoseconds.
SETTLED: Final = 2_000_000_000


class Inventory(NamedTuple):
    """What one process says of itself: its `profile()`, and its packages: all or the loaded ones. Plain data."""

    profile: dict[str, str]
    packages: dict[str, str]


class Difference(NamedTuple):
    """`what` is "Python" or a package; `here` and `there` are the versions, as text."""

    what: str
    here: str
    there: str


class _Distribution(NamedTuple):
    name: str  # normalised
    version: str
    path: str  # of what describes it: a directory, or a file for the oldest


class _Listing(NamedTuple):
    stamp: int  # the directory's change time when it was read
    settled: bool  # no later change can have the same
    found: dict[str, _Distribution]


_NONE: Final = _Listing(-1, True, {})
_listings: dict[str, _Listing] = {}  # of what is on sys.path
_tops: dict[str, frozenset[str]] = {}  # of the distributions in these, by what describes them
_files: dict[str, frozenset[str]] = {}  # likewise, and only of those that share a package with another one


def normalised(name: str) -> str:
    """A distribution's name as an index compares it.

    >>> normalised("Ruamel.YAML_clib")
    'ruamel-yaml-clib'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


# ---- what this process has ----


def profile() -> dict[str, str]:
    """What this process says of its Python: plain data, the same for its whole life.

    "python" is its version ("3.11.7"), "magic" importlib's magic number in hex: bytecode can be exchanged when it is
    equal; "implementation" is "cpython" or another, and "platform" what sysconfig calls it ("linux-x86_64").

    >>> sorted(profile())
    ['implementation', 'magic', 'platform', 'python']
    """
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "magic": importlib.util.MAGIC_NUMBER.hex(),
        "implementation": sys.implementation.name,
        "platform": sysconfig.get_platform(),
    }


def packages() -> dict[str, str]:
    """All distributions on sys.path, the first of each name: normalised name to version.

    It reads the names in the directories that changed since the last time, and no file. One that describes itself
    without a version in its name (a source tree's egg-info) is opened.
    """
    result: dict[str, str] = {}
    for _, listing in _current():
        for each in listing.found.values():
            result.setdefault(each.name, each.version)
    return result


def directories() -> list[str]:
    """The directories of sys.path where something is installed, in order."""
    return [directory for directory, listing in _current() if listing.found]


def loaded_packages() -> dict[str, str]:
    """Those of `packages()` of which a module is imported, by the place of its file. Imports nothing.

    A distribution is read once for the modules that it has; one that shares a package with another (`google`) counts
    when a file of its own is imported.
    """
    places = _places()
    result: dict[str, str] = {}
    for file in _imported_files():
        for each in _owners(file, places):
            result.setdefault(each.name, each.version)
    return result


def package_of(file: str) -> tuple[str, str]:
    """The distribution that a module's file was installed from, and its version; both "" for any other file."""
    for each in _owners(file, _places()):
        return each.name, each.version
    return "", ""


# ---- what it could import ----


def importable(name: str) -> bool:
    """Whether this node can import the module by itself. Nothing is imported, and no code of others is asked for.

    >>> importable("json.decoder"), importable("json.no_such_module")
    (True, False)
    """
    path: Sequence[str] | None = None
    parts = name.split(".")
    for at in range(1, len(parts) + 1):
        found = _locations(".".join(parts[:at]), path)
        if found is None:
            return False
        path = found
        if not path and at < len(parts):
            return False
    return True


def _locations(name: str, path: Sequence[str] | None) -> list[str] | None:
    """Where the submodules of this module are, [] if it can have none; None: it cannot be imported."""
    if name in sys.modules:
        module = sys.modules[name]
        if module is None:  # how an import is forbidden
            return None
        try:
            found: dict[str, Any] = object.__getattribute__(module, "__dict__")
        except AttributeError:
            return []
        if not _is_ours(getattr(found.get("__spec__"), "loader", None)):
            return list(found.get("__path__", ()))
    for finder in list(sys.meta_path):
        if not _is_ours(finder) and hasattr(finder, "find_spec"):
            try:
                spec = finder.find_spec(name, path, None)
            except KeyError:  # a namespace package in another one: PathFinder wants that one imported
                places = [os.path.join(place, name.rpartition(".")[2]) for place in path or ()]
                return [place for place in places if os.path.isdir(place)]
            if spec is not None:
                return list(spec.submodule_search_locations or ())
    return None


def _is_ours(finder: object) -> bool:
    """Whether this finder or loader is for code of other nodes."""
    kind = finder if isinstance(finder, type) else type(finder)
    return kind.__module__.startswith("beampy.")


# ---- how two processes differ ----


def skew(mine: Inventory, theirs: Inventory) -> list[Difference]:
    """Where these differ: Python's minor version, and packages that both have; Python first, then by name. Pure.

    The origin gives its loaded packages and the other side all of them: then only what may matter is in it.

    >>> skew(Inventory({"python": "3.11.7"}, {"a": "1", "b": "1"}), Inventory({"python": "3.11.9"}, {"a": "2"}))
    [Difference(what='a', here='1', there='2')]
    """
    result = []
    here, there = _python(mine.profile), _python(theirs.profile)
    if here != there:
        versions = mine.profile.get("python", ""), theirs.profile.get("python", "")
        if here[0] != there[0]:
            versions = f"{versions[0]} ({here[0]})", f"{versions[1]} ({there[0]})"
        result.append(Difference("Python", *versions))
    both = sorted(mine.packages.keys() & theirs.packages.keys())
    differing = [name for name in both if mine.packages[name] != theirs.packages[name]]
    return [*result, *[Difference(name, mine.packages[name], theirs.packages[name]) for name in differing]]


def described(node: str, differences: Sequence[Difference]) -> str:
    """One line for the log, at most 8 names; "" without differences.

    >>> described("b@h", [Difference("Python", "3.11.7", "3.12.1"), Difference("polars", "2.1", "2.0")])
    'b@h runs Python 3.12.1 and polars 2.0 (here: 3.11.7 and 2.1)'
    """
    if not differences:
        return ""
    shown = differences[:SHOWN]
    there = [f"{_plain(each.what)} {_plain(each.there)}" for each in shown]
    here = [_plain(each.here) for each in shown]
    if len(differences) > SHOWN:
        there.append(f"{len(differences) - SHOWN} more")
        here.append("others")
    return f"{_plain(node)} runs {_listed(there)} (here: {_listed(here)})"


def _python(stated: Mapping[str, str]) -> tuple[str, list[str]]:
    """The implementation and the first two numbers of the version."""
    return stated.get("implementation", "cpython"), stated.get("python", "").split(".")[:2]


def _plain(text: str) -> str:
    """What another node states, fit for one line of a log."""
    return "".join([each if each.isprintable() else "?" for each in text[:TEXT]])


def _listed(texts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


# ---- directories of sys.path ----


def _current() -> list[tuple[str, _Listing]]:
    """The directories of sys.path, in order, with what is installed in each. Reads those that changed."""
    global _listings
    known, result = _listings, {}
    for entry in list(sys.path):
        if isinstance(entry, str):
            directory = os.path.abspath(entry)  # "" is the current one
            if directory not in result:
                result[directory] = _listed_now(directory, known.get(directory, _NONE))
    _listings = result
    return list(result.items())


def _listed_now(directory: str, known: _Listing) -> _Listing:
    try:
        stamp = os.stat(directory).st_mtime_ns
        if known.settled and known.stamp == stamp:
            return known
        now = time.time_ns()
        with os.scandir(directory) as entries:
            names = [entry.name for entry in itertools.islice(entries, ENTRIES)]
    except OSError:  # a zip file, or nothing at all: then nothing is installed there
        return _NONE
    found: dict[str, _Distribution] = {}
    for name in sorted(names):
        each = _distribution(directory, name)
        if each is not None:
            found.setdefault(each.name, each)
    return _Listing(stamp, stamp + SETTLED < now, found)


def _distribution(directory: str, name: str) -> _Distribution | None:
    """What `name`, an entry of the directory, describes. pip names what it could not remove with a ~."""
    stem, suffix = os.path.splitext(name)
    if suffix not in (".dist-info", ".egg-info") or name.startswith("~"):
        return None
    path = os.path.join(directory, name)
    title, _, rest = stem.partition("-")
    version = rest.split("-")[0] if suffix == ".egg-info" else rest  # name-version-py3.11.egg-info
    if not version:
        file = "METADATA" if suffix == ".dist-info" else "PKG-INFO"
        stated = re.search(r"^Version:[ \t]*(\S+)", _text(os.path.join(path, file), METADATA), re.M)
        version = stated.group(1) if stated else ""
    return _Distribution(normalised(title), version, path)


def _text(path: str, size: int) -> str:
    """The beginning of a file, or nothing."""
    try:
        with open(path, "rb") as file:
            return file.read(size).decode("utf-8", "replace")
    except OSError:
        return ""


# ---- modules and what they were installed from ----


def _imported_files() -> Iterator[str]:
    """Of every imported module that has one. Past __getattr__ of modules that load at the first look at them."""
    for module in list(sys.modules.values()):
        try:
            file = object.__getattribute__(module, "__dict__").get("__file__")
        except AttributeError:  # anything may be put there
            continue
        if isinstance(file, str):
            yield file


def _places() -> list[tuple[str, dict[str, list[_Distribution]]]]:
    """The directories where something is installed, the deepest first: one may lie in another one.

    Each with the distributions by the top-level names that they have.
    """
    listings = _current()
    here = {each.path for _, listing in listings for each in listing.found.values()}
    for known in (_tops, _files):
        for path in known.keys() - here:
            known.pop(path, None)
    result = []
    for directory, listing in listings:
        if listing.found:
            tops: dict[str, list[_Distribution]] = {}
            for each in listing.found.values():
                for top in _tops_of(each):
                    tops.setdefault(top, []).append(each)
            result.append((directory.rstrip(os.sep) + os.sep, tops))
    return sorted(result, key=lambda place: -len(place[0]))


def _owners(file: str, places: list[tuple[str, dict[str, list[_Distribution]]]]) -> list[_Distribution]:
    """The distributions that this module's file belongs to: none or one, more where nobody says whose it is."""
    for directory, tops in places:
        if file.startswith(directory):
            relative = file[len(directory) :].replace(os.sep, "/")
            candidates = tops.get(_top(relative), [])
            if len(candidates) > 1:
                candidates = [each for each in candidates if relative in (_files_of(each) or (relative,))]
            if candidates:
                return candidates
    return []


def _top(relative: str) -> str:
    """The top-level module of an installed file.

    >>> _top("a/b.py"), _top("c.py"), _top("_d.cpython-311-x86_64-linux-gnu.so")
    ('a', 'c', '_d')
    """
    first, slash, _ = relative.partition("/")
    return first if slash else first.partition(".")[0]


def _tops_of(each: _Distribution) -> frozenset[str]:
    known = _tops.get(each.path)
    if known is None:
        names = _text(os.path.join(each.path, "top_level.txt"), METADATA).split()
        if not names:
            names = [_top(path) for path in _recorded(each)]
        known = _tops[each.path] = frozenset(names) or frozenset((each.name.replace("-", "_"),))
    return known


def _files_of(each: _Distribution) -> frozenset[str]:
    known = _files.get(each.path)
    if known is None:
        known = _files[each.path] = frozenset(_recorded(each))
    return known


def _recorded(each: _Distribution) -> list[str]:
    """The paths of the modules in its list of installed files, relative to where it is installed."""
    text = _text(os.path.join(each.path, "RECORD"), RECORD)
    return re.findall(r"^([^\s./\",][^\",\r\n]*\.(?:py|pyc|so|pyd)),", text, re.M)
