"""Nodes on two hosts, which are network namespaces: TLS between them, distance, and silence on the line."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from beampy.testing.cluster import Cluster, ClusterNode
from tests.cluster import network
from tests.cluster.network import HOSTS, Cable, Wire, within

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

A, B = (f"{name}@{host}" for name, host in zip("ab", HOSTS, strict=True))


class Hosts:
    """Two namespaces, and nodes in them."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    async def start(self, cluster: Cluster, name: str, app: str, *args: Any, **options: Any) -> ClusterNode:
        """A node on the host that its name says, and on no other address."""
        host = name.partition("@")[2]
        return await cluster.start(
            name,
            f"tests.cluster.apps:{app}",
            *args,
            prefix=within(self.names[HOSTS.index(host)]),
            env={"ERL_EPMD_ADDRESS": host},
            bind=host,
            **options,
        )


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    if why := network.why_not():
        pytest.skip(why)
    with network.namespaces() as names:
        yield Hosts(names)


@contextlib.contextmanager
def wire(hosts: Hosts) -> Iterator[Wire]:
    if why := network.why_no_wire():
        pytest.skip(why)
    between = Wire(hosts.names)
    try:
        yield between
    finally:
        between.close()


async def lose_and_find(a: ClusterNode, b: ClusterNode, cut: Callable[[], object], heal: Callable[[], object]) -> None:
    """Two nodes that are connected over TLS lose each other in silence, and meet again."""
    up = await a.says("up ")
    assert up.startswith(f"up tls {HOSTS[1]}:")
    await b.says(f"NodeUp(node='{A}')")
    await b.says(f"connected to {A} over tls {HOSTS[0]}:")
    cut()
    began = time.perf_counter()
    assert await a.says("down ") == "down net_tick_timeout"
    sys.stdout.write(f"down after {time.perf_counter() - began:.1f} s of silence\n")
    await b.says(f"NodeDown(node='{A}', reason='net_tick_timeout')")
    heal()
    began = time.perf_counter()
    assert (await a.says("up ", 20, count=2)).startswith(f"up tls {HOSTS[1]}:")
    sys.stdout.write(f"up again after {time.perf_counter() - began:.1f} s\n")
    await b.says(f"NodeUp(node='{A}')", count=2)


async def test_silence_on_the_line(hosts: Hosts):
    async with Cluster() as cluster:
        with wire(hosts) as between:
            b = await hosts.start(cluster, B, "serve", tick_time=3)
            a = await hosts.start(cluster, A, "watch", B, tick_time=3)

            def cut(on: bool) -> None:
                between.cut = on

            await lose_and_find(a, b, lambda: cut(True), lambda: cut(False))
            assert between.carried
            assert between.lost


async def test_a_cable_that_is_pulled(hosts: Hosts):
    cable = Cable(hosts.names)
    async with Cluster() as cluster:
        b = await hosts.start(cluster, B, "serve", tick_time=3)
        a = await hosts.start(cluster, A, "watch", B, tick_time=3)
        await lose_and_find(a, b, cable.pull, cable.plug)


@pytest.mark.slow
async def test_a_dead_host_is_found_by_tcp_long_before_the_ticks(hosts: Hosts):
    async with Cluster() as cluster:
        with wire(hosts) as between:
            b = await hosts.start(cluster, B, "serve")
            a = await hosts.start(cluster, A, "watch", B)
            assert (await a.says("up ")).startswith("up tls ")
            await b.says("NodeUp")
            between.cut = True
            began = time.perf_counter()
            # 13 s of keepalives and TCP_USER_TIMEOUT; the ticks' time is 60 s
            assert await a.says("down ", 40) == "down connection_closed"
            sys.stdout.write(f"TCP gives up after {time.perf_counter() - began:.1f} s\n")
            await b.says("NodeDown", 40)


async def test_a_distance_of_50_ms(hosts: Hosts):
    async with Cluster() as cluster:
        with wire(hosts) as between:
            between.delay = 0.025
            await hosts.start(cluster, B, "serve")
            a = await hosts.start(cluster, A, "work_over", B, 5, 5)
            for n in range(5):
                took = float((await a.says(f"call {n} ")).split()[2])
                assert took > 45  # or else the wire is not what it says; timers are a millisecond early sometimes
            line = await a.says("bulk ", 20)
            sys.stdout.write(line + "\n")
            assert f"tls {HOSTS[1]}:" in line


async def test_plain_tcp_has_to_be_asked_for_on_both_sides(hosts: Hosts):
    Cable(hosts.names)
    async with Cluster() as cluster:
        await hosts.start(cluster, B, "serve", tls=False)
        a = await hosts.start(cluster, A, "dial", B)
        assert "it speaks no TLS" in await a.says("refused HandshakeFailed")
        a.kill()
        await a.wait()
        a = await hosts.start(cluster, A, "dial", B, tls=False)
        assert (await a.says("connected ")).endswith(
            f"tcp {HOSTS[1]}:{(await a.says('connected ')).rpartition(':')[2]}"
        )
