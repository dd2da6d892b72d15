"""References in messages that nobody decodes hold their objects as long as the message is there, and no longer."""

from __future__ import annotations

import asyncio
import functools
import threading
from typing import Any

import pytest

import beampy as bp
from beampy.refs.service import Refs
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import Shelf, at, between, refs_at

MANY = 3500  # messages of each test; with three loops 10 000 for each way
TURN = 100  # after which others run: nobody writes so much that it is parked


async def sleeper() -> None:
    await asyncio.sleep(1e6)


async def ended() -> None:
    """It has ended before anybody writes to it."""


async def send_all(dest: Any, count: int = MANY) -> None:
    """So many messages, each with a reference of its own in it, and one that all share."""
    shared = bp.remote(Shelf())
    for number in range(count):
        bp.send(dest, [number, bp.remote(Shelf(number)), shared])
        if number % TURN == 0:
            await asyncio.sleep(0)


def is_empty(refs: Refs) -> bool:
    return not refs.objects and not len(refs.holds) and refs.ledger.is_empty()


async def emptied(nodes: Cluster) -> None:
    """Nothing is left on any node; nobody waits for a garbage collection."""
    for name in nodes.nodes:
        refs = refs_at(nodes, name)
        await until(functools.partial(is_empty, refs), True)


@between
async def test_for_a_process_that_has_ended(nodes: Cluster) -> None:
    pid = await bp.spawn(ended, node=at("b"))
    await send_all(pid)
    await emptied(nodes)


@between
async def test_for_a_name_that_nobody_has(nodes: Cluster) -> None:
    await send_all(("nobody", at("b")))
    await emptied(nodes)


@between
async def test_for_an_alias_that_is_over(nodes: Cluster) -> None:
    dead = await bp.remote_call(at("b"), an_alias)
    await send_all(dead)
    await emptied(nodes)


async def an_alias() -> bp.Ref:
    ref = bp.alias()
    bp.unalias(ref)
    return ref


@between
async def test_for_a_mailbox_that_is_full(nodes: Cluster) -> None:
    pid, ref = await bp.spawn(sleeper, node=at("b"), monitor=True, max_mailbox=MANY // 2)
    await send_all(pid)
    assert await bp.receive(bp.Down) == bp.Down(ref, pid, "killed")
    await emptied(nodes)


@between
async def test_for_a_process_that_is_killed_with_them_in_its_mailbox(nodes: Cluster) -> None:
    pid = await bp.spawn(sleeper, node=at("b"))
    await send_all(pid)
    # All have arrived, and none is freed as long as the process is there.
    await until(lambda: len(refs_at(nodes, "b").holds), MANY + 1)
    assert await bp.ping(at("b"))
    assert len(refs_at(nodes, "a").objects) == MANY + 1
    bp.exit(pid, "kill")
    await emptied(nodes)


@between
async def test_for_a_call_whose_caller_is_gone(nodes: Cluster) -> None:
    """Its arguments are read, and its answer comes for nobody."""

    async def caller() -> None:
        calls = [bp.remote_call(at("b"), answered_late, [bp.remote(Shelf())]) for _ in range(MANY // 10)]
        for call in calls:
            await call

    pid = bp.spawn(caller)
    await until(lambda: len(refs_at(nodes, "b").holds), MANY // 10)
    bp.exit(pid, "kill")
    await emptied(nodes)


async def answered_late(refs: list[Any]) -> list[Any]:
    await asyncio.sleep(0.2)
    return [*refs, bp.remote(Shelf())]


@between
async def test_for_a_spawn_that_fails_there(nodes: Cluster) -> None:
    await bp.spawn(sleeper, node=at("b"), name="taken")
    for _ in range(TURN):
        with pytest.raises(bp.errors.NameTaken):
            await bp.spawn(needs, [bp.remote(Shelf())], node=at("b"), name="taken")
    await emptied(nodes)


async def needs(refs: list[Any]) -> None:
    await asyncio.sleep(1e6)


@between
async def test_in_reasons_for_links_and_monitors_that_are_no_more(nodes: Cluster) -> None:
    pids = [await bp.spawn(fails_with, node=at("b")) for _ in range(TURN)]
    watching = [bp.monitor(pid) for pid in pids]
    for pid, ref in zip(pids, watching, strict=True):
        bp.send(pid, [bp.remote(Shelf())])
        bp.demonitor(ref, flush=True)
    await emptied(nodes)


async def fails_with() -> None:
    bp.exit(["reason", await bp.receive()])


@between
async def test_an_encoding_that_fails_lends_nothing(nodes: Cluster) -> None:
    pid = await bp.spawn(sleeper, node=at("b"))
    for _ in range(TURN):
        with pytest.raises(bp.errors.EncodeError):
            bp.send(pid, [bp.remote(Shelf()), threading.Lock()])
    await emptied(nodes)
