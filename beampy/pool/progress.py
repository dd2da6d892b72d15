"""Progress: how far the code of a call is, and the curves that it draws, told to its caller while it runs.

Rule: `track` and `log` cost next to nothing where they stand: they change numbers in a `Reports`, one a call, which
sends what is new to the group leader of the code at most `RATE` times a second, and once more at the end, before the
call's answer. What comes in between is not queued: a bar has only its newest state, a curve keeps its points thinned.
Code without a group leader reports to the live view of its own process where one is shown, else to nobody.

On the caller's side stands `CallProgress`, which keeps the newest of each bar and at most `POINTS` points of a curve.

Bounds: `BARS` bars and `CURVES` curves a call; more of them are not shown. A report is small enough to be read where it
arrives. Threads: any may track and log.
"""

from __future__ import annotations

import logging
import math
import sys
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar, overload

from beampy.core.group_leader import Report as Report
from beampy.core.group_leader import leader

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

    from beampy.core.group_leader import Channel

T = TypeVar("T")

logger = logging.getLogger("beampy.pool")

RATE = 10  # reports a second of one call; more than a live view draws
BARS = 64  # of a call; a screen has fewer lines
CURVES = 64  # of a call
POINTS = 1000  # of a curve; more than a screen has columns
BATCH = 1000  # points of one report, at about 20 bytes: with the names it stays below 64 KiB, and is read in place
NAME = 60  # characters of a label and of a curve's name that are shown


# what the code of a call uses


@overload
def track(iterable: Iterable[T], total: int | None = None, label: str | None = None) -> Iterator[T]: ...
@overload
def track(iterable: AsyncIterable[T], total: int | None = None, label: str | None = None) -> AsyncIterator[T]: ...
def track(
    iterable: Iterable[T] | AsyncIterable[T], total: int | None = None, label: str | None = None
) -> Iterator[T] | AsyncIterator[T]:
    """The items of `iterable`, with a progress bar at the caller: in `pool.live()`, and as `progress` of the call.

    `total`: how many items there will be; by default `len(iterable)` where it has one. `label`: what the bar is called;
    by default the function it is in. An item counts as done when the next one is asked for. Works for `async for` too.
    Outside of calls it only iterates. TypeError: `iterable` is none.

        def train(epochs):
            for epoch in bp.track(range(epochs), label="epochs"):
                ...
    """
    items: Any = iterable
    is_async = hasattr(items, "__aiter__")
    iterator: Any = aiter(items) if is_async else iter(items)
    reports = _reports()
    if reports is None:
        return iterator  # type: ignore[no-any-return]
    if total is None:
        try:
            total = len(items)
        except (TypeError, AttributeError, ValueError, OverflowError):
            total = None
    if label is None:
        label = sys._getframe(1).f_code.co_name
        if label.startswith("<"):  # <module>, <listcomp>, <lambda>: no name that anybody gave
            label = "items"
    return (_follow_async if is_async else _follow)(iterator, reports, label, total)


def log(step: float | None = None, **values: float) -> None:
    """Add a point to each named curve of this call, which its caller sees: in `pool.live()`, and as `progress`.

    `step`: the place on the x axis; by default one more than at the last time, from 0 on. Values are numbers, or what
    `float()` takes: numpy's and torch's scalars too. TypeError: a value is none. Outside of calls it does nothing.

        bp.log(loss=loss, accuracy=0.93)
    """
    for name, value in values.items():
        if value.__class__ is not float:
            try:
                values[name] = float(value)
            except OverflowError:  # a whole number that is larger than any of these
                values[name] = math.inf if value > 0 else -math.inf
            except (TypeError, ValueError):
                raise TypeError(f"log: {name} is a number, not {value!r:.200}") from None
    reports = _reports()
    if reports is not None:
        reports.log(step, values)


def _follow(iterator: Iterator[T], reports: Reports, label: str, total: int | None) -> Iterator[T]:
    bar = reports.begin(label, total)
    done = 0
    try:
        for item in iterator:
            yield item
            done += 1
            bar.done = done
            if reports.quiet:
                reports.wake()
    finally:
        reports.end(bar)


async def _follow_async(
    iterator: AsyncIterator[T], reports: Reports, label: str, total: int | None
) -> AsyncIterator[T]:
    bar = reports.begin(label, total)
    done = 0
    try:
        async for item in iterator:
            yield item
            done += 1
            bar.done = done
            if reports.quiet:
                reports.wake()
    finally:
        reports.end(bar)
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


