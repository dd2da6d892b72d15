"""Completion, hover and messages of our widgets while a cell runs. The cells here end when the test says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
import ipykernel

from tests.notebook.kernels import Kernel, Ran
from tests.notebook.pages import Notebook

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        ipykernel.version_info[0] < 7, reason="ipykernel 6 reads requests on the thread that runs cells"
    ),
]

BLOCKED = "import os, time\nwhile not os.path.exists('go'): {}"
SLEEPS = BLOCKED.format("time.sleep(0.01)")
COMPUTES = BLOCKED.format("sum(range(1000))")
AWAITS = "import asyncio, os\nwhile not os.path.exists('go'): await asyncio.sleep(0.01)"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A kernel with beampy."""
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp\ndef train(rows, *, lr=0.1): return lr\npool = bp.Pool(max=1)")
        yield kernel


def running(kernel: Kernel, code: str) -> str:
    """Begin a cell, and see it run."""
    cell = kernel.begin(code)
    for message in kernel.messages():
        if message["header"]["msg_type"] == "execute_input" and message["parent_header"].get("msg_id") == cell:
            return cell
    raise AssertionError("unreachable")


def let_go(kernel: Kernel, cell: str) -> Ran:
    """Let the cell end, and wait for it."""
    (kernel.folder / "go").touch()
    ran = kernel.wait(cell)
    assert ran.status == "ok", ran.traceback
    return ran


@pytest.mark.parametrize("code", [SLEEPS, COMPUTES, AWAITS])
def test_completion_and_hover_do_not_wait_for_the_cell(kernel: Kernel, code: str):
    cell = running(kernel, code)
    # The replies come while the cell cannot end.
    assert kernel.complete("pool.call(train, l")["matches"][0] == "lr="
    assert "train" in "".join(kernel.complete("trai")["matches"])  # IPython's own
    assert "Signature: train(" in kernel.inspect("pool.call(train, ")["data"]["text/plain"]
    assert kernel.inspect("train")["found"]
    let_go(kernel, cell)
    assert kernel.complete("pool.call(train, l")["matches"][0] == "lr="


def test_a_frontend_sees_busy_and_idle_around_its_answer_and_the_kernel_busy_behind_it(kernel: Kernel):
    cell = running(kernel, SLEEPS)
    asked = kernel.client.complete("pool.call(train, l", 18)
    kernel.reply(asked)
    states: list[tuple[str, str]] = []
    for message in kernel.messages():
        if message["header"]["msg_type"] == "status":
            parent = message["parent_header"]["msg_id"]
            states.append(({asked: "asked", cell: "cell"}.get(parent, "?"), message["content"]["execution_state"]))
            if states[-1] == ("cell", "busy"):
                break
    assert states == [("asked", "busy"), ("asked", "idle"), ("cell", "busy")]
    let_go(kernel, cell)


def test_many_at_once_are_all_answered(kernel: Kernel):
    cell = running(kernel, COMPUTES)
    asked = [kernel.client.complete("pool.call(train, l", 18) for _ in range(30)]
    replies = {one: kernel.reply(one) for one in asked}
    assert all(reply["matches"][0] == "lr=" for reply in replies.values())
    let_go(kernel, cell)


def test_a_cell_behind_the_running_one_waits_its_turn(kernel: Kernel):
    cell = running(kernel, SLEEPS)
    later = kernel.begin("done_last = 1\nprint('second')")
    assert kernel.complete("pool.call(train, l")["matches"][0] == "lr="
    (kernel.folder / "go").touch()
    assert kernel.wait(cell).status == "ok"
    ran = kernel.wait(later)
    assert (ran.status, ran.out) == ("ok", "second\n")


def test_a_message_of_our_widgets_is_handled_while_a_sync_cell_blocks(kernel: Kernel):
    kernel.ok(
        "import sys, types\n"
        "from comm import create_comm\n"
        "ours = create_comm(target_name='of-this-test')\n"
        "theirs = create_comm(target_name='of-this-test')\n"
        "log = []\n"
        "def heard(message):\n"
        "    log.append(('ours', message['content']['data']))\n"
        "    open('go', 'w').close()\n"
        "ours.on_msg(heard)\n"
        "theirs.on_msg(lambda message: log.append(('theirs', message['content']['data'])))\n"
        "from beampy.notebook import busy\n"
        "busy.our_comms = lambda: {ours.comm_id}\n"
    )
    ids = kernel.ok("(ours.comm_id, theirs.comm_id)").value
    assert ids is not None
    ours, theirs = eval(ids)
    cell = running(kernel, SLEEPS)
    for comm in (theirs, ours):
        content: dict[str, Any] = {"comm_id": comm, "data": {"do": "cancel"}}
        kernel.client.shell_channel.send(kernel.client.session.msg("comm_msg", content))
    # The cell ends by what the handler does: nobody else lets it go.
    assert kernel.wait(cell).status == "ok"
    assert kernel.ok("log[0]").value == "('ours', {'do': 'cancel'})"
    assert kernel.ok("sorted(name for name, _ in log)").value == "['ours', 'theirs']"


