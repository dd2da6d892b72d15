"""A node without a name, or that does not listen, opened up for those it starts itself."""

from __future__ import annotations

import asyncio

import pytest

import beampy as bp
from beampy.core.ids import NO_NODE

COOKIE = "Qh8sT1zFvE5oGx6uPy4iWj"

real = pytest.mark.loops("asyncio", "uvloop")


async def guest(name: str, parent: str, addresses: list, cookie: str = COOKIE) -> None:
    """A node that knows where the parent is."""
    known = bp.StaticDiscovery({parent: addresses})
    async with bp.Node(name, cookie=cookie, hidden=True, mesh=False, listen=False, discovery=known):
        await bp.connect(parent)
        bp.send(("main", parent), ("hello", bp.self()))
        assert await bp.receive(timeout=5) == "hello yourself"


@real
async def test_a_node_without_a_name_is_met_by_who_knows_where_it_is():
    async with bp.Node() as node:
        bp.register("main", bp.self())
        before = bp.self()
        peers = await node._open_up()
        peers.options.cookies.set_for("guest@127.0.0.1", COOKIE)
        meeting = asyncio.create_task(guest("guest@127.0.0.1", NO_NODE, peers.listeners.addresses()))
        match await bp.receive(timeout=5):
            case ("hello", pid):
                bp.send(pid, "hello yourself")
        await meeting
        assert bp.self() == before
        assert bp.node() == NO_NODE
        assert bp.nodes() == []


@real
async def test_a_stranger_has_no_cookie_for_it():
    async with bp.Node() as node:
        peers = await node._open_up()
        with pytest.raises(bp.errors.NotConnected):
            await guest("stranger@127.0.0.1", NO_NODE, peers.listeners.addresses())


@real
async def test_a_named_node_that_does_not_listen():
    known = bp.StaticDiscovery({})
    async with bp.Node("shy@127.0.0.1", cookie=COOKIE, listen=False, discovery=known) as node:
        bp.register("main", bp.self())
        peers = await node._open_up()
        assert await node._open_up() is peers
        meeting = asyncio.create_task(guest("guest@127.0.0.1", "shy@127.0.0.1", peers.listeners.addresses()))
        match await bp.receive(timeout=5):
            case ("hello", pid):
                bp.send(pid, "hello yourself")
        await meeting


@real
async def test_two_who_open_it_up_at_once():
    async with bp.Node() as node:
        first, second = await asyncio.gather(node._open_up(), node._open_up())
        assert first is second
        assert len(first.listeners.addresses()) == 1
