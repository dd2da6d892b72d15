"""What tests of cells stand on: a notebook, and several processes in one, each with a table and an origin of its own.

A recipe says whose it is; here each table says so of itself under an origin that it pretends to have. So what one table
sends is foreign to the other, is built in a space, and comes home as what it was.
"""

from __future__ import annotations

import gc
import itertools
import linecache
import pickle
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from textwrap import dedent
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from beampy.code import space as space_module
from beampy.code.definitions import CODE
from beampy.code.hook import PeerCode
from beampy.code.node_code import NodeCode
from beampy.code.origin import here
from beampy.code.space import Spaces, spaces
from beampy.code.store import Store
from beampy.code.store_later import StoreLater
from beampy.code.table import Table
from beampy.code.watch import Node
from beampy.wire.carrier import MANIFEST, REFERENCES, read_manifest
from beampy.wire.codec import Decoder, Encoder
from tests.unit.wire.lender import Lender

_numbers = itertools.count(1)


class Notebook:
    """A module whose definitions come from cells, as `__main__` of a notebook is."""

    def __init__(self, name: str) -> None:
        self.module = ModuleType(name)
        self.names: dict[str, Any] = vars(self.module)
        self._paths: list[str] = []
        sys.modules[name] = self.module

    def run(self, source: str, *, down: int = 0) -> Notebook:
        """Run a cell. Each has a file name of its own; its source is `down` lines further down."""
        path = f"<cell {next(_numbers)}>"
        text = "\n" * down + dedent(source)
        linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
        self._paths.append(path)
        exec(compile(text, path, "exec", dont_inherit=True), self.names)
        return self

    def __getitem__(self, name: str) -> Any:
        return self.names[name]

    def close(self) -> None:
        sys.modules.pop(self.module.__name__, None)
        for path in self._paths:
            linecache.cache.pop(path, None)
        self.names.clear()


class Process(Table):
    """The table of what would be another process."""

    def __init__(self, name: str) -> None:
        super().__init__(StoreLater(Store(None)))
        self.name = name
        self.definitions.recipe = self.said  # type: ignore[method-assign]
        self.origin = f"{next(_numbers):016x}"
        spaces().of(self.origin, name)
        self.code = Code(SimpleNamespace(name=name))

    def said(self, node: Node) -> bytes:
        """See Definitions.recipe. It says that it is of our origin."""
        if not node.recipe:
            head = node.head if node.kind == CODE else (self.origin, *node.head[1:])
            parts = (node.kind, head, node.body, [ref.version for ref in node.refs])
            node.recipe = pickle.dumps((*parts, True) if node.holds else parts, 5)
        return node.recipe

    def version(self, obj: Any) -> bytes:
        """The version that a function or a class has now."""
        node = self.definitions.node_of(obj)
        assert node is not None
        return node.version


class Code(NodeCode):
    """Who may be asked, without a node."""

    def __init__(self, node: Any) -> None:
        super().__init__(node)
        self.peers: dict[str, Asked] = {}
        self.passed = 0  # definitions with references in them that were built

    def passing(self) -> None:
        self.passed += 1

    def link(self, peer: str, origin: str, *more: Any) -> Any:
        return self.peers.get(peer)


