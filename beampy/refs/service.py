"""Refs: the references of one node. It has the objects, the holds and the ledger, and does what the ledger decides.

Rule: the ledger is touched on the loop only. What other threads do is appended to `news`, in order: an object that was
made, a hold that has died. The loop looks at it before it asks the ledger anything, and every SWEEP seconds as long as
there is a hold. What the ledger has to say to other nodes leaves then, all in few frames.

Place: over ledger.py, which decides, and hold.py, which counts; under ref.py, which users see. How bytes travel and
what a connection is, runtime/references.py tells: a node that is alone has all of this, too, and never uses the ledger.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

from beampy.errors import BeampyError, OwnerLost, RefExpired, UnknownRef
from beampy.refs.hold import Hold, Holds, Watch
from beampy.refs.identity import ObjectId
from beampy.refs.kept import Kept, RefInfo
from beampy.refs.ledger import Connect, Expired, Free, Ledger, Lost, Send
from beampy.refs.ledger_messages import from_bytes, to_bytes
from beampy.refs.ref import RemoteRef
from beampy.refs.sizes import estimate, shown_type

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from beampy.core.node import LocalNode
    from beampy.refs.carriers import Local

log = logging.getLogger("beampy.refs")

MOMENT = 0.01  # seconds that what the references of a message give rise to waits for more: calls in a row
SWEEP = 0.1  # seconds between two looks at what has died: freed within a second, at a thousandth of a core
FIRST, MOST = 0.5, 10.0  # seconds until it is tried again to reach a node: doubling, at most that


def _unwritten(peer: str, data: bytes) -> bool:
    return False


async def _unreachable(peer: str) -> None:
    raise BeampyError(f"there is no way to {peer}")


class Refs:
    """The references of one node. On the loop, but where it says any thread."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node
        self.loop = node.loop
        # Of what runs here by itself. That of whoever causes it would keep his process, and all that he has, alive.
        self.context = Context()
        self.news: deque[Any] = deque()  # a Watch: its hold has died; an ObjectId: such an object was made
        self.holds = Holds(self, self.news)
        self.objects: dict[int, Kept] = {}
        self.ledger = Ledger(node.name, node.creation)
        self.post: Callable[[str, bytes], bool] = _unwritten  # a frame for a peer; False: it is not connected
        self.connect: Callable[[str], Awaitable[None]] = _unreachable
        # A copy of an object whose large buffers lie in memory that nodes of this host share; None: there is none.
        self.settle: Callable[[Any], Any] | None = None
        # Told when an object of ours is lent to another node (True), and when none is any more (False).
        self.listeners: list[Callable[[bool], object]] = []
        self._told = False
        self._last = 0  # the number given last
        # Of the number: several threads may make objects at once, and one two where a garbage collection runs code.
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._timer: asyncio.TimerHandle | None = None
        self._armed = False  # whether a sweep is coming; read by other threads, which may ask once too often
        self._flushing = False  # at the end of this turn
        self._moment: asyncio.TimerHandle | None = None  # for the flush that is not urgent
        self._reaching: dict[str, asyncio.Task[None]] = {}
        self._closed = False
        self.unreached: dict[str, float] = {}  # until when no use of an object tries to connect to its owner

    # any thread

    def own(self, value: Any, label: str | None = None) -> RemoteRef[Any]:
        """A reference to an object, which is from now on kept as long as somebody needs it. Any thread."""
        what, nbytes = shown_type(value), estimate(value)
        with self._lock:
            self._last = number = self._last + 1
        id = ObjectId(self.node.name, self.node.creation, number)
        self.objects[id.number] = Kept(value, what, nbytes, self.loop.time(), label)
        hold, _ = self.holds.take(id)
        self.news.append(id)
        self._arm()
        return RemoteRef(hold, what, nbytes)

    def is_own(self, id: ObjectId) -> bool:
        """Whether this very start of this node owns it. Any thread."""
        return id.creation == self.node.creation and id.node == self.node.name

    def value(self, id: ObjectId) -> Any:
        """An object of ours. RefExpired: it was freed; OwnerLost: it was of an earlier start of this node; UnknownRef:
        there never was one. Any thread."""
        return self._kept(id).value

    def _kept(self, id: ObjectId) -> Kept:
        kept = self.objects.get(id.number) if self.is_own(id) else None
        if kept is not None:
            return kept
        if id.node != self.node.name:
            raise UnknownRef(id.node, id.number, f"{self.node.name} was asked for it, and owns no object of that node")
        if id.creation != self.node.creation:
            raise OwnerLost(id.node, f"object {id.number}", "that start of the node has ended")
        # Numbers are given in order, so what was never given is known without remembering any.
        if 0 < id.number <= self._last:
            raise RefExpired(id.node, f"object {id.number}", "it was freed there")
        raise UnknownRef(id.node, id.number, "that node never had an object of this number")

    def kept(self, id: ObjectId) -> Kept | None:
        """What is known of an object of ours; None where it is none, or gone. Any thread."""
        return self.objects.get(id.number) if self.is_own(id) else None

    def trouble(self, id: ObjectId) -> OwnerLost | RefExpired | None:
        """Why somebody else's object cannot be used, where that is known already. Any thread."""
        state = self.ledger.trouble(id)
        if state is None:
            return None
        what = f"object {id.number}"
        if state == "lost":
            return OwnerLost(id.node, what, "that start of the node has ended")
        return RefExpired(id.node, what, "the node was out of reach for longer than the lease, and has freed it")

    # messages

    def lend(self, session: int, ids: Sequence[ObjectId]) -> list[int]:
        """The transfers of a message that is written now."""
        self.read()
        transfers = self.ledger.lend(session, ids)
        if not self._told and self.listeners:
            self._tell_listeners()
        self._arm()
        return transfers

    def arrived(self, peer: str, entries: Sequence[tuple[ObjectId, int]]) -> list[Hold]:
        """A message is here: what keeps its references until it was read, or dropped."""
        self.read()
        holds: list[Hold] = []
        take, hold_it = self.holds.take, self.ledger.hold
        for id, _ in entries:
            hold, new = take(id)
            if new:
                hold_it(id)
            holds.append(hold)
        self.ledger.arrived(peer, entries)
        self._in_a_moment()
        self._arm()
        return holds

    def heard(self, peer: str, data: bytes) -> None:
        """What the ledger of another node says. RemoteProtocolError for what it cannot say."""
        self.read()
        self.ledger.heard(peer, from_bytes(data), self.loop.time())
        self._soon()

    # connections

    def opened(self, peer: str, creation: int) -> None:
        """A connection is there."""
        self.read()
        reaching = self._reaching.pop(peer, None)
        if reaching is not None and reaching is not _current_task():
            reaching.cancel()
        self.unreached.pop(peer, None)
        self.ledger.opened(peer, creation, self.loop.time())
        self._soon()
        self._arm()

    def closed(self, peer: str, known_dead: bool) -> None:
        """A connection that was there is gone."""
        self.read()
        self.ledger.closed(peer, self.loop.time(), known_dead)
        self._soon()
        self._arm()

    def dead(self, node: str, creation: int) -> None:
        """That start of a node has ended, for sure: who started its process knows."""
        if self._closed:
            return
        self.read()
        self.ledger.dead(node, creation, self.loop.time())
        self._soon()
        self._arm()

    def local(self) -> Local:
        """The carrier of messages that this node copies for itself."""
        from beampy.refs.carriers import Local

        return Local(self)

    # sweeping

    def read(self) -> None:
        """Take note of what was made, and of what has died."""
        news, ledger = self.news, self.ledger
        while news:
            one = news.popleft()
            if one.__class__ is Watch:
                if self.holds.bury(one):
                    ledger.drop(one.id)
            else:
                ledger.own(one)

    def flush(self) -> None:
        """Do what the ledger has decided."""
        for action in self.ledger.flush():
            match action:
                case Send(peer, message):
                    for data in to_bytes(message):
                        self.post(peer, data)
                case Free(id):
                    self.objects.pop(id.number, None)
                case Connect(peer):
                    self._reach(peer, 0.0)
                case Expired(id):
                    log.info("%r is not there any more: it was out of reach for longer than the lease", id)
                case Lost(id):
                    log.info("%r is lost: its node has ended", id)
        if self._told and not self.ledger.shared():
            self._tell_listeners()

    def _soon(self) -> None:
        """Flush at the end of this turn of the loop: what came together is answered together."""
        if not self._flushing and not self._closed:
            self._flushing = True
            self.loop.call_soon(self._flush_now, context=self.context)

    def _in_a_moment(self) -> None:
        """Flush soon, together with what comes until then: each frame of its own costs both sides a system call."""
        if not self._flushing and self._moment is None and not self._closed:
            self._moment = self.loop.call_later(MOMENT, self._flush_now, context=self.context)

    def _flush_now(self) -> None:
        self._flushing = False
        if self._moment is not None:
            self._moment.cancel()
            self._moment = None
        if not self._closed:
            self.read()
            self.flush()

    def _arm(self) -> None:
        """See to it that what dies from now on is noticed. Any thread."""
        if self._armed or self._closed:
            return
        self._armed = True
        if self.node.thread == threading.get_ident():
            self._timer = self.loop.call_later(SWEEP, self._sweep, context=self.context)
        else:
            with suppress(RuntimeError):  # the loop is closed, and nothing is swept any more
                self.loop.call_soon_threadsafe(self._sweep, context=self.context)

    def _sweep(self) -> None:
        if self._closed or os.getpid() != self._pid:  # a fork has copies of its parent's handles, and none of its own
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed = True
        self.read()
        due = self.ledger.due()
        if due is not None and due <= self.loop.time():
            self.ledger.tick(self.loop.time())
        for peer in self.ledger.wants():
            self._reach(peer, FIRST)
        self.flush()
        if len(self.holds) or self.news or self.ledger.due() is not None:
            self._timer = self.loop.call_later(SWEEP, self._sweep, context=self.context)
        else:
            self._timer, self._armed = None, False
            if self.news:  # a thread found the sweep still armed
                self._arm()

    def _tell_listeners(self) -> None:
        shared = self.ledger.shared()
        if shared != self._told:
            self._told = shared
            for listener in list(self.listeners):
                listener(shared)

    # reaching others

    def _reach(self, peer: str, wait: float) -> None:
        """Try to connect to a node, after `wait` seconds, and again, as long as the ledger wants that."""
        if not self._closed and peer not in self._reaching:
            self._reaching[peer] = self.loop.create_task(self._connect(peer, wait), context=self.context.copy())

    async def _connect(self, peer: str, wait: float) -> None:
        try:
            while not self._closed:
                await asyncio.sleep(wait)  # who has just gone may come back, or be known to be dead in a moment
                wait = min(max(2 * wait, FIRST), MOST)
                if peer not in self.ledger.wants():
                    return
                try:
                    await self.connect(peer)
                    return
                except BeampyError as why:
                    log.debug("%s is not reached: %s", peer, why)
        finally:
            if self._reaching.get(peer) is _current_task():
                del self._reaching[peer]

    # what people see

    def rows(self) -> list[RefInfo]:
        """All objects of ours, then those of others that are held here."""
        self.read()
        now, lent = self.loop.time(), self.ledger.table()

        def holders(id: ObjectId) -> tuple[tuple[str, str], ...]:
            return tuple((holder.node, holder.state) for holder in lent.get(id, ()))

        every = self.objects.copy()  # other threads add to them meanwhile
        own = [(ObjectId(self.node.name, self.node.creation, number), kept) for number, kept in every.items()]
        rows = [
            RefInfo(
                *(id, kept.what, kept.nbytes, now - kept.born),
                *(self.holds.find(id) is not None, holders(id), kept.label),
            )
            for id, kept in own
        ]
        others = [id for id in self.holds.ids() if not self.is_own(id)]
        for id in others:
            hold, state = self.holds.find(id), self.ledger.trouble(id) or ""
            what, nbytes = ("", 0) if hold is None else (hold.what, hold.nbytes)
            rows.append(RefInfo(id, what, nbytes, 0.0, True, holders(id), None, state))
        return rows

    # the end

    def close(self) -> None:
        """The node has stopped: other nodes see that for themselves. Its objects are let go."""
        self._closed = True
        for timer in (self._timer, self._moment):
            if timer is not None:
                timer.cancel()
        for task in self._reaching.values():
            task.cancel()
        self._reaching.clear()
        self.objects.clear()
        self.listeners.clear()


def _current_task() -> asyncio.Task[Any] | None:
    return asyncio.current_task()


def refs_of(node: LocalNode) -> Refs:
    """Those of a node, made when they are needed first. Any thread, as soon as the node runs."""
    found: Refs | None = node.references
    if found is None:
        with _making:
            made = Refs(node)  # a garbage collection in there may run code that needs them, too
            found = node.references
            if found is None:
                found = node.references = made
    return found


_making = threading.RLock()
