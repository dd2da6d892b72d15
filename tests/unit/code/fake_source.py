"""An origin that is a dict of files: what a receiver asks is answered as a real one does, and written down."""

from __future__ import annotations

import marshal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from beampy.code import space as space_module
from beampy.code.entry import ABSENT, COMPILED, NAMESPACE, SOURCE, Module
from beampy.code.manifest import digest, imports_of
from beampy.code.space import Space, Spaces
from beampy.code.store import Store
from beampy.errors import OriginLost

ROOT = "/origin"


class FakeSource:
    """Files by path below `root`: "helpers.py", "pkg/__init__.py", "pkg/data/a.txt", "pkg/fast.so" (a compiled one)."""

    def __init__(self, files: dict[str, str], node: str = "nb@host", root: str = ROOT) -> None:
        self.files = dict(files)
        self.node = node
        self.root = root
        self.packages: dict[str, tuple[str, str]] = {}  # top module → distribution, version
        self.texts: dict[str, dict[str, str]] = {}  # distribution → metadata
        self.versions: dict[str, int] = {}
        self.magic: bytes | None = None
        self.lost = False
        self.asked: list[tuple[str, object]] = []
        self.gate = threading.Event()  # closed: whoever asks waits
        self.gate.set()
        self.reached = threading.Semaphore(0)  # somebody asks

    # ---- changes ----

    def edit(self, path: str, text: str) -> None:
        """The file was changed and its module reloaded: so were the versions of all that import it, however far."""
        self.files[path] = text
        changed = {self._name(path)}
        grown = True
        while grown:
            more = {name for name in self._names() if name not in changed and changed & set(self._needs(name))}
            changed |= more
            grown = bool(more)
        for name in changed:
            self.versions[name] = self.version(name) + 1

    def version(self, name: str) -> int:
        return self.versions.get(name, 1)

    def digest(self, name: str) -> bytes:
        return self._entry(name).digest

    def ref(self, name: str) -> tuple[str, int, bytes]:
        """What a message says of a module."""
        return name, self.version(name), self.digest(name)

    # ---- a Source ----

    def entries(self, names: Sequence[str]) -> list[Module]:
        self._asked("entries", tuple(names))
        found: dict[str, Module] = {}
        todo = list(names)
        while todo:
            name = todo.pop()
            if name in found:
                continue
            entry = self._entry(name)
            if entry.kind == ABSENT and name not in names:
                continue
            found[name] = entry
            todo.extend(entry.needs)
            todo.extend(filter(None, [name.rpartition(".")[0]]))
            if entry.package_name:
                top = name.partition(".")[0]
                todo.extend(each for each in self._names() if each.partition(".")[0] == top)
        return list(found.values())

    def contents(self, digests: Sequence[bytes], magic: bytes) -> dict[bytes, tuple[bytes, bytes | None]]:
        self._asked("contents", len(digests))
        found = {}
        for name in self._names():
            path = self._path(name)
            source = self.files.get(path or "", "").encode()
            if path and path.endswith(".py") and digest(source) in digests:
                code = marshal.dumps(compile(source, f"{self.root}/{path}", "exec")) if magic == self.magic else None
                found[digest(source)] = (source, code)
        return found

    def resources(self, package: str) -> list[str]:
        self._asked("resources", package)
        start = package.replace(".", "/") + "/"
        paths = [path.removeprefix(start) for path in self.files if path.startswith(start)]
        return sorted(path for path in paths if not path.endswith((".py", ".so")))

    def resource(self, package: str, path: str) -> bytes:
        self._asked("resource", (package, path))
        try:
            return self.files[f"{package.replace('.', '/')}/{path}"].encode()
        except KeyError:
            raise FileNotFoundError(path) from None

    def metadata(self, distribution: str) -> dict[str, str]:
        self._asked("metadata", distribution)
        return self.texts.get(distribution, {})

    def definitions(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        raise NotImplementedError

    def questions(self, kind: str) -> list[object]:
        return [about for asked, about in self.asked if asked == kind]

    # ---- inside ----

    def _asked(self, kind: str, about: object) -> None:
        self.asked.append((kind, about))
        self.reached.release()
        assert self.gate.wait(20)
        if self.lost:
            raise OriginLost(self.node, "something", "it was stopped")

    def _names(self) -> list[str]:
        names = set()
        for path in self.files:
            if path.endswith((".py", ".so")):
                names.add(self._name(path))
                parts = path.split("/")[:-1]
                names |= {".".join(parts[: at + 1]) for at in range(len(parts))}
        return sorted(names)

    @staticmethod
    def _name(path: str) -> str:
        return path.rpartition(".")[0].removesuffix("/__init__").replace("/", ".")

    def _path(self, name: str) -> str | None:
        path = name.replace(".", "/")
        return next((p for p in (f"{path}/__init__.py", f"{path}.py", f"{path}.so") if p in self.files), None)

    def _needs(self, name: str) -> tuple[str, ...]:
        path = self._path(name)
        if path is None or not path.endswith(".py"):
            return ()
        package = name if path.endswith("/__init__.py") else name.rpartition(".")[0]
        try:
            found = imports_of(compile(self.files[path], path, "exec"), package)
        except SyntaxError:
            return ()
        return tuple(sorted(found & set(self._names())))

    def _entry(self, name: str) -> Module:
        path = self._path(name)
        package_name, package_version = self.packages.get(name.partition(".")[0], ("", ""))
        rest = {"version": self.version(name), "package_name": package_name, "package_version": package_version}
        if path is None:
            known = name in self._names()
            return Module(name, NAMESPACE, True, **rest) if known else Module(name, ABSENT)  # type: ignore[arg-type]
        file = f"{self.root}/{path}"
        if path.endswith(".so"):
            return Module(name, COMPILED, path=file, **rest)  # type: ignore[arg-type]
        key = digest(self.files[path].encode())
        return Module(name, SOURCE, path.endswith("/__init__.py"), key, path=file, needs=self._needs(name), **rest)  # type: ignore[arg-type]


@contextmanager
def receiver(own: dict[str, bytes] | None = None, store: Store | None = None) -> Iterator[Spaces]:
    """Spaces of their own, taken out of the import system at the end; `own`: digests of what this process imported."""
    import sys

    space_module._drop_default()  # nodes of earlier tests that took code from other processes have left it
    modules, meta_path, hooks = set(sys.modules), list(sys.meta_path), list(sys.path_hooks)
    made = Spaces(store or Store(None), (own or {}).get)
    try:
        yield made
        made.close()
        left = {
            name for name in set(sys.modules) - modules if made.shipped(name) or hasattr(sys.modules[name], "SHIPPED")
        }
        assert not left
        assert (sys.meta_path, sys.path_hooks) == (meta_path, hooks)
    finally:
        made.close()


def connect(spaces: Spaces, source: FakeSource, origin: str = "3f2a9c0000000000") -> Space:
    space = spaces.of(origin, source.node)
    space.add_source(source)
    return space
