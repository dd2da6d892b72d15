"""Agent: state in a process, and the functions that are sent to it."""

from __future__ import annotations

import asyncio
import operator
import pickle
from functools import partial
from typing import Any

import pytest

import beampy as bp
from beampy.errors import (
    AlreadyStarted,
    BadReturn,
    CallTimeout,
    NoProcess,
    RemoteTraceback,
    ServerExited,
    StartFailed,
)
from beampy.otp import debug
from beampy.otp.agent import Agent
from beampy.testing import harness
from tests.unit.otp.tidy import process


def add(n: int, by: int = 1) -> int:
    return n + by


async def slow_add(n: int, by: int = 1) -> int:
    await asyncio.sleep(0)
    return n + by


def fail(_: Any) -> Any:
    raise ValueError("boom")


async def slow_fail(_: Any) -> Any:
    await asyncio.sleep(0)
    raise ValueError("boom")


async def make(n: int) -> list[int]:
    await asyncio.sleep(0)
    return [n]


# --- starting


@process
async def test_the_state_is_a_value_or_what_a_function_makes():
    for start, state in (((0,), 0), ((None,), None), ((dict,), {}), ((make, 3), [3]), ((partial(add, 1), 2), 3)):
        agent: Agent[Any] = await Agent.start_link(*start)  # type: ignore[call-overload]
        assert await agent.get(lambda it: it) == state
        await agent.stop()


@process
async def test_the_function_runs_in_the_agent():
    agent = await Agent.start_link(bp.self)
    assert await agent.get(lambda pid: pid) == agent.pid
    assert await agent.get(lambda _: bp.self()) == agent.pid
    await agent.stop()


@process
async def test_a_name():
    agent = await Agent.start_link(5, name="counter")
    named: Agent[int] = Agent.client("counter")
    assert await named.get(str) == "5"
    assert named.pid == agent.pid
    with pytest.raises(AlreadyStarted):
        await Agent.start_link(6, name="counter")
    await named.stop()
    with pytest.raises(NoProcess):
        await named.get(str)


@process
async def test_a_start_that_fails():
    def broken() -> None:
        raise ValueError("no state")

    with pytest.raises(StartFailed, match="no state"):
        await Agent.start_link(broken)
    with pytest.raises(StartFailed, match="takes no arguments"):
        await Agent.start_link(0, 1)


@process
async def test_without_a_link():
    agent = await Agent.start(0)
    info = bp.process_info(bp.self())
    assert info is not None
    assert info.links == ()
    await agent.stop()


# --- using


@process
async def test_get_update_and_both():
    agent = await Agent.start_link(1)
    for fn in (add, slow_add):
        assert await agent.get(fn) == 2
        assert await agent.get(fn, 5) == 6
        assert await agent.get(fn, by=7) == 8
    await agent.update(add)
    await agent.update(slow_add, 3)
    assert await agent.get(add, 0) == 5
    assert await agent.get_and_update(lambda n: ("was", n * 2)) == "was"
    assert await agent.get(add, 0) == 10
    agent.cast(add, 1)
    agent.cast(slow_add, 1)
    assert await agent.get(add, 0) == 12
    await agent.stop()


@process
async def test_update_answers_none_and_when_it_is_done():
    agent = await Agent.start_link(dict)
    assert await agent.update(operator.or_, {"a": 1}) is None
    assert await agent.get(operator.itemgetter("a")) == 1
    await agent.stop()


@process
async def test_nobody_sees_the_state_between():
    agent = await Agent.start_link(0)
    await asyncio.gather(*(asyncio.ensure_future(waited(agent.update(slow_add))) for _ in range(100)))
    assert await agent.get(add, 0) == 100
    await agent.stop()


async def waited(handle: Any) -> Any:
    return await handle


@process
async def test_a_deadline():
    agent = await Agent.start_link(0)

    async def never(_: int) -> None:
        await asyncio.sleep(3600)

    with pytest.raises(CallTimeout):
        await agent.options(timeout=0.01).get(never)
    bp.unlink(agent.pid)
    bp.exit(agent.pid, "kill")


# --- failures


@pytest.mark.parametrize("fn", [fail, slow_fail])
@pytest.mark.parametrize("verb", ["get", "update", "get_and_update"])
async def test_an_error_reaches_its_caller_and_ends_the_agent(fn: Any, verb: str, caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        agent = await Agent.start(0)
        ref = bp.monitor(agent.pid)
        with pytest.raises(ValueError, match="boom") as caught:
            await getattr(agent, verb)(fn)
        assert isinstance(caught.value.__cause__, RemoteTraceback)
        down = await harness.expect(bp.Down)
        assert (down.ref, down.reason.type) == (ref, "ValueError")

    await harness.run(body)
    assert "crashed: ValueError: boom" in caplog.text


async def test_an_error_of_a_cast_ends_the_agent(caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        agent = await Agent.start(0)
        agent.cast(fail)
        with pytest.raises(ServerExited, match="boom"):
            await agent.get(add)

    await harness.run(body)
    assert "boom" in caplog.text


async def test_a_linked_owner_goes_with_it(caplog: pytest.LogCaptureFixture):
    async def own() -> None:
        agent = await Agent.start_link(0)
        agent.cast(fail)
        await bp.receive()

    async def body() -> None:
        reason = await harness.ended(bp.spawn(own))
        assert reason.type == "ValueError"

    await harness.run(body)


@pytest.mark.parametrize("answer", [None, 5, (1,), (1, 2, 3), [1, 2]])
async def test_get_and_update_wants_a_pair(answer: Any, caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        agent = await Agent.start(0)
        with pytest.raises(BadReturn, match="answer, new state"):
            await agent.get_and_update(lambda _: answer)

    await harness.run(body)


# --- ends


@process
async def test_stop():
    agent = await Agent.start_link(0)
    await agent.stop()
    assert not bp.is_alive(agent.pid)
    with pytest.raises(NoProcess):
        await agent.get(add)
    agent.cast(add)  # never fails


@process
async def test_it_is_a_server_like_others():
    agent = await Agent.start_link({"a": 1}, name="state")
    assert (await debug.get_state(agent))["state"] == {"a": 1}
    assert pickle.loads(pickle.dumps(agent)) == agent
    spec = Agent.child_spec(dict, name="cache")
    assert spec.id == "cache"
    start, args = spec.call
    cache = await start(*args)
    assert await cache.get(len) == 0
    await cache.stop()
    await agent.stop()


def test_from_threads():
    with bp.start():
        agent = Agent.start(0).result(5)
        agent.update(add, 4).result(5)
        assert agent.get(str).result(5) == "4"
        agent.cast(add)
        assert agent.get(str).result(5) == "5"
        agent.stop().result(5)
