"""`bp.put`, `bp.remote`, `bp.refs` and what they tell of objects."""

from __future__ import annotations

import asyncio
import json
import pickle
import threading
from types import SimpleNamespace
from typing import Any

import pytest

import beampy as bp
from beampy.cli import refs as command
from beampy.errors import EncodeError, NodeDown, NotInNode
from beampy.refs import room, sizes, verbs
from beampy.refs.identity import ObjectId
from beampy.refs.kept import RefInfo
from beampy.refs.table import RefTable, shown_holders
from tests.unit.otp.nodes_ground import Cluster, until
from tests.unit.refs.using_ground import Shelf, at, between, refs_at, shelf

# --- put


@between
async def test_put_sends_a_copy_and_keeps_it_there(nodes: Cluster):
    mine = Shelf(1)
    ref = await bp.put(mine, node=at("b"), label="mine")
    mine.items.append(2)
    assert ref.node == at("b")
    assert await ref.do.items == [1]
    [row] = refs_at(nodes, "b").rows()
    assert (row.label, row.what) == ("mine", f"{Shelf.__module__}.Shelf")


@between
async def test_put_here_keeps_small_objects_themselves():
    mine = Shelf(1)
    for node in (None, at("a")):
        ref = await bp.put(mine, node)
        assert ref.node == at("a")
        assert await ref.get() is mine


@between
async def test_put_here_settles_large_objects(nodes: Cluster):
    settled: list[int] = []

    def settle(obj: Any) -> Any:
        settled.append(len(obj))
        return bytes(obj)

    refs: Any = refs_at(nodes, "a")
    had = getattr(refs, "settle", None)
    refs.settle = settle
    try:
        large = bytearray(2 * verbs.LARGE)
        ref = await bp.put(large)
        assert await ref.get() == bytes(large)
        assert ref.what == "bytes"
        await bp.put(bytearray(100))
    finally:
        refs.settle = had
    assert settled == [2 * verbs.LARGE]


@between
async def test_put_of_a_reference_makes_a_copy_of_its_object():
    ref = await shelf(at("b"), 1)
    copy = await bp.put(ref, node=at("c"))
    assert copy.node == at("c")
    await copy.do.add(2)
    assert (await ref.do.items, await copy.do.items) == ([1], [1, 2])
    here = await bp.put(ref)
    assert here.node == at("a")
    assert await here.do.items == [1]


@between
async def test_put_of_what_cannot_travel_names_it_and_the_node():
    for obj, part in ((threading.Lock(), "obj"), ({"rows": [threading.Lock()]}, r"obj\['rows'\]\[0\]")):
        kind = sizes.shown_type(obj)
        says = rf"the {kind} for {at('b')} cannot travel in a message: {part}.*pickle.*bp\.remote\(obj\)"
        with pytest.raises(EncodeError, match=says):
            await bp.put(obj, node=at("b"))


@between
async def test_put_to_nobody():
    with pytest.raises(NodeDown):
        await bp.put(1, node="z@127.0.0.1")


def test_verbs_need_a_node():
    for verb in (lambda: bp.put(1), lambda: bp.remote(1), lambda: bp.refs()):
        with pytest.raises(NotInNode):
            verb()


# --- remote


@between
async def test_remote_is_the_very_object():
    mine = [1]
    ref = bp.remote(mine)
    await bp.remote_call(at("b"), append, [ref])
    assert mine == [1, 2]


async def append(given: list[Any]) -> None:
    await given[0].do.append(2)


@between
async def test_remote_of_a_reference_is_another_handle():
    ref = await shelf(at("b"), 1)
    again = bp.remote(ref)
    assert again == ref
    assert again is not ref


# --- refs


@between
async def test_refs_lists_who_holds_what():
    ref = bp.remote(b"x" * 1000, label="mine")
    there = await shelf(at("b"), 1)
    await bp.remote_call(at("b"), keep, [ref])
    table = await bp.refs()
    assert [(row.node, row.what, row.local, row.label) for row in table] == [
        (at("a"), "bytes", True, "mine"),
        (at("b"), table[1].what, True, None),
    ]
    assert table[0].nbytes == 1000
    assert [node for node, _ in table[0].holders] == [at("b")]
    assert table[0].age >= 0
    assert table[0].id == ref.id
    lines = str(table).splitlines()
    assert lines[0].startswith(f"{at('a')}: 2 objects, 1 kB")
    assert f"here, {at('b')}" in lines[2]
    theirs = await bp.refs(at("b"))
    assert {row.id for row in theirs} == {ref.id, there.id}
    KEPT.clear()


