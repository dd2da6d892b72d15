"""Capture: what a function called from another node prints and logs goes to its group leader.

Rule: `sys.stdout` and `sys.stderr` are covered once, when the first call with a foreign leader comes, by streams that
look at the context: with a leader they write to it, without one to the stream below. Everything else about a
covered stream is the stream's below. Log records made under a leader go to it, and on this node to the handlers that
do not write to its console. Warnings go the way of stderr. When the last node of the program that captures stops, all
is as it was; a covered stream that somebody kept still works.

Not captured: what is written below Python (C code, child processes, `os.write(1, …)`), and what goes to a stream
kept from before, such as `sys.__stdout__`.

Place: under rpc_server.py, over core/group_leader.py, which says where the output goes.
"""

from __future__ import annotations

import io
import logging
import sys
from typing import TYPE_CHECKING, Any

from beampy.core.group_leader import STDERR, STDOUT, leader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from beampy.core.group_leader import Channel

PLAIN = (str, int, float, bool, type(None))  # what a field of a record may be; anything else goes as its repr


class Covered:
    """A text stream over `below`: writes go to the leader of the code that writes, if it has one."""

    def __init__(self, below: Any, number: int) -> None:
        self.__dict__["_below"] = below
        self.__dict__["_number"] = number

    def write(self, text: str) -> int:
        channel = leader.get()
        if channel is None:
            written: int = self._below.write(text)
            return written
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        channel.write(self._number, text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if leader.get() is None:
            self._below.flush()

    def isatty(self) -> bool:
        return leader.get() is None and bool(self._below.isatty())

    @property
    def buffer(self) -> Any:
        channel = leader.get()
        return self._below.buffer if channel is None else Bytes(channel, self._number)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._below, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in Covered.__dict__:  # IPython puts a `write` around this one: below it would call itself
            self.__dict__[name] = value
        else:
            setattr(self._below, name, value)

    def __iter__(self) -> Iterator[str]:
        return iter(self._below)

    def __enter__(self) -> Covered:
        return self

    def __exit__(self, *_: object) -> None:
        """As a stream's own, without closing what it does not own."""
        self.flush()

    def __repr__(self) -> str:
        return f"<{self._below!r}, where there is no group leader>"


io.TextIOBase.register(Covered)


class Bytes(io.RawIOBase):
    """`sys.stdout.buffer` under a leader: bytes that are text all the same."""

    def __init__(self, channel: Channel, number: int) -> None:
        super().__init__()
        self._channel = channel
        self._number = number

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        data = bytes(data)
        self._channel.write(self._number, data.decode(errors="replace"))
        return len(data)


# log records


Logger: Any = logging.Logger  # Any: a method of it is replaced
_call_handlers = Logger.callHandlers  # what the class has while nothing is captured


def _captured(logger: logging.Logger, record: logging.LogRecord) -> None:
    """In the place of `Logger.callHandlers`: the last step of logging, whatever a logger's settings are."""
    channel = leader.get()
    if channel is None:
        _call_handlers(logger, record)
        return
    token = leader.set(None)  # what handlers write here stays here
    try:
        channel.record(_fields(record))
        step: logging.Logger | None = logger
        while step is not None:
            for handler in step.handlers:
                if record.levelno >= handler.level and not _writes_to_console(handler):
                    handler.handle(record)
            step = step.parent if step.propagate else None
    finally:
        leader.reset(token)


def _writes_to_console(handler: logging.Handler) -> bool:
    stream = getattr(handler, "stream", None)
    if isinstance(stream, Covered):
        return True
    below = [getattr(shown, "_below", shown) for shown in (sys.stdout, sys.stderr)]
    return stream is not None and any(stream is one for one in (*below, sys.__stdout__, sys.__stderr__))


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """A record as plain values that every node can read."""
    fields: dict[str, Any] = {
        name: value if isinstance(value, PLAIN) else _shown(value)
        for name, value in vars(record).items()
        if name not in ("args", "exc_info", "msg")
    }
    try:
        fields["msg"] = record.getMessage()
    except Exception as error:  # logging itself prints such a mistake and goes on
        fields["msg"] = f"{_shown(record.msg)} (its arguments do not fit: {error})"
    if record.exc_info and not fields.get("exc_text"):
        fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
    return fields


def _shown(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr() raised {type(error).__name__}>"


# on and off


_users = 0


def capture() -> None:
    """From now on output under a leader goes to it. Each call wants one `release`."""
    global _call_handlers, _users
    _users += 1
    cover()
    if Logger.callHandlers is not _captured:
        _call_handlers = Logger.callHandlers
        Logger.callHandlers = _captured


def cover() -> None:
    """Cover the streams again where somebody has put others in their place, as tests and notebooks do."""
    if sys.stdout.__class__ is not Covered and sys.stdout is not None:
        sys.stdout = Covered(sys.stdout, STDOUT)
    if sys.stderr.__class__ is not Covered and sys.stderr is not None:
        sys.stderr = Covered(sys.stderr, STDERR)


def release() -> None:
    """Undo one `capture`; with the last one the streams are what they were."""
    global _users
    _users -= 1
    if _users:
        return
    if isinstance(sys.stdout, Covered):
        sys.stdout = sys.stdout._below
    if isinstance(sys.stderr, Covered):
        sys.stderr = sys.stderr._below
    if Logger.callHandlers is _captured:
        Logger.callHandlers = _call_handlers
