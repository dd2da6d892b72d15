"""Partitions: how files are listed and dealt, what is pushed, and what becomes of a query whose parts fail."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import beampy as bp
from beampy.errors import NotPartitioned, OwnerLost, PartitionFailed
from beampy.frames import bringing, queries
from beampy.frames.computed import MadePart, Recipe
from beampy.frames.dealing import dealt, least
from beampy.frames.evaluate import Made
from beampy.frames.partitioned import PartitionedFrame
from beampy.frames.partitions import FilePart, Nodes, Part, Source
from beampy.frames.pushing import PUSHED, REFUSED, check_join, checked
from beampy.frames.scanning import ENDINGS, listed, of_file
from beampy.frames.tree import Call, Step
from beampy.frames.writing import prepared, written

SCHEMA = pl.Schema({"a": pl.Int64, "s": pl.String})

# dealing


@given(st.lists(st.integers(0, 1000), max_size=30), st.integers(1, 5))
def test_files_are_dealt_so_that_nobody_has_much_more_than_others(sizes: list[int], hands: int) -> None:
    found = dealt(sizes, hands)
    assert len(found) == len(sizes)
    loads = [sum(size for size, hand in zip(sizes, found, strict=True) if hand == one) for one in range(hands)]
    assert max(loads) - min(loads) <= max(sizes, default=0)
    assert found == dealt(sizes, hands)


def test_files_of_unknown_size_are_dealt_in_turn() -> None:
    assert dealt([0, 0, 0, 0], 2) == [0, 1, 0, 1]
    assert least({"a@h": 3, "b@h": 1, "c@h": 1}) == "b@h"
    with pytest.raises(ValueError, match="nobody"):
        dealt([1], 0)


# listing


def test_files_are_listed_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.parquet", "a.parquet", "deep/c.parquet", "d.csv", "e.parquet.tmp"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * len(name))
    endings = ENDINGS["scan_parquet"]
    found = listed([str(tmp_path)], endings)
    assert [Path(path).name for path, _ in found] == ["a.parquet", "b.parquet", "c.parquet"]
    assert found[0][1] == len("a.parquet")
    assert listed([str(tmp_path / "*.parquet")], endings) == found[:2]
    two = [str(tmp_path / "d.csv"), str(tmp_path / "a.parquet")]
    assert [path for path, _ in listed(two, endings)] == two
    assert listed(["s3://bucket/a.parquet"], endings) == [("s3://bucket/a.parquet", 0)]


@pytest.mark.parametrize("source", ["none.parquet", "none*.parquet", "."])
def test_no_files_are_an_error_that_names_where_they_are_not(tmp_path: Path, source: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file|no file is like|no file in this directory"):
        listed([str(tmp_path / source)], ENDINGS["scan_parquet"])


def test_a_name_that_looks_like_a_pattern_is_that_of_one_file(tmp_path: Path) -> None:
    for name, value in (("a1", 1), ("a[1]", 2)):
        pl.DataFrame({"a": [value]}).write_parquet(tmp_path / f"{name}.parquet")
    found = [path for path, _ in listed([str(tmp_path)], ENDINGS["scan_parquet"])]
    calls = [of_file("scan_parquet", path, [str(tmp_path)], {}) for path in found]
    assert [pl.scan_parquet(*call.args, **call.kwargs).collect().item() for call in calls] == [1, 2]

    one = [str(tmp_path / "a[1].parquet")]
    assert [path for path, _ in listed(one, ENDINGS["scan_parquet"])] == [str(tmp_path / "a1.parquet")]  # as polars
    assert [path for path, _ in listed(one, ENDINGS["scan_parquet"], True)] == one
    call = of_file("scan_parquet", one[0], one, {"glob": False})
    assert pl.scan_parquet(*call.args, **call.kwargs).collect().item() == 2
    assert of_file("scan_parquet", "s3://b/*.parquet", ["s3://b/*.parquet"], {}).args == ("s3://b/*.parquet",)


def test_columns_in_the_names_of_directories_are_there_where_polars_has_them(tmp_path: Path) -> None:
    for month in (1, 2):
        path = tmp_path / "in" / f"month={month}" / "a.parquet"
        path.parent.mkdir(parents=True)
        pl.DataFrame({"a": [month * 10]}).write_parquet(path)

    def scanned(source: str, **options: Any) -> list[pl.DataFrame]:
        found = listed([source], ENDINGS["scan_parquet"])
        calls = [of_file("scan_parquet", path, [source], options) for path, _ in found]
        return [pl.scan_parquet(*call.args, **call.kwargs).collect() for call in calls]

    for source in (str(tmp_path / "in"), f"{tmp_path}/in/", str(tmp_path / "in" / "*" / "*.parquet")):
        expected = pl.scan_parquet(source).collect()
        assert pl.concat(scanned(source)).rows() == expected.rows()
    assert scanned(str(tmp_path / "in"), hive_partitioning=False)[0].columns == ["a"]
    inner = str(tmp_path / "in" / "month=1")
    assert scanned(inner)[0].columns == pl.scan_parquet(inner).collect_schema().names() == ["a"]


# pushing


@pytest.mark.parametrize(
    "step",
    [
        Step("filter", (pl.col("a") > pl.col("a").mean(),), {}),
        Step("filter", (), {"a": pl.col("a").max()}),
        Step("with_columns", (), {"b": pl.col("a").shift()}),
        Step("select", (pl.col("a").sort(),), {}),
        Step("fill_null", (), {"strategy": "forward"}),
        Step("fill_null", (None, "min"), {}),
        Step("fill_null", (pl.col("a").mean(),), {}),
        Step("fill_null", (pl.Series([1, 2]),), {}),
        Step("fill_nan", (), {"value": pl.col("a").mean()}),
        Step("fill_nan", (pl.Series([1.0, 2.0]),), {}),
        Step("filter", ([True, False],), {}),
        Step("filter", (pl.col("a") > 1,), {"s": pl.col("s").max()}),
        Step("remove", (pl.Series([True, False]),), {}),
        Step("match_to_schema", ({**SCHEMA, "n": pl.Int64},), {"missing_columns": {"n": pl.col("a").sum()}}),
        Step("match_to_schema", ({"n": pl.Int64},), {"missing_columns": "insert", "extra_columns": "ignore"}),
    ],
    ids=str,
)
def test_steps_that_look_at_other_rows_are_refused(step: Step) -> None:
    with pytest.raises(NotPartitioned):
        checked(step, SCHEMA)


@pytest.mark.parametrize("verb", ["filter", "remove"])
def test_what_a_column_has_to_be_equal_to_is_a_value_and_no_column(verb: str) -> None:
    frame = pl.LazyFrame({"a": [1, 2], "s": ["x", "a"]})
    for equal in ({"s": "x"}, {"s": "a"}, {"a": 1, "s": "x"}):
        step, schema = checked(Step(verb, (), equal), SCHEMA)
        assert schema == SCHEMA
        assert getattr(frame, verb)(**step.kwargs).collect().height == 1


def test_arguments_are_gone_through_when_a_method_is_called() -> None:
    frame = PartitionedFrame(Source(None, []))  # type: ignore[arg-type]
    names = ["a"]
    more = frame.with_columns((pl.col(name) + 1).alias(f"{name}2") for name in names).drop_nulls(names)
    names.append("b")
    (exprs,), (column,) = (step.args or () for step in more._steps)
    assert [str(expr) for expr in exprs] == ['[(col("a")) + (dyn int: 1)].alias("a2")']
    assert column == ["a"]


def test_the_columns_after_a_step_are_those_of_polars() -> None:
    step, schema = checked(Step("rename", (str.upper,), {}), SCHEMA)
    assert step.args == ({"a": "A", "s": "S"},)
    assert schema == {"A": pl.Int64, "S": pl.String}
    assert checked(Step("cast", ({"a": pl.Float64},), {}), SCHEMA)[1]["a"] == pl.Float64
    with pytest.raises(pl.exceptions.ColumnNotFoundError, match="nothing") as raised:
        checked(Step("filter", (pl.col("nothing") > 1,), {}), SCHEMA)
    assert "__beampy" not in str(raised.value)


@pytest.mark.parametrize("how", ["full", "right", "cross"])
def test_joins_that_need_all_rows_are_refused(how: str) -> None:
    with pytest.raises(NotPartitioned, match=how):
        check_join(how, {})
    with pytest.raises(NotPartitioned, match="1:1"):
        check_join("inner", {"validate": "1:1"})
    check_join("left", {"validate": "m:1", "maintain_order": "left"})


def test_every_method_of_polars_is_there_or_is_refused_with_a_remedy() -> None:
    """A walk over polars' own LazyFrame: what is there is ours or pushed, and what is not says what to do instead."""
    frame = PartitionedFrame(Source(None, []))  # type: ignore[arg-type]
    names = [name for name in dir(pl.LazyFrame) if not name.startswith("_")]
    here = {name for name in names if name in PartitionedFrame.__dict__ or name in PUSHED}
    assert {"filter", "select", "with_columns", "group_by", "collect", "head", "join", "sink_parquet"} <= here
    for name in set(names) - here:
        with pytest.raises(NotPartitioned, match=r"to_dask\(client\)") as raised:
            getattr(frame, name)
        assert raised.value.what == name
        assert not hasattr(frame, name)
    for name in PUSHED:
        assert getattr(frame, name).__doc__
        assert name in dir(frame)
    assert not REFUSED.keys() & here
    with pytest.raises(AttributeError, match="polars neither"):
        frame.nothing  # noqa: B018


