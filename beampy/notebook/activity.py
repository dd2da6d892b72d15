"""Activity: what has been heard of the calls that one cell made in one pool, or of all calls of a pool.

Rule: it is fed on the node's own thread, in a time that does not depend on how much there is, and read on the
display thread, which takes copies; it has no lock. What is read while something happens is at most one call out of
date, and the last reading is made after the last call has ended. No clock: times are arguments, on the node's.

A call that is run again keeps its number. What its first attempt had drawn stays, as a line that ends where its runner
was lost; the new attempt begins a line of its own.

Bounds: only calls that have not ended are kept; of those that have, their counts, and the curves of the last TRACES.
It does not know cells, widgets or how anything is drawn: `card` gives a Card.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from beampy.notebook.card import BARS, GROUPS, ROWS, Bar, Card, Group, Line, Row, by_state
from beampy.pool.live_view import Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from beampy.pool.live_view import RunnerView, View
    from beampy.pool.progress import CallProgress

TRACES = 128  # calls whose curves are kept: of more lines in one chart none is seen
FUNCTIONS = 64  # that are told apart; what comes after them is one group
ENDED = 16  # runners that have gone that still have a row

What = Literal["queued", "started", "progress", "retried", "finished"]
NUMBERS = re.compile(r"(\d+)", re.ASCII)
OTHERS = "other functions"


class Heard(Protocol):
    """What is asked of a call, on the node's thread: a PoolCall."""

    number: int
    label: str | None
    progress: Any

    @property
    def name(self) -> str: ...

    def outcome(self) -> str: ...


@dataclass(slots=True)
class _Group:
    """The calls of one function."""

    begun: float | None = None  # when the first of them started
    calls: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    running: int = 0
    waiting: int = 0
    promised: int = 0  # by maps: the items they will have
    mapped: int = 0  # maps whose length is known
    endless: bool = False  # there was a map whose length is not


@dataclass(slots=True)
class _Call:
    """A call that has not ended. `runner` "": it waits."""

    group: _Group
    runner: str
    trace: _Trace | None
    call: Any


@dataclass(slots=True)
class _Trace:
    """The curves of one attempt of a call."""

    call: int
    runner: str
    progress: CallProgress
    state: str = "running"
    ids: dict[str, int] = field(default_factory=dict)  # by the name of a curve: the number of its line


@dataclass(slots=True)
class _Worked:
    """What one runner did for these calls. `number`: in the order that they were heard of."""

    number: int
    running: int = 0
    done: int = 0
    failed: int = 0
    state: str = ""  # when it has gone: "lost", "failed" or "ended"
    why: str = ""
    slots: int = 0  # as it was seen last


