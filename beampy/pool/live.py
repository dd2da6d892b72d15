"""The live view: a pool drawn in the terminal, again and again, while it works.

Rule: the pool's own thread takes a View ten times a second at most, and less often where that takes long; a thread of
the live view draws the newest one. So neither a slow terminal holds up the pool, nor a busy pool the drawing. While it
is shown, what is printed and logged scrolls above it. However it ends (close, an exception, Ctrl-C, the end of the
program) the terminal is as it was, with the last picture left there.

Where the output is no terminal, it is one line every `LINES_EVERY` seconds, if anything has changed, on stderr.

Place: under Pool.live(). It knows a pool as a function that gives a View, and its Events.
"""

from __future__ import annotations

import atexit
import concurrent.futures
import logging
import sys
from collections import deque
from contextlib import suppress
from dataclasses import replace
from threading import Event as Flag
from threading import Thread, get_ident
from typing import TYPE_CHECKING, Any

from beampy.pool.events import BootFailure, Event, Missed, Retired, Retried, RunnerDown, RunnerUp, Scaled, Zombie
from beampy.pool.live_picture import MOST_EVENTS, render, summary
from beampy.pool.live_view import Rate, View, bars_of, curves_of
from beampy.pool.progress import CallProgress, leave_here, view_here

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle
    from collections.abc import Callable

    from beampy.pool.events import Events

log = logging.getLogger("beampy.pool")

RATE = 10  # pictures a second; the eye wants no more
SHARE = 20  # of the pool's thread at most a twentieth goes into views
LINES_EVERY = 5.0  # seconds; where a log is read, more is noise
ENDING = 1.0  # seconds that the end waits for the pool's thread, and for a terminal that is stopped

TOLD = (BootFailure, Missed, Retired, Retried, RunnerDown, RunnerUp, Scaled, Zombie)  # the events that are shown