def test_what_needs_an_answer_at_once_says_what_to_do() -> None:
    frame = PartitionedFrame(Source(None, []))  # type: ignore[arg-type]
    for use in (bool, len, iter, lambda one: one["a"]):
        with pytest.raises(TypeError, match=r"await frame\.|frame\.select"):
            use(frame)


def test_names_of_nodes_are_checked_at_once() -> None:
    for wrong in ([], ["a@h", "a@h"]):
        with pytest.raises(ValueError, match="different ones"):
            bp.frames.over(wrong)
    with pytest.raises(TypeError, match="several nodes"):
        bp.frames.over("a@h")
    with pytest.raises(NotPartitioned, match="n_rows"):
        bp.frames.over(["a@h"]).scan_csv("x.csv", n_rows=5)


# writing


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = str(tmp_path / "part-00000.parquet")
    with pytest.raises(pl.exceptions.PolarsError):
        written(pl.LazyFrame({"a": ["x"]}).select(pl.col("a").cast(pl.Int64)), "sink_parquet", path, {})
    assert list(tmp_path.iterdir()) == []
    found = written(pl.LazyFrame({"a": [1]}), "sink_parquet", path, {})
    assert found == (path, Path(path).stat().st_size)
    assert [each.name for each in tmp_path.iterdir()] == ["part-00000.parquet"]
    assert pl.read_parquet(path).item() == 1
    with pytest.raises(FileExistsError, match=r"part-00000\.parquet"):
        prepared(str(tmp_path), "parquet")
    prepared(str(tmp_path / "new" / "deep"), "parquet")
    elsewhere = str(tmp_path / "other" / "part-00000.parquet")  # of a partition that was lost, on a node without it
    assert written(pl.LazyFrame({"a": [1]}), "sink_parquet", elsewhere, {})[0] == elsewhere