KEPT: list[Any] = []


def keep(given: Any) -> None:
    KEPT.append(given)


@between
async def test_refs_has_a_limit_and_the_largest_come_first():
    mine = [bp.remote(bytes(size)) for size in (10, 30, 20)]
    for table in (await bp.refs(limit=2), await bp.remote_call(at("b"), ask, at("a"))):
        assert [row.nbytes for row in table] == [30, 20]
        assert (table.total, table.node) == (3, at("a"))
        assert str(table).endswith("… and 1 more (limit)")
    assert len(mine) == 3
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="limit"):
            bp.refs(limit=wrong)  # type: ignore[arg-type]


async def ask(node: str) -> Any:
    return await bp.refs(node, limit=2)


@between
async def test_refs_of_a_node_that_is_not_there():
    with pytest.raises(NodeDown):
        await bp.refs("z@127.0.0.1")


@between
async def test_what_is_dropped_is_not_listed(nodes: Cluster):
    ref = await shelf(at("b"), 1)
    assert len(await bp.refs(at("b"))) == 1
    ref.drop()
    await until(lambda: len(refs_at(nodes, "b").rows()), 0)
    assert await bp.refs(at("b")) == []


def row(**changed: Any) -> RefInfo:
    fields: dict[str, Any] = {
        "id": ObjectId("a@h", 7, 1), "what": "list", "nbytes": 2_000_000, "age": 200.0, "local": True, "holders": (),
    }  # fmt: skip
    return RefInfo(**(fields | changed))


def test_the_table_of_the_command(capsys: pytest.CaptureFixture[str]):
    table = RefTable("a@h", 1, [row(label="rows", holders=(("b@h", "connected"), ("c@h", "away")))])
    assert command.picture(table, 200) == [
        "a@h: 1 object, 2 MB",
        "NUMBER  OWNER  TYPE  SIZE    AGE  HELD BY                LABEL",
        "     1  here   list  2 MB  3 min  here, b@h, c@h (away)  rows",
    ]
    assert str(table).splitlines() == command.picture(table, 200)
    plain = json.loads(json.dumps(command.plain(table)))
    assert plain["objects"] == 1
    assert plain["rows"][0]["holders"] == [{"node": "b@h", "state": "connected"}, {"node": "c@h", "state": "away"}]
    again = pickle.loads(pickle.dumps(table))
    assert (again, again.node, again.total) == (table, "a@h", 1)


def test_many_holders_are_counted_and_trouble_is_said():
    many = tuple((f"n{i}@h", "connected") for i in range(5))
    assert shown_holders(row(local=False, holders=many), "a@h") == "n0@h, n1@h, n2@h, 2 more"
    assert shown_holders(row(state="lost"), "a@h") == "here: lost"


# --- sizes


class Mine:
    def __init__(self, inside: Any) -> None:
        self.inside = inside