class Live:
    """A pool in the terminal, from `start` to `close`, the end of a `with`, or that of the pool. Threads: any.

    `view()` is called on the thread `thread`, which runs `loop`. `console`: a rich Console; by default stderr, or
    stdout where only that is a terminal. ModuleNotFoundError: there is a terminal, and rich is not installed.
    """

    def __init__(
        self,
        view: Callable[[], View],
        loop: AbstractEventLoop,
        thread: int,
        events: Events | None = None,
        *,
        console: Any = None,
    ) -> None:
        self._take_view = view
        self._loop = loop
        self._loop_thread = thread
        self._pool_events = events
        self._console = console if console is not None else _console()
        self._view: View | None = None
        self._events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._rate = Rate()
        self._timer: TimerHandle | None = None
        self._ending = Flag()
        self._drawer: Thread | None = None
        self._undo: list[Callable[[], object]] = []
        self._said = False
        self._begun = loop.time()
        self._here = CallProgress()

    def start(self) -> Live:
        """Begin to draw."""
        if self._drawer is None:
            try:
                self._start()
            except BaseException:
                self._clean()
                raise
        return self

    def _start(self) -> None:
        live = None
        if self._console is not None and self._console.is_terminal:
            from rich.live import Live

            live = Live(
                console=self._console,
                auto_refresh=False,
                redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
                redirect_stderr=sys.stderr is not None and sys.stderr.isatty(),
                vertical_overflow="crop",
            )
        self._reports = view_here()
        self._undo.append(leave_here)
        atexit.register(self.close)
        self._undo.append(lambda: atexit.unregister(self.close))
        if self._pool_events is not None:
            self._undo.append(self._pool_events.subscribe(self._hear))
        if live is not None:
            streams = (sys.stdout, sys.stderr)
            live.start()
            self._undo += [live.stop, *_redirected(streams)]
        self._on_loop(self._sample)
        draw = self._draw_lines if live is None else lambda: self._draw(live)
        self._drawer = Thread(target=draw, name="beampy-live", daemon=True)
        self._drawer.start()

    def close(self) -> None:
        """Draw it once more, and leave the terminal as it was. Twice is once."""
        if self._ending.is_set():
            return
        self._last_sample()
        self._ending.set()
        try:
            if self._drawer is not None:
                self._drawer.join(ENDING)
        finally:
            self._clean()

    def _clean(self) -> None:
        while self._undo:
            with suppress(Exception):
                self._undo.pop()()

    def __enter__(self) -> Live:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # on the pool's thread

    def _on_loop(self, fn: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the last view stays
            self._loop.call_soon_threadsafe(fn)

    def _sample(self) -> None:
        self._timer = None
        if self._ending.is_set():
            return
        begun = self._loop.time()
        self._look()
        if self._view is not None and self._view.ended:
            self.close()
            return
        took = self._loop.time() - begun
        self._timer = self._loop.call_later(max(1 / RATE, SHARE * took), self._sample)

    def _look(self) -> None:
        try:
            view = self._take_view()
            now = self._loop.time()
            report = self._reports()
            if report is not None:
                self._here.take(report, now)
            rate = self._rate.of(view.finished, now=now) if view.rate is None else view.rate
            self._view = replace(
                view,
                age=now - self._begun if view.age is None else view.age,
                rate=rate,
                bars=(*view.bars, *bars_of(self._here)),
                curves=(*view.curves, *curves_of(self._here)),
                events=(*view.events, *self._events)[-MOST_EVENTS:],
            )
        except Exception:
            self._say("the live view of a pool could not be taken")

    def _last_sample(self) -> None:
        looked: concurrent.futures.Future[None] = concurrent.futures.Future()

        def end() -> None:
            if self._timer is not None:
                self._timer.cancel()
            if not self._ending.is_set() and not (self._view is not None and self._view.ended):
                self._look()
            looked.set_result(None)

        if self._drawer is None:
            return
        if get_ident() == self._loop_thread:
            end()
        elif self._loop.is_running():
            self._on_loop(end)
            concurrent.futures.wait([looked], timeout=ENDING)

    def _hear(self, event: Event) -> None:
        if isinstance(event, TOLD):
            self._events.append(event)

    # on the drawing thread

    def _draw(self, live: Any) -> None:
        shown = None
        while True:
            ended = self._ending.wait(1 / RATE)
            view = self._view
            if view is not None and (view is not shown or ended):
                shown = view
                try:
                    live.update(render(view), refresh=True)
                except Exception:
                    self._say("the live view of a pool could not be drawn")
            if ended:
                return

    def _draw_lines(self) -> None:
        shown = ""
        ended = False
        while not ended:
            ended = self._ending.wait(LINES_EVERY)
            view = self._view
            if view is None:
                continue
            now = (view.finished, view.running, view.waiting, len(view.runners))
            if str(now) == shown:
                continue
            shown = str(now)
            try:
                stream = sys.stderr if self._console is None else self._console.file
                stream.write(f"{summary(view, dot='-')}\n")
                stream.flush()
            except Exception:
                self._say("the state of a pool could not be written")

    def _say(self, what: str) -> None:
        if not self._said:
            self._said = True
            log.exception("%s; said once", what)


def _console() -> Any:
    """Where to draw: a rich Console, or None where there is no terminal."""
    streams = [stream for stream in (sys.stderr, sys.stdout) if stream is not None and stream.isatty()]
    if not streams:
        return None
    try:
        from rich.console import Console
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        raise ModuleNotFoundError(
            "a pool's live view is drawn with rich, which is not installed here: pip install rich", name="rich"
        ) from None
    return Console(stderr=streams[0] is sys.stderr)


def _redirected(before: tuple[Any, Any]) -> list[Callable[[], object]]:
    """Let log handlers that write to the terminal write above the picture. Returns what undoes it."""
    now = (sys.stdout, sys.stderr)
    undo: list[Callable[[], object]] = []
    loggers = [
        logging.root,
        *(one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)),
    ]
    for handler in dict.fromkeys(handler for logger in loggers for handler in logger.handlers):
        if not isinstance(handler, logging.StreamHandler) or isinstance(handler, logging.FileHandler):
            continue
        for old, new in zip(before, now, strict=True):
            if handler.stream is old and new is not old:
                handler.setStream(new)
                undo.append(lambda handler=handler, old=old: handler.setStream(old))  # type: ignore[misc]
    return undo
