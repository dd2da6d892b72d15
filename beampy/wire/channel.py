"""The channel: both directions of one connection between two nodes, without the connection.

Its place is between the codec, which makes bodies, and a connection, which owns a socket: `send_…` queue frames, `take`
says what to write now, `received` reads what came and calls the handler, in order. It is given bytes and the time, and
never asks for either. It does not know what a body or a control array means. CHANNEL.md has the bytes and the rules.

    channel = Channel(handler, pool=pool, now=loop.time())
    channel.send_pid(serial, creation, me, 0, [body])
    chunks, due = channel.take(512 * 1024)      # write the chunks; once they are written, call each of `due`
    transport.writelines(chunks)

This is the hot path of every message between nodes: frames are no objects, and what looks written twice here is so that
no message pays for a call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from beampy.wire.frame import DEFAULT_MAX_MESSAGE, DEFAULT_WINDOW, TICK_FRAME
from beampy.wire.receiving import Handler, Receiving

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.wire.buffers import Pool

__all__ = ["Channel", "Handler", "Status"]

Status = Literal["ok", "stalled", "dead"]

DEFAULT_FRAGMENT = 64 * 1024  # OTP's; 128 KiB are not faster (CHANNEL.md, figures)
DEFAULT_TICK_TIME = 60.0  # seconds, OTP's net_ticktime: dead after this long in silence
STALLED_AFTER = 5.0  # seconds past the moment a tick was due


class Channel(Receiving):
    """One end of a connection.

    `window`, `max_message` and `tick_time` must be the same on both ends: the handshake's business. `window` is how
    many bytes of bulk may be under way that the peer has not read; `fragment` how many go in one frame; `max_message`
    bounds one message, and all that are open at once; `now` is the time in seconds. `queued` counts the bytes that
    `take` has not handed out.
    """

    __slots__ = ("_interval", "_quiet", "_silent", "_tick_time", "_ticked")

    def __init__(
        self,
        handler: Handler,
        *,
        window: int = DEFAULT_WINDOW,
        fragment: int = DEFAULT_FRAGMENT,
        max_message: int = DEFAULT_MAX_MESSAGE,
        pool: Pool | None = None,
        tick_time: float = DEFAULT_TICK_TIME,
        now: float = 0.0,
    ) -> None:
        super().__init__(handler, window, fragment, max_message, pool)
        self._tick_time = tick_time
        self._interval = tick_time / 4
        self._ticked = now
        self._quiet = self._silent = 0.0

    def tick(self, now: float) -> Status:
        """Queue a TICK where one is due, and say how the peer is. Call it every second or so, and flush after it.

        A TICK is due when nothing was written for a quarter of `tick_time`. Anything received is life: "stalled" is
        5 s past the moment when at least a TICK was due, "dead" is nothing at all for `tick_time`. A gap between two
        calls counts as a quarter of `tick_time` at most: where this very process slept, the peer did nothing wrong.
        """
        passed = min(now - self._ticked, self._interval)
        self._ticked = now
        self._quiet = 0.0 if self._wrote else self._quiet + passed
        self._wrote = False
        if self._quiet >= self._interval and not self._out and not self._sealed and not self._leaving:
            self._out.append(TICK_FRAME)
            self.queued += len(TICK_FRAME)
            self._quiet = 0.0
        self._silent = 0.0 if self._heard else self._silent + passed
        self._heard = False
        if self._silent >= self._tick_time:
            return "dead"
        return "stalled" if self._silent >= self._interval + STALLED_AFTER else "ok"

    def close(self) -> list[Callable[[], object]]:
        """Forget all that is queued and half received. Returns the `on_sent` that are due, since nothing more is sent.

        Where a handler does this in a call, the frames that were read with its own still follow; to stop those, raise.
        """
        self._drop_bulk()
        due, self._due = self._due, []
        self._out = []
        self._sealed = []
        self.queued = 0
        self._leaving = True
        self._die("the channel is closed")
        return due
