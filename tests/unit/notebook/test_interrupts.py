"""What makes interrupts work, without a kernel: a socket that wakes a loop, and what a cell has waited for."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from beampy import handle
from beampy.notebook.interrupts import Interrupts, Wakeup, loop_of, wakes_itself, was_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterator


class Events:
    def __init__(self) -> None:
        self.registered: list[tuple[str, Any]] = []

    def register(self, name: str, fn: Any) -> None:
        self.registered.append((name, fn))

    def unregister(self, name: str, fn: Any) -> None:
        self.registered.remove((name, fn))


def shell(loop: asyncio.AbstractEventLoop | None) -> Any:
    kernel = SimpleNamespace(io_loop=SimpleNamespace(asyncio_loop=loop))
    return SimpleNamespace(events=Events(), kernel=kernel)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.SelectorEventLoop()
    yield made
    made.close()


def test_a_signal_wakes_a_loop_that_sleeps(loop: asyncio.AbstractEventLoop):
    """What the handler asks of the loop, without waking it, is done at once."""
    woken = asyncio.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon(woken.set))
    wakeup = Wakeup(loop)
    assert wakeup.set()
    assert wakeup.set()
    loop.call_later(0.01, lambda: threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1)).start())
    try:
        loop.run_until_complete(asyncio.wait_for(woken.wait(), 30))
    finally:
        signal.signal(signal.SIGUSR1, before)
        wakeup.close()
    assert signal.set_wakeup_fd(-1) == -1


def test_a_descriptor_of_somebody_else_stays(loop: asyncio.AbstractEventLoop):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
    wakeup = Wakeup(loop)
    try:
        assert not wakeup.set()
        wakeup.close()
        assert signal.set_wakeup_fd(-1) == ours.fileno()
    finally:
        signal.set_wakeup_fd(-1)
        ours.close()
        theirs.close()


def test_without_a_descriptor_the_loop_is_woken_while_a_cell_runs(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Wakeup, "set", lambda self: False)
    stop = Interrupts(shell(loop))
    stop.put_in_place()
    assert stop.timer is not None
    stop.after_cell(None)
    assert stop.timer is None
    stop.before_cell(None)
    timer = stop.timer
    assert timer is not None
    stop.tick()
    assert timer.cancelled()
    assert stop.timer is not None
    stop.take_away()
    assert stop.timer is None


def test_taking_it_away_leaves_nothing(loop: asyncio.AbstractEventLoop):
    there = shell(loop)
    stop = Interrupts(there)
    stop.put_in_place()
    assert handle.awaited is not None
    stop.take_away()
    assert handle.awaited is None
    assert there.events.registered == []
    assert signal.set_wakeup_fd(-1) == -1


def test_taking_it_away_leaves_what_was_there_before_or_came_after(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
):
    theirs: list[Any] = []
    monkeypatch.setattr(handle, "awaited", theirs.append)
    stop = Interrupts(shell(loop))
    stop.put_in_place()
    stop.take_away()
    assert handle.awaited == theirs.append
    stop.put_in_place()
    monkeypatch.setattr(handle, "awaited", theirs.remove)
    stop.take_away()
    assert handle.awaited == theirs.remove


def test_another_thread_touches_no_signals(loop: asyncio.AbstractEventLoop):
    stop = Interrupts(shell(loop))
    thread = threading.Thread(target=stop.before_cell)
    thread.start()
    thread.join()
    assert stop.wakeup is None
    assert stop.timer is None


class Waited:
    """A handle, as far as a cell knows it."""

    def __init__(self, done: bool) -> None:
        self.is_done = done
        self.cancelled = False

    def done(self) -> bool:
        return self.is_done

    def cancel(self) -> None:
        self.cancelled = True


@pytest.mark.parametrize("interrupted", [True, False])
def test_what_a_cell_waits_for_is_cancelled_with_it(loop: asyncio.AbstractEventLoop, interrupted: bool):
    stop = Interrupts(shell(loop))
    stop.put_in_place()
    assert handle.awaited is not None
    early: Any = Waited(done=False)
    handle.awaited(early)
    stop.before_cell(None)
    waits: Any = Waited(done=False)
    over: Any = Waited(done=True)
    handle.awaited(waits)
    handle.awaited(over)
    error: BaseException = asyncio.CancelledError() if interrupted else ValueError()
    stop.after_cell(SimpleNamespace(error_in_exec=error))
    stop.take_away()
    assert (early.cancelled, waits.cancelled, over.cancelled) == (False, interrupted, False)


def test_how_a_cell_ended():
    assert was_interrupted(SimpleNamespace(error_in_exec=KeyboardInterrupt()))
    assert not was_interrupted(SimpleNamespace(error_in_exec=None))
    assert not was_interrupted(None)


def test_which_loop_runs_cells(loop: asyncio.AbstractEventLoop):
    assert loop_of(shell(loop)) is loop
    assert loop_of(shell(None)) is None
    assert loop_of(SimpleNamespace()) is None
    assert not wakes_itself(loop)
    uvloop = pytest.importorskip("uvloop")
    other = uvloop.new_event_loop()
    assert wakes_itself(other)
    other.close()
