"""A Handle as the last expression of a cell: "running…", and then its value, in the same place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import Kernel, Ran
from tests.notebook.nodes import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

SETUP = """
import beampy as bp, gc, sys, threading, time
from pathlib import Path
pool = bp.Pool(max=2)

class Picture:
    def _repr_png_(self): return b'\\x89PNG\\r\\n'
    def _repr_html_(self): return '<b>a picture</b>'

class Broken:
    def __repr__(self): raise RuntimeError('no repr')

class Shows:
    def _ipython_display_(self): print('shown by itself')

def until_there(path, seconds=30):
    end = time.monotonic() + seconds
    while not Path(path).exists():
        if time.monotonic() > end: raise TimeoutError(path)
        time.sleep(0.005)

def gives(value, after=None):
    if after: until_there(after)
    if isinstance(value, Exception): raise value
    return value
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("handles")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    with Kernel(folder, ERL_EPMD_PORT=str(free_port())) as kernel:
        kernel.ok(SETUP)
        yield kernel


def place(ran: Ran) -> list[dict[str, Any]]:
    """All that has stood in the place of the handle: the first display of the cell."""
    first = ran.displays[0]
    name = first["transient"]["display_id"]
    return [first["data"], *(one["data"] for one in ran.updates if one["transient"]["display_id"] == name)]


def ended(ran: Ran) -> bool:
    return bool(ran.displays) and "running…" not in place(ran)[-1]["text/plain"]


def becomes(kernel: Kernel, code: str) -> list[dict[str, Any]]:
    cell = kernel.begin(code)
    ran = kernel.wait(cell)
    assert ran.status == "ok", ran.traceback
    return place(kernel.until(cell, ran, ended))


def test_the_cell_returns_at_once_and_the_value_comes_in_its_place(kernel: Kernel, folder: Path):
    go = str(folder / "first")
    cell = kernel.begin(f"pool.call(gives, [1, 2], after={go!r})")
    ran = kernel.wait(cell)
    assert ran.status == "ok"
    assert ran.value is None
    assert place(ran)[0]["text/plain"].startswith("running… ")
    number = next(m["content"]["execution_count"] for m in ran.messages if m["header"]["msg_type"] == "execute_input")
    assert "running…" in str(kernel.ok(f"repr(Out[{number}])").value)
    ran = kernel.until(cell, ran, lambda ran: "gives on runner-" in place(ran)[-1]["text/plain"])  # told as it goes on
    assert "__main__" not in str(place(ran))
    Path(go).touch()
    assert place(kernel.until(cell, ran, ended))[-1] == {"text/plain": "[1, 2]"}
    assert kernel.ok(f"Out[{number}].result()").value == "[1, 2]"  # still the handle, and still its value


def test_the_value_is_shown_as_the_notebook_shows_it(kernel: Kernel):
    assert becomes(kernel, "pool.call(gives, Picture())")[-1] | {"text/plain": ""} == {
        "text/plain": "",
        "text/html": "<b>a picture</b>",
        "image/png": "iVBORw0K",
    }
    assert becomes(kernel, "pool.call(gives, None)")[-1] == {"text/plain": "None"}
    assert becomes(kernel, "h = pool.call(gives, 7); h.result(); h") == [{"text/plain": "7"}]  # it had ended
    assert becomes(
        kernel, "bp.remote_call(bp.self_node() if hasattr(bp, 'self_node') else 'nowhere@localhost', 'os.getpid')"
    )


def test_what_prints_or_breaks_when_it_is_shown(kernel: Kernel):
    cell = kernel.begin("pool.call(gives, Shows())")
    ran = kernel.until(cell, kernel.wait(cell), lambda ran: ended(ran) and "shown" in ran.out)
    assert (place(ran)[-1], ran.out) == ({"text/plain": "done"}, "shown by itself\n")
    cell = kernel.begin("pool.call(gives, Broken())")
    ran = kernel.until(cell, kernel.wait(cell), ended)
    assert kernel.ok("1 + 1").value == "2"
    huge = becomes(
        kernel,
        "class Huge:\n  def _repr_html_(self): return 'x' * 11_000_000\npool.call(gives, Huge())",
    )
    assert "11,000,0" in huge[-1]["text/plain"]


def test_a_failure_is_one_block_and_was_looked_at(kernel: Kernel):
    cell = kernel.begin("pool.call(gives, ValueError('not <this>'))")
    ran = kernel.until(cell, kernel.wait(cell), ended)
    text, page = place(ran)[-1]["text/plain"], place(ran)[-1]["text/html"]
    first, second, *rest = text.splitlines()
    assert first == "ValueError: not <this>"
    assert "gives" in second
    assert "raised in <Pid pool-" in second
    assert rest[1] == "Traceback (most recent call last):"
    assert "beampy/pool" not in text
    assert "in gives" in text
    assert "ValueError: not &lt;this&gt;" in page
    assert "<details><summary>Traceback" in page
    kernel.ok("Out.clear(); _ = __ = ___ = None")
    ran = kernel.ok(
        "for name in [n for n in globals() if n.startswith('_') and n[1:].isdigit()]: del globals()[name]\n"
        "gc.collect()\npool.call(gives, 1).result()"
    )
    assert "nobody looked" not in ran.err


