"""View: a pool as it is at one moment, in plain values, for whoever shows it.

Rule: a View is made on the pool's own thread and may be read on any; nothing in it changes. It knows no terminal:
live_picture.py draws it, and a notebook or a web page may.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from beampy.pool.events import Event
    from beampy.pool.progress import CallProgress

RunnerState = Literal["booting", "up", "draining", "away", "down"]  # away: its connection is lost, and it may return

SPAN = 5.0  # seconds over which a rate is taken; shorter ones jump, longer ones lag


@dataclass(frozen=True, slots=True)
class RunnerView:
    """One runner. `busy` of its `slots` have a call; `done` and `failed` count its calls; `age` is in seconds.

    `cpu`: cores it uses, 1.0 is one; `memory`: bytes; both None where they are not known.
    """

    name: str
    state: RunnerState
    slots: int = 0
    busy: int = 0
    zombies: int = 0
    done: int = 0
    failed: int = 0
    age: float = 0.0
    cpu: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class BarView:
    """One progress bar of a call. `rate`: items a second, None where it is not known. `runner` "": here."""

    label: str
    done: int
    total: int | None = None
    rate: float | None = None
    runner: str = ""
    call: int = 0


@dataclass(frozen=True, slots=True)
class CurveView:
    """One curve of a call: its points (step, value)."""

    name: str
    points: Sequence[tuple[float, float]]
    runner: str = ""
    call: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """One pool. `finished`: calls that have ended. `failed` of them ended with an error, and `cancelled` were by their
    caller. `age`: seconds it runs.

    `rate`: calls that end a second; None, as `age`: whoever shows it works it out. `events`: the last ones, the newest
    last. `ended`: there will be no other view.
    """

    pool: str
    age: float | None = None
    max: int = 0
    runners: Sequence[RunnerView] = ()
    waiting: int = 0
    running: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    rate: float | None = None
    bars: Sequence[BarView] = ()
    curves: Sequence[CurveView] = ()
    events: Sequence[Event] = ()
    ended: bool = False


def bars_of(progress: CallProgress, runner: str = "", call: int = 0) -> Iterator[BarView]:
    """The bars of one call that have not ended."""
    for bar in list(progress.bars.values()):
        if not bar.ended:
            yield BarView(bar.label, bar.done, bar.total, bar.rate, runner, call)


def curves_of(progress: CallProgress, runner: str = "", call: int = 0) -> Iterator[CurveView]:
    """The curves of one call."""
    for name, curve in list(progress.curves.items()):
        yield CurveView(name, curve.points, runner, call)


class Rate:
    """How fast a number grows: over the last `SPAN` seconds.

    >>> rate = Rate()
    >>> rate.of(0, now=1.0), rate.of(30, now=3.0), rate.of(30, now=60.0), rate.of(30, now=61.0)
    (None, 15.0, 0.0, 0.0)
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, number: int, *, now: float) -> float | None:
        """The growth a second, as of now; None the first time."""
        seen = self._seen
        seen.append((now, number))
        while len(seen) > 2 and seen[1][0] <= now - SPAN:
            seen.popleft()
        then, before = seen[0]
        return (number - before) / (now - then) if now > then else None
