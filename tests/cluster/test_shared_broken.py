"""Shared memory between real processes: what was broken once."""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

import pytest

import beampy as bp
from beampy.testing.cluster import Cluster
from tests.cluster import shared_app as app
from tests.cluster.test_shared_memory import ME, SIZE, other

np = pytest.importorskip("numpy")

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.loops("uvloop"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory files are Linux's"),
]


def fill_up() -> None:
    """Open so many files that there can be no more."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        while True:
            app.KEPT.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass


def add_one(array: Any) -> float:
    """Write to an array whatever it says, as torch.from_numpy makes possible."""
    import ctypes

    address = array.__array_interface__["data"][0]
    ctypes.c_double.from_address(address).value += 1
    return float(array[0])


async def test_a_server_that_is_full_still_receives():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        await bp.remote_call(b.name, fill_up)
        for mark in (1, 2):
            assert await bp.remote_call(b.name, app.check, app.block(mark, SIZE), mark)
        assert bp.nodes() == [b.name]


async def test_writing_to_what_is_read_only_ends_no_process():
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        ref = await bp.put(np.zeros(SIZE // 8))
        assert [await bp.remote_call(b.name, add_one, ref) for _ in range(3)] == [1.0] * 3
        mine = await ref.get()
        assert not mine.flags.writeable
        assert add_one(mine) == 1.0
        assert await bp.remote_call(b.name, add_one, ref) == 1.0


@pytest.mark.parametrize("size", [100_000, SIZE])
async def test_a_read_only_view_arrives_as_it_was(size: int):
    async with Cluster() as cluster, bp.Node(ME):
        b = await other(cluster, "b")
        pid = await bp.spawn(highest, bp.self(), node=b.name)
        array = np.zeros(size, np.uint8)
        view = array[:]
        view.flags.writeable = False
        bp.send(pid, [view])
        array[:] = 5
        assert await bp.receive(int, timeout=10) == 0


async def highest(parent: bp.Pid) -> None:
    (array,) = await bp.receive(list)
    bp.send(parent, int(array.max()))
