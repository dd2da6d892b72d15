"""The two-node variants are what they say they are, and what is left out of them has a reason in core/SEMANTICS.md."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import beampy as bp
from beampy import api
from beampy.testing import harness
from beampy.testing.substrate import NAMES, Substrate
from tests.conformance import one_node
from tests.conformance.test_coverage_of_probes import SEMANTICS, functions
from tests.conformance.vocabulary import get1, idle, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent

# How many tests hold what one node promises alone. One more is to be meant: it is behaviour that two nodes do not have.
LEFT_OUT = {
    "AT_ONCE": 3,
    "DEAD": 3,
    "EXITING": 2,
    "GROUPS": 10,
    "LOOKS": 1,
    "NAMES": 16,
    "SHARED": 3,
    "TASKS": 3,
    "TIMERS": 2,
}


def left_out() -> Iterator[str]:
    """The marks of the tests that run on one node only."""
    for function in functions(HERE):
        for decorator in function.decorator_list:
            text = ast.unparse(decorator)
            assert not text.startswith("pytest.mark.one_node"), f"{function.name}: its reason belongs in one_node.py"
            if text.startswith("one_node."):
                yield text.removeprefix("one_node.")


def test_what_is_left_out_is_counted() -> None:
    assert Counter(left_out()) == LEFT_OUT


def test_the_reasons_are_sentences_of_the_semantics() -> None:
    said = " ".join(SEMANTICS.read_text(encoding="utf-8").split())
    for name in LEFT_OUT:
        why = getattr(one_node, name).mark.args[0]
        assert why in said, f"{name}: {why}"


# the substrate itself


async def on_two(body: Any, tls: bool = False) -> Any:
    """What a body returns on two nodes, and what connects them, as each of them sees it."""
    async with Substrate(tls=tls).nodes() as nodes:
        answer = await nodes[0].run(body)
        kinds = [(info["carrier"], info["node"]) for node in nodes for info in node._peers.info()]
        return answer, kinds


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.loops("asyncio", "uvloop")
async def test_children_live_on_the_other_node_over_tcp_or_tls(tls: bool) -> None:
    async def body() -> list[str]:
        me = bp.self()

        async def grandchild() -> None:
            bp.send(me, ("grandchild", bp.node()))

        async def child() -> None:
            bp.send(me, ("child", bp.node()))
            bp.spawn_link(grandchild)

        _, ref = bp.spawn_monitor(child)
        seen = [bp.node(), *[(await bp.receive((who, str)))[1] for who in ("child", "grandchild")]]
        assert await reason(ref) == "normal"
        return seen

    seen, kinds = await on_two(body, tls)
    assert seen == [NAMES[0], NAMES[1], NAMES[0]]
    assert [("tls" in carrier.lower(), node) for carrier, node in kinds] == [(tls, NAMES[1]), (tls, NAMES[0])]


async def test_messages_are_copies_and_what_cannot_travel_is_itself() -> None:
    class Local:
        pass

    async def body() -> None:
        me = bp.self()

        async def back() -> None:
            bp.send(me, await bp.receive())

        lock, sent = object(), ["a list", (1, 2.5)]
        for message in (sent, Local(), lambda: lock, (i for i in ())):
            bp.send(bp.spawn(back), message)
            came = await get1()
            assert type(came) is type(message)
            assert (came is message) == (callable(message) or not isinstance(message, list | Local))
        bp.send(bp.spawn(back), sent)
        assert await get1() == sent

    await on_two(body)


async def test_a_signal_takes_time_and_arrived_waits_for_it() -> None:
    async def body() -> tuple[bool, bool]:
        pid = bp.spawn(idle)
        bp.exit(pid, "kill")
        before = bp.is_alive(pid)
        await harness.arrived(pid)
        return before, bp.is_alive(pid)

    assert (await on_two(body))[0] == (True, False)


async def test_names_and_the_nodes_own_stay_where_they_are() -> None:
    async def body() -> list[str]:
        me = bp.self()

        async def says() -> None:
            bp.send(me, bp.node())

        bp.spawn(says, name="named")
        api.self_process().node.spawn(says, (), api.self_process())
        return [await get1(), await get1()]

    assert (await on_two(body))[0] == [NAMES[0], NAMES[0]]


async def test_nothing_is_held_when_the_nodes_have_ended() -> None:
    from beampy.testing import substrate

    local = api._local

    async def body() -> None:
        bp.send(bp.spawn(idle), lambda: None)

    await on_two(body)
    assert substrate.held == {}
    assert api._local is local
