"""`to_dask` and `from_dask` on real runners: partitions stay in the processes that have them."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest

import beampy as bp
from beampy.errors import OwnerLost
from beampy.testing import leaks
from tests.cluster.dask_ground import nodes, pids, until, up
from tests.cluster.dask_tasks import here, month

distributed = pytest.importorskip("distributed", reason="dask is not installed: pip install 'beampy[dask]'")
dask = pytest.importorskip("dask")
dd = pytest.importorskip("dask.dataframe", reason="dask's dataframes are not installed: pip install 'beampy[dask]'")
pl = pytest.importorskip("polars")
pd = pytest.importorskip("pandas")

pytestmark = [pytest.mark.cluster]

leaks.allow_thread("Dask-Offload")  # one of dask's for the whole process, from the first use on


@pytest.fixture(scope="session", autouse=True)
def _polars_is_awake(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What polars opens once for a process, at its first scan, is open before a test looks at what is left open."""
    path = tmp_path_factory.mktemp("polars") / "one.csv"
    path.write_text("a\n1\n")
    assert pl.scan_csv(path).collect().height == 1


def whole(count: int) -> Any:
    return pl.concat([month(number) for number in range(count)])


def same(found: Any, wanted: Any) -> None:
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False, check_index_type=False, check_names=False)


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_partitions_are_read_where_they_are(isolation: Any) -> None:
    from beampy.frames.dask_frames import to_dask

    no_stealing = dask.config.set({"distributed.scheduler.work-stealing": False})  # one may be slow to begin
    with (
        no_stealing,
        bp.Pool(max=2, isolation=isolation, max_concurrency=1) as pool,
        pool.dask(workers=2) as client,
    ):
        frames = [bp.frames.from_local(month(number), node) for number, node in enumerate(nodes(pool) * 2)]
        ddf = to_dask([*frames[:3], frames[3].lazy()], client)
        assert ddf.npartitions == 4
        assert ddf.dtypes.astype(str).to_dict() == {
            "key": "int64", "carrier": "string", "delay": "Int64", "speed": "float64", "day": "datetime64[ms]",
            "late": "bool",
        }  # fmt: skip
        where = ddf.map_partitions(here, meta={"pid": int, "rows": int}).compute()
        by_pid = {runner["os_pid"]: runner["node"] for runner in pool.runners()}
        assert [by_pid[pid] for pid in where.pid] == [frame.node for frame in frames]
        assert where.rows.tolist() == [5000] * 4
        local = whole(4).to_pandas()
        same(ddf.compute().reset_index(drop=True), local)
        found = ddf.groupby("carrier").agg({"delay": ["sum", "count"], "speed": "mean", "late": "sum"}).compute()
        wanted = local.groupby("carrier").agg({"delay": ["sum", "count"], "speed": "mean", "late": "sum"})
        same(found.sort_index(), wanted.sort_index())


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_what_functions_of_the_pool_have_made(isolation: Any) -> None:
    from beampy.frames.dask_frames import to_dask

    with bp.Pool(max=2, isolation=isolation, max_concurrency=1) as pool, pool.dask(workers=2) as client:
        ddf = to_dask([pool.frame(month, number) for number in range(4)], client)
        assert len(ddf) == 20_000
        assert ddf.speed.sum().compute() == pytest.approx(whole(4)["speed"].sum())


def test_a_shuffle_is_equal_to_pandas() -> None:
    from beampy.frames.dask_frames import to_dask

    with bp.Pool(max=2) as pool, pool.dask(workers=2) as client:
        ddf = to_dask([pool.frame(month, number) for number in range(4)], client)
        shuffled = ddf.shuffle("key").map_partitions(lambda part: part.groupby("key").agg({"speed": "sum"}))
        local = whole(4).to_pandas()
        same(shuffled.compute().sort_index(), local.groupby("key").agg({"speed": "sum"}).sort_index())
        joined = ddf[["key", "speed"]].merge(ddf[["key", "late"]].drop_duplicates(), on="key").speed.sum().compute()
        wanted = local[["key", "speed"]].merge(local[["key", "late"]].drop_duplicates(), on="key").speed.sum()
        assert joined == pytest.approx(wanted)


