"""The source of one module: its bytes as they are in the file, its code, and which edit of the file that is.

The rule: bytes travel as they are, so that a coding cookie keeps its meaning, and code is the .pyc's wherever that was
made of these very bytes. Place: under origin.py, beside imported_trust.py, which says whether it is what was imported.
It keeps nothing.
"""

from __future__ import annotations

import importlib.util
import io
import marshal
import os
import tokenize
from _imp import _fix_co_filename  # type: ignore[attr-defined]
from contextlib import suppress
from functools import cached_property
from importlib.machinery import SOURCE_SUFFIXES, SourceFileLoader
from typing import TYPE_CHECKING, Final, NamedTuple

from beampy.code import manifest

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import CodeType

# No source is larger: generated parser tables, the largest seen, have 10 MB. What is, has no source for us.
SOURCE_LIMIT: Final = 64 * 1024 * 1024
_HEADER: Final = 16  # bytes of a .pyc before its code (PEP 552)


class Stamp(NamedTuple):
    """Which edit of a file this is. `changed` is the time of its inode, in seconds: no tool sets that one back."""

    mtime_ns: int
    size: int
    changed: float

    def same(self, other: Stamp | None) -> bool:
        """Whether it is the same edit. A changed owner or mode is none."""
        return other is not None and self.mtime_ns == other.mtime_ns and self.size == other.size


class Text:
    """A module's source, its digest, and the stamp of the file it was read from; its code is made when it is asked for.

    code        what it compiles to; None where it does not
    marshalled  that, marshalled
    from_pyc    whether there is a .pyc of this edit: then it was imported like this at least once
    """

    def __init__(self, spec: ModuleSpec, source: bytes, at: Stamp | None) -> None:
        self.spec = spec
        self.source = source
        self.digest = manifest.digest(source)
        self.stamp = at

    @cached_property
    def _cached(self) -> tuple[CodeType, bytes] | None:
        return _pyc(self.spec, self.spec.origin or "", self.source, self.stamp) if self.stamp is not None else None

    @cached_property
    def code(self) -> CodeType | None:
        return self._cached[0] if self._cached is not None else compiled(self.source, self.spec.origin or "")

    @cached_property
    def marshalled(self) -> bytes | None:
        if self._cached is not None:
            return self._cached[1]
        return marshal.dumps(self.code) if self.code is not None else None

    @property
    def is_read(self) -> bool:
        """Whether somebody has asked for its code."""
        return "code" in self.__dict__

    @property
    def from_pyc(self) -> bool:
        return self._cached is not None


def file_of(spec: ModuleSpec) -> str:
    """The file to look at for edits: the source, or the archive that it is in; "" where there is none."""
    archive = getattr(spec.loader, "archive", None)
    if isinstance(archive, str):
        return archive
    return spec.origin or ""


def stamp(path: str) -> Stamp | None:
    """The edit that a file is at; None: there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return Stamp(found.st_mtime_ns, found.st_size, found.st_ctime)


def read(spec: ModuleSpec) -> Text | None:
    """The source of the module with this spec as it is now; None: it cannot be had."""
    path = spec.origin or ""
    plain = path.endswith(tuple(SOURCE_SUFFIXES))
    source, at = _file(path) if plain else (None, None)
    if source is None:
        source, at = _loaded(spec), stamp(file_of(spec))
    if source is None or len(source) > SOURCE_LIMIT:
        return None
    return Text(spec, source, at)


def compiled(source: bytes, path: str) -> CodeType | None:
    """What it compiles to here; None where it does not."""
    try:
        # Its warnings are shown as those of an import are: to silence them is to change all threads' filters.
        code: CodeType = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, LookupError):
        return None
    return code


def cached_code(spec: ModuleSpec) -> CodeType | None:
    """What the module's .pyc holds, whatever it was made of: most often what was imported. None: there is none."""
    data = _pyc_bytes(spec, spec.origin or "")
    return _unmarshalled(data[_HEADER:]) if data is not None else None


def package_of(spec: ModuleSpec) -> str:
    """Its `__package__`, which relative imports start from."""
    return spec.name if spec.submodule_search_locations is not None else spec.name.rpartition(".")[0]


def _file(path: str) -> tuple[bytes | None, Stamp | None]:
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            if found.st_size > SOURCE_LIMIT:
                return None, None
            return file.read(SOURCE_LIMIT + 1), Stamp(found.st_mtime_ns, found.st_size, found.st_ctime)
    except (OSError, ValueError):
        return None, None


def _loaded(spec: ModuleSpec) -> bytes | None:
    """From a loader that reads no plain file: of an archive, or of anything else that knows its source."""
    loader = spec.loader
    if isinstance(loader, SourceFileLoader):  # the file it would read is gone
        return None
    if (spec.origin or "").endswith(tuple(SOURCE_SUFFIXES)):
        with suppress(AttributeError, OSError, ImportError, ValueError, TypeError):
            data = loader.get_data(spec.origin)  # type: ignore[union-attr]
            if isinstance(data, bytes):
                return data
    try:
        text = loader.get_source(spec.name)  # type: ignore[union-attr]
    except (AttributeError, OSError, ImportError, SyntaxError, ValueError):
        return None
    if not isinstance(text, str):
        return None
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(text.encode()).readline)
        return text.encode(encoding)
    except (SyntaxError, UnicodeEncodeError, LookupError):
        return None


def _pyc_bytes(spec: ModuleSpec, path: str) -> bytes | None:
    try:
        # Not spec.cached: of a loader that rewrites what it loads, as pytest's, that is something else.
        data, _ = _file(importlib.util.cache_from_source(path))
    except (NotImplementedError, ValueError):
        return None
    if data is None or len(data) < _HEADER or data[:4] != importlib.util.MAGIC_NUMBER:
        return None
    return data


def _pyc(spec: ModuleSpec, path: str, source: bytes, at: Stamp) -> tuple[CodeType, bytes] | None:
    """The code of the .pyc that was made of `source`, also marshalled; None: there is none of this edit."""
    data = _pyc_bytes(spec, path)
    if data is None:
        return None
    flags = int.from_bytes(data[4:8], "little")
    if flags & 1:
        if data[8:16] != importlib.util.source_hash(source):
            return None
    elif flags or data[8:16] != _word(at.mtime_ns // 1_000_000_000) + _word(at.size):
        return None
    code = _unmarshalled(data[_HEADER:])
    if code is None:
        return None
    if code.co_filename != path:  # it was made in another place, as pip does for a target: tracebacks would say so
        _fix_co_filename(code, path)  # in all code inside it too, as importlib does
        return code, marshal.dumps(code)
    return code, data[_HEADER:]


def _word(number: int) -> bytes:
    return (number & 0xFFFFFFFF).to_bytes(4, "little")


def _unmarshalled(data: bytes) -> CodeType | None:
    try:
        code = marshal.loads(data)
    except (EOFError, ValueError, TypeError):
        return None
    return code if hasattr(code, "co_code") else None
