"""asyncio by hand: what people write without an actor library. One Task for each actor.

Three variants. "queue-asyncio" and "queue-uvloop": the mailbox is an asyncio.Queue. "deque-uvloop":
the mailbox is a bare deque, a put and a get that waits on one future when the deque is empty, the
least that works: no links, no monitors, no selective receive. A call is a message that carries a
Future; a spawn is a Task that is awaited; nothing restarts anything.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import importlib.util
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from benchmarks.case import (
    Body,
    Figures,
    Workloads,
    per_second,
    percentile_us,
    resident_bytes,
)

MESSAGE = ("message", 1)


class Mailbox(Protocol):
    """What both mailboxes offer."""

    def put_nowait(self, item: Any, /) -> None: ...
    async def get(self) -> Any: ...


class BareDeque:
    """A deque and at most one waiter."""

    __slots__ = ("_items", "_waiter")

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def put_nowait(self, item: Any) -> None:
        self._items.append(item)
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    async def get(self) -> Any:
        while not self._items:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._items.popleft()


New = Callable[[], Mailbox]


async def pingpong(new: New, n: int) -> Figures:
    async def ponger(inbox: Mailbox) -> None:
        for _ in range(n):
            _, sender = await inbox.get()
            sender.put_nowait(("pong", inbox))

    mine, theirs = new(), new()
    task = asyncio.create_task(ponger(theirs))
    await asyncio.sleep(0)
    began = perf_counter()
    for _ in range(n):
        theirs.put_nowait(("ping", mine))
        await mine.get()
    rate = per_second(n, began)
    await task
    return {"pingpong": rate}


async def oneway(new: New, n: int) -> Figures:
    return {"oneway": await _into_one(new, 1, n)}


async def fanin(new: New, n: int) -> Figures:
    return {"fanin": await _into_one(new, 100, n)}


async def _into_one(new: New, producers: int, n: int) -> float:
    each = max(1, n // producers)

    async def consumer(inbox: Mailbox) -> None:
        for _ in range(producers * each):
            await inbox.get()

    async def producer(inbox: Mailbox) -> None:
        for _ in range(each):
            inbox.put_nowait(MESSAGE)

    inbox = new()
    task = asyncio.create_task(consumer(inbox))
    await asyncio.sleep(0)
    began = perf_counter()
    senders = [asyncio.create_task(producer(inbox)) for _ in range(producers)]
    await task
    rate = per_second(producers * each, began)
    await asyncio.gather(*senders)
    return rate


async def ring(new: New, laps: int) -> Figures:
    done = asyncio.get_running_loop().create_future()

    async def node(inbox: Mailbox, onward: Mailbox) -> None:
        while True:
            _, left = await inbox.get()
            if left == 0:
                done.set_result(None)
            else:
                onward.put_nowait(("token", left - 1))

    inboxes = [new() for _ in range(1000)]
    tasks = [asyncio.create_task(node(inboxes[i - 1], inboxes[i])) for i in range(1000)]
    await asyncio.sleep(0)
    began = perf_counter()
    inboxes[0].put_nowait(("token", laps * 1000))
    await done
    rate = per_second(laps * 1000, began)
    await _cancelled(tasks)
    return {"ring": rate}


async def spawn(_new: New, n: int) -> Figures:
    async def leave() -> None:
        pass

    began = perf_counter()
    for _ in range(n):
        await asyncio.create_task(leave())
    one_by_one = per_second(n, began)

    batch = min(n, 1000)
    began = perf_counter()
    for _ in range(n // batch):
        await asyncio.wait([asyncio.create_task(leave()) for _ in range(batch)])
    return {"spawn": one_by_one, "spawn.batch": per_second(n // batch * batch, began)}


async def call(new: New, n: int) -> Figures:
    async def server(inbox: Mailbox) -> None:
        state = 0
        while True:
            kind, value, reply = await inbox.get()
            if kind == "call":
                reply.set_result(value)
            else:
                state += value

    loop, inbox = asyncio.get_running_loop(), new()
    task = asyncio.create_task(server(inbox))
    await asyncio.sleep(0)

    async def ask() -> Any:
        reply = loop.create_future()
        inbox.put_nowait(("call", 1, reply))
        return await reply

    began = perf_counter()
    for _ in range(n):
        await ask()
    rate = per_second(n, began)
    took = await _each_timed(ask, max(1, n // 4))
    began = perf_counter()
    for _ in range(n):
        inbox.put_nowait(("cast", 1, None))
    await ask()
    casts = per_second(n, began)
    await _cancelled([task])
    return {
        "call.rate": rate,
        "call.p50": percentile_us(took, 0.5),
        "call.p99": percentile_us(took, 0.99),
        "cast": casts,
    }


async def memory(new: New, n: int) -> Figures:
    started = 0
    all_up = asyncio.Event()

    async def idle(inbox: Mailbox) -> None:
        nonlocal started
        started += 1
        if started == n:
            all_up.set()
        await inbox.get()

    gc.collect()
    before = resident_bytes()
    tasks = [asyncio.create_task(idle(new())) for _ in range(n)]
    await all_up.wait()
    gc.collect()
    after = resident_bytes()
    await _cancelled(tasks)
    return {"memory.process": (after - before) / n}


async def supervisor(new: New, n: int) -> Figures:
    """Only the second figure has an equivalent: cancel a Task and wait until it has ended."""
    took = []
    for _ in range(n):
        task = asyncio.create_task(new().get())
        await asyncio.sleep(0)
        began = perf_counter()
        task.cancel()
        await asyncio.wait([task])
        took.append(perf_counter() - began)
    return {"kill.down": percentile_us(took, 0.5)}


async def timers(_new: New, n: int) -> Figures:
    loop = asyncio.get_running_loop()
    inbox: list[Any] = []
    began = perf_counter()
    handles = [loop.call_later(3600, inbox.append, MESSAGE) for _ in range(n)]
    made = per_second(n, began)
    began = perf_counter()
    for handle in handles:
        handle.cancel()
    return {"send_after": made, "cancel_timer": per_second(n, began)}


async def tasks(_new: New, n: int) -> Figures:
    """Eight at a time, results in order: a window of Tasks, of which the oldest is awaited."""

    async def double(x: int) -> int:
        return 2 * x

    window: deque[asyncio.Task[int]] = deque()
    total = 0
    began = perf_counter()
    for x in range(n):
        if len(window) == 8:
            total += await window.popleft()
        window.append(asyncio.create_task(double(x)))
    while window:
        total += await window.popleft()
    rate = per_second(n, began)
    assert total == n * (n - 1)
    return {"stream": rate}


async def _each_timed(ask: Callable[[], Awaitable[Any]], n: int) -> list[float]:
    took = []
    for _ in range(n):
        began = perf_counter()
        await ask()
        took.append(perf_counter() - began)
    return took


async def _cancelled(doomed: list[asyncio.Task[None]]) -> None:
    for task in doomed:
        task.cancel()
    await asyncio.gather(*doomed, return_exceptions=True)


_BODIES: tuple[Callable[[New, int], Coroutine[Any, Any, Figures]], ...] = (
    pingpong,
    oneway,
    fanin,
    ring,
    spawn,
    call,
    memory,
    supervisor,
    timers,
    tasks,
)


def workloads(variant: str) -> Workloads:
    new: New = BareDeque if variant.startswith("deque") else asyncio.Queue
    return {body.__name__: partial(_run, variant, partial(body, new)) for body in _BODIES}


def versions() -> dict[str, str]:
    return {"uvloop": importlib.metadata.version("uvloop")} if _have_uvloop() else {}


def loop(variant: str) -> str:
    return variant.partition("-")[2]


def _have_uvloop() -> bool:
    return importlib.util.find_spec("uvloop") is not None


def _run(variant: str, body: Body, size: int) -> Figures:
    if loop(variant) == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_awaited(body, size))
    return asyncio.run(_awaited(body, size))


async def _awaited(body: Body, size: int) -> Figures:
    return await body(size)
