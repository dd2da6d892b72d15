"""Behaviours across nodes: started on another one, supervised from here, and what becomes of them when it goes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

import beampy as bp
from beampy.testing import harness


class Counter(bp.Server):
    def __init__(self, n: int = 0) -> None:
        if n < 0:
            raise ValueError("a counter of less than nothing")
        self.n = n

    @bp.call
    async def add(self, by: int = 1) -> int:
        self.n += by
        return self.n

    @bp.call
    async def where(self) -> str:
        return bp.node()

    @bp.call
    async def fail(self) -> None:
        raise LookupError("not found there")


A, B = "a@127.0.0.1", "b@127.0.0.1"


async def on_two(body: Any) -> None:
    async with bp.Node(A) as a, bp.Node(B) as b:
        await a.run(body, b)


async def test_a_server_on_another_node() -> None:
    async def body(b: bp.Node) -> None:
        counter = await Counter.start_link(5, name="counter", node=B)
        assert counter.pid.node == B
        assert await counter.add(2) == 7
        assert await counter.where() == B
        assert await Counter.client(("counter", B)).add() == 8
        with pytest.raises(bp.errors.AlreadyStarted) as taken:
            await Counter.start(name="counter", node=B)
        assert taken.value.pid == counter.pid
        bp.trap_exit()
        with pytest.raises(LookupError, match="not found there") as raised:
            await counter.fail()
        assert isinstance(raised.value.__cause__, bp.errors.RemoteTraceback)
        down = await harness.expect(bp.Exit)
        assert down.pid == counter.pid
        assert isinstance(down.reason, bp.Crash)

    await on_two(body)


async def test_a_start_that_fails_there_is_raised_here() -> None:
    async def body(b: bp.Node) -> None:
        with pytest.raises(bp.errors.StartFailed) as failed:
            await Counter.start_link(-1, node=B)
        assert isinstance(failed.value.__cause__, ValueError)
        with pytest.raises(bp.errors.NodeDown):
            await Counter.start(node="nobody@127.0.0.1")
        await harness.nothing()

    await on_two(body)


class Tree(bp.Supervisor):
    strategy = "one_for_one"
    intensity = 3

    def __init__(self, node: str) -> None:
        super().__init__()
        self.node = node

    def children(self) -> list[bp.ChildSpec]:
        return [bp.ChildSpec("counter", partial(Counter.start_link, 1, name="counter", node=self.node))]


async def test_a_supervisor_restarts_a_child_on_another_node() -> None:
    up, over = asyncio.Event(), asyncio.Event()

    async def host() -> None:
        async with bp.Node(B):
            up.set()
            await over.wait()

    async def body() -> None:
        bp.trap_exit()
        tree = await Tree.start_link(B)
        (first,) = [child.pid for child in await tree.which_children()]
        assert first.node == B
        bp.monitor(first)
        bp.exit(first, "kill")
        await harness.expect(bp.Down)
        counter = Counter.client(("counter", B))
        while True:
            try:
                assert await counter.add() == 2
                break
            except (bp.errors.NoProcess, bp.errors.ServerExited):
                await asyncio.sleep(0.01)
        over.set()
        # It cannot be started again there: that is more than the supervisor may try.
        end = await harness.expect(bp.Exit)
        assert end.pid == tree.pid
        assert end.reason == "shutdown"

    hosting = asyncio.create_task(host())
    await up.wait()
    async with bp.Node(A) as a:
        await a.run(body)
    await hosting


async def sleeper() -> None:
    await asyncio.sleep(3600)


async def test_the_options_of_a_spawn_hold_there() -> None:
    async def body(b: bp.Node) -> None:
        pid, ref = await bp.spawn(sleeper, node=B, name="sleeper", monitor=True, max_mailbox=(2, 10_000))
        for n in range(5):
            bp.send(("sleeper", B), n)
        down = await harness.expect(bp.Down)
        assert (down.ref, down.target, down.reason) == (ref, pid, "killed")
        with pytest.raises(bp.errors.NameTaken):
            first = await bp.spawn(sleeper, node=B, name="sleeper")
            assert first.node == B
            await bp.spawn(sleeper, node=B, name="sleeper")

    await on_two(body)


async def test_a_bare_name_of_a_node_lives_on_localhost() -> None:
    async def body() -> None:
        pid = await bp.spawn(sleeper, node="b")
        assert pid.node == "b@localhost"
        assert await bp.remote_call("b", bp.node) == "b@localhost"
        assert (await bp.multicall(["b"], bp.node)).values() == ["b@localhost"]
        with pytest.raises(bp.errors.BadName):
            bp.remote_call("b b", bp.node)
        with pytest.raises(bp.errors.BadName):
            bp.spawn(sleeper, node=5)  # type: ignore[call-overload]

    async with bp.Node("a") as a, bp.Node("b"):
        await a.run(body)
