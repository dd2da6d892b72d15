"""partition: one child many times, and which of them a key leads to."""

from __future__ import annotations

import asyncio
import datetime
import enum
import os
import subprocess
import sys
import threading
import uuid
from collections import Counter as Tally
from typing import Any, NamedTuple

import pytest

import beampy as bp
from beampy.errors import BadSpec, NoProcess, NotLocal
from beampy.otp.dynamic import DynamicSupervisor
from beampy.otp.partition import PartitionSupervisor, partition_of
from beampy.otp.supervisor import Supervisor
from beampy.testing import harness
from tests.unit.otp.children import idle, run

whereis = PartitionSupervisor.whereis


class Store(bp.Server):
    def __init__(self, name: Any = None) -> None:
        self.name = name
        self.data: dict[Any, Any] = {}

    @bp.call
    async def put(self, key: Any, value: Any) -> None:
        self.data[key] = value

    @bp.call
    async def get(self, key: Any) -> Any:
        return self.data.get(key)

    @bp.call
    async def called(self) -> Any:
        return self.name


# the supervisor


async def test_a_key_leads_to_its_partition_by_name_pid_or_client() -> None:
    async def test() -> None:
        stores = await PartitionSupervisor.start_link(Store, name="stores", partitions=4)
        assert await stores.partitions() == 4
        assert [info.id for info in await stores.which_children()] == [3, 2, 1, 0]
        for key in range(20):
            store = whereis("stores", key)
            assert store == whereis(stores, key) == whereis(stores.pid, key) == await stores.for_key(key)
            await store.put(key, -key)
        for key in range(20):
            assert await whereis("stores", key).get(key) == -key
            assert await whereis("stores", key).get(key + 1) is None
        assert len({whereis("stores", key).pid for key in range(20)}) == 4

    await run(test)


async def test_there_are_as_many_as_cpus() -> None:
    async def test() -> None:
        stores = await PartitionSupervisor.start_link((Store, "all"))
        assert await stores.partitions() == (os.cpu_count() or 1)
        assert await whereis(stores, "any").called() == "all"

    await run(test)


async def test_a_function_makes_each_partitions_child() -> None:
    async def test() -> None:
        stores = await PartitionSupervisor.start_link(lambda i: (Store, f"store {i}"), partitions=3)
        assert [await whereis(stores, i).called() for i in range(3)] == ["store 0", "store 1", "store 2"]
        workers = await PartitionSupervisor.start_link(Supervisor.worker(idle), partitions=2)
        assert isinstance(whereis(workers, 0), bp.Pid)

    await run(test)


async def test_many_supervisors_share_the_starting() -> None:
    async def test() -> None:
        rooms = await PartitionSupervisor.start_link(DynamicSupervisor, name="rooms", partitions=2)
        for n in range(10):
            await whereis("rooms", n).start_child((Store, n))
        counts = [(await whereis(rooms, i).count_children()).active for i in range(2)]
        assert counts == [5, 5]

    await run(test)


async def test_after_a_restart_a_key_leads_to_the_new_one() -> None:
    async def test() -> None:
        stores = await PartitionSupervisor.start_link(Store, partitions=2)
        old, other = whereis(stores, 1), whereis(stores, 0)
        bp.exit(old.pid, "kill")
        assert (await stores.count_children()).active == 2
        assert whereis(stores, 1) != old
        assert whereis(stores, 0) == other
        assert await whereis(stores, 1).get(1) is None

    await run(test)


async def test_where_there_is_none() -> None:
    async def test() -> None:
        stores = await PartitionSupervisor.start_link(
            lambda i: Store if i else {"id": 0, "start": ignored}, partitions=2
        )
        with pytest.raises(NoProcess, match="0"):
            whereis(stores, 0)
        with pytest.raises(NoProcess):
            await stores.for_key(0)
        await stores.stop()
        other = await Supervisor.start_link([Store])
        for nobody in ("nobody", stores, stores.pid, other, bp.self()):
            with pytest.raises(NoProcess):
                whereis(nobody, 1)
        with pytest.raises(NotLocal):
            whereis(bp.Pid("other@host", 1, 1), 1)

    def ignored() -> Any:
        return bp.IGNORE

    await run(test)


@pytest.mark.parametrize("partitions", [0, -1, "4", 2.0, True])
async def test_bad_numbers(partitions: Any) -> None:
    async def test() -> None:
        with pytest.raises(BadSpec, match="partitions: needs an int of 1 or more"):
            await PartitionSupervisor.start_link(Store, partitions=partitions)

    await run(test)