def test_what_a_card_hears_while_a_cell_runs_is_no_flicker_of_the_kernels_light(kernel: Kernel):
    """A page says once a second that a card is seen. The frontend forgets such a message when it sees `idle`."""
    comm = kernel.ok(
        "from comm import create_comm\n"
        "ours = create_comm(target_name='of-this-test')\n"
        "def heard(message):\n"
        "    if message['content']['data']['content'] == 3: open('go', 'w').close()\n"
        "ours.on_msg(heard)\n"
        "from beampy.notebook import busy\n"
        "busy.our_comms = lambda: {ours.comm_id}\n"
        "ours.comm_id"
    ).value
    assert comm is not None
    cell = running(kernel, f"{SLEEPS}\nprint('the end', flush=True)")
    names = {cell: "cell"}
    for number in (1, 2, 3):
        content: dict[str, Any] = {"comm_id": eval(comm), "data": {"method": "custom", "content": number}}
        beat = kernel.client.session.msg("comm_msg", content)
        names[beat["header"]["msg_id"]] = "beat"
        kernel.client.shell_channel.send(beat)
    ran = kernel.wait(cell)
    came = sorted(ran.messages + ran.others, key=lambda message: message["header"]["date"])
    told = [
        (names[message["parent_header"]["msg_id"]], message["content"].get("execution_state", "text"))
        for message in came
        if message["header"]["msg_type"] in ("status", "stream") and message["parent_header"]["msg_id"] in names
    ]
    assert [each for each in told if each != ("cell", "busy")] == [
        ("cell", "text"),
        *[("beat", "idle")] * 3,
        ("cell", "idle"),
    ]


def test_unloading_gives_the_channel_back(kernel: Kernel):
    kernel.ok(
        "import threading\n"
        "kernel = get_ipython().kernel\n"
        "by = []\n"
        "ours = kernel.do_complete\n"
        "def noted(code, position):\n"
        "    by.append(threading.current_thread().name)\n"
        "    return ours(code, position)\n"
        "kernel.do_complete = noted"
    )
    cell = running(kernel, SLEEPS)
    kernel.complete("trai")
    let_go(kernel, cell)
    kernel.ok("%unload_ext beampy")
    (kernel.folder / "go").unlink()
    cell = running(kernel, SLEEPS)
    asked = kernel.client.complete("trai", 4)
    let_go(kernel, cell)
    assert kernel.reply(asked)["status"] == "ok"
    assert kernel.ok("by").value == "['beampy-beside', 'MainThread']"
    assert kernel.ok("sorted(thread.name for thread in threading.enumerate() if 'beside' in thread.name)").value == "[]"


@pytest.mark.parametrize("where", ["the main shell", "a subshell"])
def test_the_cancel_button_of_a_card_ends_a_sync_cell_that_waits(tmp_path: Path, where: str):
    """JupyterLab says what widgets say in a subshell, and the kernel brings that to the main thread all the same."""
    pytest.importorskip("anywidget")
    with Notebook(tmp_path) as kernel:
        kernel.ok("import beampy as bp\npool = bp.Pool(max=1)")
        cell = kernel.begin(
            "def endless(number):\n"
            "    bp.log(loss=1.0)\n"
            "    while not bp.cancelled(): pass\n"
            "pool.options(timeout=None).call(endless, 1).result()"
        )
        ran = Ran()
        kernel.until(cell, ran, lambda ran: any("widget-view" in mime for one in ran.displays for mime in one["data"]))
        views = [data for one in ran.displays for mime, data in one["data"].items() if "widget-view" in mime]
        content = {"comm_id": views[0]["model_id"], "data": {"method": "custom", "content": {"kind": "cancel"}}}
        message = kernel.client.session.msg("comm_msg", content)
        if where == "a subshell":
            message["header"]["subshell_id"] = kernel.subshell()
        kernel.client.shell_channel.send(message)
        ended = kernel.wait(cell)  # nothing else ends it
        assert ended.status == "error"
        assert "Cancelled" in (ended.error or "")