class Hostile:
    def __sizeof__(self) -> int:
        raise ZeroDivisionError

    def __getattribute__(self, name: str) -> Any:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("obj", "name"),
    [
        (1, "int"),
        ([], "list"),
        (ValueError(), "ValueError"),
        (SimpleNamespace(), "types.SimpleNamespace"),
        (Mine(1), f"{__name__}.Mine"),
        (type("L" * 500, (), {})(), f"{__name__}.{'L' * 500}"[: sizes.NAME]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_name_of_a_type(obj: Any, name: str):
    assert sizes.shown_type(obj) == name


def near(size: int, wanted: int) -> bool:
    return abs(size - wanted) < 0.05 * wanted


def test_the_size_of_plain_objects():
    assert sizes.estimate(b"x" * 1000) == 1000
    assert sizes.estimate(memoryview(bytearray(1000))[::2]) == 500
    assert near(sizes.estimate([bytes(1000)] * 1 + [bytes(1000) for _ in range(99)]), 100_000)
    assert near(sizes.estimate({i: bytes(1000) for i in range(1000)}), 1_000_000 + 1000 * 70)
    assert near(sizes.estimate(Mine([bytes(100_000)])), 100_000)
    shared = bytes(100_000)
    assert near(sizes.estimate([shared, shared]), 100_000)
    loop: list[Any] = []
    loop.append(loop)
    assert sizes.estimate(loop) > 0


def test_the_size_of_anything_is_found_in_bounded_time():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    looked = sizes._Estimate()
    looked.of([[[bytes(1)] * 100 for _ in range(100)] for _ in range(100)])
    assert looked.left >= -sizes.ITEMS
    assert sizes.estimate(deep) >= 0
    while deep:
        deep = deep[0]
    assert sizes.estimate(Hostile()) == 0
    assert isinstance(sizes.shown_type(Hostile()), str)


def test_the_size_of_arrays():
    numpy = pytest.importorskip("numpy")
    assert sizes.estimate(numpy.zeros(1000)) == 8000
    assert sizes.stated(numpy.zeros(3, dtype=object)) is None
    assert sizes.shown_type(numpy.zeros(1)) == "numpy.ndarray"

    class Image(numpy.ndarray):  # type: ignore[misc, name-defined]
        pass

    assert sizes.estimate(numpy.zeros(1000).view(Image)) == 8000


def test_the_size_of_tensors():
    torch = pytest.importorskip("torch")
    assert sizes.estimate(torch.zeros(1000)) == 4000
    assert sizes.shown_type(torch.zeros(1)) == "torch.Tensor"
    assert sizes.estimate(torch.nn.Linear(10, 10)) == 440


def test_the_size_of_tables():
    arrow = pytest.importorskip("pyarrow")
    assert sizes.estimate(arrow.table({"a": list(range(1000))})) == 8000
    assert sizes.estimate(arrow.py_buffer(bytes(100))) == 100


def test_the_size_of_frames():
    polars = pytest.importorskip("polars")
    assert sizes.estimate(polars.DataFrame({"a": range(1000)})) == 8000
    assert sizes.shown_type(polars.DataFrame()) == "polars.DataFrame"


# --- room


def test_room_is_what_kernel_and_limits_leave(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    group = tmp_path / "cgroup" / "outer" / "inner"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("5\n")
    (group.parent / "memory.max").write_text(f"{room.RESERVE + 3000}\n")
    (group.parent / "memory.current").write_text("1000\n")
    (tmp_path / "own").write_text("0::/outer/inner\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  1000000 kB\n")
    monkeypatch.setattr(room, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(room, "OWN_GROUP", tmp_path / "own")
    monkeypatch.setattr(room, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(room, "_said", (float("-inf"), 0))
    assert room.room() == 2000
    (group.parent / "memory.max").write_text("max\n")
    assert room.room() == 2000  # for a second it is taken for true
    monkeypatch.setattr(room, "_said", (float("-inf"), 0))
    assert room.room() == 1_000_000 * 1024 - room.RESERVE
    (group / "memory.max").write_text("10\n")
    monkeypatch.setattr(room, "_said", (float("-inf"), 0))
    assert room.room() == 0


def test_room_with_the_first_version_of_control_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    group = tmp_path / "memory" / "box"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text("5000\n")
    (group / "memory.usage_in_bytes").write_text("1000\n")
    (tmp_path / "own").write_text("3:cpu,cpuacct:/box\n2:memory:/box\nnonsense\n")
    monkeypatch.setattr(room, "CGROUPS", tmp_path)
    monkeypatch.setattr(room, "OWN_GROUP", tmp_path / "own")
    assert min(room.left_of_groups()) == 4000


def test_where_the_system_says_nothing_there_is_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Any):
    for name in ("OWN_GROUP", "MEMINFO", "STATM"):
        monkeypatch.setattr(room, name, tmp_path / "nothing")
    monkeypatch.setattr(room, "_said", (float("-inf"), 0))
    assert room.room() == room.ENDLESS - room.RESERVE
    assert room.own_memory() == room.ENDLESS


def test_what_exceeds_a_limit():
    assert room.exceeds(bytes(100), 100) is None
    assert room.exceeds(bytes(101), 100) == 101
    numpy = pytest.importorskip("numpy")
    inside = {"array": numpy.zeros(1000), "more": [1, 2]}
    assert room.exceeds(inside, 9000) is None
    size = room.exceeds(inside, 7000)
    assert size is not None
    assert size > 7000
    assert room.exceeds(threading.Lock(), 10) is None  # that it cannot travel is for others to say


def test_what_fits_with_its_whole_process_is_not_measured(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "own_memory", lambda: 1000)
    assert room.quick([1], 1000 * room.COPIES)
    assert not room.quick([1], 1000 * room.COPIES - 1)
    assert room.quick(bytes(10), 1)


@between
async def test_put_from_many_threads_at_once():
    there = at("b")

    def work(n: int) -> Any:
        return bp.put([n], node=there).result(20)

    if hasattr(asyncio.get_running_loop(), "net"):
        pytest.skip("a simulated loop has no threads")
    refs = await asyncio.gather(*(asyncio.to_thread(work, n) for n in range(20)))
    assert [await ref.get() for ref in refs] == [[n] for n in range(20)]