def test_polars_does_not_know_the_name_of_what_it_writes(tmp_path: Path) -> None:
    """Its threads go on for a moment when a sink has failed, and would make the file again."""

    class Plan:
        target: Any = None

        def sink_csv(self, target: Any) -> None:
            self.target = target
            raise OSError("no space left")

    plan: Any = Plan()
    with pytest.raises(OSError, match="no space left"):
        written(plan, "sink_csv", str(tmp_path / "part-00000.csv"), {})
    assert plan.target.closed
    assert list(tmp_path.iterdir()) == []


# queries of parts


class Fake(Part):
    """A part that answers, or fails so often."""

    def __init__(self, number: int, fails: int = 0, again: int = 0, where: str = "b@h") -> None:
        super().__init__(number, f"part {number}")
        self.fails, self.left, self._where = fails, again, where

    @property
    def where(self) -> str:
        return self._where

    async def query(self) -> Any:
        return self.number

    def again(self, lost: BaseException) -> bool:
        self.left -= 1
        return self.left >= 0


def lost(node: str = "b@h") -> OwnerLost:
    return OwnerLost(node, "the DataFrame", "its process has ended")


async def answer(part: Part, query: Any) -> int:
    assert isinstance(part, Fake)
    await asyncio.sleep(0)
    if part.fails:
        part.fails -= 1
        raise lost()
    return int(query) * 10


