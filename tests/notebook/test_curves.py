"""Curves of `bp.log` in a cell: every point, once; after a page was loaded again; and when nobody looks."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
pytest.importorskip("anywidget")
from tests.notebook.kernels import WAIT, Kernel, Ran
from tests.notebook.pages import Notebook, Page, Shown, final

pytestmark = [pytest.mark.cluster]

SETUP = """
import asyncio, os, sys, time
import beampy as bp
def train(scale, steps=60, pause=0.01):
    for step in range(steps):
        bp.log(loss=scale / (step + 1), accuracy=scale * step)
        time.sleep(pause)
    return scale
pool = bp.Pool("p", max=2, max_concurrency=1)
"""


def loss(scale: float, steps: int = 60) -> list[tuple[float, float]]:
    return [(step, float(f"{scale / (step + 1):.6g}")) for step in range(steps)]


def test_all_points_come_one_line_for_each_call(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        ran = kernel.ok("await pool.map(train, [1, 2, 3, 4]);")
        page = Page(kernel).take(ran.messages).until(lambda page: page.only().state == "done")
        card = page.only()
        assert card.gaps == 0
        assert card.increments > 3
        assert sorted(card.curve("loss")) == sorted(loss(scale) for scale in (1, 2, 3, 4))
        assert len(card.curve("accuracy")) == 4
        assert all(line["state"] == "done" for line in card.lines.values())
        runners = {line["runner"] for line in card.lines.values()}
        assert 1 <= len(runners) <= 2
        assert runners <= set(card.rows())


def test_curves_of_a_cell_that_has_ended_go_on_in_its_place(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        first = kernel.begin("one = pool.call(train, 1, pause=0.05)")
        ran = kernel.wait(first)
        kernel.until(first, ran, lambda ran: ran.displays)
        page, other = Page(kernel).take(ran.messages), Ran()
        kernel.begin("await pool.call(train, 2);")
        for message in kernel.messages():
            page.take([message])
            (ran if message["parent_header"].get("msg_id") == first else other).take(message)
            if final(ran) and final(other):
                break
        assert [card.curve("loss") for card in page.cards.values()] == [[loss(1)], [loss(2)]]
        assert [len(ran.displays), len(other.displays)] == [1, 1]


def test_the_code_of_the_cell_may_block_and_its_curves_come_all_the_same(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        kernel.ok("await pool.call(train, 0, steps=1);")
        cell = kernel.begin("print('before')\ndone = pool.call(train, 3).result()\nprint('after')")
        page, out = Page(kernel), ""
        for message in kernel.messages():
            if message["parent_header"].get("msg_id") == cell:
                page.take([message])
            if message["header"]["msg_type"] == "stream":
                out += message["content"]["text"]
            if "after" in out:
                break
        before = page.only().increments
        assert before > 2  # came while it blocked
        page.until(lambda page: page.only().state == "done")
        assert page.only().curve("loss") == [loss(3)]
        assert kernel.wait(cell).status == "ok"


def test_a_page_that_asks_gets_the_whole_card(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        cell = kernel.begin("runs = pool.map(train, [1, 2])")
        ran = kernel.wait(cell)
        kernel.until(cell, ran, lambda ran: any(m["header"]["msg_type"] == "comm_msg" for m in ran.messages))
        page = Page(kernel).take(ran.messages)
        late = Page(kernel)  # a page that has missed all of it
        late.cards[page.only().id] = card = Shown(page.only().id)
        late.say(card, "ask")
        late.until(lambda page: card.wholes)
        late.until(lambda page: card.state == "done")
        assert sorted(card.curve("loss")) == [loss(1), loss(2)]


def test_a_page_that_is_loaded_again_finds_the_card_also_when_it_is_over(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        cell = kernel.begin("await pool.map(train, [1, 2]);")
        ran = kernel.wait(cell)
        kernel.until(cell, ran, final)
        (id,) = Page(kernel).take(ran.messages).cards
        card = Shown(id)
        card.whole(_states(kernel)[id]["state"]["snapshot"])
        assert card.state == "done"
        assert card.button == ""
        assert sorted(card.curve("loss")) == [loss(1), loss(2)]


def _states(kernel: Kernel) -> dict[str, Any]:
    """What JupyterLab asks when a page is loaded: the states of all widgets."""
    client, control = kernel.client, "a-control-comm"
    opened = {"comm_id": control, "target_name": "jupyter.widget.control", "data": {}}
    message = client.session.msg("comm_open", opened, metadata={"version": "1.0.0"})
    client.shell_channel.send(message)
    asked = {"comm_id": control, "data": {"method": "request_states"}}
    client.shell_channel.send(client.session.msg("comm_msg", asked))
    for found in kernel.messages():
        content = found["content"]
        if found["header"]["msg_type"] == "comm_msg" and content["comm_id"] == control:
            states: dict[str, Any] = content["data"]["states"]
            return states
    raise AssertionError("unreachable")


LOOK = """
import threading
from beampy.notebook import cell_cards, live_card
from beampy.notebook.cards import executing
from beampy.notebook.cells import current_cell
live_card.SEEN = 0.3
def look(card):
    while not card.shown or card.watched or executing():
        time.sleep(0.02)
    time.sleep(2 * live_card.OFTEN)  # what was on its way
    curve, before = card.activity.traces[0].progress.curves["loss"], card._increments.seq
    seen = curve.seen
    while curve.seen < seen + 10:
        time.sleep(0.02)
    with open("looked.part", "w") as file:
        file.write(str(card._increments.seq - before))
    os.rename("looked.part", "looked")
"""


def test_where_nobody_looks_nothing_is_sent_until_somebody_does(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP + LOOK)
        cell = kernel.begin(
            "run = pool.call(train, 1, steps=400, pause=0.02)\n"
            "threading.Thread(target=look, args=(cell_cards.card_here(pool),)).start()"
        )
        ran = kernel.wait(cell)
        page = Page(kernel).take(ran.messages)
        page.until(lambda page: page.cards)
        looked, until = tmp_path / "looked", time.monotonic() + WAIT
        while not looked.exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert looked.read_text() == "0"
        page.say(page.only(), "beat")
        page.until(lambda page: page.only().increments)
        page.say(page.only(), "beat")
        page.until(lambda page: page.only().state == "done")
        assert page.only().gaps == 0
        assert page.only().curve("loss") == [loss(1, 400)]


def test_a_card_is_bounded_however_many_points_there_are(tmp_path: Path) -> None:
    with Notebook(tmp_path) as kernel:
        kernel.ok(SETUP)
        kernel.ok("def many(n):\n    for step in range(50_000):\n        bp.log(step, value=step)\n    return n")
        cell = kernel.begin("await pool.map(many, range(3));")
        ran = kernel.wait(cell)
        kernel.until(cell, ran, final)
        sizes = [len(json.dumps(message["content"])) for message in ran.messages]
        assert max(sizes) < 200_000
        card = Page(kernel).take(ran.messages).only()
        assert all(points[-1] == (49_999, 49_999) for points in card.curve("value"))
        assert all(len(points) < 5000 for points in card.curve("value"))
