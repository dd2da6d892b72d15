"""Output: what the code of a pool's calls prints and logs, as its caller sees it and can read it again.

Rule: it arrives as Text and Record messages at the call (core/group_leader.py), is cut into whole lines, each with the
name of its runner before it, and is written to what `sys.stdout`, `sys.stderr` and `logging` are at that moment. What
has no end of line yet waits for it, or for the end of the call; so lines of two calls never mix. Log records keep their
logger, level and time, have the name of the runner before their message, and two attributes more: `runner` and
`call_number`. Writing never raises.

A call that was made by code with a group leader writes to that one: output of pools within pools comes out at the top.
One made by code with a screen, a cell of a notebook, writes there, also when another cell runs: text as it comes, since
a screen knows what to do with lines that have no end yet; it gets the name of the runner, and labels them itself.

Kept: the last `TEXT` characters of each call, and the last `LINES` lines of each runner, also of the last `FINISHED`
that have ended. How much a call may write a second is the sender's business.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from beampy.core.bundles import Bundle, unpacked
from beampy.core.group_leader import STDERR, STDOUT, Record, Text, appear, leader

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.group_leader import Channel, Screen

log = logging.getLogger("beampy.pool")

TEXT = 65_536  # characters kept of one call; some 800 lines
LINES = 1000  # kept of one runner
LINE = 2000  # characters kept of one line of those
RUNNER_TEXT = 262_144  # characters kept of one runner: with FINISHED below some 25 MB at most
FINISHED = 100  # runners that have ended whose lines are kept
LONGEST = 16_384  # characters without an end of line that are put together; what is longer becomes several lines

LOG = 0  # the stream of a log record, besides STDOUT and STDERR

COLOURS = (36, 33, 35, 32, 34, 31)  # of labels on a terminal, as ANSI numbers them: cyan yellow magenta green blue red


class Line(NamedTuple):
    """One line that a call wrote. `time`: seconds since 1970. `stream`: STDOUT, STDERR, or LOG for a log record."""

    time: float
    runner: str
    call: int
    stream: int
    text: str


class PoolOutput:
    """The output of all calls of a pool.

    `prefix`: True: `[runner-1] ` before each line and log message, dim and in a colour on a terminal; False: nothing;
    or a function of the runner's name and the call's number that gives the text. `capture=False`: nothing is shown
    or kept.
    """

    def __init__(
        self,
        *,
        prefix: bool | Callable[[str, int], str] = True,
        capture: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.capture = capture
        self.now = now
        self._prefix = prefix
        self._runners: dict[str, _Kept] = {}
        self._finished: dict[str, _Kept] = {}  # the oldest first
        self._colours: dict[str, int] = {}

    def of_call(
        self, call: int, runner: str, channel: Channel | None = None, screen: Screen | None = None
    ) -> CallOutput:
        """What takes the messages of one call. `channel`, `screen`: the leader and the screen of who made it."""
        return CallOutput(self, call, runner, channel, screen)

    def runner_ended(self, runner: str) -> None:
        """Its lines are kept for a while."""
        kept = self._runners.pop(runner, None)
        self._colours.pop(runner, None)
        if kept is not None:
            self._finished[runner] = kept
            while len(self._finished) > FINISHED:
                del self._finished[next(iter(self._finished))]

    def lines(self, runner: str | None = None, call: int | None = None) -> list[Line]:
        """The lines that are kept, in the order they came: all, or those of one runner, or of one call."""
        tables = [*self._finished.items(), *self._runners.items()]
        found = [line for name, kept in tables if runner in (None, name) for line in list(kept.lines)]
        if call is not None:
            found = [line for line in found if line.call == call]
        return sorted(found, key=_time) if runner is None else found

    # what CallOutput does

    def _source(self, runner: str, call: int) -> str:
        """What a screen calls the runner: its label without brackets, which are the screen's."""
        if self._prefix is True:
            return runner.partition("@")[0]
        return self._label(runner, call, None).strip().removeprefix("[").removesuffix("]")

    def _keep(self, lines: list[Line]) -> None:
        for line in lines:
            kept = self._runners.get(line.runner)
            if kept is None:
                kept = self._finished.get(line.runner)  # last words
                if kept is None:
                    kept = self._runners[line.runner] = _Kept()
            kept.add(line)

    def _label(self, runner: str, call: int, stream: Any) -> str:
        if self._prefix is False:
            return ""
        if self._prefix is not True:
            try:
                return str(self._prefix(runner, call))
            except Exception as error:
                log.debug("the prefix of output raised: %s", error)
        label = f"[{runner.partition('@')[0]}]"
        if not _coloured(stream):
            return f"{label} "
        colour = self._colours.get(runner)
        if colour is None:
            colour = self._colours[runner] = COLOURS[len(self._colours) % len(COLOURS)]
        return f"\033[2;{colour}m{label}\033[0m "


