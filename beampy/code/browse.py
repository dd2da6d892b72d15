"""What code there is on a node: its modules, the names in them, signatures, docs and sources. For completion and hover.

    await bp.code.modules("b@10.0.0.2", "helpers.")
    await bp.code.names("b@10.0.0.2", "helpers.Model", prefix="fi")
    (await bp.code.source("b@10.0.0.2", "helpers.Model.fit")).text

Rule: looking changes nothing and runs nothing. What is imported is read as it is stored (browse_objects.py), what is
not is read from its source (browse_source.py), and never imported for that, unless `import_=True`. No value is shown.
Every answer has a limit in number and in time, and is made in a thread of the node that is asked.

Names: "helpers", "helpers.Model", "app.config:settings.db"; a colon says where the module ends. Modules that came from
another node go by the name that they have there. Place: in code, over remote calls; the same on one's own node.
"""

from __future__ import annotations

import inspect
import os
import pkgutil
import sys
import time
from importlib.machinery import all_suffixes
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from beampy.code import browse_source as sources
from beampy.code.browse_paths import Place, Read, Search, shipped
from beampy.code.browse_source import NoSource
from beampy.core.current import here
from beampy.otp.rpc import remote_call

if TYPE_CHECKING:
    from collections.abc import Iterable

    from beampy.handle import Handle

TIMEOUT: Final = 5.0  # seconds for an answer; who completes code waits a fraction of it, and asks again
NAMES: Final = 2000  # names of one answer: nobody reads more
MODULES: Final = 10_000  # modules of one answer: a large program has 5,000 loaded
FRESH: Final = 10.0  # seconds that the list of a folder is good for
WALK: Final = 1.0  # seconds that a node looks through folders; those that are left come with the next answer
FOLDERS: Final = 512  # folders whose lists are kept
ENTRIES: Final = 20_000  # entries of one folder that are looked at


class Name(NamedTuple):
    """A name in a module, class or object.

    kind       "module", "class", "function", "method", "property" or "value"; "import" for a name that is imported from
               a module which was not looked at; "lazy" for one that its module makes when it is asked for
    signature  "(x: int, *, y=2) -> str", as it is called there: with self in a class. None where nothing says it
    doc        the first line of its documentation, or ""
    """

    name: str
    kind: str
    signature: str | None = None
    doc: str = ""


class Source(NamedTuple):
    """A piece of source: its text, the file it is in (at its origin), and its first line there."""

    text: str
    file: str
    line: int


# what everybody calls


def modules(node: str, prefix: str = "", *, timeout: float | None = TIMEOUT) -> Handle[list[str]]:
    """The modules that a node has whose names begin with `prefix`, sorted.

    These are all that are loaded, those that were sent to it too, and what else can be imported at the top level. With
    "package." in the prefix it is what is loaded of the package and its direct submodules; nothing is imported.
    Names with a leading underscore only where the last part of the prefix has one. At most 10,000, those of the fewest
    dots; folders are looked at every 10 s. Errors: those of `remote_call`; `timeout` is in seconds.

    >>> await bp.code.modules("b@localhost", "helpers.")
    ['helpers.deep', 'helpers.models']
    """
    return remote_call.options(timeout=timeout, capture=False)(node, modules_here, prefix, here("modules").node.name)


def names(
    node: str, path: str, prefix: str = "", *, import_: bool = False, timeout: float | None = TIMEOUT
) -> Handle[list[Name]]:
    """What is in a module, class or other object of a node, sorted by name; at most 2,000 that begin with `prefix`.

    Private names only where `prefix` begins with "_". Of a compiled module that is not imported nothing is known: [].
    LookupError: there is no such thing; ValueError: `path` is no dotted name. `import_=True` imports the module first,
    and may run a module's `__getattr__` for names that the module tells. `timeout` is in seconds.

    >>> await bp.code.names("b@localhost", "helpers.Model", "fi")
    [Name(name='fit', kind='method', signature='(self, rows)', doc='Learn from rows.')]
    """
    return _ask(node, names_here, path, import_, timeout, prefix)


def signature(node: str, path: str, *, import_: bool = False, timeout: float | None = TIMEOUT) -> Handle[str | None]:
    """How something is called, as text; None where nothing says it. Defaults that are no plain constants are "…".

    Errors and options as for `names`.

    >>> await bp.code.signature("b@localhost", "json.loads")
    '(s, *, cls=None, object_hook=None, …)'
    """
    return _ask(node, signature_here, path, import_, timeout)


def doc(node: str, path: str, *, import_: bool = False, timeout: float | None = TIMEOUT) -> Handle[str]:
    """The documentation of something, without its indentation; "" where it has none. Errors as for `names`.

    >>> (await bp.code.doc("b@localhost", "helpers.Model")).splitlines()[0]
    'Learns from rows.'
    """
    return _ask(node, doc_here, path, import_, timeout)


