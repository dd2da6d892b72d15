"""The origin: what this Python process can send of its code, and what it says about it.

The rule: code goes out as it was imported here, and asking never imports anything. What travels by name, as a module's
source or by value is decided by `kind`; the version that a reference carries is `version`. Place: between those who
send, who ask on every call, and link.py, whose threads answer the questions of receivers. It does not know nodes: all
nodes of one process are one origin.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from beampy.code import origin_data, witness
from beampy.code.classify import INSTALLED, LIVE, LOCAL, MAIN, SHIPPED, is_everywhere, is_namespace, spec_of, variables
from beampy.code.classify_find import find
from beampy.code.entry import ABSENT, COMPILED, Module
from beampy.code.origin_records import Record, Records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec

    from beampy.code.classify import Kind

# An answer that a reload came in between of is made again, this often at most.
_ATTEMPTS = 3


class Origin:
    """This process, as others ask for its code. `here()` makes it. Safe in threads.

    id  16 hexadecimal characters, drawn once per process
    """

    def __init__(self, records: Records | None = None, id: str = "") -> None:
        self.id = id or secrets.token_hex(8)
        self._records = records or Records()
        self._looked = 0  # modules there were at the last look ahead
        self._distributions = origin_data.Distributions()

    # ---- what the sending side asks ----

    def kind(self, name: str) -> Kind:
        """How the definitions of the module `name` travel: see classify.py.

        "shipped": it is of another origin. Warm it is a dict look-up; the first look at a module reads its file.

        >>> here().kind("json"), here().kind("__main__")
        ('installed', 'live')
        """
        return self._records.kind(name)

    def version(self, name: str) -> int:
        """The version of the source module `name`; 1 at first, 0 for what is no module with a spec."""
        return self._records.version(name)

    def digest(self, name: str) -> bytes | None:
        """What the source of `name` is addressed by, 16 bytes; b"" of a namespace package. None: it is not known."""
        record = self._records.get(name)
        if record is None or record.kind == LIVE:
            return None
        return record.digest

    def changed(self, name: str) -> bool:
        """Whether the file of an imported source module was edited and the module not reloaded.

        The first time an edit is seen, a warning is logged. At most one stat in 0.2 seconds.
        """
        return self._records.edited(name)

    def witness_start(self) -> None:
        """Watch imports from now on, and remember which edit every source module's file is at. One stat each."""
        witness.install()
        self._records.start()

    def look_ahead(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Find out what `entries` will be asked for: all modules with source that are imported. In a thread.

        It reads each file and its code once: some 0.2 ms a module. Nothing is done where nothing was imported since.
        It ends before the next module when `stopped()` says so, and the next one who looks begins again.
        """
        count = len(sys.modules)
        if count == self._looked:
            return
        self._looked = count
        names = [name for name in list(sys.modules) if not stopped() and self.kind(name) == "source"]
        if names:
            _Pass(self._records, self._distributions).entries(names, stopped)
        if stopped():
            self._looked = 0

    def attribute(self, module: str, version: int, qualname: str) -> Any:
        """The object of this process that a reference names which comes home.

        That of an older version if something still holds it, else the present one. ModuleNotFoundError: the module is
        not imported any more; AttributeError: it has no such name.
        """
        first, *rest = qualname.split(".")
        record = self._records.get(module)
        found = None
        if record is not None and version < record.version:
            found = self._records.replaced.get(module, version, first)
        if found is None:
            present = sys.modules.get(module)
            if present is None:
                raise ModuleNotFoundError(
                    f"{module}, which {qualname} was sent from, is not imported here", name=module
                )
            try:
                found = getattr(present, first)
            except AttributeError:
                raise AttributeError(f"module {module} has no {qualname} any more", name=first, obj=present) from None
        for part in rest:
            try:
                found = getattr(found, part)
            except AttributeError:
                raise AttributeError(f"module {module} has no {qualname} any more", name=part, obj=found) from None
        return found

    # ---- what receivers ask: entry.Source, but for definitions ----

    def entries(self, names: Sequence[str]) -> list[Module]:
        """The entries of these modules, and of all that come with them. Blocks: for threads.

        With a source module come the source modules that it needs; with an installed one the modules of its package
        that are imported here, or needed by it; with every module its parents.
        """
        found: dict[str, Module] = {}
        for _ in range(_ATTEMPTS):
            before = self._records.changes
            found = _Pass(self._records, self._distributions).entries(names)
            if before == self._records.changes and not self._records.noted:
                break
        return list(found.values())

    def contents(self, digests: Sequence[bytes], magic: bytes) -> dict[bytes, tuple[bytes, bytes | None]]:
        """Sources that entries have named, with their code if `magic` is that of this Python. Others are left out."""
        same = magic == importlib.util.MAGIC_NUMBER
        found = {}
        for digest in digests:
            content = self._records.content(digest, same)
            if content is not None:
                found[digest] = content if same else (content[0], None)
        return found

    def resources(self, package: str) -> list[str]:
        """The data files of a package, as relative paths with slashes; [] for what is none."""
        spec = self._spec(package)
        return origin_data.files(spec) if spec is not None else []

    def resource(self, package: str, path: str) -> bytes:
        """One of them. FileNotFoundError."""
        spec = self._spec(package)
        if spec is None:
            raise FileNotFoundError(f"there is no package {package} here")
        return origin_data.file(spec, path)

    def metadata(self, distribution: str) -> dict[str, str]:
        """The texts that describe an installed distribution, by file name; {}: not installed here."""
        return origin_data.metadata(distribution)

    def _spec(self, package: str) -> ModuleSpec | None:
        kind = self._records.glance(package)
        return find(package) if kind in (LOCAL, INSTALLED, LIVE) else None

    def _forked(self) -> Origin:
        return Origin(self._records.forked())


# Modules of an installed package that are told at a time, when nobody here has imported them: 10 ms each. Some only
# ask whether there is a package, and one may have thousands; what is needed of the rest is asked for when it is.
AHEAD = 30


class _Pass:
    """One answer to `entries`: what it has found out about names holds as long as it takes."""

    def __init__(self, records: Records, distributions: origin_data.Distributions) -> None:
        self._records = records
        self._distributions = distributions
        self._kinds: dict[str, Kind | None] = {}
        self._todo: dict[str, None] = {}
        self._ahead = 0  # modules of installed packages that are told though they are not imported here

    def entries(self, names: Sequence[str], stopped: Callable[[], bool] = lambda: False) -> dict[str, Module]:
        found: dict[str, Module] = {}
        self._todo.update(dict.fromkeys(names))
        asked = set(names)
        while self._todo and not stopped():
            name = next(iter(self._todo))
            del self._todo[name]
            if name in found:
                continue
            found[name] = self._entry(name)
            if name in asked and self._kind(name) == INSTALLED and not is_everywhere(name):
                self._todo.update(dict.fromkeys(each for each in self._siblings(name) if each not in found))
            parent = name.rpartition(".")[0]
            if parent and parent not in found:
                self._todo[parent] = None
        return found

    def _entry(self, name: str) -> Module:
        kind = self._kind(name)
        if kind is None or kind == SHIPPED:
            return Module(name, ABSENT)
        if kind == INSTALLED and is_everywhere(name):
            return Module(name, COMPILED, path=_path(find(name)))
        record = self._records.from_file(name)
        if record is None or (record.form == COMPILED and kind == LIVE):
            return Module(name, ABSENT)
        needs = self._needs(record)
        self._todo.update(dict.fromkeys(each for each in needs if self._comes_along(record, each)))
        return Module(
            name,
            record.form,
            record.spec.submodule_search_locations is not None,
            record.digest,
            record.version,
            _path(record.spec),
            needs,
            *self._distribution(record, kind),
        )

    def _needs(self, record: Record) -> tuple[str, ...]:
        """What its code imports of this origin: source modules, and installed ones that are not everywhere."""
        return tuple(
            name
            for name in sorted(self._records.imports(record))
            if name != record.name and self._is_ours(name) and not self._by_hand(name)
        )

    def _is_ours(self, name: str) -> bool:
        kind = self._kind(name)
        return kind in (LOCAL, LIVE) or (kind == INSTALLED and not is_everywhere(name))

    def _comes_along(self, record: Record, name: str) -> bool:
        """Whether the entry of something that it needs is told too: not of another package, which may be there."""
        if record.kind != INSTALLED:
            return self._kind(name) != INSTALLED
        own = _root(record.name)
        if name != own and not name.startswith(f"{own}."):
            return False
        if name in sys.modules:
            return True
        self._ahead += 1
        return self._ahead <= AHEAD

    def _kind(self, name: str) -> Kind | None:
        if name not in self._kinds:
            self._kinds[name] = self._look(name)
        return self._kinds[name]

    def _look(self, name: str) -> Kind | None:
        if name in MAIN:  # every process has its own
            return None
        if name not in sys.modules:
            parent, _, last = name.rpartition(".")
            above = sys.modules.get(parent)
            if above is not None:
                known = variables(above)
                if "__path__" not in known or (last in known and not isinstance(known[last], ModuleType)):
                    return None  # an attribute, as `from a import b` names most often
            elif parent and self._kind(parent) is None:
                return None
        return self._records.glance(name)

    def _by_hand(self, name: str) -> bool:
        return name in sys.modules and spec_of(sys.modules[name]) is None

    def _siblings(self, name: str) -> list[str]:
        """The modules of the same package that are imported here."""
        root = _root(name)
        return [
            each
            for each, module in list(sys.modules.items())
            if (each == root or each.startswith(f"{root}.")) and spec_of(module) is not None
        ]

    def _distribution(self, record: Record, kind: Kind) -> tuple[str, str]:
        if kind != INSTALLED:
            return "", ""
        root = _root(record.name)
        return self._distributions.of(root, _path(find(root)))


def _root(name: str) -> str:
    """The outermost package that has code: packages of several distributions may share a namespace."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        spec = find(".".join(parts[:end]))
        if spec is None or not is_namespace(spec):
            return ".".join(parts[:end])
    return name


def _path(spec: ModuleSpec | None) -> str:
    return (spec.origin or "") if spec is not None and not is_namespace(spec) else ""


_here: Origin | None = None


def here() -> Origin:
    """The origin that this process is. A forked child is another one."""
    global _here
    if _here is None:
        _set(Origin())
    assert _here is not None
    return _here


def _set(origin: Origin) -> None:
    global _here
    _here = origin
    witness.listen(origin._records.notice)
    witness.install()


def _forked() -> None:
    if _here is not None:
        _set(_here._forked())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
