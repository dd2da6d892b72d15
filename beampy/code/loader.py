"""The loader of shipped modules: it runs their code as their origin compiled it, and shows their source.

The rule: a shipped module looks as it does at its origin, file names and lines too; only its name may have a prefix.
Place: between finder.py, which makes specs with it, and importlib, which calls it under its own locks. It does not know
how sources are fetched, nor which name a module goes by.
"""

from __future__ import annotations

import importlib.util
import io
import linecache
import marshal
import os
from _imp import _fix_co_filename  # type: ignore[attr-defined]
from types import CodeType
from typing import TYPE_CHECKING, Any, Final

from beampy.code.entry import SOURCE, Module
from beampy.code.fetching import code_key
from beampy.code.held import watched
from beampy.errors import OriginLost

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from beampy.code.resources import Reader
    from beampy.code.shipped import Space


class Loader:
    """Loads `entry` of `space` as the module `fullname`: one loader for each module object.

    It lives as long as the module's globals do, so it tells whether the module's code can still run.
    """

    def __init__(self, space: Space, entry: Module, fullname: str) -> None:
        self.space = space
        self.entry = entry
        self.name = fullname
        self.path = space.filename(entry)

    @property
    def beampy_space(self) -> str:
        """Whose code it is: by this, others know a shipped module."""
        return self.space.label

    def __repr__(self) -> str:
        return f"<beampy loader of {self.entry.name} from {self.space.node}>"

    def create_module(self, spec: ModuleSpec) -> None:
        """As importlib does it."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code in it; the errors are the module's own."""
        self.space.begin(self, module)
        try:
            if self.entry.kind == SOURCE:
                show(self.path, self.source())
                exec(self._code(), module.__dict__)
        except BaseException as error:
            self.space.failed(self, module, error)
            raise
        self.space.loaded(self, module)

    # ---- what importlib, inspect, pkgutil and linecache ask for ----

    def get_code(self, fullname: str | None = None) -> CodeType | None:
        """The module's code; None for a package without an __init__."""
        return self._code() if self.entry.kind == SOURCE else None

    def _code(self) -> CodeType:
        store = self.space.fetching.store
        key = code_key(self.entry.digest)
        marshalled = store.get(key)
        if marshalled is not None:
            code = watched(self.name, "reading", lambda: marshal.loads(marshalled))
            if isinstance(code, CodeType):
                if code.co_filename != self.path:
                    _fix_co_filename(code, self.path)  # in all code inside it too, as importlib does with moved files
                return code
        source, path = self.source(), self.path or f"<{self.name}>"
        compiled: CodeType = watched(self.name, "compiling", lambda: compile(source, path, "exec", dont_inherit=True))
        store.put_as(key, marshal.dumps(compiled))
        return compiled

    def source(self) -> bytes:
        """The module's source. OriginLost: it was never fetched, and cannot be now."""
        fetching = self.space.fetching
        found = fetching.have(self.entry.digest)
        if found is None:
            fetching.fetch([self.entry])
            found = fetching.have(self.entry.digest)
        if found is None:
            raise OriginLost(self.space.node, f"module {self.entry.name}", "its source is no longer there")
        return found

    def get_source(self, fullname: str | None = None) -> str | None:
        """The module's source as text; None for a package without an __init__."""
        return importlib.util.decode_source(self.source()) if self.entry.kind == SOURCE else None

    def is_package(self, fullname: str | None = None) -> bool:
        return self.entry.package

    def get_filename(self, fullname: str | None = None) -> str:
        """The module's file at its origin. ImportError: it has none."""
        if not self.path:
            raise ImportError(f"{self.name} has no file", name=self.name)
        return self.path

    def get_data(self, path: str) -> bytes:
        """A file beside the module at its origin, by its whole path there. OSError: it is not below that directory."""
        if path == self.path and self.entry.kind == SOURCE:
            return self.source()
        directory = _slashes(self.path).rpartition("/")[0]
        name = _slashes(path)
        package = self.entry if self.entry.package else self.space.parent(self.entry)
        if package is None or not directory or not name.startswith(f"{directory}/"):
            raise FileNotFoundError(f"{path} is not beside {self.entry.name} of {self.space.node}")
        return self.space.fetching.resource(package, name[len(directory) + 1 :])

    def get_resource_reader(self, fullname: str | None = None) -> Reader | None:
        """For importlib.resources; None: not a package."""
        if not self.entry.package:
            return None
        from beampy.code.resources import Reader

        return Reader(self.space.fetching, self.entry)


ODD: Final = frozenset(b"\v\f\x1c\x1d\x1e")  # where str.splitlines ends a line, and the compiler does not


def _slashes(path: str) -> str:
    return path.replace("\\", "/")


def show(path: str, source: bytes) -> None:
    """Let tracebacks, inspect and pdb see this source under this file name.

    linecache believes an entry without a time of modification, whatever is on this machine's disk.
    """
    cache: dict[str, Any] = linecache.cache
    if path and not os.path.exists(path) and source.isascii() and not ODD.intersection(source):
        cache[path] = (lambda: _decoded(source),)  # read when somebody looks
    elif path:  # linecache prefers a file that is there, and ends lines where Python does not
        text = _decoded(source)
        lines = io.StringIO(text).readlines()  # at newlines only, like the compiler
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        cache[path] = (len(text), None, lines, path)


def _decoded(source: bytes) -> str:
    try:
        return importlib.util.decode_source(source)
    except (SyntaxError, UnicodeDecodeError):  # the compiler will say so
        return ""


def hide(path: str) -> None:
    """Forget what `show` put there."""
    cache: dict[str, Any] = linecache.cache
    kept = cache.get(path)
    if kept is not None and len(kept) == 4 and kept[1] is None:
        cache.pop(path, None)
