"""Peers: all the nodes that this one knows, and what it decides about connections. The node's `remote`.

It connects on first use, accepts who proves the cookie, settles whose attempt stays when both connect at once, keeps
the mesh, ticks, and tells who wants to know of nodes that come and go. It owns no socket (listen.py, dial.py) and no
message (peer.py, incoming.py).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from beampy.core.current import current
from beampy.core.ids import Pid
from beampy.dist import mesh, tls
from beampy.dist.address import is_loopback
from beampy.dist.blocking import close_all
from beampy.dist.busy_wait import BusyWait
from beampy.dist.dial import dial
from beampy.dist.incoming import Incoming
from beampy.dist.listen import Listeners
from beampy.dist.node_watch import NodeKind, NodeWatch
from beampy.dist.peer import Peer
from beampy.dist.purposes import Purposes
from beampy.dist.reading import Reader
from beampy.dist.shared import Shared
from beampy.dist.spawn import Spawning
from beampy.dist.whereabouts import Way
from beampy.errors import HandshakeFailed, NotConnected, Superseded
from beampy.wire import control
from beampy.wire.buffers import Pool
from beampy.wire.channel import Channel
from beampy.wire.codec import Encoder
from beampy.wire.greeting import MAIN
from beampy.wire.handshake import Acceptor, Identity, Initiator, Status, simultaneous
from beampy.wire.handshake import Peer as Who

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.ids import Ref
    from beampy.core.node import LocalNode
    from beampy.core.process import Process
    from beampy.core.signals import Signal
    from beampy.dist.connection import Connection
    from beampy.dist.options import Options

log = logging.getLogger("beampy.dist")

FEATURES = frozenset({"bulk", "credit", "refs"})
TICK_EVERY = 1.0  # seconds between two looks at all connections, at most; the channel decides whether a tick is due
LOOKS = 8  # in one tick time, at least, so that its quarters are kept
CLOSE_TIME = 1.0  # seconds that connections have to send what was written when the node stops
LOOK_AGAIN = 0.01  # seconds between two looks whether all has been written
KNOWN = 1024  # nodes that are down and still remembered, at least: names come and go, and nobody says which come back
WINDOW = 8 * 1024 * 1024  # bytes of bulk under way; see wire/channel.py


def _context() -> Context:
    """The context that the node is started in, but for the process that may start it."""
    context = Context()
    for var, value in copy_context().items():
        if var is not current:
            context.run(var.set, value)
    return context


def _is_awaited(peer: Peer) -> bool:
    """Whether something waits for a connection that is on its way."""
    return peer.state == "connecting" and peer.channel is not None and peer.channel.queued > 0


class Peers:
    """The other nodes, for one node on its loop."""

    def __init__(self, node: LocalNode, options: Options) -> None:
        self.node = node
        self.loop = node.loop
        self.scheduler = node.scheduler
        self.options = options
        self.table: dict[str, Peer] = {}
        self._most = KNOWN  # records, before those of nodes that are down are dropped
        self.half_open: dict[Connection, None] = {}
        self.connections: set[Connection] = set()
        self.pool = Pool()
        self.shared = Shared(self.loop, options.shared_memory)
        self.busy_wait = BusyWait(self.loop)
        self.watch = NodeWatch(node)
        self.context = _context()  # of what runs on behalf of no process
        hidden = options.hidden or not options.listen
        features = FEATURES | options.features | self.shared.features
        self.identity = Identity(node.name, node.creation, features, FEATURES, hidden=hidden)
        self.listeners = Listeners(self)
        self.purposes = Purposes(self.loop, self.context)  # what others may connect for, besides messages
        self.searches: set[asyncio.Task[Any]] = set()  # for addresses, on behalf of threads
        self._tls: tls.Tls | None = None
        self._look_every = min(TICK_EVERY, options.tick_time / LOOKS)
        self.stopping = False
        self._empty: asyncio.Future[None] | None = None  # while the node stops: when all connections are closed
        self._ticker: asyncio.TimerHandle | None = None

    # life

    async def start(self) -> None:
        """Listen, and register the name. NameInUse, OSError."""
        await self.listeners.start()

    async def stop(self) -> None:
        """Say goodbye to all, send what was written, close everything."""
        await self._connected()
        self.stopping = True
        if self._ticker is not None:
            self._ticker.cancel()
        await self.listeners.stop()
        close_all(self.identity)
        attempts = [*self.searches, *(peer.attempt for peer in self.table.values() if peer.attempt is not None)]
        for attempt in attempts:
            attempt.cancel()
        await self.purposes.stop()
        await self._sent()
        for peer in list(self.table.values()):
            if peer.channel is not None and peer.connection is not None:
                peer.channel.goodbye("shutdown")
                peer.connection.flush()
        for connection in [*self.half_open, *self.connections]:
            connection.close()
        if self.connections or self.half_open:
            self._empty = self.loop.create_future()
            await asyncio.wait({self._empty}, timeout=CLOSE_TIME)
        for connection in [*self.half_open, *self.connections]:
            connection.fail(NotConnected(self.node.name, "the node has stopped"))
        for peer in list(self.table.values()):
            if peer.state != "down" or peer.channel is not None:
                peer.end("shutdown")
            stopped = NotConnected(peer.name, "this node is stopping")
            peer.tell_waiters(lambda future, why=stopped: future.set_exception(why))  # type: ignore[misc]
        self.shared.stop()
        if attempts:
            await asyncio.gather(*attempts, return_exceptions=True)

    async def _connected(self) -> None:
        """Wait for connections that something waits for, such as all that a short script says; CLOSE_TIME at most."""
        end = self.loop.time() + CLOSE_TIME
        while self.loop.time() < end and any(map(_is_awaited, self.table.values())):  # noqa: ASYNC110 -- as in _sent
            await asyncio.sleep(LOOK_AGAIN)

    async def _sent(self) -> None:
        """Wait until all that is queued is written, which a goodbye would drop; CLOSE_TIME at most."""
        end = self.loop.time() + CLOSE_TIME
        open = [
            peer.channel for peer in self.table.values() if peer.channel is not None and peer.connection is not None
        ]
        while self.loop.time() < end and (any(one.queued for one in open) or self.shared.awaits()):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_AGAIN)

    # what core asks for (core/remote.py)

    def send(self, sender: Process, dest: Any, message: Any) -> None:
        """A message to a pid, an alias or (name, node) elsewhere."""
        name = dest[1] if dest.__class__ is tuple else dest.node
        (self.table.get(name) or self.peer(name)).send(sender, dest, message)

    def signal(self, signal: Signal) -> None:
        """A signal to a process elsewhere."""
        to = signal.to
        self.peer(to.node if isinstance(to, Pid) else to[1]).signal(signal)

    def ask(self, asker: Pid, to: Pid | tuple[str, str], ref: Ref) -> None:
        """The monitor of a request; on the way of each call, so it is no signal object."""
        name = to[1] if to.__class__ is tuple else to.node  # type: ignore[union-attr]
        (self.table.get(name) or self.peer(name)).watch(asker, to, ref, True)

    def spawn(self, process: Process, node: str, fn: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Spawning:
        """A process started on another node."""
        return Spawning(process, self.peer(node), fn, args, options)

    def nodes(self, kind: NodeKind = "visible") -> list[str]:
        """The connected nodes."""
        return sorted(
            peer.name
            for peer in self.table.values()
            if peer.state == "up" and (kind == "all" or peer.hidden == (kind == "hidden"))
        )

    async def connect(self, name: str) -> None:
        """Connect, if that is not so already. NotConnected says why not."""
        if name == self.node.name:
            return
        peer = self.peer(name)
        if peer.state == "up":
            return
        if self.stopping:
            raise NotConnected(name, "this node is stopping")
        if peer.channel is None:
            peer.channel = self.new_channel(peer)
        waiting = peer.wait_up(self.loop)
        if peer.state == "down":
            self.connect_soon(peer)
        await waiting

    def disconnect(self, name: str) -> bool:
        """Close the connection. False when there was none."""
        return self._drop(name, "disconnect")

    def _drop(self, name: str, reason: str) -> bool:
        peer = self.table.get(name)
        if peer is None or peer.connection is None:
            return False
        connection = peer.connection
        if peer.channel is not None:
            peer.channel.goodbye(reason)
            connection.flush()
        self._lost(peer, reason)
        connection.close()
        return True

    def tell(self, name: str, data: bytes) -> bool:
        """Something of remote references' for a peer. False: it is not connected. ValueError: it is too long."""
        peer = self.table.get(name)
        return peer is not None and peer.state == "up" and peer.tell(data)

    def subscribe(self, pid: Pid, kind: NodeKind, flag: bool) -> bool:
        """NodeUp and NodeDown messages for a process, or no more."""
        return self.watch.subscribe(pid, kind, flag)

    def watch_node(self, pid: Pid, name: str, flag: bool) -> None:
        """One NodeDown for a process when a node is gone; at once when it cannot be reached."""
        self.watch.watch(name, pid, flag)
        peer = self.peer(name)
        if flag and peer.state == "down" and name != self.node.name and peer.ready_for_signals() is None:
            self.watch.gone(name, "noconnection")

    def info(self) -> list[dict[str, Any]]:
        """What is known of each connected node."""
        return [
            {
                "node": peer.name,
                "hidden": peer.hidden,
                "carrier": peer.connection.carrier,
                "queued": peer.channel.queued,
                "stalled": peer.stalled,
            }
            for peer in self.table.values()
            if peer.connection is not None and peer.channel is not None
        ]

    # peers and their channels

    def peer(self, name: str) -> Peer:
        """The record of a node, made at its first mention."""
        peer = self.table.get(name)
        if peer is None:
            if len(self.table) >= self._most:
                self._forget()
            peer = self.table[name] = Peer(self, name)
            if name != self.node.name:
                self.node.far[name] = peer.send
        return peer

    def _forget(self) -> None:
        """Drop the records of nodes that are down, but for what `auto_connect="once"` has to remember."""
        once = self.options.auto_connect == "once"
        for name, peer in list(self.table.items()):
            if peer.state == "down" and peer.channel is None and not peer.waiters and not (once and peer.was_up):
                del self.table[name]
                self.node.far.pop(name, None)  # else sends would go on to the record that nobody looks at any more
        self._most = max(KNOWN, 2 * len(self.table))

    def may_connect(self, peer: Peer) -> bool:
        """Whether the use of a node that is down connects to it."""
        mode = self.options.auto_connect
        return not self.stopping and (mode == "always" or (mode == "once" and not peer.was_up))

    def encoder(self, name: str, say: Callable[[bytes], bool]) -> Encoder:
        """What writes messages to a peer, for one connection; `say` writes a frame about code."""
        node, code, references = self.node, self.options.code, self.options.references
        hook = None if code is None else code.hook(name, say)
        carrier = None if references is None else references.session(name)
        return Encoder(node.name, node.creation, node.export, hook, carrier)

    def new_channel(self, peer: Peer) -> Channel:
        """A channel for the next connection of a peer; what is sent before it is up waits in there."""
        peer.incoming = Incoming(peer, Reader(peer.name, 0, peer.encoder.hook, peer.encoder.carrier, peer.shared))
        return Channel(
            peer.incoming,
            window=WINDOW,
            max_message=self.options.max_message,
            pool=self.pool,
            tick_time=self.options.tick_time,
            now=self.loop.time(),
        )

    def secure(self, host: str) -> bool:
        """Whether a listener on `host` speaks TLS."""
        return self.options.tls is not False and (self.options.tls is not None or not is_loopback(host))

    def tls_times(self) -> dict[str, Any]:
        """How long TLS itself may take, in seconds: asyncio's own limits are 60 and 30."""
        return {"ssl_handshake_timeout": self.options.setup_timeout, "ssl_shutdown_timeout": CLOSE_TIME}

    @property
    def tls(self) -> tls.Tls:
        """The TLS contexts, made when they are needed first."""
        if self._tls is None:
            files = self.options.tls
            self._tls = tls.contexts(files if isinstance(files, tls.TlsFiles) else None)
        return self._tls

    # connecting

    def connect_soon(self, peer: Peer) -> None:
        """Begin an attempt to connect; `peer.end` or `up` ends it."""
        peer.state = "connecting"
        peer.attempt = self.context.run(self.loop.create_task, self._attempt(peer))

    async def _attempt(self, peer: Peer) -> None:
        try:
            await dial(self, peer.name)
        except Superseded:
            # Theirs goes on instead, and is here within the time that an attempt may take: `up` ends this wait.
            if peer.attempt is asyncio.current_task():
                await asyncio.sleep(self.options.setup_timeout)
            self._failed(peer, HandshakeFailed(peer.name, "its own attempt to connect did not come through"))
        except NotConnected as error:
            self._failed(peer, error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("the attempt to connect to %s failed", peer.name)
            self._failed(peer, NotConnected(peer.name, repr(error)))
        finally:
            if peer.attempt is asyncio.current_task():
                peer.attempt = None

    def _failed(self, peer: Peer, error: NotConnected) -> None:
        if peer.state != "connecting" or peer.attempt is not asyncio.current_task():
            return
        if peer.told != str(error):
            peer.told = str(error)
            log.warning("%s", error)
        peer.end("connection_setup_failed")
        peer.tell_waiters(lambda future: future.set_exception(error))

    def machine(self, connection: Connection, binding: bytes) -> Initiator | Acceptor:
        """The handshake of a new connection."""
        self.half_open[connection] = None
        nonce = secrets.token_bytes(32)
        cookies = self.options.cookies
        if connection.expected is not None:
            keys = cookies.for_node(connection.expected)
            return Initiator(self.identity, keys, peer=connection.expected, nonce=nonce, binding=binding)
        incoming = [one for one in self.half_open if one.expected is None and one.error is None]
        if len(incoming) > self.options.max_half_open:
            incoming[0].fail(HandshakeFailed("an unknown node", "too many connections have not proved themselves"))
        purposes = frozenset({MAIN})
        if connection.carrier != "pipe":  # of which there is one
            purposes |= self.purposes.names
        return Acceptor(self.identity, cookies.for_node, nonce=nonce, binding=binding, purposes=purposes)

    def decide(self, connection: Connection, who: Who) -> Status:
        """What to say to a node that has proved our cookie and wants to be connected."""
        if self.stopping:
            return Status.UNAVAILABLE
        if who.name == self.node.name:
            return Status.NAME_IN_USE
        if self.options.allowed is not None and who.name not in self.options.allowed:
            return Status.NOT_ALLOWED
        if who.purpose != MAIN:
            return Status.OK if self.purposes.has_room(who.name, who.purpose) else Status.UNAVAILABLE
        peer = self.peer(who.name)
        if peer.state == "up":
            return Status.ALIVE
        ours = any(one.expected == who.name and one.machine is not None for one in self.half_open)
        return simultaneous(self.node.name, who.name) if ours else Status.OK

    def is_dead(self, who: Who) -> bool:
        """Whether our end of the connection that a peer still has is gone."""
        return self.peer(who.name).state != "up"

    def up(self, connection: Connection, who: Who) -> None:
        """A handshake is done."""
        self.half_open.pop(connection, None)
        peer = self.peer(who.name)
        if peer.connection is not None:
            old = peer.connection
            if connection.begun < old.begun:  # they have given up on it since: its messages would come out of order
                connection.fail(Superseded(who.name, "a connection that was begun later is up"))
                return
            self._lost(peer, "replaced")
            old.fail(NotConnected(peer.name, "replaced by a new connection"))
        for rival in [one for one in self.half_open if one.expected == who.name]:
            rival.fail(Superseded(who.name, "the other connection came up first"))
        attempt, peer.attempt = peer.attempt, None
        if attempt is not None and connection.expected is None:
            attempt.cancel()
        if peer.channel is None:
            peer.channel = self.new_channel(peer)
        peer.is_up(who, self.identity.hidden)
        peer.shared = self.shared.lane(peer, connection.carrier, who.flags)
        encoder = peer.encoder
        peer.incoming.reader = Reader(who.name, who.creation, encoder.hook, encoder.carrier, peer.shared)
        peer.connection, peer.process = connection, connection.process
        connection.peer, connection.channel = peer, peer.channel
        self.connections.add(connection)
        log.log(peer.level, "connected to %s over %s", peer.name, connection.carrier)
        self.watch.up(peer.name, peer.hidden)
        if self.options.mesh and not peer.hidden and not self.identity.hidden:
            names = mesh.introduce(self.nodes(), peer.name)
            if names:
                peer.channel.control(0, control.nodes(names))
        if self._ticker is None:
            self._ticker = self.loop.call_later(self._look_every, self._tick)
        peer.tell_waiters(lambda future: future.set_result(None))
        connection.arm()

    def hand_over(self, connection: Connection, who: Who, rest: bytes) -> None:
        """A handshake for another purpose than messages is done: nothing between the two nodes changes."""
        self.half_open.pop(connection, None)
        self.purposes.take(connection.transport, who.name, who.purpose, connection.carrier, rest)
        connection.transport = None

    def blocking_to(self, name: str, purpose: str) -> Way:
        """Connections to a node for threads that block; see blocking.py. Called on the loop, its result in any thread.

        It is for the start of the node that is connected now, if one is. UnknownNode for what is no full name.
        """
        return Way(self, name, purpose)

    # losing

    def lost(self, connection: Connection) -> None:
        """A connection is closed."""
        self.half_open.pop(connection, None)
        self.connections.discard(connection)
        if self._empty is not None and not (self.connections or self.half_open or self._empty.done()):
            self._empty.set_result(None)
        peer = connection.peer
        if peer is not None and peer.connection is connection:
            self._lost(peer, peer.said_goodbye or connection.reason())

    def _lost(self, peer: Peer, reason: str) -> None:
        creation = peer.creation
        log.log(peer.level, "lost %s: %s", peer.name, reason)
        peer.end(reason)
        # Who says goodbye tells the others itself, or leaves them too.
        meshed = self.options.mesh and not peer.hidden and not self.identity.hidden
        if meshed and not self.stopping and not peer.said_goodbye:
            for other in self.table.values():
                if other.state == "up" and not other.hidden and other.channel is not None:
                    other.channel.control(0, control.lost(peer.name, creation))
                    other.wrote(None)

    def lets_go(self, told_by: Peer, name: str, creation: int) -> None:
        """A node that we are connected with has lost another one: see mesh.py."""
        if not self.options.mesh:
            return
        known = {peer.name: peer.creation for peer in self.table.values() if peer.state == "up" and not peer.hidden}
        if mesh.lets_go(name, creation, self.node.name, known):
            log.warning("%s has lost %s: letting go of it, too, so that no partitions overlap", told_by.name, name)
            self._drop(name, "lost_connection")

    def introduced(self, by: Peer, names: list[str]) -> None:
        """A node that came up named those it is connected with."""
        if not self.options.mesh or self.identity.hidden or by.hidden:
            return
        known = [peer.name for peer in self.table.values() if peer.state != "down"]
        for name in mesh.to_connect(names, self.node.name, known):
            peer = self.peer(name)
            if self.may_connect(peer):
                peer.channel = self.new_channel(peer)
                self.connect_soon(peer)

    # liveness

    def _tick(self) -> None:
        self._ticker = None
        now = self.loop.time()
        self.pool.trim(now)
        for peer in list(self.table.values()):
            channel, connection = peer.channel, peer.connection
            if channel is None or connection is None:
                continue
            status = channel.tick(now)
            if status == "dead":
                connection.fail(NotConnected(peer.name, "net_tick_timeout"))
                self.lost(connection)
                continue
            stalled = status == "stalled"
            if stalled and not peer.stalled:
                log.warning("%s is stalled: nothing came from it, not even a tick", peer.name)
                self.node.event("stalled", self.node.voice.pid, peer.name)
            peer.stalled = stalled
            if channel.queued and not connection.armed:
                connection.flush()
        if self.connections and not self.stopping:
            self._ticker = self.loop.call_later(self._look_every, self._tick)
