"""codec: polars frames and series arrive equal, on the memory that came, and slices without the rest of theirs."""

from __future__ import annotations

import ctypes
import datetime as dt
import mmap
import pickle
import subprocess
import sys
import weakref
from decimal import Decimal
from typing import Any

import pytest

from beampy.errors import EncodeError
from beampy.wire import codec_buffers
from beampy.wire.buffers import Pool
from beampy.wire.codec import Decoder, Encoder, NeedsImport

pl: Any = pytest.importorskip("polars")
np: Any = pytest.importorskip("numpy")
pytest.importorskip("pyarrow")

from beampy.wire import codec_arrow, codec_frames  # noqa: E402  -- they need the packages

HERE, CREATION = "a@localhost", 1
N = 40_000  # rows: of 8 bytes each, large enough to go beside the body
DAY = dt.datetime(2024, 2, 29, 12)


def written(message: Any) -> tuple[int, bytes, list[Any]]:
    kind, parts, buffers = Encoder(HERE, CREATION, export=lambda ref: None).encode(message)
    return kind, b"".join(parts), buffers


def read(kind: int, body: bytes, buffers: list[Any]) -> Any:
    return Decoder(HERE, CREATION).decode(kind, body, buffers)


def trip(message: Any) -> tuple[Any, int, int]:
    """The message that arrives, the bytes in its body, and those beside it."""
    kind, body, buffers = written(message)
    came = [view if type(view) is bytes else memoryview(bytearray(view)) for view in buffers]
    return read(kind, body, came), len(body), sum(map(len, buffers))


def assert_same(copy: Any, frame: Any) -> None:
    assert type(copy) is type(frame)
    assert copy.schema == frame.schema
    assert copy.shape == frame.shape
    assert copy.equals(frame)  # nulls and NaN equal themselves
    for column, came in zip(frame, copy, strict=True):
        if order(came.flags) != order(column.flags):  # polars sees that a few values are sorted when it joins chunks
            assert order(column.flags) == (False, False)
            assert column.sort(descending=came.flags["SORTED_DESC"]).equals(came)


def order(flags: dict[str, bool]) -> tuple[bool, bool]:
    return flags["SORTED_ASC"], flags["SORTED_DESC"]


