"""shared memory: polars frames that stay lie in it, and sending them copies nothing; the rest of them stays itself."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from beampy.dist import shared_pages as pages
from beampy.dist.shared import settle
from beampy.dist.shared_lane import LEAST
from beampy.wire.codec import Decoder, Encoder
from tests.unit.dist.test_shared import LIMIT, End, ends, kept, node_of

pl: Any = pytest.importorskip("polars")
np: Any = pytest.importorskip("numpy")
pytest.importorskip("pyarrow")

__all__ = ["ends"]

pytestmark = pytest.mark.skipif(not pages.AVAILABLE, reason="a system without memory files")

HERE = "a@localhost"
ROWS = LEAST // 4  # of eight bytes each: so that a part of a column is still shared


def frame() -> Any:
    """Numbers, text, lists, small columns, and what does not travel as memory."""
    n = pl.int_range(ROWS)
    return pl.select(
        n=n,
        half=pl.when(n % 3 == 0).then(n / 2),
        text=pl.format("this is the row {}, which says little", n),
        list=pl.concat_list(n, n),
        small=(n % 5).cast(pl.Int8),
        kind=pl.format("kind {}", n % 5).cast(pl.Categorical),
    ).with_columns(pl.Series("odd", [object()] * ROWS, dtype=pl.Object))


def sent(end: End, obj: Any) -> tuple[int, bytes, list[Any], list[Any]]:
    """A message that waits: its kind and body, the section, and the buffers that travel."""
    kind, parts, buffers = Encoder(HERE, 1, export=print).encode(obj)
    section, rest = kept(end.lane, *buffers)
    return kind, b"".join(parts), section or [], rest


frame()  # polars keeps an event loop from here on, which no test leaks


async def test_a_settled_frame_is_sent_without_a_copy(ends: tuple[End, End]) -> None:
    one, other = ends
    whole = frame()
    settled = settle(node_of(one), whole)
    assert settled is not whole
    assert settled.columns == whole.columns
    assert settled.drop("odd").equals(whole.drop("odd"))
    assert settled["odd"].to_list() == whole["odd"].to_list()
    assert settled["n"].flags == whole["n"].flags
    count = one.shared.segments.count
    assert count >= 5
    numbers = settled.select("n", "half", "text", "list")
    kind, body, section, rest = sent(one, numbers)
    part = numbers.drop("list").slice(ROWS // 8)  # offsets of lists would be made anew
    again = sent(one, part)
    assert one.shared.segments.count == count
    assert all(len(piece) < LEAST for piece in [*rest, *again[3]])  # what is shared of no message
    copy = Decoder(HERE, 1).decode(kind, body, other.lane.arrived(section, rest))
    assert copy.equals(numbers)
    copy = Decoder(HERE, 1).decode(*again[:2], other.lane.arrived(*again[2:]))
    assert copy.equals(part)
    del settled, numbers, part, copy
    gc.collect()
    other.lane.forget(float("inf"))
    other.lane.tell()
    one.hears(other)
    one.lane.released([group[0] for group in [*section, *again[2]]], [])
    del rest, again  # buffers of Arrow's keep their whole column
    gc.collect()
    pl.Series([1])  # polars drops what pyarrow has let go of when it is next called
    assert one.shared.segments.count == 0


async def test_a_settled_frame_is_as_it_was(ends: tuple[End, End]) -> None:
    one, _ = ends
    values, few = np.arange(ROWS), np.arange(ROWS, dtype="i1")
    whole = pl.DataFrame({"n": values, "few": few})  # on their memory
    settled = settle(node_of(one), {"frame": whole, "series": [whole["n"]]})
    values[:] = few[:] = 7
    assert settled["frame"]["n"].to_list() == settled["series"][0].to_list() == [*range(ROWS)]
    assert settled["frame"]["few"].to_list() == np.arange(ROWS, dtype="i1").tolist()
    settled["frame"][0, "n"] = 7  # writes to a copy
    assert settled["series"][0][0] == 0


async def test_settling_a_frame_again_copies_nothing(ends: tuple[End, End]) -> None:
    one, _ = ends
    node = node_of(one)
    first = settle(node, frame())
    count = one.shared.segments.count
    second = settle(node, first)
    assert one.shared.segments.count == count
    del first
    assert second.drop("odd").equals(frame().drop("odd"))
    series = settle(node, second["n"])
    assert series.name == "n"
    assert one.shared.segments.count == count
    del second, series
    gc.collect()
    assert one.shared.segments.count == 0


def categories(rows: int) -> Any:
    return pl.Series("kind", ["a", "b"] * (rows // 2), dtype=pl.Categorical)


@pytest.mark.parametrize(
    "make",
    [
        lambda: pl.DataFrame(),
        lambda: pl.DataFrame({"n": range(10)}),
        lambda: categories(2 * LEAST),
        lambda: categories(2 * LEAST).to_frame(),
        lambda: [categories(2 * LEAST).to_frame(), 5],
        lambda: pl.DataFrame({"n": np.zeros(LIMIT)}),
        lambda: frame().lazy(),
    ],
)
async def test_frames_without_such_memory_stay_as_they_are(ends: tuple[End, End], make: Any) -> None:
    one, _ = ends
    thing = make()
    assert settle(node_of(one), thing) is thing
    gc.collect()
    assert one.shared.segments.count == one.shared.segments.size == 0


async def test_what_is_beside_a_settled_frame_comes_back(ends: tuple[End, End]) -> None:
    one, _ = ends
    kinds = categories(2 * LEAST).to_frame()
    middling = np.arange(LEAST // 16)  # which a pickler writes alone, and too small to be shared
    settled = settle(node_of(one), [frame(), kinds, kinds, middling, "text"])
    assert settled[1] is settled[2]
    assert settled[1].equals(kinds)
    assert (settled[3] == middling).all()
    assert settled[4] == "text"
