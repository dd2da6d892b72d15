"""What type checkers must see of the verbs and of clients. Checked, never run: `tests/meta/test_typing.py`.

`assert_type` holds what is inferred; a line that must be an error carries an ignore of exactly that error, and the
checkers are told to complain about an ignore that nothing needs.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, assert_type

import beampy as bp


class Counter(bp.Server):
    def __init__(self, start: int = 0) -> None:
        self.n = start

    @bp.call
    async def add(self, by: int = 1) -> int:
        self.n += by
        return self.n

    @bp.call
    def name(self) -> str:
        return "counter"

    @bp.call(raises=ValueError)
    async def check(self, limit: int) -> bool:
        return self.n < limit

    @bp.cast
    def reset(self, to: int) -> None:
        self.n = to


async def worker(n: int) -> None: ...


async def spawning() -> None:
    assert_type(bp.spawn(worker, 1), bp.Pid)
    assert_type(bp.spawn(worker, 1, monitor=True), tuple[bp.Pid, bp.Ref])
    assert_type(bp.spawn_monitor(worker, 1), tuple[bp.Pid, bp.Ref])
    assert_type(bp.spawn_link(worker, 1, name="w"), bp.Pid)
    assert_type(bp.whereis("w"), bp.Pid | None)
    bp.spawn(print)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def receiving() -> None:
    assert_type(await bp.receive(bp.Down), bp.Down)
    assert_type(await bp.receive(str, timeout=1), str)
    down = await bp.receive(bp.Down)
    assert_type(down.ref, bp.Ref)


async def clients() -> None:
    counter = await Counter.start_link(10, name="counter")
    assert_type(counter, Counter)
    assert_type(counter.add(5), bp.Handle[int])
    assert_type(await counter.add(by=5), int)
    assert_type(await counter.name(), str)
    assert_type(await counter.check(3), bool)
    counter.reset(1)
    assert_type(counter.options(timeout=1), Counter)
    assert_type(counter.pid, bp.Pid)
    assert_type(Counter.client("counter"), Counter)
    await counter.add("5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    counter.reset()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def threads() -> None:
    counter = Counter.start().result(5)
    assert_type(counter, Counter)
    assert_type(counter.add(1).result(timeout=5), int)


async def main(n: int) -> float:
    return n / 2


def programs(node: bp.Node) -> None:
    assert_type(bp.run(main, 1), float)
    assert_type(node.run(main, 1), bp.Handle[float])
    assert_type(node.spawn(main, 1), bp.Pid)
    bp.run(App)


class App(bp.Supervisor):
    strategy = "rest_for_one"

    def children(self) -> list[bp.ChildSpec]:
        return [Counter.child_spec(1, name="a")]


def awaitables() -> Awaitable[Any]:
    return bp.call("counter", "x", timeout=1)