@pytest.fixture
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that can goes beside the body."""
    monkeypatch.setattr(codec_frames, "LEAST", 0)
    monkeypatch.setattr(codec_buffers, "LEAST_FRAME", 0)


def columns() -> dict[str, Any]:
    """A column of each type, with a null in it."""
    signed = [f"{kind}{bits}" for kind in ("Int", "UInt") for bits in (8, 16, 32, 64, 128)]
    numbers = [*signed, "Float16", "Float32", "Float64"]
    found = {name: pl.Series([1, None, 0], dtype=getattr(pl, name)) for name in numbers if hasattr(pl, name)}
    for unit in ("ms", "us", "ns"):
        for zone in (None, "UTC", "Europe/Berlin"):
            found[f"datetime {unit} {zone}"] = pl.Series([DAY, None, DAY], dtype=pl.Datetime(unit, zone))
        found[f"duration {unit}"] = pl.Series([dt.timedelta(1), None, dt.timedelta(0)], dtype=pl.Duration(unit))
    struct = pl.Struct({"a": pl.List(pl.Struct({"b": pl.List(pl.Array(pl.Int8, 2)), "s": pl.String}))})
    deep = [{"a": [{"b": [[1, 2], None], "s": "long enough to lie elsewhere"}]}, None, {"a": None}]
    return found | {
        "not a number": pl.Series([float("nan"), None, -0.0]),
        "bool": pl.Series([True, None, False]),
        "text": pl.Series(["a", None, "long enough to lie elsewhere"]),
        "bytes": pl.Series([b"a", None, b"long enough to lie elsewhere"]),
        "date": pl.Series([DAY.date(), None, DAY.date()]),
        "time": pl.Series([dt.time(1), None, dt.time(2)]),
        "decimal": pl.Series([Decimal("1.5"), None, Decimal("-2.25")], dtype=pl.Decimal(10, 2)),
        "decimal of 38": pl.Series([Decimal("1.5"), None, None], dtype=pl.Decimal(38, 2)),
        "categories": pl.Series(["a", None, "b"], dtype=pl.Categorical),
        "enum": pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a"])),
        "list": pl.Series([[1, None], None, []]),
        "list of lists": pl.Series([[[1]], None, [None, [2, 3]]]),
        "list of text": pl.Series([["a", "long enough to lie elsewhere"], None, []]),
        "list of categories": pl.Series([["a"], None, []], dtype=pl.List(pl.Categorical)),
        "list of enums": pl.Series([["a"], None, []], dtype=pl.List(pl.Enum(["a"]))),
        "list of datetimes": pl.Series([[DAY], None, []], dtype=pl.List(pl.Datetime("ns", "Europe/Berlin"))),
        "list of 128 bits": pl.Series([[1], None, []], dtype=pl.List(pl.Int128)),
        "list of nulls": pl.Series([[None], None, []]),
        "array": pl.Series([[1, None], None, [3, 4]], dtype=pl.Array(pl.Int64, 2)),
        "array of arrays": pl.Series([[[1, 2]], None, [[3, None]]], dtype=pl.Array(pl.Int64, (1, 2))),
        "struct": pl.Series([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}]),
        "struct of odd names": pl.Series([{"": 1, "field_0": "x"}, None, {"": 2, "field_0": None}]),
        "struct of a name that arrow has not": pl.Series([{"\0": 1, "": "x"}, None, {"\0": 2, "": None}]),
        "struct of nothing": pl.Series([{}, None, {}], dtype=pl.Struct([])),
        "deep": pl.Series(deep, dtype=struct),
        "nulls": pl.Series([None] * 3),
    }


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("name", columns())
def test_every_type_comes_back(name: str, small: bool, request: pytest.FixtureRequest) -> None:
    if not small:
        request.getfixturevalue("nothing_is_small")
    series = columns()[name].rename(name)
    many = pl.concat([series] * 9)
    frame = many.to_frame().with_columns(other=pl.lit(7))
    pieces = pl.concat([frame, frame[4:11]], rechunk=False)
    for one in (frame, frame[:2], frame[13:], frame[9:20], frame[::2], frame.clear(), pieces, frame.select("other")):
        assert_same(trip(one)[0], one)
    for one in (many, many[10:15], many.clear(), pl.concat([many, many], rechunk=False), many.rename("")):
        copy = trip(one)[0]
        assert (type(copy), copy.name, copy.dtype) == (pl.Series, one.name, one.dtype)
        assert copy.to_frame().equals(one.to_frame())


def test_types_that_arrow_memory_has_go_so(nothing_is_small: None) -> None:
    fit = {
        name for name, series in columns().items() if codec_frames.reduced(series.to_frame(name)) is not NotImplemented
    }
    assert columns().keys() - fit == {
        *("Int128", "UInt128", "list of 128 bits", "categories", "enum", "list of categories", "list of enums"),
        *("struct of nothing", "struct of a name that arrow has not"),
    }


def test_frames_of_every_kind_come_back(nothing_is_small: None) -> None:
    hypothesis = pytest.importorskip("hypothesis")
    parametric = pytest.importorskip("polars.testing.parametric")
    numbers = hypothesis.strategies.integers(0, 30)

    @hypothesis.settings(max_examples=40, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(parametric.dataframes(max_cols=4, max_size=30, allow_chunks=True), numbers, numbers)
    def check(frame: Any, start: int, length: int) -> None:
        for one in (frame, frame.slice(start, length), frame.filter(pl.int_range(pl.len()) % 3 == 1)):
            assert_same(trip(one)[0], one)

    check()


def test_numbers_and_text_are_not_serialised():
    frame = pl.DataFrame({"n": range(N), "x": np.arange(N) / 3, "s": [f"row {n}, and more" for n in range(N)]})
    copy, inside, beside = trip(["before", frame])
    assert_same(copy[1], frame)
    text = sum(map(len, frame["s"]))
    assert inside < 32 * 1024  # of small buffers of text
    assert 8 * N * 2 + 16 * N + text <= beside + inside < 8 * N * 2 + 16 * N + text + 5000
    column, inside, beside = trip(frame["n"])
    assert (column.equals(frame["n"]), inside < 1000, beside) == (True, True, 8 * N)


def test_one_column_that_arrow_does_not_have_slows_none_of_the_others():
    frame = pl.DataFrame(
        {
            "c": pl.Series(["a", "b"] * (N // 2), dtype=pl.Categorical),
            "n": range(N),
            "o": pl.Series([1, "two"] * (N // 2), dtype=pl.Object),
            "few": pl.Series([1] * N, dtype=pl.Int8),
            "x": np.arange(N) / 3,
        }
    )
    kind, body, buffers = written(frame)
    assert [len(view) for view in buffers if type(view) is not bytes] == [8 * N, 8 * N]
    copy = read(kind, body, buffers)
    assert copy.columns == frame.columns
    assert_same(copy.drop("o"), frame.drop("o"))
    assert copy["o"].to_list() == frame["o"].to_list()


def test_objects_come_back_and_what_cannot_travel_is_named():
    frame = pl.DataFrame({"o": pl.Series([1, None, ("two", 3)], dtype=pl.Object), "n": [1, 2, 3]})
    copy, _, _ = trip(frame)
    assert copy.schema == frame.schema
    assert copy["o"].to_list() == frame["o"].to_list()
    assert copy["o"].null_count() == 1
    with pytest.raises(EncodeError, match="generator"):
        written(pl.DataFrame({"o": pl.Series([(n for n in "ab")], dtype=pl.Object)}))


def test_flags_of_being_sorted_are_kept():
    frame = pl.DataFrame({"a": range(N), "b": [*range(N)], "c": range(N, 0, -1)}).set_sorted("a")
    frame = frame.with_columns(pl.col("c").set_sorted(descending=True))
    copy, _, _ = trip(frame)
    assert_same(copy, frame)
    assert [order(copy.flags[name]) for name in "abc"] == [(True, False), (False, False), (False, True)]


def test_frames_without_columns_and_rows():
    for frame in (
        pl.DataFrame(),
        pl.DataFrame(schema={"a": pl.Int8, "b": pl.List(pl.String)}),
        pl.DataFrame({"": [1]}),
    ):
        assert_same(trip(frame)[0], frame)


ROWS = 200_000


def large() -> Any:
    """A frame of 36 MB, each kind of memory in it."""
    n = pl.col("n")
    text = pl.format("this is the row {}, which says little", "n")
    return pl.DataFrame({"n": np.arange(ROWS)}).with_columns(
        null=pl.when(n % 3 == 1).then(n / 2),
        bool=n % 5 == 0,
        text=text,
        list=pl.concat_list(n, n),
        texts=pl.concat_list(text),
        struct=pl.struct(n, text.alias("s")),
        array=pl.concat_arr(n, n),
    )


def test_slices_travel_without_the_rest():
    frame = large()
    for one, most in {
        "first": (frame.head(5), 10_000),
        "last": (frame.tail(5), 10_000),
        "in between": (frame.slice(100_001, 5), 10_000),
        "selected": (frame.filter(pl.col("n") % 20_000 == 7), 20_000),
        "a tenth": (frame.slice(100_001, 20_000), frame.estimated_size() / 10 * 2),
        "a tenth, selected": (frame.filter(pl.col("n") % 10 == 7), frame.estimated_size() / 10 * 2),
    }.values():
        copy, inside, beside = trip(one)
        assert_same(copy, one)
        assert inside + beside < most
        for column in one:
            _, inside, beside = trip(column)
            assert inside + beside < most


def test_memory_that_columns_share_is_sent_once():
    frame = large().select("n", "text")
    alone = sum(trip(frame)[1:])
    twice = frame.with_columns(again="n", same="text")
    pieces = pl.concat([frame[: ROWS // 2], frame[ROWS // 2 :]], rechunk=False)
    for one in (twice, pieces):
        copy, inside, beside = trip(one)
        assert_same(copy, one)
        assert inside + beside < alone + 20_000
    assert trip(pieces)[0].n_chunks() == 2


def odd_columns() -> list[Any]:
    """One for each way in which columns travel, in turn."""
    numbers, text = np.arange(N), pl.Series(["long enough to lie elsewhere"] * N)
    kinds = pl.Series(["a", "b"] * (N // 2), dtype=pl.Categorical)
    objects = pl.Series([1, "two"] * (N // 2), dtype=pl.Object)
    few = pl.Series([1] * N, dtype=pl.Int8)
    return [pl.Series(numbers).set_sorted(), text.reshape((N, 1)).arr.to_list(), kinds, objects, text, few]


@pytest.mark.parametrize("turn", range(6))
@pytest.mark.parametrize(
    "names",
    [
        ["", "column_0", "column_1", "a.b", "köln 東京 \0", " "],
        ["column_0", "", "\n", "^.*$", "*", "N" * 300],
        ["column_1", "column_0", "", "literal", "a", "A"],
    ],
)
def test_columns_of_any_name_come_back(names: list[str], turn: int) -> None:
    columns = odd_columns()
    columns = [each.alias(name) for each, name in zip(columns[turn:] + columns[:turn], names, strict=True)]
    frame = columns[0].to_frame().hstack(columns[1:])
    copy, _, _ = trip(frame)
    assert copy.columns == names
    for column in columns:
        for came in (copy[column.name], trip(column)[0]):
            assert (came.name, came.dtype, order(came.flags)) == (column.name, column.dtype, order(column.flags))
            assert came.to_list() == column.to_list()
    for column in columns:
        only, _, _ = trip(column.to_frame())
        assert only.columns == [column.name]
        assert only.to_series().to_list() == column.to_list()


def test_a_thousand_columns():
    columns = [pl.Series(str(number) if number else "", np.arange(N // 2) + number) for number in range(1000)]
    frame = columns[0].to_frame().hstack(columns[1:]).with_columns(kind=pl.lit("a").cast(pl.Categorical))
    copy, inside, _ = trip(frame)
    assert_same(copy, frame)
    assert inside < 300_000


def test_what_is_small_goes_the_way_polars_has():
    frame = pl.DataFrame({"n": range(1000), "s": ["text"] * 1000})
    copy, inside, beside = trip(frame)
    assert_same(copy, frame)
    assert b"codec_" not in written(frame)[1]
    assert abs(inside + beside - len(pickle.dumps(frame))) < 100


def test_subclasses_and_namesakes_go_their_own_way():
    class DataFrame(pl.DataFrame):
        pass

    assert codec_buffers.reduce_beside(DataFrame({"n": range(N)}), DataFrame) is NotImplemented
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"n": range(N)})
    assert codec_buffers.reduce_beside(frame, pd.DataFrame) is NotImplemented


def test_a_frame_twice_is_one():
    frame = pl.DataFrame({"n": range(N)})
    (first, second), _, beside = trip([frame, frame])
    assert first is second
    assert beside == 8 * N


# --- memory --------------------------------------------------------------------------------------


def test_a_message_is_as_it_was_when_it_was_sent():
    values = np.arange(N)
    frame = pl.DataFrame({"n": range(N), "s": ["long enough to lie elsewhere"] * N})
    frame = frame.with_columns(pl.Series("shared", values))  # polars does not copy it
    before = frame.clone().with_columns(pl.Series("shared", values.copy()))
    kind, body, buffers = written(frame)
    kept = Pool().snapshot(buffers)
    values[:] = 7
    frame[0, "n"] = 77
    frame[1, "s"] = "another"
    frame.extend(frame.clone())
    assert_same(read(kind, body, kept), before)


def received(frame: Any) -> tuple[Any, list[mmap.mmap], list[bytes]]:
    """A frame that rests on pages which nobody may write to, those pages, and what is in them."""
    kind, body, buffers = written(frame)
    pages: list[mmap.mmap] = []
    came: list[Any] = []
    for view in buffers:
        if type(view) is bytes:
            came.append(view)
            continue
        page = mmap.mmap(-1, len(view))
        page[:] = view
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(len(view)), mmap.PROT_READ) == 0
        pages.append(page)
        came.append(memoryview(page))
    return read(kind, body, came), pages, [bytes(page) for page in pages]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="protects pages")
def test_nothing_writes_to_the_memory_that_came():
    text = [f"long enough to lie elsewhere {n}" for n in range(N)]
    sent = pl.DataFrame({"n": range(N), "x": np.arange(N) / 3, "s": text, "l": [[n] for n in range(N)]})
    copy, pages, before = received(sent)
    assert len(pages) > 4
    copy[0, "n"] = 77  # a write to a page would end this process
    copy[0, "s"] = "another"
    copy.extend(sent)
    copy.insert_column(0, copy["x"].alias("y"))
    copy.replace_column(1, pl.Series("n", range(2 * N)))
    again = received(sent)[0]
    numbers = again["n"]
    numbers[3] = 5
    numbers.scatter([1, 2], 8)
    numbers.sort(descending=True, in_place=True)
    numbers.append(again["n"]).extend(again["n"]).shrink_to_fit(in_place=True)
    again["x"].set(again["x"] > 3, 1.0)
    again.rechunk().sort("x", descending=True).fill_null(0).with_columns(pl.col("n").sort())
    assert_same(again.with_columns(n=pl.Series(range(N))), sent)
    assert [bytes(page) for page in pages] == before


class Came(ctypes.Array[Any]):
    """Memory of which it can be told when nobody has it any more."""

    _type_ = ctypes.c_ubyte
    _length_ = 8 * N


def test_memory_lives_as_long_as_a_part_of_the_frame():
    kind, body, (view,) = written(pl.DataFrame({"n": range(N)}))
    memory = Came.from_buffer(bytearray(view))
    alive = weakref.ref(memory)
    frame = read(kind, body, [memoryview(memory).cast("B")])
    del memory
    part = frame["n"].slice(5, 10)
    del frame
    assert alive() is not None
    assert part.to_list() == [*range(5, 15)]
    del part
    assert alive() is None


GIVES_BACK = """
import sys
import polars as pl, pyarrow
from beampy.wire.codec import Decoder, Encoder