class Activity:
    """What has been heard. `pool_wide`: the card is the pool's: all its runners have a row, and its counts are told."""

    def __init__(self, now: float, *, pool_wide: bool = False) -> None:
        self.begun = now
        self.ended: float | None = None
        self.cancelled = False  # somebody has pressed the button
        self.pool_wide = pool_wide
        self.groups: dict[str, _Group] = {}
        self.calls: dict[int, _Call] = {}  # by number: those that have not ended
        self.runners: dict[str, _Worked] = {}
        self.traces: deque[_Trace] = deque()
        self.dropped = 0  # traces that there is no room for
        self.reported = False  # there was something of bp.log or bp.track
        self.done = self.failed = 0
        self.note = ""
        self._rate = Rate()
        self._lines = 0
        self._numbers = 0
        self._heard: dict[str, Callable[[Heard, float], None]] = {
            "queued": self._queued,
            "started": self._started,
            "progress": self._progress,
            "retried": self._retried,
            "finished": self._finished,
        }

    # on the node's thread

    def take(self, call: Heard, what: What, now: float) -> None:
        """Something happens to a call."""
        if call.number not in self.calls:
            if what not in ("queued", "started"):  # its last words; or it was refused, and a map tries it again
                return
            group = self._group(call.name)
            group.calls += 1
            group.waiting += 1
            self.calls[call.number] = _Call(group, "", None, call)
        self._heard[what](call, now)

    def mapped(self, function: str, total: int | None) -> None:
        """There is a map of it, with so many items, if that is known."""
        group = self._group(function)
        if total is None:
            group.endless = True
        else:
            group.mapped += 1
            group.promised += total

    def runner_down(self, name: str, state: str, why: str) -> None:
        """A runner has gone: "lost", "failed" (it never came) or "ended"."""
        worked = self.runners.get(name)
        if worked is None:
            if not self.pool_wide:
                return
            worked = self._worked(name)
        worked.state, worked.why = state, why
        if state != "ended":
            self.note = f"{name} {'was lost' if state == 'lost' else 'did not come up'}: {why}"
        gone = [one for one, known in self.runners.items() if known.state]
        for one in gone[: max(0, len(gone) - ENDED)]:
            del self.runners[one]

    def seen(self, view: View) -> None:
        """The pool was looked at."""
        for one in view.runners:
            worked = self._worked(one.name) if self.pool_wide else self.runners.get(one.name)
            if worked is not None:
                worked.slots = one.slots
                if self.pool_wide:
                    worked.done, worked.failed = one.done, one.failed

    def _group(self, function: str) -> _Group:
        group = self.groups.get(function)
        if group is None:
            if len(self.groups) >= FUNCTIONS:
                function = OTHERS
                if (group := self.groups.get(function)) is not None:
                    return group
            group = self.groups[function] = _Group()
        return group

    def _worked(self, name: str) -> _Worked:
        worked = self.runners.get(name)
        if worked is None:
            worked = self.runners[name] = _Worked(self._numbers)
            self._numbers += 1
        return worked

    def _queued(self, call: Heard, now: float) -> None:
        self._leave(self.calls[call.number])

    def _started(self, call: Heard, now: float) -> None:
        known = self.calls[call.number]
        self._leave(known)
        if known.group.begun is None:
            known.group.begun = now
        known.runner = call.label or "?"
        known.group.waiting -= 1
        known.group.running += 1
        self._worked(known.runner).running += 1

    def _progress(self, call: Heard, now: float) -> None:
        self.reported = True
        known = self.calls[call.number]
        if known.trace is None and call.progress is not None:
            known.trace = _Trace(call.number, known.runner or "?", call.progress)
            self.traces.append(known.trace)
            if len(self.traces) > TRACES:
                over = next((one for one in self.traces if one.state != "running"), self.traces[0])
                self.traces.remove(over)
                self.dropped += 1

    def _retried(self, call: Heard, now: float) -> None:
        known = self.calls[call.number]
        self._leave(known)
        if known.trace is not None:
            known.trace.state, known.trace = "lost", None

    def _finished(self, call: Heard, now: float) -> None:
        known = self.calls.pop(call.number)
        runner = known.runner
        self._leave(known)
        group, outcome = known.group, call.outcome()
        group.waiting -= 1
        if known.trace is not None:
            known.trace.state = "done" if outcome == "ok" else "lost"
        if outcome == "cancelled":
            group.cancelled += 1
            return
        failed = outcome != "ok"
        group.done += 1
        group.failed += failed
        self.done += 1
        self.failed += failed
        if runner and not self.pool_wide:
            worked = self._worked(runner)
            worked.done += 1
            worked.failed += failed

    def _leave(self, known: _Call) -> None:
        """It is on no runner now, and waits."""
        if known.runner:
            self._worked(known.runner).running -= 1
            known.group.running -= 1
            known.group.waiting += 1
            known.runner = ""

    # on any thread

    def card(self, now: float, view: View | None, *, title: str = "", pool: str = "", button: str = "") -> Card:
        """What there is to show. `view`: the pool as it was seen last. One thread at a time."""
        now = now if self.ended is None else self.ended
        rows = sorted(
            self._rows(view), key=lambda row: (row.state == "ended", row.state == "booting", counted(row.name))
        )
        groups = [self._shown(what, group, now) for what, group in self.groups.copy().items()]
        busiest = sorted(groups, key=lambda group: -(group.running + group.waiting)) if len(groups) > GROUPS else groups
        over = self.ended is not None
        if self.pool_wide and view is not None:
            waiting, running, done, failed = view.waiting, view.running, view.finished - view.cancelled, view.failed
        else:
            waiting, running = sum(group.waiting for group in groups), sum(group.running for group in groups)
            done, failed = self.done, self.failed
        return Card(
            title=title or ", ".join(group.what for group in groups[:3]) + (", …" if len(groups) > 3 else "") or pool,
            pool=pool or ("" if view is None else view.pool),
            state=self._state(view) if over else "running",
            age=max(0.0, now - self.begun) if not self.pool_wide or view is None or view.age is None else view.age,
            max=0 if view is None else view.max,
            waiting=waiting,
            running=running,
            done=done,
            failed=failed,
            rate=self._rate.of(done, now=now),
            button="" if over else button,
            note=self.note,
            groups=busiest[:GROUPS],
            more_groups=max(0, len(groups) - GROUPS),
            rows=rows[:ROWS],
            more_rows=by_state(rows[ROWS:]),
            lines=list(self._all_lines()),
            more_lines=self.dropped,
        )

    def _state(self, view: View | None) -> str:
        if self.pool_wide:
            return "stopped" if view is not None and view.ended else "done"
        stopped = any(group.cancelled for group in self.groups.copy().values())
        return "cancelled" if self.cancelled or (stopped and not self.failed) else "failed" if self.failed else "done"

    def _shown(self, what: str, group: _Group, now: float) -> Group:
        total = None
        if not group.endless:
            # Calls that no map has promised are counted as they are made.
            total = max(group.promised, group.calls) if group.mapped else group.calls
        seconds = now - group.begun if group.begun is not None else 0.0
        rate = group.done / seconds if seconds > 0 and group.done else None
        left = (total - group.done) / rate if total is not None and rate and self.ended is None else None
        return Group(
            short_name(what), group.done, group.failed, group.cancelled, group.running, group.waiting, total, rate, left
        )

    def _rows(self, view: View | None) -> Iterable[Row]:
        seen: dict[str, RunnerView] = {} if view is None else {one.name: one for one in view.runners}
        bars = self._bars()
        for name, worked in self.runners.copy().items():
            one = seen.pop(name, None)
            yield Row(
                name,
                self._runner_state(worked, one),
                worked.number,
                one.busy if one is not None and self.pool_wide else worked.running,
                worked.slots,
                worked.done,
                worked.failed,
                [Bar(label, done, total) for label, done, total in bars.get(name, ())[:BARS]],
                max(0, len(bars.get(name, ())) - BARS),
                None if one is None else one.cpu,
                None if one is None else one.memory,
                worked.why,
            )
        if self.ended is None:
            yield from (Row(one.name, "booting") for one in seen.values() if one.state == "booting")

    def _runner_state(self, worked: _Worked | None, one: RunnerView | None) -> str:
        if worked is not None and worked.state:
            return worked.state
        if one is None or one.state == "down":
            return "running" if worked is not None and worked.running else "ended"
        if one.state == "up":
            return "running" if (one.busy if worked is None or self.pool_wide else worked.running) else "idle"
        return one.state

    def _bars(self) -> dict[str, list[tuple[str, int, int | None]]]:
        """By runner: what its calls are at."""
        found: dict[str, list[tuple[str, int, int | None]]] = {}
        for trace in tuple(self.traces):
            if trace.state == "running":
                for bar in trace.progress.bars.copy().values():
                    if not bar.ended:
                        found.setdefault(trace.runner, []).append((bar.label, bar.done, bar.total))
        return found

    def _all_lines(self) -> Iterable[Line]:
        for trace in tuple(self.traces):
            for name, curve in trace.progress.curves.copy().items():
                number = trace.ids.get(name)
                if number is None:
                    self._lines += 1
                    number = trace.ids[name] = self._lines
                worked = self.runners.get(trace.runner)
                colour = 0 if worked is None else worked.number
                yield Line(number, name, trace.runner, colour, trace.call, trace.state, curve)


def counted(name: str) -> list[tuple[int, str]]:
    """What sorts names with numbers in them as people do.

    >>> sorted(["r-10", "r-9", "r-1"], key=counted)
    ['r-1', 'r-9', 'r-10']
    """
    return [(int(part), "") if part.isdigit() else (0, part) for part in NUMBERS.split(name)]


def short_name(function: str) -> str:
    """A function as its notebook calls it.

    >>> short_name("__main__.train"), short_name("helpers.score"), short_name("__main__.make.<locals>.inner")
    ('train', 'helpers.score', 'inner')
    """
    return function.removeprefix("__main__.").rpartition("<locals>.")[2]


def card_of(handle: Any) -> Any:
    """The card of a handle that is shown: see cell_cards.py."""
    from beampy.notebook.cell_cards import card_of

    return card_of(handle)
