"""tasks: the factory that tells a process of its tasks, over whatever factory the loop has."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.core import tasks
from beampy.core.tasks import OwningFactory, install, uninstall
from beampy.testing import harness


class Loop:
    """A loop, as far as factories go."""

    def __init__(self, factory: Any = None) -> None:
        self.factory = factory

    def get_task_factory(self) -> Any:
        return self.factory

    def set_task_factory(self, factory: Any) -> None:
        self.factory = factory


@pytest.mark.parametrize("below", [None, object()])
def test_it_goes_with_the_last_node(below: Any) -> None:
    loop: Any = Loop(below)
    install(loop)
    over = loop.factory
    assert isinstance(over, OwningFactory)
    assert over.below is below
    install(loop)
    assert loop.factory is over
    uninstall(loop)
    assert loop.factory is over
    uninstall(loop)
    assert loop.factory is below
    uninstall(loop)
    assert loop.factory is below
    assert loop not in tasks._installed


def test_a_factory_laid_over_ours_is_kept() -> None:
    loop: Any = Loop()
    install(loop)
    another = loop.factory = object()
    install(loop)
    assert loop.factory.below is another
    uninstall(loop)
    assert loop.factory is another


def test_what_was_laid_over_ours_stays_when_we_go() -> None:
    loop: Any = Loop()
    install(loop)
    another = loop.factory = object()
    uninstall(loop)
    assert loop.factory is another


async def test_the_loop_has_its_own_back() -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()

    async def body() -> bool:
        return isinstance(loop.get_task_factory(), OwningFactory)

    assert await harness.run(body)
    assert loop.get_task_factory() is before


async def test_the_loops_own_factory_makes_the_tasks() -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    made: list[Any] = []

    def factory(loop: Any, coro: Any, **kwargs: Any) -> Any:
        made.append(kwargs)
        return asyncio.Task(coro, loop=loop, **kwargs)

    async def body() -> int:
        task = asyncio.create_task(asyncio.sleep(0), name="named")
        assert api.self_process().extras().tasks == {task}
        assert task.get_name() == "named"
        await task
        return len(made)

    async with bp.Node() as node:
        count = len(made)
        loop.set_task_factory(None)
        loop.set_task_factory(before)
        assert count == 0
        assert await node.run(asyncio.sleep, 0, "x") == "x"
    loop.set_task_factory(factory)
    try:
        assert await harness.run(body) >= 1
        assert loop.get_task_factory() is factory
    finally:
        loop.set_task_factory(before)


async def test_two_nodes_on_one_loop_own_their_own() -> None:
    async def holds(tasks_of: dict[str, Any]) -> None:
        me = api.self_process()
        tasks_of[me.node.name] = asyncio.create_task(asyncio.sleep(30))
        assert me.extras().tasks == {tasks_of[me.node.name]}
        await bp.receive()

    found: dict[str, Any] = {}
    async with bp.Node("a") as a:
        async with bp.Node("b") as b:
            pids = [a.spawn(holds, found), b.spawn(holds, found)]
            while len(found) < 2:
                await asyncio.sleep(0)
        assert pids[1].node == "b@localhost"
        assert found["b@localhost"].cancelled()
        assert not found["a@localhost"].done()
    await asyncio.sleep(0)
    assert found["a@localhost"].cancelled()


async def test_tasks_of_nobody_are_left_alone() -> None:
    async with bp.Node() as node:
        task = asyncio.create_task(asyncio.sleep(30))
        process = node._core.processes
        assert not any(p._extras is not None and p._extras.tasks for p in process.values())
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
