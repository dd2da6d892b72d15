"""Substrates: where the processes of a test live. The same body, on one node or across two.

`harness.run(body)` runs a body on one node. With a `Substrate` it starts two that are connected, and what a process
of the one spawns is placed on the other: what they say to each other, links, monitors, exits, calls and
answers then cross a socket, through codec and channel, in both directions.

Rule: only the place is changed. `spawn` still answers at once, because both nodes are in this interpreter: the process
is made there and the tables of both sides are filled in as dist/spawn.py does it, before its first line. What cannot
travel (functions of a test, locks, futures) is sent as a number that both sides look up. What has a name stays on the
node of its parent, for names are of one node; so does what no process asked for.

Place: testing, over runtime and dist. Nothing of the product knows of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pickle
import secrets
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy import api
from beampy.core.ids import Pid, Ref
from beampy.dist.address import Address
from beampy.dist.ties import Monitoring, Watched
from beampy.errors import EncodeError, UnknownNode
from beampy.runtime import Node
from beampy.wire.codec import Decoder, Encoder
from beampy.wire.codec_loads import loads_known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from beampy.core.node import LocalNode
    from beampy.core.process import Process
    from beampy.dist.peers import Peers

NAMES = ("one@127.0.0.1", "two@127.0.0.1")

LOOKS = ("is_alive", "process_info")  # what a test may ask of a process on either node

SETUP = 10.0  # seconds for two nodes of one machine to meet


class Substrate:
    """Two nodes over TCP on the loop that runs, a real one or the simulator's; with `tls` encrypted.

    >>> async with Substrate().nodes() as (here, there):
    ...     await here.run(body)
    """

    def __init__(self, *, tls: bool = False) -> None:
        self.tls = tls

    def __repr__(self) -> str:
        return f"Substrate(tls={self.tls})"

    @contextlib.asynccontextmanager
    async def nodes(self, **options: Any) -> AsyncIterator[list[Node]]:
        """The two nodes, connected; both end at the same time. `options` are those of `bp.Node`, for both."""
        known: dict[str, Address] = {}
        net: dict[str, Any] = {"cookie": secrets.token_hex(16), "unix": False, "tls": self.tls}
        nodes = [Node(name, discovery=Known(known, self.tls), **net, **options) for name in NAMES]
        try:
            for node in nodes:
                node._open()
            for node in nodes:
                await node._join()
            await _meet(nodes[0], nodes[1])
            for here, there in (nodes, nodes[::-1]):
                _by_number(here, there)
            for here, there in (nodes, nodes[::-1]):
                here._core.spawn = Placing(here, there).spawn  # type: ignore[method-assign]
            with _looking({node.name: node._core for node in nodes}):
                yield nodes
        finally:
            await asyncio.gather(*(node._close() for node in nodes))
            held.clear()


class Known:
    """The discovery of nodes that share a dictionary."""

    def __init__(self, addresses: dict[str, Address], tls: bool) -> None:
        self.addresses = addresses
        self.tls = tls

    def fixed_port(self, name: str) -> int | None:
        """Any port will do."""
        return None

    async def start(self, name: str, port: int, extra: bytes, hidden: bool) -> None:
        """A node listens."""
        self.addresses[name] = Address("127.0.0.1", port, tls=self.tls)

    async def stop(self) -> None:
        """Nothing to take back: the dictionary ends with the nodes."""

    async def lookup(self, node: str) -> list[Address]:
        """Where it listens."""
        if node not in self.addresses:
            raise UnknownNode(node, "it is none of this test's nodes")
        return [self.addresses[node]]

    async def names(self, host: str) -> dict[str, int]:
        """Who listens."""
        return {name.partition("@")[0]: address.port for name, address in self.addresses.items()}


def _peers(node: Node) -> Peers:
    assert node._peers is not None
    return node._peers


@contextlib.contextmanager
def _looking(nodes: dict[str, LocalNode]) -> Iterator[None]:
    """A body's `is_alive` and `process_info` look at a process where it lives: they are how a test sees what it did."""
    local = api._local

    def where(verb: str, pid: Pid) -> LocalNode:
        return nodes[pid.node] if verb in LOOKS and pid.node in nodes else local(verb, pid)

    api._local = where
    try:
        yield
    finally:
        api._local = local


async def _meet(here: Node, there: Node) -> None:
    """Connect them, and wait until both know."""
    async with asyncio.timeout(SETUP):
        await _peers(here).connect(there.name)
        while _peers(there).peer(here.name).state != "up":  # noqa: ASYNC110  -- no event tells of it
            await asyncio.sleep(0.001)


# placing


class Placed(NamedTuple):
    """A process of the other node, for who spawned it: a pid without a shortcut, as one that has travelled."""

    pid: Pid
    process: Process

    def extras(self) -> Any:
        """The parts of the process that a spawner may fill in: its label."""
        return self.process.extras()