def source(*parts: Part) -> Source:
    return Source(None, list(parts))  # type: ignore[arg-type]


async def test_all_parts_answer_in_their_order() -> None:
    assert await queries.every(source(*map(Fake, range(5))), answer) == [0, 10, 20, 30, 40]


async def test_a_part_whose_node_is_lost_is_had_again() -> None:
    assert await queries.every(source(Fake(0), Fake(1, fails=2, again=2)), answer) == [0, 10]


async def test_a_part_that_cannot_be_had_again_fails_the_query_by_its_name() -> None:
    with pytest.raises(PartitionFailed, match=r"partition 1 \(part 1\) failed on b@h, attempt 3: ") as raised:
        await queries.every(source(Fake(0), Fake(1, fails=9, again=2)), answer)
    assert isinstance(raised.value.__cause__, OwnerLost)
    assert raised.value.attempts == 3


async def test_what_a_part_raises_itself_is_not_tried_again() -> None:
    async def fails(part: Part, query: Any) -> int:
        raise ZeroDivisionError("by nothing")

    with pytest.raises(PartitionFailed, match="ZeroDivisionError: by nothing") as raised:
        await queries.every(source(Fake(0, again=5)), fails)
    assert raised.value.attempts == 1


async def test_the_loss_of_another_node_is_not_that_of_the_part() -> None:
    async def fails(part: Part, query: Any) -> int:
        raise lost("c@h")

    with pytest.raises(PartitionFailed, match="failed on c@h"):
        await queries.every(source(Fake(0, again=5)), fails)


async def test_the_first_failure_cancels_the_others_and_waits_until_they_have_ended() -> None:
    ended = []

    async def some(part: Part, query: Any) -> int:
        if part.number == 2:
            raise ZeroDivisionError
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(part.number)
        return 0

    with pytest.raises(PartitionFailed, match="partition 2"):
        await queries.every(source(*(Fake(number, where=f"{number}@h") for number in range(3))), some)
    assert sorted(ended) == [0, 1]


async def test_cancelling_cancels_all_parts() -> None:
    begun, ended = asyncio.Semaphore(0), []

    async def waits(part: Part, query: Any) -> int:
        begun.release()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(part.number)
        return 0

    task = asyncio.ensure_future(
        queries.every(source(*(Fake(number, where=f"{number}@h") for number in range(3))), waits)
    )
    for _ in range(3):
        await begun.acquire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2]


class Moving(Fake):
    """A part on one of several nodes, as FilePart is."""

    def again(self, lost: BaseException) -> bool:
        self.left -= 1
        self._where = f"{self.left}@h"
        return self.left >= 0