class CallOutput:
    """The output of one call: takes its messages, and keeps the end of its text."""

    __slots__ = ("_channel", "_kept", "_open", "_pool", "_screen", "_size", "call", "runner")

    def __init__(
        self, pool: PoolOutput, call: int, runner: str, channel: Channel | None, screen: Screen | None
    ) -> None:
        self.call = call
        self.runner = runner
        self._pool = pool
        self._channel = channel
        self._screen = screen if channel is None else None
        self._open = ["", "", ""]  # by stream: what has no end of line yet
        self._kept: deque[str] = deque()
        self._size = 0

    @property
    def _writer(self) -> tuple[int, int]:
        return (id(self._pool), self.call)

    @property
    def text(self) -> str:
        """The last of what the call has printed and logged, as it came."""
        return "".join(self._kept)[-TEXT:]

    def take(self, message: Any) -> None:
        """A Text, a Record or a Bundle has come. It never raises; anything else is left out."""
        if not self._pool.capture:
            return
        token = leader.set(self._channel)
        try:
            if message.__class__ is Text:
                self._take_text(message.stream, message.text)
            elif message.__class__ is Record:
                self._take_record(message.fields)
            elif message.__class__ is Bundle:
                self._take_bundle(message)
        except Exception as error:
            log.debug("output of call %d could not be shown: %s", self.call, error)
        finally:
            leader.reset(token)

    def end(self) -> None:
        """The call has ended, or goes on elsewhere: what is left of a line is one."""
        if self._screen is not None:
            self._screen.done(self._writer)
            self._open = ["", "", ""]
        elif self._open != ["", "", ""]:
            for stream in (STDOUT, STDERR):
                if self._open[stream]:
                    self.take(Text(stream, "\n"))

    def moved(self, runner: str) -> None:
        """The call is run again, on another runner."""
        self.end()
        self.runner = runner

    def _take_text(self, stream: int, text: str) -> None:
        if stream not in (STDOUT, STDERR) or not isinstance(text, str):
            return
        self._keep_text(text)
        if self._screen is not None:
            self._screen.text(stream, text, self._pool._source(self.runner, self.call), self._writer)
        *whole, rest = (self._open[stream] + text).split("\n")
        while len(rest) > LONGEST:
            whole.append(rest[:LONGEST])
            rest = rest[LONGEST:]
        self._open[stream] = _visible(rest) if "\r" in rest[:-1] else rest
        if whole:
            shown = [_visible(line) for line in whole]
            now = self._pool.now()
            self._pool._keep([Line(now, self.runner, self.call, stream, line[:LINE]) for line in shown])
            if self._screen is not None:
                return
            below = sys.stdout if stream == STDOUT else sys.stderr
            label = self._pool._label(self.runner, self.call, below)
            _write(below, "".join([f"{label}{line}\n" for line in shown]))

    def _keep_text(self, text: str) -> None:
        self._kept.append(text)
        self._size += len(text)
        while self._size - len(self._kept[0]) >= TEXT:
            self._size -= len(self._kept.popleft())

    def _take_record(self, fields: dict[str, Any]) -> None:
        record = logging.makeLogRecord(fields)
        record.runner = self.runner
        record.call_number = self.call
        text = f"{record.levelname} {record.name}: {record.getMessage()}"
        self._keep_text(f"{text}\n")
        self._pool._keep([Line(self._pool.now(), self.runner, self.call, LOG, text[:LINE])])
        if self._screen is not None:
            self._screen.record(record, self._pool._source(self.runner, self.call))
            return
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            record.msg = f"{self._pool._label(self.runner, self.call, None)}{record.getMessage()}"
            record.args = ()
            logger.handle(record)

    def _take_bundle(self, bundle: Bundle) -> None:
        if self._screen is not None:
            appear(bundle, self._screen, self._pool._source(self.runner, self.call))
        elif self._channel is not None:
            self._channel.bundle(bundle.data, bundle.metadata, display_id=bundle.display_id, update=bundle.update)
        elif text := unpacked("text/plain", bundle.data.get("text/plain")):
            self._take_text(STDOUT, f"{text}\n")


class _Kept:
    """The last lines of one runner."""

    __slots__ = ("lines", "size")

    def __init__(self) -> None:
        self.lines: deque[Line] = deque()
        self.size = 0

    def add(self, line: Line) -> None:
        self.lines.append(line)
        self.size += len(line.text)
        while len(self.lines) > LINES or self.size > RUNNER_TEXT:
            self.size -= len(self.lines.popleft().text)


def _write(stream: Any, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:  # better with question marks than not at all
        encoding = getattr(stream, "encoding", None) or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


def _visible(line: str) -> str:
    """What a terminal would show of a line at last: a carriage return begins it again, as progress bars do.

    >>> _visible("10 %\\r20 %\\r")
    '20 %'
    """
    return line.rstrip("\r").rpartition("\r")[2] if "\r" in line else line


def _coloured(stream: Any) -> bool:
    """Whether a stream is a terminal, and its user has not asked for text without colours (no-color.org)."""
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _time(line: Line) -> float:
    return line.time