class Placing:
    """How one node spawns: on the other."""

    def __init__(self, here: Node, there: Node) -> None:
        self.here = here._core
        self.there = there._core
        self.peer = _peers(here).peer(there.name)
        self.peer_there = _peers(there).peer(here.name)
        self.here_spawns: Callable[..., Any] = self.here.spawn
        self.there_spawns: Callable[..., Any] = self.there.spawn

    def spawn(
        self,
        fn: Any,
        args: tuple[Any, ...],
        parent: Process | None,
        name: str | None = None,
        link: bool | None = None,
        monitor: bool = False,
        trap_exit: bool = False,
        **options: Any,
    ) -> tuple[Any, Ref | None]:
        """As LocalNode.spawn. Only the verbs say something of a link: the node's own processes stay here."""
        if (
            parent is None
            or link is None
            or name is not None
            or "context" in options
            or _has_name(fn, args)
            or self.peer.state != "up"
            or self.peer_there.state != "up"
            or self.there.closed
        ):
            return self.here_spawns(fn, args, parent, name, bool(link), monitor, trap_exit, **options)  # type: ignore[no-any-return]
        lineage = (_copy(parent.pid), parent._lineage)
        process, _ = self.there_spawns(fn, args, None, None, trap_exit=trap_exit, lineage=lineage, **options)
        return self._tied(parent, process, link, monitor)

    def _tied(self, parent: Process, process: Process, link: bool, monitor: bool) -> tuple[Placed, Ref | None]:
        """Both sides' tables, before it runs."""
        asker, pid = _copy(parent.pid), _copy(process.pid)
        ref = None
        if link:
            parent.extras().links.link(pid)
            self.peer.ties.links[asker, pid] = None
            process.extras().links.linked_by(asker)
            self.peer_there.ties.links[pid, asker] = None
        if monitor:
            ref = self.here.new_ref()
            parent.extras().links.monitors[ref] = pid
            self.peer.ties.monitors[ref.id] = Monitoring(ref, asker, False)
            theirs = Ref(ref.node, ref.id, ref.creation)
            process.watched(theirs, asker)
            self.peer_there.ties.watched[ref.id] = Watched(theirs, pid, False)
        if self.here.tracer is not None:
            self.here.event("spawn", parent.pid, pid)
        return Placed(pid, process), ref


def _copy(pid: Pid) -> Pid:
    return Pid(pid.node, pid.serial, pid.creation)


def _has_name(fn: Any, args: tuple[Any, ...]) -> bool:
    """Whether it is a behaviour that registers a name as it starts (otp/gen.py)."""
    return getattr(fn, "__name__", "") == "_born" and args[3] is not None


# what cannot travel


held: dict[int, Any] = {}  # by number, while the nodes live
numbers = itertools.count()


def taken(number: int) -> Any:
    """What is known by a number: what a body names in place of an object."""
    return held[number]


def _number(obj: Any) -> tuple[Any, tuple[int]]:
    number = next(numbers)
    held[number] = obj
    return taken, (number,)


class ByNumber:
    """A codec's Hook: functions and classes that are not found under their names go by number."""

    kinds: frozenset[Any] = frozenset()

    def encode(self, obj: Any) -> Any:
        """By name where that leads back to it."""
        found: Any = sys.modules.get(getattr(obj, "__module__", None) or "")
        for part in getattr(obj, "__qualname__", "?").split("."):
            found = getattr(found, part, None)
        return NotImplemented if found is obj else _number(obj)

    def made(self, fields: Any, now: bool) -> Any:
        """Nothing goes that way."""
        raise NotImplementedError

    def heard(self, data: bytes) -> None:
        """Nobody says anything about code here."""

    def loads(self, body: Any, buffers: Any) -> Any:
        """In the usual way."""
        return pickle.loads(body, buffers=buffers)

    def loads_known(self, body: Any, buffers: Any) -> Any:
        """In the usual way."""
        return loads_known(body, buffers)


class Whole(NamedTuple):
    """A message that cannot travel in parts."""

    obj: Any

    def __reduce__(self) -> Any:
        return _number(self.obj)


def _by_number(here: Node, there: Node) -> None:
    """Give what `here` says to `there` a codec that knows numbers, and refs that were handed over as they are."""
    core: LocalNode = here._core
    peers = _peers(here)
    encoder = Encoder(core.name, core.creation, core.export, ByNumber())
    by_parts = encoder.encode

    def encode(message: Any) -> Any:
        try:
            return by_parts(message)
        except EncodeError:
            return by_parts(Whole(message))

    encoder.encode = encode
    peers.peer(there.name).encoder = encoder
    incoming = _peers(there).peer(here.name).incoming
    incoming.reader.decoder = Decoder(core.name, core.creation, ByNumber())
    peer = peers.peer(there.name)
    send = peer.send

    def exporting(sender: Any, dest: Any, message: Any) -> None:
        if dest.__class__ is Ref and dest._holder is not None:
            there._core.export(dest)  # it came by a closure or an argument, not in a message
        send(sender, dest, message)

    peer.send = exporting  # type: ignore[method-assign]
    core.far[there.name] = exporting
