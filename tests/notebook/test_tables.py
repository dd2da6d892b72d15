"""Tables of remote frames at the protocol: pages on demand, only the newest, while a cell computes; and their ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
pytest.importorskip("anywidget")
pytest.importorskip("polars")
from tests.notebook.frames_ground import kernel_with_node, nothing_is_left
from tests.notebook.kernels import Kernel, Ran
from tests.notebook.pages import VIEW, Notebook

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

MAKE = "df = there.DataFrame({'a': range(1000), 'b': ['<x>', None] * 500}).wait()"


class Table:
    """A table as a browser page has it."""

    def __init__(self, kernel: Kernel, ran: Ran) -> None:
        self.kernel = kernel
        opened = [message["content"] for message in ran.messages if message["header"]["msg_type"] == "comm_open"]
        (found,) = [one for one in opened if one["data"]["state"].get("_model_module") == "anywidget"]
        self.id = str(found["comm_id"])
        self.first = json.loads(found["data"]["state"]["first"] or "null")
        self.heard: list[dict[str, Any]] = []
        self.closed = False

    def say(self, **said: Any) -> None:
        content = {"comm_id": self.id, "data": {"method": "custom", "content": said}}
        client = self.kernel.client
        client.shell_channel.send(client.session.msg("comm_msg", content))

    def ask(self, number: int, offset: int, by: str = "me") -> None:
        self.say(kind="ask", by=by, number=number, offset=offset)

    def take(self, message: dict[str, Any]) -> None:
        content, kind = message["content"], message["header"]["msg_type"]
        if content.get("comm_id") == self.id and kind == "comm_close":
            self.closed = True
        if content.get("comm_id") == self.id and kind == "comm_msg" and content["data"].get("method") == "custom":
            self.heard.append(content["data"]["content"])

    def until(self, condition: Callable[[], object], ran: Ran | None = None) -> None:
        """Take what comes until it holds; of a cell that has run, what came with it, too."""
        for message in [*(ran.messages if ran else ()), *self.kernel.later]:
            self.take(message)
        self.kernel.later.clear()
        if condition():
            return
        for message in self.kernel.messages():
            self.take(message)
            if condition():
                return

    def answers(self, by: str = "me") -> dict[int, dict[str, Any]]:
        return {one["number"]: one for one in self.heard if one.get("by") == by}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(scope="module")
def kernel(folder: Path) -> Iterator[Kernel]:
    with kernel_with_node(Notebook, folder) as kernel:
        yield kernel


@pytest.fixture(autouse=True)
def _nothing_is_left(kernel: Kernel) -> Iterator[None]:
    yield
    kernel.ok("import sys; sys.modules['beampy.notebook.table'].close_all()")
    nothing_is_left(kernel)


def opened(kernel: Kernel, code: str, **options: Any) -> Table:
    ran = kernel.ok(code, **options)
    assert VIEW in ran.displays[-1]["data"]
    return Table(kernel, ran)


def test_the_first_page_is_there_and_others_come_when_they_are_asked_for(kernel: Kernel):
    ran = kernel.ok(f"{MAKE}\ndf.table(page=20)")
    data = ran.displays[-1]["data"]
    assert data["text/plain"].startswith("Table of 1 000 × 2, ")
    assert "&lt;x&gt;" in data["text/html"]
    table = Table(kernel, ran)
    assert {name: table.first[name] for name in ("offset", "size", "height", "width")} == {
        "offset": 0,
        "size": 20,
        "height": 1000,
        "width": 2,
    }
    assert table.first["columns"] == [
        {"name": "a", "type": "i64", "right": True},
        {"name": "b", "type": "str", "right": False},
    ]
    assert table.first["rows"][:2] == [["0", "<x>"], ["1", None]]
    table.ask(1, 990)
    table.until(lambda: 1 in table.answers())
    assert [row[0] for row in table.answers()[1]["page"]["rows"]] == [str(n) for n in range(990, 1000)]
    for said in ({}, {"kind": "ask"}, {"kind": "ask", "by": 1, "number": "x", "offset": None}, {"kind": "else"}):
        table.say(**said)
    table.ask(2, -5)
    table.until(lambda: 2 in table.answers())
    assert table.answers()[2]["page"]["offset"] == 0


def test_of_many_questions_the_newest_is_answered_for_each_page_of_a_browser(kernel: Kernel):
    table = opened(kernel, f"{MAKE}\ndf.table(page=10)")
    for number in range(1, 40):
        table.ask(number, number * 10)
    table.ask(7, 70)  # which is late
    table.ask(1, 500, by="another")
    table.until(lambda: 39 in table.answers() and 1 in table.answers("another"))
    assert table.answers()[39]["page"]["offset"] == 390
    assert table.answers("another")[1]["page"]["offset"] == 500
    table.ask(8, 80)  # the newest has been answered, and this one is older
    table.ask(2, 510, by="another")
    table.until(lambda: 2 in table.answers("another"))
    numbers = [one["number"] for one in table.heard if one.get("by") == "me"]
    assert numbers == sorted(numbers)


def test_while_a_cell_computes(kernel: Kernel, folder: Path):
    table = opened(kernel, f"{MAKE}\ndf.table(page=10)")
    go = folder / "go"
    cell = kernel.begin(f"import pathlib\nwhile not pathlib.Path({str(go)!r}).exists(): sum(range(1000))\n'done'")
    table.ask(1, 50)
    table.until(lambda: 1 in table.answers())
    go.touch()
    table.kernel.later.clear()
    assert kernel.wait(cell).status == "ok"


def test_what_cannot_be_brought_is_said(kernel: Kernel):
    table = opened(kernel, "df = there.DataFrame({'a': [1]}).select('zz')\nt = df.table()\nt")
    assert table.first is None
    table.ask(1, 0)
    table.until(lambda: 1 in table.answers())
    assert table.answers()[1]["kind"] == "failed"
    assert table.answers()[1]["why"].startswith("ColumnNotFoundError: unable to find column")


def test_a_view_keeps_the_frame_until_its_cell_is_run_again(kernel: Kernel):
    table = opened(kernel, f"{MAKE}\ndf.table()", cell_id="a-cell")
    kernel.ok("del df")
    kernel.ok("0")
    assert kernel.ok("await objects()").value == "['DataFrame']"
    table.ask(1, 50)
    table.until(lambda: 1 in table.answers())
    ran = kernel.ok("0", cell_id="a-cell")
    table.until(lambda: table.closed, ran)
    assert kernel.ok("await until([])").value == "'so it is'"


def test_the_object_keeps_it_too_and_closing_it_ends_its_views(kernel: Kernel):
    table = opened(kernel, f"{MAKE}\nt = df.table()\nt", cell_id="t")
    kernel.ok("del df; 0", cell_id="t")
    kernel.ok("0")
    assert kernel.ok("await objects()").value == "['DataFrame']"
    again = opened(kernel, "t")
    ran = kernel.ok("t.close()")
    again.until(lambda: again.closed, ran)
    assert table.id != again.id
    assert kernel.ok("await until([])").value == "'so it is'"
    assert "released" in str(kernel.ok("t").value)
    again.ask(1, 0)  # to nobody
    kernel.ok("1")


def test_what_no_page_shows_lets_go_after_a_while_and_works_again_if_its_frame_is_there(kernel: Kernel):
    table = opened(kernel, f"from beampy.notebook import table as tables\ntables.GRACE = 0.05\n{MAKE}\ndf.table()")
    other = opened(kernel, "df.head(7).table()")
    kernel.ok("0")  # it is `_` no more
    for one in (table, other):
        one.say(kind="gone")
        one.until(lambda one=one: {"kind": "who"} in one.heard)
    assert kernel.ok("await until(['DataFrame'])").value == "'so it is'"
    kernel.ok("tables.GRACE = 30.0; del tables")
    for one in (table, other):  # the notebook is opened again
        one.say(kind="here")
        one.ask(1, 0)
        one.until(lambda one=one: 1 in one.answers())
    assert table.answers()[1]["page"]["headline"].startswith("Table of 1 000 × 2, ")
    assert other.answers()[1]["why"].startswith("FrameGone: Table of 7 × 2, ")
    kernel.ok("del df; 0")
    kernel.ok("1")
    assert kernel.ok("await objects()").value == "['DataFrame']"  # kept by what is shown again


def test_one_that_was_not_made_when_it_was_shown_says_what_it_is_later(kernel: Kernel, tmp_path: Path):
    go = tmp_path / "made"
    slow = "def slow(path):\n    import os, time\n    while not os.path.exists(path): time.sleep(0.01)\n"
    code = f"{slow}    return pl.DataFrame({{'a': [1, 2]}})\nthere.frame(slow, {str(go)!r}).table()"
    table = opened(kernel, code)
    assert table.first is None
    go.touch()
    table.ask(1, 0)
    table.until(lambda: 1 in table.answers())
    assert table.answers()[1]["page"]["headline"] == "Table of 2 × 1, 16 B, on b@localhost"


def test_a_page_that_is_loaded_again_keeps_it(kernel: Kernel):
    table = opened(kernel, f"from beampy.notebook import table as tables\ntables.GRACE = 0.2\n{MAKE}\ndf.table()")
    table.say(kind="gone")
    table.say(kind="here")
    kernel.ok("time.sleep(0.5); tables.GRACE = 30.0; del tables, df")
    assert kernel.ok("await objects()").value == "['DataFrame']"


def test_only_so_many_have_buttons(kernel: Kernel):
    table = opened(kernel, f"{MAKE}\ndf.table()")
    kernel.ok("from beampy.notebook import table as tables\ntables.KEPT = 2")
    kernel.ok("df.table()")
    assert kernel.ok("len(tables._open)").value == "2"
    ran = kernel.ok("df.table()")
    table.until(lambda: table.closed, ran)
    assert kernel.ok("len(tables._open), len(tables.widget.also)").value == "(2, 2)"
    kernel.ok("tables.KEPT = 20; del tables")


def test_where_nobody_has_a_page_it_is_its_first_page(tmp_path: Path):
    with Kernel(tmp_path) as kernel:
        kernel.ok("import beampy as bp, polars as pl\ndf = bp.frames.from_local(pl.DataFrame({'a': [1, 2]})).wait()")
        ran = kernel.ok("df.table()")
        assert set(ran.displays[-1]["data"]) == {"text/plain", "text/html"}
        assert "│ 2   │" in str(ran.value)
