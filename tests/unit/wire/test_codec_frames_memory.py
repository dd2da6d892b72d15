"""codec: whose the memory of frames and tables is: of a message that waits, and of what came while threads use it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from beampy.wire.buffers import Pool
from beampy.wire.codec import Decoder, Encoder

pl: Any = pytest.importorskip("polars")
np: Any = pytest.importorskip("numpy")
pa: Any = pytest.importorskip("pyarrow")

HERE, CREATION = "a@localhost", 1
N = 40_000  # rows: of 8 bytes each, large enough to go beside the body


def of_pandas(values: Any) -> Any:
    pd = pytest.importorskip("pandas")
    return pa.Table.from_pandas(pd.DataFrame({"n": values}, copy=False))


# What pyarrow has on the memory of an array, which it does not say of all of them.
ON_AN_ARRAY: dict[str, Any] = {
    "array": lambda values: pa.array(values),
    "table": lambda values: pa.table({"n": values}),
    "part of a table": lambda values: pa.table({"n": values}).slice(7),
    "batch": lambda values: pa.record_batch({"n": values}),
    "buffer": lambda values: pa.py_buffer(values),
    "part of a buffer": lambda values: pa.py_buffer(values).slice(8 * 7),
    "of pandas": of_pandas,
    "of polars": lambda values: pl.DataFrame({"n": values}).to_arrow(),
    "series": lambda values: pl.Series(values).to_arrow(),
}


@pytest.mark.parametrize("kind", ON_AN_ARRAY)
def test_a_table_is_as_it_was_when_it_was_sent(kind: str) -> None:
    values = np.arange(N)
    before = ON_AN_ARRAY[kind](values.copy())
    sent = ON_AN_ARRAY[kind](values)
    message, parts, buffers = Encoder(HERE, CREATION, export=print).encode(sent)
    assert sum(view.nbytes for view in buffers) >= 8 * (N - 7)
    waiting = Pool().snapshot(buffers)
    values[:] = 7
    assert not sent.equals(before)  # it is on that memory
    assert Decoder(HERE, CREATION).decode(message, b"".join(parts), waiting).equals(before)


def test_text_waits_without_a_copy():
    frame = pl.DataFrame({"s": [f"long enough to lie elsewhere {n}" for n in range(N)], "n": range(N)})
    _, _, buffers = Encoder(HERE, CREATION, export=print).encode(frame)
    waiting = Pool().snapshot(buffers)
    kept = sum(len(view) for view, now in zip(buffers, waiting, strict=True) if view is now)
    copied = sum(len(view) for view, now in zip(buffers, waiting, strict=True) if view is not now)
    assert kept > sum(map(len, frame["s"]))
    assert copied <= (16 + 8) * N  # views of text, and numbers: these may be an array's


UNDER_LOAD = """
import faulthandler, gc, threading
import polars as pl, pyarrow
from beampy.wire.codec import Decoder, Encoder

faulthandler.dump_traceback_later(40, exit=True)
ROWS, ROUNDS, THREADS = 30_000, 40, 8
n = pl.int_range(ROWS)
frame = pl.select(n=n, x=n / 3, half=pl.when(n % 3 == 0).then(n), s=pl.format("this is the row {}", n))
failures = []

def received():
    kind, parts, buffers = Encoder("a@localhost", 1, export=print).encode(frame)
    assert len(buffers) >= 5
    return Decoder("a@localhost", 1).decode(kind, b"".join(parts), [bytearray(view) for view in buffers])

def use(number):
    for turn in range(ROUNDS):
        one, other = received(), received()
        pieces = pl.concat([one, other], rechunk=False)
        uneven = pl.DataFrame([pieces["n"], pl.concat([one["x"], other["x"]], rechunk=True)])
        del one, other
        what = (number + turn) % 4
        if what == 0:
            del pieces
            uneven.serialize()  # has Python's lock while polars' threads join the pieces and let go of them
        elif what == 1:
            kept = pieces.filter(pl.col("n") % 2 == 0).rechunk()
            del pieces
            assert kept.height == ROWS
        elif what == 2:
            kept = pieces.lazy().group_by("n").agg(pl.col("x").sum(), pl.col("s").first()).collect()
            del pieces
            assert kept.height == ROWS
        else:
            columns = pieces.get_columns()
            del pieces
            columns[0].append(columns[1].cast(int)).rechunk(in_place=True)
            gc.collect()

def guarded(number):
    try:
        use(number)
    except BaseException as error:
        failures.append(repr(error))

threads = [threading.Thread(target=guarded, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(failures or "done")
"""


def test_many_threads_use_and_drop_frames_that_came():
    done = subprocess.run([sys.executable, "-c", UNDER_LOAD], capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.stderr) == ("done\n", "")
