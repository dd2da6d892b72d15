"""Events: who listens hears of all, in order, and nobody who listens badly harms the pool."""

from __future__ import annotations

import asyncio
import gc
import threading
from types import SimpleNamespace
from typing import Any, get_args

import pytest

import beampy as bp
from beampy.pool import events as module
from beampy.pool.events import Event, Events, Missed, Queued, RunnerDown, RunnerUp, Scaled, line
from beampy.pool.telling import Telling
from beampy.testing import harness
from tests.unit.otp.tidy import process

in_threads = pytest.mark.loops("asyncio", "uvloop")


def queued(call: int) -> Queued:
    return Queued(1.0, call, 0)


def calls(seen: list[Any]) -> list[int]:
    return [event.call for event in seen]


# --- subscribers


def test_it_is_active_while_somebody_listens():
    events = Events()
    assert not events.active
    first, second = events.subscribe(print), events.subscribe(print)
    assert events.active
    first()
    first()
    assert events.active
    second()
    assert not events.active
    reader = events.reader()
    assert events.active
    reader.close()
    reader.close()
    assert not events.active


def test_subscribers_are_told_in_order_until_they_leave():
    events, seen, also = Events(), [], []
    leave = events.subscribe(seen.append)
    events.subscribe(also.append)
    events.emit(queued(1))
    events.emit(queued(2))
    leave()
    events.emit(queued(3))
    assert calls(seen) == [1, 2]
    assert calls(also) == [1, 2, 3]


def test_a_subscriber_that_raises_is_logged_once_and_goes_on(caplog):
    events, seen = Events(), []

    def bad(event: Event) -> None:
        seen.append(event)
        raise ValueError("oops")

    events.subscribe(bad)
    events.subscribe(seen.append)
    events.emit(queued(1))
    events.emit(queued(2))
    assert calls(seen) == [1, 1, 2, 2]
    (record,) = caplog.records
    assert "a subscriber to events" in record.getMessage()
    assert "oops" in (record.exc_text or "")


def test_a_watcher_that_raises_harms_nobody(caplog):
    tell, seen = Telling("p", gauges=dict, clock=lambda: 0.0, prefix=True), []

    def raises(what: str, runner: str, why: str) -> None:
        seen.append(runner)
        raise ValueError("a broken card")

    tell.watching += [raises, lambda what, runner, why: seen.append((what, runner, why))]
    tell.boot_failed(SimpleNamespace(label="p-1", asked_at=0.0), "no room")
    tell.boot_failed(SimpleNamespace(label="p-2", asked_at=0.0), "no room")
    assert seen == ["p-1", ("failed", "p-1", "no room"), ("failed", "p-2", "no room")]
    assert "a broken card" in caplog.text


def test_one_may_leave_while_it_is_told():
    events, seen = Events(), []
    leave = events.subscribe(lambda event: (leave(), seen.append(event)))
    events.subscribe(seen.append)
    events.emit(queued(1))
    events.emit(queued(2))
    assert calls(seen) == [1, 1, 2]


# --- readers


async def test_a_reader_gets_what_was_and_what_comes():
    events = Events()
    reader = events.reader()
    events.emit(queued(1))
    events.emit(queued(2))
    assert [(await anext(reader)).call, (await anext(reader)).call] == [1, 2]  # type: ignore[union-attr]
    waiting = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    assert not waiting.done()
    events.emit(queued(3))
    async with asyncio.timeout(harness.DEADLINE):
        assert await waiting == queued(3)


async def test_readers_are_apart():
    events = Events()
    one, two = events.reader(), events.reader()
    events.emit(queued(1))
    assert await anext(one) == await anext(two) == queued(1)


async def test_a_slow_reader_loses_the_oldest_and_is_told_how_many():
    events = Events(now=lambda: 7.0)
    reader = events.reader(limit=3)
    for call in range(10):
        events.emit(queued(call))
    assert await anext(reader) == Missed(7.0, 7)
    assert calls([await anext(reader) for _ in range(3)]) == [7, 8, 9]
    events.emit(queued(10))
    assert await anext(reader) == queued(10)
    with pytest.raises(ValueError, match="limit is 1 or more"):
        events.reader(0)


