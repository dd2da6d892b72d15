"""Purposes: connections that carry questions and their answers, beside the one that carries messages.

Rule: such a connection changes nothing between two nodes: it comes and goes while the main one stays as it is, and a
node that has none at all may ask too. Who asks has proved the cookie, like anybody. What is asked, and by whom it is
answered, is said at registration; here are the bounds: of connections, of bytes, and of time.

Place: dist. A connection is handed over when its handshake is done (peers.py); the other end of it is blocking.py.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeAlias

from beampy.errors import RemoteProtocolError
from beampy.wire import requests
from beampy.wire.greeting import MAIN, is_word

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

log = logging.getLogger("beampy.dist")

PER_NODE = 8  # connections of one node and one purpose: its threads share one, its forked processes have their own
IN_ALL = 512  # connections of all nodes: half of the 1024 files that a process may open by default
IDLE = 60.0  # seconds without a request, and for a request to be whole; who asks again connects again
ANSWERING = 60.0  # seconds for one answer: who asks waits 30 by default
SENDING = 60.0  # seconds for an answer to be read by who asked
CLOSE_TIME = 1.0  # seconds for connections to be closed when the node stops; the loop needs a tick or two
ROOM = 64 * 1024  # bytes read at once: a request is some hundred
HIGH_WATER = 64 * 1024  # bytes of answers in the transport before nothing more is answered

Answer: TypeAlias = "Callable[[str, list[Any]], Awaitable[Any]]"


class Purposes:
    """What a node is asked besides messages: a purpose → who answers. For one node on its loop.

    >>> peers.purposes.register("code", answer)      # answer("entries", [["helpers"]]) → plain msgpack data
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self._loop = loop
        self._context = context
        self._answers: dict[str, Answer] = {}
        self._serving: dict[Serving, None] = {}  # who has waited longest for a request is first
        self._empty: asyncio.Event | None = None  # while the node stops

    def register(self, purpose: str, answer: Answer) -> None:
        """Answer connections of this purpose from now on; a second one of the same name replaces the first.

        `purpose` is a word as in greeting.py, and not "main". `answer(op, args)` gives plain data for msgpack within
        ANSWERING seconds; what it raises is told to who asked, as text. ValueError for a purpose that cannot be.
        """
        if not is_word(purpose) or purpose == MAIN:
            raise ValueError(f"a purpose is a word of a-z, 0-9 and _, and not {MAIN!r}: {purpose!r}")
        self._answers[purpose] = answer

    @property
    def names(self) -> frozenset[str]:
        """All purposes, without the main one."""
        return frozenset(self._answers)

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._serving)

    def has_room(self, node: str, purpose: str) -> bool:
        """Whether one more connection can be taken. The one of that node that was idle longest makes way for it."""
        its = [one for one in self._serving if one.node == node and one.purpose == purpose]
        if len(its) >= PER_NODE:
            return self._close_one(its)
        return len(self._serving) < IN_ALL or self._close_one(list(self._serving))

    def _close_one(self, among: list[Serving]) -> bool:
        for one in among:
            if one.idle:
                one.close("another connection needs its place")
                return True
        return False

    def take(self, transport: Any, node: str, purpose: str, carrier: str, rest: bytes) -> None:
        """A connection whose handshake is done. `rest` came after it."""
        serving = Serving(self, node, purpose, carrier, self._answers[purpose])
        self._serving[serving] = None
        transport.set_protocol(serving)
        serving.begin(transport, rest)

    async def stop(self) -> None:
        """Close all. What is being answered is not answered any more."""
        if not self._serving:
            return
        self._empty = asyncio.Event()
        for one in list(self._serving):
            one.close("the node is stopping")
        tasks = [one.task for one in self._serving if one.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_TIME)
        try:
            async with asyncio.timeout(CLOSE_TIME):
                await self._empty.wait()
        except TimeoutError:
            log.warning("%s connections were not closed within %s s", len(self._serving), CLOSE_TIME)

    # for Serving

    def start(self, work: Any) -> asyncio.Task[None]:
        """A task in the node's own context."""
        return self._context.run(self._loop.create_task, work)

    def later(self, seconds: float, fn: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """A timer of the node's loop."""
        return self._loop.call_later(seconds, fn, *args)

    def used(self, one: Serving) -> None:
        """It begins to wait for a request."""
        if one in self._serving:
            del self._serving[one]
            self._serving[one] = None

    def lost(self, one: Serving) -> None:
        """It is closed."""
        self._serving.pop(one, None)
        if self._empty is not None and not self._serving:
            self._empty.set()


class Serving(asyncio.BufferedProtocol):
    """One connection that asks. What it sends while a request is answered waits here, up to the length of one."""

    def __init__(self, purposes: Purposes, node: str, purpose: str, carrier: str, answer: Answer) -> None:
        self.node = node
        self.purpose = purpose
        self.carrier = carrier
        self.task: asyncio.Task[None] | None = None
        self._purposes = purposes
        self._answer = answer
        self._transport: Any = None
        self._room = memoryview(bytearray(ROOM))
        self._frames = requests.Frames(requests.MAX_REQUEST)
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether it waits for a request."""
        return self.task is None and not self._closed

    def begin(self, transport: Any, rest: bytes) -> None:
        """The carrier is this protocol's from here on."""
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_WATER)
        self._wait()
        if rest:
            self._frames.push(rest)
            self._next()

    def close(self, why: str) -> None:
        """End it now."""
        if not self._closed:
            self._closed = True
            log.debug("closed the %s connection of %s over %s: %s", self.purpose, self.node, self.carrier, why)
            self._cancel()
            self._transport.abort()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.task is not None:
            self.task.cancel()

    # what comes

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        self._frames.push(self._room[:nbytes])
        if self._closed:
            return
        if self.task is None:
            self._next()
        elif len(self._frames) > requests.MAX_REQUEST:
            self._transport.pause_reading()

    def _next(self) -> None:
        """Answer the next request, if it is whole."""
        try:
            body = self._frames.pull()
            if body is None:
                return
            op, args = requests.read_request(body)
        except RemoteProtocolError as broken:
            log.error("%s sent what is not the protocol over %s: %s", self.node, self.carrier, broken.why)
            self.close(broken.why)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.task = self._purposes.start(self._give(op, args))

    async def _give(self, op: str, args: list[Any]) -> None:
        try:
            frame = await self._frame(op, args)
            if self._closed:
                return
            self._transport.write(frame)
            async with asyncio.timeout(SENDING):
                await self._writable.wait()
        except TimeoutError:
            log.warning("%s does not read what it asked for over %s", self.node, self.carrier)
            self.close("it does not read")
        finally:
            self.task = None
        if not self._closed and not self._transport.is_closing():
            self._transport.resume_reading()
            self._wait()
            self._next()

    async def _frame(self, op: str, args: list[Any]) -> bytes:
        try:
            async with asyncio.timeout(ANSWERING):
                return requests.answer(await self._answer(op, args))
        except Exception as error:
            log.warning("%s asked over %s for %s, which failed: %.500r", self.node, self.carrier, op[:100], error)
            text = f"no answer in {ANSWERING:g} s" if isinstance(error, TimeoutError) and not str(error) else str(error)
            return requests.failure(type(error).__name__, text)

    def _wait(self) -> None:
        self._purposes.used(self)
        self._timer = self._purposes.later(IDLE, self.close, f"no request in {IDLE:g} s")

    # its carrier

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._cancel()
        self._purposes.lost(self)