frame = pl.DataFrame({"n": range(40_000), "x": pl.Series(range(40_000), dtype=pl.Float64)})
for _ in range(50):
    kind, parts, buffers = Encoder("a@localhost", 1, export=print).encode(frame)
    assert len(buffers) == 2
    copy = Decoder("a@localhost", 1).decode(kind, b"".join(parts), [bytearray(view) for view in buffers])
    whole = pl.Series("x", range(80_000))
    pieces = pl.DataFrame([pl.concat([copy["n"], copy["x"].cast(int)], rechunk=False), whole])
    del copy
    pieces.serialize()  # joins the pieces, in threads, and so lets go of memory, while Python's lock is held here
print("done")
"""


def test_memory_is_let_go_of_by_threads_without_waiting_for_python():
    done = subprocess.run([sys.executable, "-c", GIVES_BACK], capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.stderr) == ("done\n", "")


# --- where packages are missing ------------------------------------------------------------------


@pytest.fixture
def no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, codec_arrow.__name__)


def test_without_pyarrow_here_frames_go_the_way_polars_has(no_pyarrow: None) -> None:
    frame = pl.DataFrame({"n": range(N), "l": [["long enough to lie elsewhere"]] * N})
    copy, _, _ = trip(frame)
    assert_same(copy, frame)
    assert b"codec_arrow" not in written(frame)[1]


def test_without_pyarrow_there_it_says_what_to_do(request: pytest.FixtureRequest) -> None:
    message = written(pl.DataFrame({"n": range(N)}))
    request.getfixturevalue("no_pyarrow")
    with pytest.raises(NeedsImport, match="codec_arrow"):  # the loop does not import it
        Decoder(HERE, CREATION).decode_now(*message)
    with pytest.raises(ImportError, match=r"this node has no pyarrow to read it: pip install beampy\[frames\]"):
        read(*message)


def test_pyarrow_is_imported_for_what_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"n": range(N)})
    monkeypatch.delitem(sys.modules, "pyarrow")
    assert b"codec_arrow" not in written(frame)[1]
    monkeypatch.setattr(codec_frames, "LEAST_TO_IMPORT", 8 * N)
    assert b"codec_arrow" in written(frame)[1]


def test_a_buffer_that_is_too_short_is_refused():
    kind, body, (view,) = written(pl.DataFrame({"n": range(N)}))
    with pytest.raises(Exception, match="too small"):
        read(kind, body, [bytes(view[:-8])])