def test_frames_are_kept_as_long_as_dask_can_read_them() -> None:
    from beampy.frames.dask_frames import to_dask

    def kept() -> list[int]:
        return [len(bp.refs(node).result()) for node in nodes(pool)]

    with bp.Pool(max=1) as pool, pool.dask() as client:
        ddf = to_dask([pool.frame(month, number) for number in range(3)], client)
        assert kept() == [3]
        total = client.compute(ddf.speed.sum())
        del ddf
        assert total.result() == pytest.approx(whole(3)["speed"].sum())
        assert kept() == [3]  # a lost result would be made again
        del total
        until(lambda: kept() == [0])


def test_a_frame_of_a_lost_runner_is_an_error_by_name_and_others_go_on() -> None:
    from beampy.frames.dask_frames import to_dask

    with bp.Pool(max=2) as pool, pool.dask(workers=2) as client:
        frames = [bp.frames.from_local(month(number), node) for number, node in enumerate(nodes(pool) * 2)]
        ddf = to_dask(frames, client)
        victim = frames[0].node
        number = next(runner["os_pid"] for runner in pool.runners() if runner["node"] == victim)
        os.kill(number, signal.SIGKILL)
        with pytest.raises(OwnerLost, match=f"was on {victim}, which is lost.*make the frame again"):
            ddf.speed.sum().compute()
        found = ddf.partitions[[1, 3]].speed.sum().compute()
        assert found == pytest.approx(sum(month(number)["speed"].sum() for number in (1, 3)))


def test_a_partition_goes_to_a_worker_that_is_elsewhere() -> None:
    from beampy.frames.dask_frames import to_dask

    with bp.Pool(max=2, max_concurrency=1) as pool:
        frames = [pool.frame(month, number).wait() for number in range(2)]
        assert len(up(pool)) == 1
        pool.resize(min=2)
        until(lambda: len(up(pool)) == 2)
        with pool.dask(workers=2) as client:
            one = next(w for w in client.cluster.workers.values() if w.tending.node == frames[0].node)
            client.cluster.worker_spec.pop(one.name)
            client.sync(client.cluster._correct_state)
            ddf = to_dask(frames, client)
            where = ddf.map_partitions(here, meta={"pid": int, "rows": int}).compute()
            assert set(where.pid) == set(pids(client))
            assert where.rows.tolist() == [5000, 5000]


def test_what_cannot_be_a_dask_frame_is_said() -> None:
    from beampy.frames.dask_frames import to_dask

    with bp.Pool(max=1) as pool, pool.dask() as client:
        one, other = pool.frame(month, 0), pool.frame(month, 0).select("key", "speed")
        with pytest.raises(
            pl.exceptions.SchemaError, match=f"the partition on {pool.name}-1@127.0.0.1 has .*cast or select"
        ):
            to_dask([one, other], client)
        with pytest.raises(ValueError, match="there is no partition"):
            to_dask([], client)
        with pytest.raises(TypeError, match=r"one of pool\.dask\(\)"):
            to_dask([one], None)
        with pytest.raises(TypeError, match="a partition is a remote frame, and not a DataFrame"):
            to_dask([month(0)], client)


@pytest.mark.loops("uvloop")
async def test_async_code_awaits_its_dask_frame() -> None:
    from beampy.frames.dask_frames import to_dask

    async with bp.Pool(max=1) as pool:
        client = await pool.dask(asynchronous=True)
        ddf = await to_dask([pool.frame(month, number) for number in range(2)], client)
        assert await client.compute(ddf.speed.sum()) == pytest.approx(whole(2)["speed"].sum())
        await client.close()


# the way back


def test_a_dask_frame_comes_back_and_stays_on_the_runners() -> None:
    from polars.testing import assert_frame_equal

    from beampy.frames.dask_back import from_dask

    with bp.Pool(max=2) as pool, pool.dask(workers=2) as client:
        flights = pool.frames(month, range(4))
        shuffled = flights.to_dask(client).shuffle("key")
        back = from_dask(shuffled, client)
        parts = back.compute().partitions().result()
        assert {part.node for part in parts} == set(nodes(pool))
        wanted = whole(4).group_by("key").agg(pl.col("speed").sum(), pl.col("delay").sum()).sort("key")
        each = pl.concat([part.collect().result() for part in parts])
        assert each.height == 20_000
        assert each.schema == whole(1).schema | {"day": pl.Datetime("ms")}
        keys = [set(part.collect().result()["key"]) for part in parts]
        assert sum(map(len, keys)) == len(set().union(*keys))  # each key in one partition
        found = back.group_by("key").agg(pl.col("speed").sum(), pl.col("delay").sum()).collect().result().sort("key")
        assert_frame_equal(found, wanted, check_dtypes=False)
        with pytest.raises(TypeError, match=r"one of pool\.dask\(\)"):
            from_dask(shuffled, None)


