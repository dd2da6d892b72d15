"""The buttons of cards: Cancel ends the calls and maps of a cell, Stop the pool."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
pytest.importorskip("anywidget")
from tests.notebook.kernels import Kernel
from tests.notebook.pages import Notebook, Page, final, states

pytestmark = [pytest.mark.cluster]

SETUP = """
import asyncio, os, time
import beampy as bp
folder = os.getcwd()
async def forever(x):
    bp.log(loss=x)
    open(os.path.join(folder, f"began-{x}"), "w").close()
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        open(os.path.join(folder, f"stopped-{x}"), "w").close()
        raise
def quick(x):
    return x
def stopped():
    return sorted(name for name in os.listdir(folder) if name.startswith("stopped-"))
pool = bp.Pool("p", max=2)
"""


def test_cancel_ends_a_map_that_its_cell_awaits(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        _delivers(kernel)
        cell = kernel.begin("await pool.options(timeout=None).map(forever, range(3))")
        page = Page(kernel).until(lambda page: page.cards and len(page.only().curve("loss")) == 3)
        assert page.only().button == "cancel"
        page.say(page.only(), "cancel")
        page.until(lambda page: page.only().state == "cancelled")
        assert page.only().button == ""
        assert kernel.wait(cell).status == "error"
        assert (
            kernel.ok("while len(stopped()) < 3: time.sleep(0.05)\nstopped()").value
            == "['stopped-0', 'stopped-1', 'stopped-2']"
        )
        assert kernel.ok("await pool.call(quick, 5)").value == "5"


def test_cancel_ends_calls_whose_cell_has_ended(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        cell = kernel.begin("calls = [pool.options(timeout=None).call(forever, x) for x in range(2)]")
        ran = kernel.wait(cell)
        page = Page(kernel).take(ran.messages)
        page.until(lambda page: page.cards and len(page.only().curve("loss")) == 2)
        page.say(page.only(), "cancel")
        page.until(lambda page: page.only().state == "cancelled")
        assert kernel.ok("[call.cancelled() for call in calls]").value == "[True, True]"


def test_cancel_of_one_cell_leaves_the_calls_of_others(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        page = Page(kernel)
        for number in (1, 2):
            ran = kernel.ok(f"call{number} = pool.options(timeout=None).call(forever, {number})")
            page.take(ran.others).take(ran.messages)
            page.until(lambda page, number=number: len(page.cards) == number)
        first, second = page.cards.values()
        page.say(first, "cancel")
        page.until(lambda page: first.state == "cancelled")
        assert kernel.ok("call1.cancelled(), call2.done()").value == "(True, False)"
        page.say(second, "cancel")
        page.until(lambda page: second.state == "cancelled")


def test_stop_ends_the_pool_and_its_runners(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        kernel.ok(
            "call = pool.options(timeout=None).call(forever, 0)\nwhile not os.path.exists('began-0'): time.sleep(0.05)"
        )
        cell = kernel.begin("pool")
        ran = kernel.wait(cell)
        page = Page(kernel).take(ran.messages)
        (card,) = page.cards.values()
        assert card.button == "stop"
        page.say(card, "stop")
        page.until(lambda page: card.state == "stopped")
        assert card.button == ""
        assert "PoolClosed" in str(kernel.run("await pool.call(quick, 1)").error)
        assert kernel.ok("call.done()").value == "True"


def test_what_is_no_button_is_left_out(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        cell = kernel.begin("call = pool.options(timeout=None).call(forever, 0)")
        ran = kernel.wait(cell)
        page = Page(kernel).take(ran.messages)
        page.until(lambda page: page.cards)
        for nonsense in ("stop", "nothing", "", "__class__"):
            page.say(page.only(), nonsense)
        going = kernel.ok("call.done()")
        assert going.value == "False"
        page.take(going.others).say(page.only(), "cancel")
        page.until(lambda page: page.only().state == "cancelled")


@pytest.mark.parametrize(
    "code", ["pool.options(timeout=None).call(forever, 0).result()", "list(pool.map(forever, [0]))"]
)
def test_cancel_works_while_the_code_of_a_cell_blocks(tmp_path: Path, code: str) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        _delivers(kernel)
        cell = kernel.begin(code)
        page = Page(kernel).until(lambda page: page.cards and page.only().curve("loss"))
        page.say(page.only(), "cancel")
        ran = kernel.wait(cell)
        assert ran.status == "error"
        kernel.until(cell, ran, lambda ran: final(ran) or not ran.displays)
        assert states(ran) in ([], ["cancelled"])


def _delivers(kernel: Kernel) -> None:
    """Skip where the kernel delivers nothing that the page says while a cell runs."""
    if kernel.ok("import ipykernel; ipykernel.version_info[0] >= 7").value != "True":
        pytest.skip("ipykernel 6 delivers nothing of the page while a cell runs")