def source(node: str, path: str, *, import_: bool = False, timeout: float | None = TIMEOUT) -> Handle[Source]:
    """The source of a module, class or function, of shipped ones too. Errors as for `names`.

    OSError where it has none: compiled code, values, files that are gone or larger than 2 MiB.

    >>> (await bp.code.source("b@localhost", "helpers.Model.fit")).line
    12
    """
    return _ask(node, source_here, path, import_, timeout)


def _ask(node: str, fn: Any, path: str, import_: bool, timeout: float | None, *more: str) -> Handle[Any]:
    module, colon, rest = path.partition(":")
    if not all(part.isidentifier() for part in [*module.split("."), *(rest.split(".") if colon else ())]):
        raise ValueError(f"{path!r} is no dotted name: write 'module', 'module.Class.method' or 'module:name'")
    call = remote_call.options(timeout=timeout, capture=False)
    caller = here(fn.__name__.removesuffix("_here")).node.name
    handle: Handle[Any] = call(node, fn, path, *more, caller=caller, import_=import_)
    return handle


# what runs on the node that is asked, in a thread


def modules_here(prefix: str, caller: str = "") -> list[str]:
    """`modules` of this node."""
    end = time.monotonic() + WALK
    names = shipped()
    spaces = {there.removesuffix(f".{name}") for there, (name, _) in names.items() if there != name}
    found = {
        names[name][0] if name in names else name
        for name, module in list(sys.modules.items())
        if type(name) is str and module is not None and name.partition(".")[0] not in spaces - names.keys()
    }
    found |= {name for name, _ in names.values()}
    package, dot, start = prefix.rpartition(".")
    if dot:
        there = Search(caller).loaded_as(package) or package
        found |= {f"{package}.{name}" for name in listed(sources.search_path(there) or [], end)}
    else:
        found |= {*sys.builtin_module_names, *listed(sys.path, end)}
    private = start.startswith("_")
    base = len(package) + len(dot)
    fitting = [
        name
        for name in found
        if name.startswith(prefix)
        and all(part.isidentifier() for part in name.split("."))
        and (private or not any(part.startswith("_") for part in name[base:].split(".")))
    ]
    return sorted(sorted(fitting, key=lambda name: (name.count("."), name))[:MODULES])


def names_here(path: str, prefix: str = "", caller: str = "", import_: bool = False) -> list[Name]:
    """`names` of this node."""
    search = Search(caller, import_)
    place = search.find(path)
    private = prefix.startswith("_")
    fitting = sorted(
        name
        for name in place.listed()
        if name.startswith(prefix) and (private or not name.startswith("_")) and name.isidentifier()
    )
    return [row(name, place, search) for name in fitting[:NAMES]]


def signature_here(path: str, caller: str = "", import_: bool = False) -> str | None:
    """`signature` of this node."""
    return Search(caller, import_).find(path).signature()


def doc_here(path: str, caller: str = "", import_: bool = False) -> str:
    """`doc` of this node."""
    return Search(caller, import_).find(path).doc()


def source_here(path: str, caller: str = "", import_: bool = False) -> Source:
    """`source` of this node."""
    try:
        return Source(*Search(caller, import_).find(path).source())
    except NoSource as error:
        raise OSError(f"there is no source of {path}: {error}") from None


def row(name: str, place: Place, search: Search) -> Name:
    """What an answer says about a name."""
    try:
        there = search.step(place, name)
    except LookupError:
        there = None
    if there is None:
        return Name(name, "import" if isinstance(place, Read) else "lazy")
    if time.monotonic() > search.end:
        return Name(name, there.kind)
    return Name(name, there.kind, there.signature(), there.line())


_folders: dict[str, tuple[float, tuple[str, ...]]] = {}  # by folder: until when, and what can be imported from it


def listed(path: Iterable[str], end: float) -> set[str]:
    """The names that can be imported from these folders and archives, as far as the time allows."""
    found: set[str] = set()
    for folder in path:
        if type(folder) is not str:
            continue
        known = _folders.get(folder)
        if known is None or known[0] < time.monotonic():
            if time.monotonic() > end:
                continue
            known = (time.monotonic() + FRESH, tuple(importable(folder)))
            while len(_folders) >= FOLDERS:
                _folders.pop(next(iter(_folders)), None)
            _folders[folder] = known
        found.update(known[1])
    return found


def importable(folder: str) -> set[str]:
    """The modules and packages that lie in a folder, or an archive. Packages without an `__init__` are not told."""
    found: set[str] = set()
    if not os.path.isdir(folder or "."):
        try:
            return {one.name for one in islice(pkgutil.iter_modules([folder]), ENTRIES)}
        except Exception:  # whoever reads such entries
            return found
    try:
        with os.scandir(folder or ".") as entries:
            for entry in islice(entries, ENTRIES):
                name = inspect.getmodulename(entry.name)
                if name is not None:
                    found.add(name)
                elif entry.name.isidentifier() and any(
                    os.path.exists(os.path.join(entry.path, f"__init__{suffix}")) for suffix in all_suffixes()
                ):
                    found.add(entry.name)
    except OSError:
        pass
    return found - {"__init__"}