def left(client: Any) -> int:
    """How many frames tasks have left on the runners."""
    return sum(client.run(lambda: len(sys.modules["beampy.frames.dask_back"]._left)).values())


def look_often() -> None:
    from beampy.frames import dask_back

    dask_back.LOOK = 0.01


def test_what_tasks_have_left_is_kept_as_long_as_dask_has_the_answers() -> None:
    from beampy.frames.dask_back import fetched, leave
    from beampy.otp.rpc import remote_call

    def all_wanted() -> list[bool]:
        return [each.wanted() for each in sys.modules["beampy.frames.dask_back"]._left.values()]

    with bp.Pool(max=1) as pool, pool.dask() as client:
        client.run(look_often)
        answers = [client.submit(leave, pd.DataFrame({"a": [number]}), pure=False) for number in range(2)]
        (node, first), (_, second) = client.gather(answers)
        assert list(client.run(all_wanted).values()) == [[True, True]]
        ref, shape = remote_call(node, fetched, first).result()
        assert shape == (1, 1)
        assert ref.get().result()["a"].to_list() == [0]
        assert left(client) == 1
        del answers
        until(lambda: left(client) == 0)
        with pytest.raises(OwnerLost, match="dask has let go of it; compute it again"):
            remote_call(node, fetched, second).result()


def test_a_partition_that_fails_leaves_no_others_behind() -> None:
    from beampy.frames.dask_back import from_dask

    def fail(part: Any, partition_info: Any = None) -> Any:
        if partition_info and partition_info["number"] == 3:
            raise ValueError("no such month")
        return part

    with bp.Pool(max=1) as pool, pool.dask() as client:
        client.run(look_often)
        ddf = dd.from_pandas(pd.DataFrame({"a": range(8)}), npartitions=4)
        with pytest.raises(ValueError, match="no such month"):
            from_dask(ddf.map_partitions(fail, meta=ddf), client)
        until(lambda: left(client) == 0)


def test_types_of_pandas_come_back_as_they_are() -> None:
    from beampy.frames.dask_back import from_dask

    local = pd.DataFrame(
        {
            "kind": pd.Categorical(["a", "b", None, "a"]),
            "count": pd.array([1, None, 2**62 + 1, 4], dtype="Int64"),
            "at": pd.date_range("2020", periods=4, tz="Europe/Berlin"),
            "name": ["x", "y", "z", "w"],
        }
    )
    with bp.Pool(max=1) as pool, pool.dask() as client:
        ddf = dd.from_pandas(local, npartitions=4)
        back = from_dask(ddf[ddf["name"] != "y"], client).collect().result()  # of which one partition is empty
        assert back["kind"].to_list() == ["a", None, "a"]
        assert back["count"].to_list() == [1, 2**62 + 1, 4]
        assert back["at"].to_list() == [each.to_pydatetime() for each in local["at"][[0, 2, 3]]]
        assert back["name"].to_list() == ["x", "z", "w"]
        with pytest.raises(TypeError, match=r"not a Series; its \.to_frame\(\) is one"):
            from_dask(ddf["count"], client)
        with pytest.raises(TypeError, match="a dask dataframe is wanted, and not a DataFrame"):
            from_dask(local, client)


def test_a_runner_that_has_no_pandas_is_said_by_name() -> None:
    def hide() -> None:
        sys.modules["pandas"] = None  # type: ignore[assignment]

    with bp.Pool(max=1) as pool, pool.dask() as client:
        ddf = pool.frames(month, range(1)).to_dask(client)
        client.run(hide)
        with pytest.raises(ModuleNotFoundError, match=rf"to_dask needs pandas.* on {pool.name}-1@.*pip install"):
            ddf.compute()


@pytest.mark.loops("uvloop")
async def test_async_code_awaits_the_way_back() -> None:
    from beampy.frames.dask_back import from_dask

    async with bp.Pool(max=1) as pool:
        client = await pool.dask(asynchronous=True)
        back = await from_dask(await pool.frames(month, range(2)).to_dask(client), client)
        assert (await back.select(pl.len()).collect()).item() == 10_000
        await client.close()
