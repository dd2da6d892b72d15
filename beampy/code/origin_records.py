"""What an origin knows of each of its modules: the source it was imported from, and its version.

The rule: a version is raised when its module is imported anew, or when one that it imports is; nothing polls. The
witness notes reloads from within the import system and takes no lock; notes are worked off by whoever asks next. What
came past it is seen by identity: another module, or another spec, under a known name. Place: under origin.py. It sends
nothing.

One lock, held while one module is looked at, never while something is imported or logged.
"""

from __future__ import annotations

import importlib
import marshal
import sys
import threading
import time
import weakref
from collections import deque
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any, Final

from beampy.code import imported, imported_trust, manifest, witness
from beampy.code.classify import INSTALLED, LIVE, LOCAL, has_source, is_namespace, kind_of, spec_of, variables
from beampy.code.classify_find import find
from beampy.code.entry import COMPILED, NAMESPACE, SOURCE
from beampy.code.origin_kept import Kept
from beampy.code.origin_objects import Replaced, snapshot

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

    from beampy.code.classify import Kind
    from beampy.code.imported import Stamp, Text
    from beampy.code.origin_objects import Snapshot

CHECK_EVERY: Final = 0.2  # seconds between two looks at a file: nobody saves and calls faster
# Seconds until a file that is edited and not reloaded is compared again: an autoreload may come after the first look.
JUDGE_EVERY: Final = 2.0


class Record:
    """One module. Changed under the lock only, but for the times of checks."""

    __slots__ = (
        *("name", "kind", "spec", "module", "version", "digest", "stamp", "imports", "imports_read", "objects"),
        *("fresh", "stale", "early", "reloaded", "edited", "judged", "edit", "check_at", "judge_at"),
    )

    def __init__(self, name: str, kind: Kind, spec: ModuleSpec, module: object, text: Text | None) -> None:
        self.name = name
        self.kind: Kind = kind
        self.spec = spec
        self.module = _ref(module)
        self.version = 1
        self.digest = text.digest if text is not None else b""
        self.stamp: Stamp | None = None
        self.imports: frozenset[str] = frozenset()  # as last known: read when somebody asks what comes with it
        self.imports_read = False
        self.objects: Snapshot = {}
        self.fresh = True  # neither of the next two
        self.stale = False  # it is being imported anew: to be looked at again
        self.early = False  # its import has not ended yet: to be looked at again when it has
        self.reloaded = False  # it may have names left from before a reload
        self.edited = False  # its file has other code than it
        self.judged: Stamp | None = None  # the edit that `edited` is about
        self.edit: Text | None = None  # that, to be judged again
        self.check_at = 0.0
        self.judge_at = 0.0
        if text is not None:
            self.take(text)

    def take(self, text: Text) -> None:
        """This is its source now."""
        self.digest, self.stamp, self.imports_read = text.digest, text.stamp, False

    @property
    def form(self) -> str:
        """SOURCE, NAMESPACE or COMPILED, as its entry says."""
        if self.digest:
            return SOURCE
        return NAMESPACE if is_namespace(self.spec) else COMPILED

    def is_of(self, module: object) -> bool:
        """Whether it was made from this module object, as it was imported last."""
        return self.module is not None and self.module() is module and variables(module).get("__spec__") is self.spec


def _ref(module: object) -> weakref.ref[Any] | None:
    try:
        return weakref.ref(module) if module is not None else None
    except TypeError:  # sys.modules takes anything; what cannot be watched is looked at again each time
        return None