async def test_readers_end_with_the_pool_when_they_have_read_all():
    events = Events()
    early, waiting = events.reader(), events.reader()
    last = asyncio.ensure_future(_all(waiting))
    events.emit(queued(1))
    await asyncio.sleep(0)
    events.close()
    async with asyncio.timeout(harness.DEADLINE):
        assert calls(await last) == [1]
        assert calls(await _all(early)) == [1]
        assert await _all(events.reader()) == []
    assert not events.active


async def _all(reader: Any) -> list[Any]:
    return [event async for event in reader]


async def test_a_reader_that_nobody_holds_is_forgotten():
    events = Events()

    async def first() -> Event | None:
        async for event in events.reader():
            return event
        return None

    reading = asyncio.ensure_future(first())
    await asyncio.sleep(0)
    assert events.active
    events.emit(queued(1))
    async with asyncio.timeout(harness.DEADLINE):
        assert await reading == queued(1)
    del reading
    gc.collect()
    assert not events.active
    assert events._readers == ()


async def test_one_reader_is_read_by_one():
    events = Events()
    reader = events.reader()
    one = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="have a reader already"):
        await anext(reader)
    one.cancel()
    await asyncio.wait([one])
    another = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    events.emit(queued(1))
    async with asyncio.timeout(harness.DEADLINE):
        assert await another == queued(1)  # whoever was cancelled has taken nothing


@process
async def test_processes_read_too():
    events = Events()
    me = bp.self()

    async def read() -> None:
        async for event in events.reader():
            bp.send(me, event)

    pid = bp.spawn(read)
    while not events.active:
        await asyncio.sleep(0)
    events.emit(queued(1))
    assert await harness.expect(Queued) == queued(1)
    events.close()
    await harness.ended(pid)


@in_threads
async def test_a_reader_on_another_loop_hears_all():
    events, ready, seen = Events(), threading.Event(), []

    async def read() -> None:
        reader = events.reader()
        ready.set()
        seen.extend([event async for event in reader])

    thread = threading.Thread(target=lambda: asyncio.run(read()))
    thread.start()
    await asyncio.to_thread(ready.wait, harness.DEADLINE)
    for call in range(1000):
        events.emit(queued(call))
        if call % 100 == 0:
            await asyncio.sleep(0.001)
    events.close()
    await asyncio.to_thread(thread.join, harness.DEADLINE)
    assert calls(seen) == list(range(1000))


def test_a_reader_whose_loop_is_closed_harms_nobody():
    events = Events()
    reader = events.reader()

    async def wait() -> None:
        async with asyncio.timeout(0.001):
            await anext(reader)

    with pytest.raises(TimeoutError):
        asyncio.run(wait())
    reader._waiter = asyncio.new_event_loop().create_future()
    reader._waiter.get_loop().close()
    events.emit(queued(1))
    events.close()


# --- what they say


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_every_event_has_a_time_and_a_line(kind):
    assert kind._fields[0] == "time"
    assert kind.__doc__
    assert getattr(module, kind.__name__) is kind
    texts = {"runner": "r@host", "why": "reason", "cause": "reason", "outcome": "ok"}
    text = line(kind(*(texts.get(name, 3) for name in kind._fields)))
    assert text
    assert "@" not in text
    assert "reason" in text or not {"why", "cause"} & set(kind._fields)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (RunnerUp(0.0, "a@h", 0.0512), "a is up after 0.051 s"),
        (RunnerDown(0.0, "a@h", "idle", False), "a has ended: idle"),
        (RunnerDown(0.0, "a@h", "signal 9", True, -9, True), "a was lost: out of memory: signal 9"),
        (Scaled(0.0, 1, 5), "the pool has 1 to 5 runners from now on"),
        (module.Finished(0.0, 4, None, 0.0, "timeout"), "call 4 ended: timeout"),
        (module.Finished(0.0, 4, "a@h", 0.25, "ok"), "call 4 ended on a after 0.25 s: ok"),
    ],
)
def test_lines_for_people(event, text):
    assert line(event) == text