async def test_bad_children() -> None:
    async def test() -> None:
        for child in ("Store", lambda i: idle):
            with pytest.raises(BadSpec):
                await PartitionSupervisor.start_link(child, partitions=2)

    await run(test)


async def test_it_is_a_child_itself_and_gives_up_like_any() -> None:
    async def test() -> None:
        sup = await Supervisor.start_link(
            [PartitionSupervisor.child_spec(Store, name="stores", partitions=2, intensity=0, strategy="one_for_all")]
        )
        before = whereis("stores", 0)
        ref = bp.monitor("stores")
        bp.exit(before.pid, "kill")
        assert (await harness.expect(bp.Down))[2:] == ("shutdown", None)
        assert ref
        assert (await sup.count_children()).active == 1
        assert whereis("stores", 0) != before

    await run(test)


@pytest.mark.loops("asyncio")  # the node makes its own loop
def test_threads_look_it_up_too() -> None:
    found: list[Any] = []
    with bp.start():
        PartitionSupervisor.start_link(Store, name="stores", partitions=2).result(5)
        threads = [threading.Thread(target=lambda: found.append(whereis("stores", 1))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert found == [whereis("stores", 1)] * 3
        assert found[0].get(1).result(5) is None


async def test_a_process_that_a_partition_supervisor_spawned_is_none() -> None:
    async def test() -> None:
        stores = await PartitionSupervisor.start_link(Store, partitions=1)
        await asyncio.sleep(0)
        with pytest.raises(NoProcess):
            whereis(whereis(stores, 0), 0)

    await run(test)


# the hash


class Color(enum.Enum):
    RED = 1


class Point(NamedTuple):
    x: int
    y: str


class Plain:
    pass


def test_integers_go_by_their_remainder() -> None:
    assert [partition_of(n, 4) for n in (0, 1, 5, -1, -5, True, 2**70 + 3)] == [0, 1, 1, 1, 1, 1, 3]


KEYS: list[Any] = [
    *("user:17", "", "zoë", "\ud800", b"user:17", b"", 1.5, float("inf"), None),
    *((), ("a", 1), ("a", (1, None)), frozenset({"a", "b", "c"}), Point(1, "a")),
    *(uuid.UUID(int=5), datetime.date(2024, 2, 29), Color.RED, bp.Pid("a@h", 1, 2), bp.Ref("a@h", 1, 2), 3 + 4j),
]


def test_a_key_leads_to_the_same_partition_in_every_run() -> None:
    """Two other interpreters, with other seeds for their hashes, agree with this one."""
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from tests.unit.otp.test_partition import KEYS, partition_of
print([partition_of(key, 1009) for key in KEYS])
"""
    here = str([partition_of(key, 1009) for key in KEYS])
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        said = subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, timeout=50
        )
        assert said.stdout.strip() == here


def test_these_numbers_never_change() -> None:
    """What is stored by partition must be found again by later versions."""
    keys: list[Any] = ["user:17", b"user:17", ("user", 17), 1.5, None, frozenset({"a", "b"}), bp.Pid("a@h", 1, 2)]
    assert [partition_of(key, 1009) for key in keys] == [1003, 241, 206, 714, 91, 386, 253]


@pytest.mark.parametrize(
    ("one", "same"),
    [
        (1, 1.0),
        ((1, "a"), (1.0, "a")),
        ((1, "a"), Point(1, "a")),
        (0.0, -0.0),
        (frozenset("abcdef"), frozenset("fedcba")),
        (bp.Pid("a@h", 1, 2), bp.Pid("a@h", 1, 2)),
    ],
)
def test_equal_keys_are_the_same_key(one: Any, same: Any) -> None:
    assert one == same
    assert partition_of(one, 1009) == partition_of(same, 1009)


def test_keys_of_different_parts_are_told_apart() -> None:
    keys: list[Any] = [("ab", "c"), ("a", "bc"), ("abc",), "abc", b"abc", (("ab",), "c"), ("ab", ("c",))]
    assert len({partition_of(key, 1_000_003) for key in keys}) == len(keys)


def test_texts_are_spread_evenly() -> None:
    for name in ("user:%d", "%d", "session-%08x", "%d@example.org"):
        tally = Tally(partition_of(name % n, 8) for n in range(8000))
        assert min(tally.values()) > 800
        assert max(tally.values()) < 1200


def test_what_does_not_show_its_value_is_no_key() -> None:
    with pytest.raises(TypeError, match="Plain is no key"):
        partition_of(Plain(), 4)
    with pytest.raises(TypeError, match="Plain is no key"):
        partition_of(("a", Plain()), 4)
