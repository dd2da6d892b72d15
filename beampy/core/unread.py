"""A message from another node, still encoded: its body is decoded when the process takes it.

So a slow import or a failing `__setstate__` is the receiver's, in the order of its mailbox, and never holds up the
connection it came over. What the bytes mean is the layer above's, which makes these.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from beampy.core.threads import Threads
from beampy.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class NeedsThread(Exception):
    """Decoding would import modules, or take long: it belongs in a thread."""


# What decodes bodies of plain data, which waits for nothing, and what decodes those that may have to ask another node
# for code: these may all wait for an answer that one of the first has to read.
PLAIN = Threads(2, "beampy-read")
FOREIGN = Threads(64, "beampy-decode")


class Unread:
    """One encoded message. `decode(in_thread)` gives the value, or raises NeedsThread where `in_thread` is False.

    `plain`: no code but beampy's own is needed for it. `asked()`: where its answer goes, if it is a call. `kept` is
    what has to live until it is decoded; it lives as long as this, as a receive that is cancelled reads it again.
    """

    __slots__ = ("_decode", "asked", "kept", "nbytes", "plain", "sender")

    def __init__(
        self,
        decode: Callable[[bool], Any],
        sender: Any,
        nbytes: int,
        asked: Callable[[], Any] = lambda: None,
        *,
        plain: bool = False,
        kept: Any = None,
    ) -> None:
        self._decode = decode
        self.asked = asked
        self.plain = plain
        self.kept = kept
        self.sender = sender  # a pid, or the name of a node
        self.nbytes = nbytes

    def now(self) -> Any:
        """The value, without waiting. NeedsThread, or DecodeError when it cannot be read."""
        return self._open(False)

    def at_once(self) -> Any:
        """The value, however large it is: for plain data that must keep its order. DecodeError if it cannot be read."""
        return self._open(True)

    def read(self) -> Generator[Any, Any, Any]:
        """The value, awaited in a thread where that is needed. DecodeError when it cannot be read."""
        try:
            return self._open(False)
        except NeedsThread:
            return (yield from self.in_thread(asyncio.get_running_loop()).__await__())

    def in_thread(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
        """The same, as a future of `loop`: for where nothing can be awaited."""
        return loop.run_in_executor(PLAIN if self.plain else FOREIGN, self._open, True)

    def _open(self, in_thread: bool) -> Any:
        try:
            return self._decode(in_thread)
        except NeedsThread:
            raise
        except Exception as cause:
            unreadable = DecodeError(self.sender, _said(cause))
            unreadable.ref = self.asked()
            self.kept = None  # nobody tries again, and the error's traceback keeps this object
            try:
                raise unreadable from cause
            finally:
                del unreadable  # else it is kept by its own traceback

    def __repr__(self) -> str:
        return f"<{self.nbytes} bytes from {self.sender!r}, not yet read>"


def _said(cause: Exception) -> str:
    try:
        return f"{type(cause).__name__}: {cause}"
    except Exception:
        return type(cause).__name__