class Asked:
    """A way to ask another process, that counts."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.questions = 0

    def ask_origin(self) -> str:
        return here().id  # whose modules are there: all are

    def definitions(self, versions: Sequence[bytes]) -> dict[bytes, bytes]:
        self.questions += 1
        return self.process.recipes_for(versions)


class Told(set[bytes]):
    """What a peer is known to have, and what of it is new."""

    def __init__(self) -> None:
        self.new: list[bytes] = []

    def update(self, *versions: Any) -> None:
        for some in versions:
            self.new += [version for version in some if version not in self]
            super().update(some)


class Connection:
    """Messages between two processes. `size`: of the last one and what was said for it, in bytes; `recipes`: which."""

    def __init__(self, one: Process, other: Process) -> None:
        self.ends: dict[Process, tuple[PeerCode, Encoder, Decoder]] = {}
        self.size = self.said = 0
        self.recipes: list[tuple[str, str]] = []
        for mine, peer in ((one, other), (other, one)):
            mine.code.peers[peer.name] = Asked(peer)
            hook = PeerCode(mine.code, peer.name, partial(self.say, peer))
            hook.table, hook.told = mine, Told()
            lender = Lender()
            encoder = Encoder(mine.name, 1, lambda ref: None, hook, lender)
            self.ends[mine] = hook, encoder, Decoder(peer.name, 1, hook, lender)
        self.other = {one: other, other: one}

    def say(self, receiver: Process, data: bytes) -> bool:
        """A frame of its own, which arrives whatever becomes of the message."""
        self.said += len(data)
        self.ends[receiver][0].heard(data)
        return True

    def encode(self, sender: Process, message: Any) -> Any:
        hook, encoder, _ = self.ends[sender]
        told = hook.told
        assert isinstance(told, Told)
        told.new.clear()
        self.said = 0
        kind, parts, buffers = encoder.encode(message)
        self.size = self.said + sum(map(len, parts)) + sum(memoryview(buffer).nbytes for buffer in buffers)
        self.recipes = []
        for version in told.new:
            data = sender.recipe(version)
            assert data is not None
            what, head, *_ = pickle.loads(data)
            self.recipes.append((what, head[5] if what == "code" else head[2]))
        return kind, b"".join(parts), [bytearray(buffer) for buffer in buffers]

    def decode(self, receiver: Process, body: Any) -> Any:
        kind, data, buffers = body
        if not kind & MANIFEST:
            return self.ends[receiver][2].decode(*body)
        sections, at = read_manifest(data)
        lender: Any = self.ends[receiver][1].carrier
        kept = lender.arrived(sections[REFERENCES])
        value = self.ends[receiver][2].decode(kind - MANIFEST, data[at:], buffers)
        del kept
        return value

    def came(self, receiver: Process) -> list[Any]:
        """The numbers of the references of each message that has come."""
        carrier: Any = self.ends[receiver][1].carrier
        return list(carrier.came)

    def send(self, sender: Process, message: Any) -> Any:
        """The message as the other one has it."""
        return self.decode(self.other[sender], self.encode(sender, message))


class Ground:
    """A notebook at home, and processes that it is connected with."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self.home = Process("home")
        self.away = self.process("away")

    def process(self, name: str) -> Process:
        """Another process, connected with home."""
        made = Process(name)
        self.connection = Connection(self.home, made)
        return made

    def run(self, source: str, **how: Any) -> Notebook:
        return self.notebook.run(source, **how)

    def __getitem__(self, name: str) -> Any:
        return self.notebook[name]

    def there(self, message: Any) -> Any:
        """A message from home, as it is away."""
        return self.connection.send(self.home, message)

    def back(self, message: Any) -> Any:
        """A message from away, as it is at home."""
        return self.connection.send(self.away, message)

    def version(self, name: str) -> bytes:
        """The version of a name of the notebook."""
        return self.home.version(self.notebook[name])

    @property
    def sent(self) -> list[tuple[str, str]]:
        """What definitions went along with the last message: kind and name, sorted."""
        return sorted(self.connection.recipes)


@contextmanager
def own_spaces() -> Iterator[Spaces]:
    """Spaces that are gone at the end, as those of this process."""
    before, space_module._default = space_module._default, Spaces(Store(None), here().digest)
    try:
        yield spaces()
    finally:
        spaces().close()
        space_module._default = before


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    made = Notebook(f"notebook_{next(_numbers)}")
    yield made
    made.close()


@pytest.fixture
def ground(notebook: Notebook) -> Iterator[Ground]:
    with own_spaces():
        made = Ground(notebook)
        yield made
        gc.collect()