# the sending side


class _Bar:
    """One loop of `track`."""

    __slots__ = ("done", "ended", "label", "sent", "total")

    def __init__(self, label: str, total: int | None) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self.ended = False
        self.sent = -1  # `done` as it was told last


class Reports:
    """What the code of one call reports; called, it gives what is new. `quiet`: nothing is about to be sent.

    The lock is one that a thread may take twice: code that the garbage collection runs, anywhere, may report as well.
    """

    __slots__ = ("_bars", "_channel", "_crowded", "_curves", "_due", "_lock", "_step", "_timed", "quiet")

    def __init__(self, channel: Channel | None) -> None:
        self.quiet = True
        self._channel = channel  # None: whoever shows them comes and takes them
        self._lock = RLock()
        self._bars: dict[str, _Bar] = {}
        self._curves: dict[str, Curve | None] = {}  # points that were not sent yet
        self._step: float = 0  # of the next point
        self._due = 0.0  # the loop's time from which on the next report may be sent
        self._timed = False  # a timer runs until then
        self._crowded = False  # there were too many names, and it was said

    def begin(self, label: str, total: int | None) -> _Bar:
        """A new bar. While another one of its name is not at its end, it gets a number."""
        label = label[:NAME]
        with self._lock:
            name, number = label, 1
            while (there := self._bars.get(name)) is not None and not there.ended:
                number += 1
                name = f"{label} {number}"
            bar = _Bar(name, total)
            if len(self._bars) >= BARS:
                self._bars = {key: one for key, one in self._bars.items() if not one.ended}
            if self._room(self._bars, name, BARS, "bars"):
                self._bars[name] = bar
        if self.quiet:
            self.wake()
        return bar

    def end(self, bar: _Bar) -> None:
        """Its loop is over."""
        bar.ended = True
        if self.quiet:
            self.wake()

    def log(self, step: float | None, values: dict[str, float]) -> None:
        """One point for each of `values`."""
        with self._lock:
            at = self._step if step is None else step
            self._step = at + 1
            curves = self._curves
            for name, value in values.items():
                curve = curves.get(name)
                if curve is None:
                    if not self._room(curves, name, CURVES, "curves"):
                        continue
                    curve = curves[name] = Curve()
                curve.add(at, value)
        if self.quiet:
            self.wake()

    def _room(self, table: dict[str, Any], name: str, limit: int, what: str) -> bool:
        if len(table) < limit or name in table:
            return True
        if not self._crowded:
            self._crowded = True
            logger.warning("a call has more than %d %s: the others are not shown", limit, what)
        return False

    def wake(self) -> None:
        """Something is new: let it be sent when there may be a report again. From any thread."""
        self.quiet = False
        if self._channel is not None:
            self._channel.soon(self._schedule)

    def _schedule(self) -> None:
        channel = self._channel
        if channel is None or self.quiet or self._timed:  # quiet: it went along with something else
            return
        loop = channel.loop
        now = loop.time()
        if now >= self._due:
            self._due = now + 1 / RATE
            channel.flush()
        else:
            self._timed = True
            loop.call_later(self._due - now, self._time)

    def _time(self) -> None:
        self._timed = False
        self._schedule()

    def __call__(self) -> Report | None:
        """All that is new since the last time, if anything is."""
        self.quiet = True  # first: who changes something now says so again
        bars = []
        with self._lock:
            for name, bar in list(self._bars.items()):
                ended, done = bar.ended, bar.done  # in this order: what has ended changes no more
                if ended:
                    del self._bars[name]
                if ended or done != bar.sent:
                    bar.sent = done
                    bars.append((name, done, bar.total, ended))
            new = [(name, curve) for name, curve in self._curves.items() if curve is not None]
            self._curves.update(dict.fromkeys((name for name, _ in new), None))
        most = BATCH // len(new) if new else 0
        curves = [(name[:NAME], thinned(curve.points, most)) for name, curve in new]
        return Report(tuple(bars), tuple(curves)) if bars or curves else None


_making = RLock()  # two threads of a call may be the first at once
_here: Reports | None = None  # of code without a group leader, while somebody looks
_viewers = 0


def _reports() -> Reports | None:
    channel = leader.get()
    if channel is None:
        return _here
    found: Any = channel.report
    if found.__class__ is not Reports:
        with _making:
            found = channel.report
            if found.__class__ is not Reports:
                found = channel.report = Reports(channel)
    reports: Reports = found
    return reports


