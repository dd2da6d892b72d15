"""Live cards: when one appears, what it shows, and what is left of it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("ipykernel")
pytest.importorskip("anywidget")
from tests.notebook.kernels import Kernel
from tests.notebook.pages import VIEW, Notebook, Page, final, states

pytestmark = [pytest.mark.cluster]

SETUP = """
import os, signal, sys, time
import beampy as bp
def quick(x):
    return x
def slow(x, seconds=2.5):
    time.sleep(seconds)
    return x
def train(x, steps=20):
    for step in bp.track(range(steps), label="steps"):
        bp.log(loss=x / (step + 1))
        time.sleep(0.05)
    return x
def bad(x):
    bp.log(loss=x)
    raise ValueError(f"no {x}")
pool = bp.Pool("p", max=2, max_concurrency=1)
"""


def test_calls_that_are_over_soon_have_no_card(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(
            SETUP + "from beampy.notebook import live_card\nlive_card.LATE = 60.0"
        )  # seconds: a machine may be slow
        ran = kernel.ok("await pool.map(quick, range(20))")
        assert len(ran.displays) == 1
        assert ran.value is not None
        assert kernel.ok("'anywidget' in sys.modules").value == "False"


def test_loading_beampy_loads_nothing_of_the_cards(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok("import sys\nimport beampy as bp")
        loaded = kernel.ok(
            "[name for name in ('anywidget', 'ipywidgets', 'beampy.notebook.live_card') if name in sys.modules]"
        )
        assert loaded.value == "[]"


def test_a_call_that_takes_long_gets_a_card_without_a_report(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        cell = kernel.begin("await pool.call(slow, 1)")
        ran = kernel.wait(cell)
        assert len(ran.displays) == 2  # the card, and the value
        assert "slow" in ran.displays[0]["data"]["text/plain"]
        kernel.until(cell, ran, final)
        assert "1/1" in ran.shown()[0]


def test_a_cell_has_one_card_for_all_its_calls(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        cell = kernel.begin(
            "await pool.map(train, [1, 2, 3])\nawait pool.call(train, 4)\nawait pool.map(quick, [1, 2]);"
        )
        ran = kernel.wait(cell)
        kernel.until(cell, ran, final)
        (display,) = ran.displays
        assert set(display["data"]) == {"text/plain", "text/html", VIEW}
        page = Page(kernel).take(ran.messages)
        card = page.only()
        assert card.state == "done"
        done = {group["what"]: (group["done"], group["total"]) for group in card.head["groups"]}
        assert done == {"train": (4, 4), "quick": (2, 2)}
        assert set(card.rows()) <= {"p-runner-1", "p-runner-2", "runner-1", "runner-2"}
        html = ran.shown("text/html")[0]
        assert "<svg" in html
        assert "4/4" in html
        assert "loss" in html
        assert VIEW not in ran.updates[-1]["data"]
        assert all(message["parent_header"]["msg_id"] == cell for message in ran.messages)


def test_a_map_that_is_shown_is_collected_and_its_cell_has_ended(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        cell = kernel.begin("runs = pool.map(train, range(1, 7), max_in_flight=2)\nruns")
        ran = kernel.wait(cell)
        page = Page(kernel).take(ran.messages)
        assert page.only().state == "running"
        kernel.until(cell, ran, final)
        assert "6/6" in ran.shown()[0]
        kernel.until(cell, ran, lambda ran: any("[1, 2, 3, 4, 5, 6]" in text for text in ran.shown()))
        assert kernel.ok("await runs").value == "[1, 2, 3, 4, 5, 6]"


def test_what_fails_is_shown_as_failed(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        cell = kernel.begin("results = await pool.map(bad, [1, 2, 3], return_exceptions=True)")
        ran = kernel.wait(cell)
        kernel.until(cell, ran, final)
        assert "3 failed" in ran.shown()[0]
        assert states(ran) == ["failed"]


def test_running_a_cell_again_makes_a_new_card_and_closes_the_one_of_before(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        page = Page(kernel)
        for times in (1, 2):
            cell = kernel.begin("await pool.map(train, [1, 2]);", cell_id="the-cell")
            ran = kernel.wait(cell)
            kernel.until(cell, ran, final)
            page.take(ran.messages)
            page.until(lambda page, times=times: len(page.cards) == times)
            assert len(ran.displays) == 1
        first, second = page.cards.values()
        page.until(lambda page: first.closed)
        assert not second.closed
        assert (first.head["done"], second.head["done"]) == (2, 2)


def test_without_anywidget_a_card_is_a_picture_that_moves(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        kernel.ok("sys.modules['anywidget'] = None")
        cell = kernel.begin("await pool.map(train, [1, 2, 3, 4]);")
        ran = kernel.wait(cell)
        kernel.until(cell, ran, final)
        assert all(VIEW not in display["data"] for display in [*ran.displays, *ran.updates])
        assert len(ran.updates) > 2
        assert "4/4" in ran.shown()[0]
        assert not any(message["header"]["msg_type"].startswith("comm") for message in ran.messages)


def test_what_runs_a_notebook_without_a_page_gets_pictures(tmp_path: Path) -> None:
    with Kernel(tmp_path) as kernel:
        kernel.ok(SETUP)
        ran = kernel.ok("await pool.map(train, [1, 2]);")
        assert states(ran) == ["done"]  # when the cell has ended, not later
        assert "2/2" in ran.shown()[0]
        assert ran.shown(VIEW) == []
        ran = kernel.ok("pool")
        assert "2 done" in ran.shown()[0]
        assert "runner-1" in ran.shown("text/html")[0]
        assert ran.shown(VIEW) == []


def test_a_pool_that_is_shown_is_a_card_of_its_runners(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        shown = kernel.ok("pool").shown()
        assert shown == ["<Pool p: it has not been started>"]
        kernel.ok("await pool.map(quick, range(8));")
        cell = kernel.begin("pool")
        ran = kernel.wait(cell)
        (display,) = ran.displays
        assert VIEW in display["data"]
        page = Page(kernel).take(ran.messages)
        page.until(lambda page: set(page.only().rows().values()) == {"idle"})
        card = page.only()
        assert (card.head["title"], card.button, card.head["done"]) == ("p", "stop", 8)
        kernel.begin("await pool.call(slow, 1)")
        page.until(lambda page: "running" in page.cards[card.id].rows().values())


def test_the_block_of_pool_live_is_a_card(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP + "await pool.call(quick, 1)")
        cell = kernel.begin("with pool.live():\n    await pool.map(train, [1, 2, 3])")
        ran = kernel.wait(cell)
        kernel.until(cell, ran, final)
        assert ran.out == ""
        assert ran.err == ""
        assert len(ran.displays) == 1
        assert "3/3" in ran.shown()[0]


def test_a_runner_that_is_lost_is_shown_and_its_curve_ends_there(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        kernel.ok(
            "marks = os.path.abspath('killed')\n"
            "def once(x):\n"
            "    for step in range(10):\n"
            "        bp.log(loss=step)\n"
            "        time.sleep(0.05)\n"
            "        if step == 5 and not os.path.exists(marks):\n"
            "            open(marks, 'w').close()\n"
            "            os.kill(os.getpid(), signal.SIGKILL)\n"
            "    return x\n"
        )
        cell = kernel.begin("await pool.options(retries=2).map(once, [1]);")
        ran = kernel.wait(cell)
        assert ran.status == "ok", ran.traceback
        kernel.until(cell, ran, final)
        card = Page(kernel).take(ran.messages).only()
        states = sorted(line["state"] for line in card.lines.values())
        assert states == ["done", "lost"]
        (lost,) = [line for line in card.lines.values() if line["state"] == "lost"]
        (whole,) = [line for line in card.lines.values() if line["state"] == "done"]
        assert lost["runner"] != whole["runner"]
        assert lost["call"] == whole["call"]
        assert whole["points"] == [value for step in range(10) for value in (step, step)]
        assert card.rows()[lost["runner"]] == "lost"
        assert "was lost" in card.head["note"]
        assert card.head["failed"] == 0
        assert "bp-mark" in ran.shown("text/html")[0]


def test_to_show_a_map_whose_pool_has_ended_starts_nothing(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        kernel.ok("runs = pool.map(slow, [1, 2, 3])")
        assert "stopped notebook-" in kernel.ok("%beampy stop").out
        kernel.ok("runs")
        assert "no node" in kernel.ok("%beampy").out
        kernel.ok("runs.cancel()")