def test_cancelled(kernel: Kernel):
    cell = kernel.begin("h = pool.call(gives, 1, after='/nowhere/at/all')\nh")
    ran = kernel.wait(cell)
    assert kernel.ok("h.cancel()").value == "True"
    assert place(kernel.until(cell, ran, ended))[-1]["text/plain"].startswith("cancelled: ")


def test_a_value_while_other_cells_run_and_one_of_them_computes(kernel: Kernel, folder: Path):
    go = str(folder / "busy")
    cell = kernel.begin(f"pool.call(gives, 'there', after={go!r})")
    ran = kernel.wait(cell)
    busy = kernel.begin(
        f"Path({go!r}).touch()\nend = time.monotonic() + 1\nwhile time.monotonic() < end: sum(range(1000))\n'done'"
    )
    ran = kernel.until(cell, ran, ended)
    assert place(ran)[-1] == {"text/plain": "'there'"}
    assert kernel.wait(busy).value == "'done'"


def test_many_at_once(kernel: Kernel):
    cell = kernel.begin("for n in range(300): display(pool.call(gives, n))")
    ran = kernel.until(cell, kernel.wait(cell), lambda ran: not any("running" in text for text in ran.shown()))
    assert [text for text in ran.shown() if "card" not in text and "runners" not in text] == [
        str(n) for n in range(300)
    ]


def test_a_map_becomes_its_list_and_can_be_awaited(kernel: Kernel):
    cell = kernel.begin("m = pool.map(gives, [1, 2, 3])\nm")
    kernel.until(cell, kernel.wait(cell), lambda ran: "[1, 2, 3]" in ran.shown())
    assert kernel.ok("await m").value == "[1, 2, 3]"
    cell = kernel.begin("m = pool.map(gives, [1, ValueError('bad'), 3])\nm")
    kernel.until(cell, kernel.wait(cell), lambda ran: any("ValueError: bad" in text for text in ran.shown()))
    assert kernel.run("await m").error == "ValueError: bad"


def test_a_map_of_a_pool_that_was_stopped_is_still_shown(kernel: Kernel):
    kernel.ok("other = bp.Pool(max=1)\nm = other.map(abs, [-1, 2])\nawait m\nlazy = other.map(abs, [3])")
    kernel.ok("await other.stop()")
    cell = kernel.begin("m")
    ran = kernel.wait(cell)
    assert ran.status == "ok", ran.traceback
    assert "[1, 2]" in kernel.until(cell, ran, lambda ran: "[1, 2]" in ran.shown()).shown()
    kernel.ok("lazy")


def test_a_map_that_is_over_starts_no_pool_when_it_is_shown(kernel: Kernel):
    kernel.ok("again = bp.Pool(max=1)\nm = again.map(abs, [-1, 2])\nawait m\n%beampy stop")
    cell = kernel.begin("m")
    kernel.until(cell, kernel.wait(cell), lambda ran: "[1, 2]" in ran.shown())
    assert "no node of beampy's runs here" in kernel.ok("%beampy").out
    assert kernel.ok("await pool.call(abs, -1)").value == "1"


def test_start_of_a_pool_and_what_is_in_a_list(kernel: Kernel):
    shown = becomes(kernel, "other = bp.Pool(max=1)\nother.start()")
    assert shown[-1]["text/plain"] == "done" or "Pool" in shown[-1]["text/plain"]  # where it has a card, that is below
    assert "Handle of" in str(kernel.ok("[pool.call(gives, 1)]").value)  # in a list it is what it is
    kernel.ok("other.stop().result()")


def test_what_is_taken_away_again(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok(SETUP + "\npool.call(gives, 1).result();")
        kernel.ok("%unload_ext beampy")
        assert (
            str(kernel.ok("h = pool.call(gives, 2); h.result(); h").value)
            == "<Handle of pool.call of __main__.gives done: 2>"
        )


@pytest.mark.skipif(not os.environ.get("BEAMPY_OLD_KERNEL"), reason="BEAMPY_OLD_KERNEL: a Python with ipykernel 6.29")
def test_an_older_kernel(tmp_path: Path):
    with Kernel(tmp_path, python=os.environ["BEAMPY_OLD_KERNEL"]) as kernel:
        kernel.ok(SETUP)
        assert becomes(kernel, "pool.call(gives, [1])")[-1] == {"text/plain": "[1]"}
        assert becomes(kernel, "pool.call(gives, Picture())")[-1]["image/png"] == "iVBORw0K"