def view_here() -> Reports:
    """From now on code of this process that is in no call reports to what is returned. Undo with `leave_here`."""
    global _here, _viewers
    with _making:
        _viewers += 1
        if _here is None:
            _here = Reports(None)
        return _here


def leave_here() -> None:
    """Undo one `view_here`."""
    global _here, _viewers
    with _making:
        _viewers -= 1
        if _viewers == 0:
            _here = None


# the caller's side


class Curve:
    """Points (step, value) in the order they came, evenly thinned to at most `POINTS`, and the last one.

    >>> curve = Curve()
    >>> for step in range(5000):
    ...     curve.add(step, 0.5)
    >>> len(curve.points) <= POINTS + 1, curve.points[0], curve.points[-1]
    (True, (0, 0.5), (4999, 0.5))
    """

    __slots__ = ("_kept", "_last", "_seen", "_stride")

    def __init__(self) -> None:
        self._kept: list[tuple[float, float]] = []  # every `_stride`th of those seen
        self._last: tuple[float, float] | None = None
        self._seen = 0
        self._stride = 1

    def add(self, step: float, value: float) -> None:
        """One more point."""
        self._last = last = (step, value)
        if self._seen % self._stride == 0:
            self._kept.append(last)
            if len(self._kept) > POINTS:
                del self._kept[1::2]
                self._stride *= 2
        self._seen += 1

    @property
    def seen(self) -> int:
        """How many there were."""
        return self._seen

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """What is kept of them."""
        kept = tuple(self._kept)
        return kept if self._last is None or kept[-1] is self._last else (*kept, self._last)


def thinned(points: tuple[tuple[float, float], ...], most: int) -> tuple[tuple[float, float], ...]:
    """At most `most` of the points, evenly, the last one always.

    >>> thinned(((0, 1.0), (1, 2.0), (2, 3.0), (3, 4.0), (4, 5.0)), 3)
    ((0, 1.0), (2, 3.0), (4, 5.0))
    """
    count = len(points)
    if count <= most:
        return points
    if most < 2:
        return points[-1:]
    return tuple(points[at * (count - 1) // (most - 1)] for at in range(most))


class Bar:
    """One progress bar as it is now. Times are what `CallProgress.take` was told."""

    __slots__ = ("at", "begun", "done", "ended", "first", "label", "total")

    def __init__(self, label: str, done: int, total: int | None, ended: bool, now: float) -> None:
        self.label = label
        self.begun = self.at = now
        self.first = self.done = done
        self.total = total
        self.ended = ended

    @property
    def fraction(self) -> float | None:
        """0 to 1; None where the total is not known."""
        return None if not self.total else min(1.0, self.done / self.total)

    @property
    def rate(self) -> float | None:
        """Items a second since it was first heard of; None where that cannot be said yet."""
        seconds = self.at - self.begun
        return (self.done - self.first) / seconds if seconds > 0 and self.done > self.first else None

    def __repr__(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        return f"<{self.label}: {self.done}{of}{', ended' if self.ended else ''}>"


class CallProgress:
    """How far one call is, as its caller has heard: `bars` by label, `curves` by name."""

    __slots__ = ("bars", "curves")

    def __init__(self) -> None:
        self.bars: dict[str, Bar] = {}
        self.curves: dict[str, Curve] = {}

    def take(self, report: Report, now: float) -> None:
        """A report has come. What is no report, or too much, is left out: no runner harms its caller by it."""
        try:
            self._take(report, now)
        except (TypeError, ValueError) as error:
            logger.debug("a report of progress could not be read: %s", error)

    def _take(self, report: Report, now: float) -> None:
        for label, done, total, ended in report.bars:
            bar = self.bars.get(label)
            if bar is None or bar.ended or done < bar.done:  # a loop has begun
                if bar is None and not self._room():
                    continue
                self.bars.pop(label, None)
                self.bars[label] = Bar(label, int(done), total, ended, now)
            else:
                bar.done, bar.total, bar.ended, bar.at = int(done), total, ended, now
        for name, points in report.curves:
            curve = self.curves.get(name)
            if curve is None:
                if len(self.curves) >= CURVES:
                    continue
                curve = self.curves[name] = Curve()
            for step, value in points:
                curve.add(step, value)

    def _room(self) -> bool:
        if len(self.bars) >= BARS:
            over = next((label for label, bar in self.bars.items() if bar.ended), None)
            if over is None:
                return False
            del self.bars[over]
        return True
