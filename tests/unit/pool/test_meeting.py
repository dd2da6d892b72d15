"""Runners that meet: each other, and nodes of their parent's cluster; whoever is not to be met, and why."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy.dist.address import Address
from beampy.dist.discovery import StaticDiscovery
from beampy.errors import BeampyError, UnknownNode
from beampy.pool.meeting import Introductions
from beampy.pool.messages import Met, Unmet
from beampy.runtime.introductions import COMING, accept, addresses, listening
from beampy.testing import harness
from beampy.testing.pool_backend import LoopBackend
from tests.unit.pool.ground import double, pooled, until
from tests.unit.pool.runner_ground import COOKIE, Up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def where() -> str:
    return bp.node()


async def echo() -> bp.Pid:
    """A process of this runner that answers once with what it was sent."""

    async def answer() -> None:
        sender, text = await bp.receive(tuple)
        bp.send(sender, f"{text} at {bp.node()}")

    return bp.spawn(answer)


async def send_to(pid: bp.Pid, text: str) -> str:
    bp.send(pid, (bp.self(), text))
    answer: str = await bp.receive(str, timeout=harness.DEADLINE)
    return answer


async def call_at(node: str) -> int:
    value: int = await bp.remote_call(node, double, 21)
    return value


async def reach(node: str) -> str:
    """Why not, or "" when it is connected."""
    try:
        await bp.connect(node)
    except BeampyError as error:
        return f"{type(error).__name__}: {error}"
    return ""


async def spread(pool: bp.Pool, count: int) -> list[str]:
    """The names of `count` runners, which are up."""
    pool.resize(min=count)
    await until(lambda: sum(runner["state"] == "up" for runner in pool.runners()) == count)
    return [runner["node"] for runner in pool.runners()]


def core(backend: LoopBackend, name: str) -> Any:
    for machine in backend.machines:
        for node in backend.nodes(machine):
            if node.name == name:
                return node
    raise LookupError(name)


async def at(pool: bp.Pool, backend: LoopBackend, name: str, fn: Any, *args: Any) -> Any:
    """Run it on that very runner."""
    return await bp.remote_call(name, fn, *args)


@pooled
async def test_a_process_of_one_runner_is_sent_a_message_by_another() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2) as pool:
        one, two = await spread(pool, 2)
        pid = await at(pool, backend, one, echo)
        assert pid.node == one
        assert await at(pool, backend, two, send_to, pid, "hello") == f"hello at {one}"
        assert two in core(backend, one)._local.remote.nodes("hidden")
        assert set(core(backend, one)._local.remote.nodes("all")) == {two, bp.node()}  # it is no mesh


@pooled
async def test_a_runner_calls_another_one() -> None:
    backend = LoopBackend()
    async with bp.Pool(backend=backend, max=2) as pool:
        one, two = await spread(pool, 2)
        assert await at(pool, backend, two, call_at, one) == 42


@pooled
async def test_runners_of_two_pools_of_one_node_meet() -> None:
    ours, theirs = LoopBackend(), LoopBackend()
    async with bp.Pool("a", backend=ours, min=1) as pool, bp.Pool("b", backend=theirs, min=1) as other:
        [one] = await spread(pool, 1)
        [two] = await spread(other, 1)
        pid = await at(pool, ours, one, echo)
        assert await at(other, theirs, two, send_to, pid, "hello") == f"hello at {one}"
        cookies = core(ours, one).cookies
        assert cookies.for_node(two) != cookies.current  # made for these two
        assert len(cookies.for_node(two)) == 1


@pooled
async def test_who_is_not_connected_with_the_pool_is_not_introduced() -> None:
    backend = LoopBackend()
    async with bp.Pool("p", backend=backend, min=1) as pool:
        [one] = await spread(pool, 1)
        why = await at(pool, backend, one, reach, "nobody@127.0.0.1")
        assert why.startswith("UnknownNode")
        assert (
            f"the pool on {bp.node()} does not introduce it: {bp.node()} is not connected with nobody@127.0.0.1" in why
        )
        why = await at(pool, backend, one, reach, "p-7@127.0.0.1")
        assert "that is no runner of this pool" in why


@pooled
async def test_a_runner_that_has_ended_cannot_be_met() -> None:
    backend = LoopBackend()
    async with bp.Pool("p", backend=backend, max=2) as pool:
        one, two = await spread(pool, 2)
        pool.resize(min=0)
        backend.kill(backend.machines[0])
        await until(lambda: len(pool.runners()) == 1)
        assert "is not connected with" in await at(pool, backend, two, reach, one)


@pooled
async def test_before_it_was_taken_a_runner_knows_its_parent_only() -> None:
    discovery = Introductions("a@h", [Address("h", 9100)])
    assert await discovery.lookup("a@h") == [Address("h", 9100)]
    with pytest.raises(UnknownNode, match="has not been taken by its pool on a@h yet"):
        await discovery.lookup("b@h")


@pooled
async def test_a_pool_that_does_not_answer_is_named() -> None:
    backend = LoopBackend()
    async with bp.Pool("p", backend=backend, min=1) as pool:
        [one] = await spread(pool, 1)
        node = core(backend, one)
        discovery = node._local.remote.listeners.discovery
        discovery._ask = lambda name: bp.request("nobody")
        with pytest.raises(UnknownNode, match=r"its pool on .* was asked, and did not answer"):
            await discovery.lookup("b@h")
        discovery._ask = lambda name: answered(("no", "answer"))
        with pytest.raises(UnknownNode, match="it says"):
            await discovery.lookup("b@h")
        discovery._ask = lambda name: answered(Unmet("it is shy"))
        with pytest.raises(UnknownNode, match="does not introduce it: it is shy"):
            await discovery.lookup("b@h")
        discovery._ask = lambda name: answered(Met(({"host": "h", "port": 7, "later": 1},), "Qh8sT1zFvE5oGx6uPy4iWj"))
        assert await discovery.lookup("b@h") == [Address("h", 7)]
        assert node.cookies.for_node("b@h") != node.cookies.current
        node.cookies.set_for("b@h", None)


async def answered(answer: Any) -> Any:
    return answer


# the node that is to be met


@contextlib.asynccontextmanager
async def neighbours(**options: Any) -> AsyncIterator[tuple[Up, Up]]:
    """The node of a pool, and another one that it is connected with."""
    other = Up(bp.Node("x@127.0.0.1", cookie=COOKIE, discovery=StaticDiscovery({}), tls=False, **options), "localhost")
    await other.started()
    try:
        table = StaticDiscovery({"x@127.0.0.1": addresses(listening(local(other)))} if listening(local(other)) else {})
        home = Up(bp.Node("a@127.0.0.1", cookie=COOKIE, discovery=table, tls=False), "localhost")
        await home.started()
        try:
            yield home, other
        finally:
            await home.down()
    finally:
        await other.down()


def local(up: Up) -> Any:
    return up.node._local


def among(**options: Any) -> Any:
    """Run the test as a process of a pool's node, connected with another node."""

    def decorate(test: Any) -> Any:
        async def run() -> None:
            async with neighbours(**options) as (home, other):
                await home.node.run(test, other)

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate


@among()
async def test_a_runner_meets_a_node_of_its_parents_cluster(other: Up) -> None:
    backend = LoopBackend()
    async with bp.Pool("p", backend=backend, min=1) as pool:
        [one] = await spread(pool, 1)
        assert "is not connected with x@127.0.0.1" in await at(pool, backend, one, reach, other.node.name)
        await bp.connect(other.node.name)
        pid = await bp.remote_call(other.node.name, echo)
        assert await at(pool, backend, one, send_to, pid, "hello") == "hello at x@127.0.0.1"
        cookies = other.node.cookies
        assert cookies.for_node(one) == core(backend, one).cookies.for_node(other.node.name)
        assert cookies.for_node(one) not in (cookies.current, core(backend, one).cookies.current)
        assert bp.nodes() == ["x@127.0.0.1"]  # the runner is hidden


@pytest.mark.loops("sim")
@among()
async def test_the_node_that_was_met_forgets_the_runner_when_it_is_gone(other: Up) -> None:
    backend = LoopBackend()
    cookies = other.node.cookies
    await bp.connect(other.node.name)
    async with bp.Pool("p", backend=backend, min=1) as pool:
        [one] = await spread(pool, 1)
        assert await at(pool, backend, one, reach, other.node.name) == ""
        assert cookies.for_node(one) != cookies.current
        core(backend, one)._local.remote.disconnect(other.node.name)
        await asyncio.sleep(COMING / 2)
        assert cookies.for_node(one) != cookies.current
        assert await at(pool, backend, one, reach, other.node.name) == ""  # it was introduced anew
        await asyncio.sleep(COMING)
        assert cookies.for_node(one) != cookies.current
    await asyncio.sleep(COMING + 1)
    assert cookies.for_node(one) == cookies.current
    labels = [process.extras().label for process in local(other).processes.values()]
    assert not [label for label in labels if "meets" in str(label)]


@pytest.mark.loops("sim")
@among()
async def test_a_runner_that_does_not_come_is_forgotten(other: Up) -> None:
    await bp.connect(other.node.name)
    cookies = other.node.cookies
    where = await bp.remote_call(other.node.name, accept, "p-1@127.0.0.1", "Qh8sT1zFvE5oGx6uPy4iWj")
    assert addresses(where) == addresses(listening(local(other)))
    assert cookies.for_node("p-1@127.0.0.1") != cookies.current
    await asyncio.sleep(COMING + 1)
    assert cookies.for_node("p-1@127.0.0.1") == cookies.current


@among(allowed=["a@127.0.0.1"])
async def test_a_node_that_allows_certain_others_only_is_not_met(other: Up) -> None:
    await bp.connect(other.node.name)
    backend = LoopBackend()
    async with bp.Pool("p", backend=backend, min=1) as pool:
        [one] = await spread(pool, 1)
        why = await at(pool, backend, one, reach, other.node.name)
        assert f"x@127.0.0.1 does not accept {one}: {one} is not among the nodes that x@127.0.0.1 allows" in why
        assert other.node.cookies.for_node(one) == other.node.cookies.current


@pooled
async def test_a_node_that_does_not_listen_accepts_nobody() -> None:
    with pytest.raises(BeampyError, match="does not listen, so nobody can connect with it"):
        await accept("p-1@127.0.0.1", "Qh8sT1zFvE5oGx6uPy4iWj")


def test_addresses_of_a_later_version_are_read() -> None:
    assert addresses([{"host": "h", "port": 1, "quic": 2}]) == [Address("h", 1)]
