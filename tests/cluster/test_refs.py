"""References between processes: hand-over, memory that falls, a node that is killed, the command."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.errors import OwnerLost
from beampy.refs.service import refs_of
from beampy.testing.cluster import Cluster
from tests.unit.dist.ports import until

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

ME = "test@127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]
MB = 1_000_000


def made(nbytes: int) -> bp.RemoteRef[bytearray]:
    """A large object that lies in memory, page for page."""
    return bp.remote(bytearray(b"x") * nbytes)


KEPT: list[Any] = []


def keep(refs: list[Any]) -> None:
    KEPT.extend(refs)


async def length_of_kept() -> int:
    found: int = await KEPT[0].do.__len__()
    return found


def forget() -> None:
    KEPT.clear()


async def objects(node: str) -> int:
    return len(await bp.refs(node))


async def test_an_object_lives_as_long_as_any_node_has_it_and_then_its_memory_is_free():
    size = 200 * MB
    async with Cluster() as cluster, bp.Node(ME):
        b, c = await cluster.start("b"), await cluster.start("c")
        await bp.remote_call(b.name, len, "")  # what a first call loads
        before = b.rss()
        ref = await bp.remote_call(b.name, made, size)
        assert b.rss() > before + 0.9 * size
        await bp.remote_call(c.name, keep, [ref])
        ref.drop()
        assert await bp.remote_call(c.name, length_of_kept) == size
        await asyncio.sleep(0.5)  # a drop takes a sweep, 0.1 s: what it may not do would have been done
        assert await objects(b.name) == 1
        assert await bp.remote_call(c.name, length_of_kept) == size
        await bp.remote_call(c.name, forget)
        await until(lambda: b.rss() < before + 0.1 * size, 10)
        assert await objects(b.name) == 0


async def test_get_between_two_others_does_not_pass_through_here():
    size = 100 * MB
    async with Cluster() as cluster, bp.Node(ME):
        b, c = await cluster.start("b"), await cluster.start("c")
        ref = await bp.remote_call(b.name, made, size)
        mine = os.getpid()
        before = rss(mine)
        assert await bp.remote_call(c.name, len, ref) == size
        copy = await bp.put(ref, node=c.name)
        assert await copy.do.__len__() == size
        assert rss(mine) < before + 0.2 * size


def rss(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_killed_owner_is_said_at_use():
    async with Cluster() as cluster, bp.Node(ME):
        b, c = await cluster.start("b"), await cluster.start("c")
        ref = await bp.remote_call(b.name, made, MB)
        await bp.remote_call(c.name, keep, [ref])
        running = ref.apply(asyncio_sleep, 3600.0)
        assert await ref.do.__len__() == MB
        b.kill()
        with pytest.raises(OwnerLost, match=rf"the bytearray of 1 MB was on {b.name}, which is lost: "):
            await running
        with pytest.raises(OwnerLost):
            await ref.get()
        with pytest.raises(OwnerLost):
            await bp.remote_call(c.name, length_of_kept)
        await bp.remote_call(c.name, forget)


async def asyncio_sleep(_: Any, seconds: float) -> None:
    await asyncio.sleep(seconds)


async def test_the_objects_of_a_killed_holder_are_freed():
    async with Cluster() as cluster, bp.Node(ME):
        c = await cluster.start("c")
        ref = bp.remote(bytearray(MB))
        await bp.remote_call(c.name, keep, [ref])
        ref.drop()
        assert await objects(ME) == 1
        c.kill()
        await c.wait()
        refs = refs_of(api.self_process().node)
        await until(lambda: not refs.rows())  # a process of this host: its death is seen


async def test_the_command_shows_who_holds_what():
    async with Cluster() as cluster, bp.Node(ME):
        b = await cluster.start("b")
        ref = await bp.put(bytes(5 * MB), node=b.name, label="prices")

        async def shown(*more: str) -> str:
            argv = [sys.executable, "-W", "error", "-m", "beampy", "refs", b.name, *more]
            env = os.environ | {"PYTHONPATH": str(ROOT), "BEAMPY_COOKIE": cluster.cookie}
            done = await asyncio.to_thread(
                subprocess.run, argv, env=env, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        lines = (await shown()).splitlines()
        assert lines[0] == f"{b.name}: 1 object, 5 MB"
        assert lines[2].split()[-2:] == [ME, "prices"]
        found = json.loads(await shown("--json", "--limit", "1"))
        assert (found["objects"], found["rows"][0]["type"]) == (1, "bytes")
        ref.drop()