async def test_queries_that_share_a_part_lose_its_node_once() -> None:
    part = Moving(0, again=1)
    asked: list[str] = []
    both = asyncio.Event()

    async def ask(part: Part, query: Any) -> str:
        at = part.where
        asked.append(at)
        if at == "b@h":
            if len(asked) == 3:
                both.set()
            await both.wait()
            raise lost()
        return at

    found = await asyncio.gather(*(queries.every(source(part), ask) for _ in range(3)))
    assert found == [["0@h"]] * 3
    assert sorted(asked) == ["0@h"] * 3 + ["b@h"] * 3
    with pytest.raises(PartitionFailed, match="failed on b@h, attempt 1"):
        await queries.every(source(Moving(0, again=0)), ask)


class FakeRef:
    """A reference to a frame of a node that is lost, or to what is there."""

    nbytes = 8

    def __init__(self, node: str, frame: pl.DataFrame | None) -> None:
        self.node, self.frame = node, frame

    async def get(self) -> pl.DataFrame:
        if self.frame is None:
            raise lost(self.node)
        return self.frame


@pytest.mark.parametrize("moved", [False, True])
async def test_results_that_are_lost_on_their_way_are_computed_again(
    moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another query has had the partition elsewhere before this one sees that it is lost."""
    part = Moving(0, again=1)
    again = pl.DataFrame({"a": [1]})

    async def ready(source: Source, steps: Any) -> queries.Ready:
        return queries.Ready(source, steps, again.schema)

    async def computed(ready: queries.Ready) -> list[Made]:
        if moved:
            part.again(lost())
        return [Made(FakeRef("b@h", None), "DataFrame", (1, 1))]  # type: ignore[arg-type]

    async def made(node: Any, query: Any) -> Made:
        return Made(FakeRef(part.where, again), "DataFrame", (1, 1))  # type: ignore[arg-type]

    async def planned(ready: queries.Ready, part: Part, query: Any, extra: Any) -> Any:
        return query

    for name, stand_in in (("prepared", ready), ("computed", computed), ("made", made), ("planned", planned)):
        monkeypatch.setattr(queries, name, stand_in)
    found = await bringing.collected(source(part), (), None)
    assert found.rows() == [(1,)]
    assert part.where == "0@h"


def test_a_computed_part_that_is_lost_for_several_queries_is_computed_once() -> None:
    made = Made(FakeRef("b@h", None), "DataFrame", (1, 1))  # type: ignore[arg-type]
    node: Any = SimpleNamespace(loop=None, thread=0)
    of = Moving(0, again=1)
    part = MadePart(of, made, Recipe(Source(node, [of]), (), ()))
    assert part.again(lost())
    assert part.again(lost())
    assert of.left == 0


def test_files_of_a_lost_node_go_to_all_that_are_left() -> None:
    nodes = Nodes(["a@h", "b@h", "c@h"])
    scan = Call("scan_parquet", ("x",), {})
    parts = [FilePart(number, "x", scan, 0, "a@h", nodes) for number in range(4)]
    assert all(part.again(lost("a@h")) for part in parts)
    assert [part.where for part in parts] == ["b@h", "c@h", "b@h", "c@h"]
    assert parts[0].again(lost("b@h"))
    assert parts[0].where == "c@h"
    assert not parts[0].again(lost("c@h"))


async def test_so_many_parts_of_a_node_are_asked_at_a_time() -> None:
    now: dict[str, int] = {}
    most: dict[str, int] = {}

    async def busy(part: Part, query: Any) -> int:
        now[part.where] = now.get(part.where, 0) + 1
        most[part.where] = max(most.get(part.where, 0), now[part.where])
        for _ in range(5):
            await asyncio.sleep(0)
        now[part.where] -= 1
        return 0

    await queries.every(source(*(Fake(number, where=f"{number % 2}@h") for number in range(12))), busy)
    assert most == {"0@h": queries.PER_NODE, "1@h": queries.PER_NODE}