class Records:
    """The records of one origin."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.kept = Kept()
        self.replaced = Replaced()
        self.changes = 0  # how often a version was raised
        self._records: dict[str, Record] = {}
        self._kinds: dict[str, tuple[int, Kind]] = {}
        self._start: dict[str, Stamp] = {}
        self._notes: deque[tuple[str, Snapshot]] = deque()
        self._to_say: deque[str] = deque()

    def forked(self) -> Records:
        """Those of a child of this process. What a thread of the parent was in the middle of is looked at again."""
        child = Records()
        if self.lock.acquire(blocking=False):
            try:
                child.kept, child.replaced = self.kept.copy(), self.replaced
                child._records, child._start, child._notes = self._records, self._start, self._notes
            finally:
                self.lock.release()
        return child

    # ---- what the witness tells ----

    def notice(self, name: str, target: ModuleType | None) -> None:
        """An import of `name` begins, or a reload of `target`. Runs in the import system: no lock, no file."""
        self._kinds.pop(name, None)
        self._start.pop(name, None)
        record = self._records.get(name)
        if record is None:
            return
        module = target if target is not None else record.module() if record.module is not None else None
        self._notes.append((name, snapshot(variables(module)) if module is not None else record.objects))

    def start(self) -> None:
        """Remember which edit every module's file is at: one stat each, and nothing read."""
        for name, module in list(sys.modules.items()):
            if name in self._records or name in self._start:
                continue
            spec = spec_of(module)
            if spec is not None and not is_namespace(spec) and kind_of(name, spec) == LOCAL:
                at = imported.stamp(imported.file_of(spec))
                if at is not None:
                    self._start[name] = at

    @property
    def noted(self) -> bool:
        """Whether something was noticed that nobody has asked about since."""
        return bool(self._notes)

    def _drain(self) -> None:
        with self.lock:
            while self._notes:
                name, objects = self._notes.popleft()
                record = self._records[name]
                record.stale, record.fresh = True, False
                self._kinds.pop(name, None)
                if record.module is not None:
                    self._replaced(record, objects)

    def _replaced(self, record: Record, objects: Snapshot) -> None:
        """Its module is another one from now on: a new version, also of all that import it."""
        self.replaced.add(record.name, record.version, objects)
        self._raise(record.name)

    def _raise(self, name: str) -> None:
        importers: dict[str, list[str]] = {}
        for record in self._records.values():
            for each in record.imports:
                importers.setdefault(each, []).append(record.name)
        found, todo = {name}, [name]
        while todo:
            for each in importers.get(todo.pop(), ()):
                if each not in found:
                    found.add(each)
                    todo.append(each)
        for each in found:
            self._records[each].version += 1
        self.changes += 1

    # ---- what is asked ----

    def version(self, name: str) -> int:
        """The version of a module; 0 of what has none. Of an installed one it takes no look at its file."""
        if self._notes:
            self._drain()
        record = self._records.get(name)
        if record is not None and record.fresh:
            module = self.imported(name)
            if module is not None and record.is_of(module):
                return record.version
        if record is None and self.kind(name) == INSTALLED:
            return 1
        record = self.get(name)
        return record.version if record is not None else 0

    def kind(self, name: str) -> Kind:
        """The kind of a module, cached. The first look at a source module reads it."""
        if self._notes:
            self._drain()
        known = self._kinds.get(name)
        if known is not None and known[0] == id(sys.modules.get(name)):
            return known[1]
        return self._kind(name)

    def _kind(self, name: str) -> Kind:
        module = sys.modules.get(name)
        glance = self.glance(name)
        if glance is None:
            return LIVE
        kind: Kind
        if glance == LOCAL:
            record = self.get(name)
            if record is None:
                kind = LIVE
            elif record.early:
                return record.kind
            else:
                kind = record.kind
        else:
            kind = glance
        self._kinds[name] = (id(module), kind)
        return kind

    def glance(self, name: str) -> Kind | None:
        """The kind of a module as its place tells, without reading it. None: there is none, or it was made by hand."""
        known = self._kinds.get(name)
        if known is not None and known[0] == id(sys.modules.get(name)):
            return known[1]
        spec = find(name)
        if spec is None and name not in sys.modules:
            return None
        return kind_of(name, spec)

    def get(self, name: str) -> Record | None:
        """The record of a module, up to date. None: it has no spec, or there is none."""
        if self._notes:
            self._drain()
        record = self._records.get(name)
        if record is not None and record.fresh:
            module = sys.modules.get(name)
            if module is not None and record.is_of(module):
                return record
        try:
            return self._look(name)
        finally:
            self._say()

    def imported(self, name: str) -> object:
        """The module that is imported under this name; None: what its file has is what counts."""
        return sys.modules.get(name)

    def from_file(self, name: str) -> Record | None:
        """As `get`; but where the source as imported is not known, that of the file as it is now."""
        record = self.get(name)
        if record is not None and record.kind == LIVE and record.stamp is not None:
            at = imported.stamp(imported.file_of(record.spec))
            if at is not None and not at.same(record.stamp):
                try:
                    return self._look(name, again=True)
                finally:
                    self._say()
        return record

    def content(self, digest: bytes, code: bool) -> tuple[bytes, bytes | None] | None:
        """The source of this digest, and its code if asked for. None: no module has it, or had it of late."""
        with self.lock:
            found = self.kept.get(digest)
            if found is not None and (found[1] is not None or not code):
                return found
            for record in self._records.values():
                text = self._text(record) if record.digest == digest else None
                if text is not None:
                    found = (text.source, text.marshalled if code else None)
                    self.kept.put(digest, *found)
                    break
            return found

    def imports(self, record: Record) -> frozenset[str]:
        """The names that the module's code imports."""
        with self.lock:
            if not record.imports_read:
                code = self._code(record)
                package = imported.package_of(record.spec)
                record.imports = manifest.imports_of(code, package) if code is not None else frozenset()
                record.imports_read = True
            return record.imports

    def _text(self, record: Record) -> Text | None:
        """The source of a record, as it was kept or as it still is."""
        if not record.digest:
            return None
        kept = self.kept.get(record.digest)
        if kept is not None:
            return imported.Text(record.spec, kept[0], record.stamp)
        text = imported.read(record.spec)
        return text if text is not None and text.digest == record.digest else None

    def _look(self, name: str, again: bool = False) -> Record | None:
        with self.lock:
            self._drain()
            before, module = self._records.get(name), self.imported(name)
            spec = find(name)
            if spec is None:
                return None
            early = module is not None and _is_importing(name, spec)
            known = before is not None and not before.stale and not again and before.early == early
            if known and before is not None and self._is_current(before, module, spec):
                return before
            kind = kind_of(name, spec)
            if kind not in (LOCAL, INSTALLED, LIVE):
                return None
            text = None if is_namespace(spec) or not has_source(spec) else imported.read(spec)
            record = Record(name, kind, spec, module, text)
            record.early, record.fresh = early, not early
            if module is not None:
                if before is not None and before.module == record.module:
                    record.reloaded = before.reloaded or before.stale or before.spec is not spec
                record.objects = snapshot(variables(module))
                if kind == LOCAL and not is_namespace(spec):
                    text = self._as_imported(record, before, text)
            if text is not None and text.digest == record.digest:
                self.kept.put(text.digest, text.source, text.marshalled if text.is_read else None)
            self._records[name] = record
            self._kinds.pop(name, None)
            self._continue(record, before)
            return record

    def _is_current(self, record: Record, module: object, spec: ModuleSpec) -> bool:
        if module is not None:
            return record.is_of(module)
        if record.module is not None or record.spec.origin != spec.origin:
            return False
        at = imported.stamp(imported.file_of(spec))
        return at.same(record.stamp) if at is not None else record.stamp is None

    def _continue(self, record: Record, before: Record | None) -> None:
        """The version goes on from that of the record before."""
        if before is None:
            return
        record.version, record.imports = before.version, before.imports
        if before.stale and before.module is not None:  # the version is that of the reload already
            return
        # It was as on disk; or it was looked at too early; or it is live, and its file was edited again.
        if before.module is None or before.early or before.is_of(sys.modules.get(record.name)):
            if before.digest != record.digest:
                self._raise(record.name)
            return
        old = before.module()
        self._replaced(record, snapshot(variables(old)) if old is not None else before.objects)

    def _as_imported(self, record: Record, before: Record | None, text: Text | None) -> Text | None:
        """Whether the file is what was imported. If not, the source before may be; else the module is live."""
        name, found = record.name, variables(sys.modules.get(record.name))
        if text is not None and (
            record.early  # what it has got so far tells nothing
            or imported_trust.is_imported(
                record.spec, found, text, witness.import_began(name), self._start.get(name), record.reloaded
            )
        ):
            return text
        if before is not None and before.digest:  # a reload that failed left the module as it was
            code = self._code(before)
            if code is not None and imported_trust.matches(found, name, code):
                record.digest, record.stamp = before.digest, before.stamp
                return text
        record.kind = LIVE
        path = imported.file_of(record.spec)
        if text is not None and text.code is None and type(record.spec.loader) is not SourceFileLoader:
            return text  # made of something else, by its loader
        if text is None:
            self._to_say.append(
                f"the source of {name} ({path}) is gone: its definitions are sent by value. "
                f"Restore the file and importlib.reload({name}) to send it as a module"
            )
        else:
            self._to_say.append(
                f"{name} ({path}) was edited after it was imported, and what it was before is not known: its "
                f"definitions are sent by value. importlib.reload({name}) sends the new code"
            )
        return text

    def _code(self, record: Record) -> CodeType | None:
        kept = self.kept.get(record.digest)
        if kept is not None and kept[1] is not None:
            code: CodeType = marshal.loads(kept[1])
            if code.co_filename == record.spec.origin:  # of two files with the same source it may be the other's
                return code
        text = self._text(record)
        if text is None:
            return None
        self.kept.put(text.digest, text.source, text.marshalled)
        return text.code

    # ---- edits ----

    def edited(self, name: str) -> bool:
        """Whether the file of an imported source module has other code than what was imported."""
        record = self.get(name)
        if record is None or record.kind != LOCAL or record.module is None or record.stamp is None:
            return False
        now = time.monotonic()
        if now < record.check_at:
            return record.edited
        record.check_at = now + CHECK_EVERY
        at = imported.stamp(imported.file_of(record.spec))
        if at is None:  # an editor may be about to put it back
            return record.edited
        if at.same(record.stamp):
            record.edited = False
        elif not at.same(record.judged) or (record.edited and now >= record.judge_at):
            record.judge_at = now + JUDGE_EVERY
            with self.lock:
                self._judge(record, at)
            self._say()
        return record.edited

    def _judge(self, record: Record, at: Stamp) -> None:
        text = record.edit if record.edit is not None and at.same(record.edit.stamp) else imported.read(record.spec)
        record.edit = None
        if text is None:
            return
        if text.digest == record.digest:  # saved as it was
            record.stamp, record.edited = text.stamp, False
            return
        old = self._code(record)
        if old is not None and text.code is not None:
            if imported_trust.same(old, text.code):  # comments, empty lines
                record.judged, record.edited = at, False
                return
            found = variables(record.module() if record.module is not None else None)
            if imported_trust.applied(found, record.name, old, text):
                self._replaced(record, snapshot(found))
                record.take(text)
                record.judged, record.edited = None, False
                self.kept.put(text.digest, text.source, None)
                return
        if not at.same(record.judged):
            self._to_say.append(
                f"{record.name} ({imported.file_of(record.spec)}) was edited after it was imported; nodes run it as it "
                f"was imported. importlib.reload({record.name}) sends the new code"
            )
        record.judged, record.edited, record.edit = at, True, text

    def _say(self) -> None:
        """Log what was found out, outside of the lock."""
        while self._to_say:
            import logging

            try:
                logging.getLogger("beampy.code").warning("%s", self._to_say.popleft())
            except IndexError:  # another thread said it
                return


def _is_importing(name: str, spec: ModuleSpec) -> bool:
    """Whether the module's code runs now, for the first time or again. importlib says so to itself only."""
    return bool(getattr(spec, "_initializing", False)) or name in getattr(importlib, "_RELOADING", ())
