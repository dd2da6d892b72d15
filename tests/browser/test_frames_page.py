"""What a person sees of remote frames in JupyterLab: the preview, and the table with its pages.

What can be seen at the protocol is tested there (tests/notebook). The pictures are kept in build/screens.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("polars")
pytest.importorskip("anywidget")
from tests.browser import colours
from tests.browser.lab import Browser, Page, Server
from tests.notebook.nodes import Node

FIRST = """
import time
import polars as pl, beampy as bp
there = bp.frames.on("b@localhost")
n = 12_345
df = there.DataFrame({
    "flight": range(n),
    "carrier": ["UA", None, "<b>DL</b>"] * (n // 3),
    "delay": [1.5, None, -3.25] * (n // 3),
    "note": ["a long text that no column of a table has room for, so that it is cut " * 3] * n,
    "parts": [[1, 2, 3, 4, 5]] * n,
    "when": pl.Series(["2024-01-01 12:00"] * n).str.to_datetime(),
}).wait()
"""
LABELS = "[row.label for row in await bp.refs('b@localhost')]"


@pytest.fixture
def node(server: Server, tmp_path: Path) -> Iterator[Node]:
    with Node(tmp_path, "b", server.env) as node:
        yield node


def told(page: Page, cell: int) -> str:
    return page.cell(cell).locator(".bp-table-told").inner_text()


def numbers(page: Page, cell: int) -> list[str]:
    return page.cell(cell).locator(".bp-table tbody th").all_inner_texts()


def press(page: Page, cell: int, label: str) -> None:
    page.cell(cell).get_by_role("button", name=label).click()


def faint(page: Page) -> list[str]:
    return colours.faint(page, ".bp-table")


def test_pages_of_a_frame(server: Server, browser: Browser, node: Node) -> None:
    page = browser.open(server, [FIRST, "df", "df.table(page=20)"])
    page.run(0)
    assert "RemoteDataFrame of 12 345 × 6" in page.run(1)
    page.run(2)
    page.until(lambda: told(page, 2) == "0 to 19 of 12 345 rows", "the first page")
    page.cell(2).locator(".bp-table-nav").scroll_into_view_if_needed()
    page.screen("table")
    assert faint(page) == []
    press(page, 2, "Next page")
    page.until(lambda: told(page, 2) == "20 to 39 of 12 345 rows", "the second page")
    assert numbers(page, 2) == [str(row) for row in range(20, 40)]
    press(page, 2, "Last page")
    page.until(lambda: told(page, 2) == "12 340 to 12 344 of 12 345 rows", "the last page")
    assert page.cell(2).get_by_role("button", name="Next page").is_disabled()
    page.cell(2).get_by_role("region").press("PageDown")
    for _ in range(5):
        press(page, 2, "Previous page")
    page.until(lambda: numbers(page, 2)[:1] == ["12 240"], "five pages back")
    jump = page.cell(2).get_by_role("spinbutton")
    jump.fill("777")
    jump.press("Enter")
    page.until(lambda: told(page, 2) == "777 to 796 of 12 345 rows", "row 777")
    box = page.cell(2).get_by_role("region")
    box.focus()
    box.press("PageDown")
    page.until(lambda: told(page, 2) == "797 to 816 of 12 345 rows", "the next page, with a key")
    box.press("Control+Home")
    page.until(lambda: told(page, 2) == "0 to 19 of 12 345 rows", "the first page, with a key")
    row = page.cell(2).locator(".bp-table tbody tr").nth(1)
    assert [one.strip() for one in row.locator("td").all_inner_texts()][:3] == ["1", "null", "null"]
    assert row.locator("td").nth(2).get_attribute("class") == "bp-right bp-null"
    assert page.cell(2).locator(".bp-table tbody tr").nth(2).locator("td").nth(1).inner_text() == "<b>DL</b>"
    assert str(row.locator("td").nth(3).get_attribute("title")).startswith("a long text")
    assert page.cell(2).locator(".bp-table table").get_attribute("aria-rowcount") == "12346"
    assert page.errors == []


def test_a_table_keeps_its_frame_until_its_cell_is_run_again(server: Server, browser: Browser, node: Node) -> None:
    page = browser.open(server, [FIRST, "df.table()", "del df", LABELS])
    page.run(0)
    page.run(1)
    page.run(2)
    assert page.run(3) == "['DataFrame']"
    press(page, 1, "Next page")
    page.until(lambda: told(page, 1).startswith("50 to 99 of"), "the second page")
    page.command("docmanager:save")
    page.until(lambda: '"application/vnd.jupyter.widget-view+json"' in server.read(), "the notebook to be saved")
    page.reload()
    page.until(lambda: told(page, 1).startswith("0 to 49 of"), "the table after a reload")
    press(page, 1, "Next page")
    page.until(lambda: told(page, 1).startswith("50 to 99 of"), "the second page, after a reload")
    page.type(1, "1 + 1")
    page.run(1)
    page.until(lambda: page.run(3) == "[]", "the frame to be freed")
    assert page.errors == []


def test_a_closed_browser_tab_lets_go_and_the_notebook_is_opened_again(
    server: Server, browser: Browser, node: Node
) -> None:
    soon = "from beampy.notebook import table as tables; tables.GRACE = 0.1"
    page = browser.open(server, [FIRST, f"{soon}\ndf.table()", "df.head(99).table()", "0", LABELS])
    for cell in range(4):
        page.run(cell)
    page.until(lambda: told(page, 2) == "0 to 49 of 99 rows", "the tables")
    page.command("docmanager:save")
    page.until(lambda: server.read().count('"application/vnd.jupyter.widget-view+json"') == 2, "it to be saved")
    page.tab.goto("about:blank")
    page.load()
    page.until(lambda: page.run(4) == "['DataFrame']", "the frame without a name to be freed")
    page.until(lambda: told(page, 2) == "0 to 49 of 99 rows", "its first page")
    press(page, 2, "Next page")
    page.until(lambda: "has been freed since" in page.cell(2).locator(".bp-table-fault").inner_text(), "it to be told")
    press(page, 1, "Next page")
    page.until(lambda: told(page, 1) == "50 to 99 of 12 345 rows", "the second page of the other")
    assert page.errors == []


def test_while_a_cell_computes(server: Server, browser: Browser, node: Node) -> None:
    busy = "from pathlib import Path\nwhile not Path('stop').exists(): sum(range(1000))"
    page = browser.open(server, [FIRST, "df.table()", busy])
    page.run(0)
    page.run(1)
    page.start(2)
    press(page, 1, "Next page")
    page.until(lambda: told(page, 1) == "50 to 99 of 12 345 rows", "the next page, while a cell computes")
    assert page.prompt(2) == "[*]:"
    (server.files / "stop").touch()
    page.finish(2)
    assert page.errors == []


def test_a_node_that_is_frozen_and_then_lost(server: Server, browser: Browser, node: Node) -> None:
    page = browser.open(server, [FIRST, "t = df.table()\nt", "t.close()"], dark=True, width=620)
    page.run(0)
    page.run(1)
    node.process.send_signal(signal.SIGSTOP)
    press(page, 1, "Next page")
    page.until(lambda: "loading…" in told(page, 1), "it to be told that the page is on its way")
    page.until(lambda: "has not answered yet" in told(page, 1), "it to be told that the node is silent")
    page.cell(1).locator(".bp-table-nav").scroll_into_view_if_needed()
    page.screen("table-dark")
    assert faint(page) == []
    node.process.send_signal(signal.SIGCONT)
    page.until(lambda: told(page, 1).startswith("50 to 99 of"), "the second page")
    node.kill()
    press(page, 1, "Last page")
    page.until(lambda: "OwnerLost" in page.cell(1).locator(".bp-table-fault").inner_text(), "it to be told")
    page.cell(1).locator(".bp-table-fault").scroll_into_view_if_needed()
    page.screen("table-lost")
    assert faint(page) == []
    assert told(page, 1).startswith("50 to 99 of")  # what is there stays
    page.run(2)
    page.until(lambda: page.cell(1).locator(".bp-table").count() == 0, "the buttons to go")
    assert "Table of 12 345 × 6" in page.output(1)
    assert page.errors == []


def test_a_kernel_that_is_shut_down_leaves_the_first_page(server: Server, browser: Browser, node: Node) -> None:
    page = browser.open(server, [FIRST, "df.table(page=20)", "1"])
    page.run(0)
    page.run(1)
    press(page, 1, "Next page")
    page.until(lambda: told(page, 1).startswith("20 to 39 of"), "the second page")
    page.shut_down()
    page.until(lambda: page.cell(1).locator(".bp-table").count() == 0, "the buttons to go")
    page.command("docmanager:save")
    page.until(lambda: "Table of 12 345" in server.read(), "the notebook to be saved")
    assert "widget-view" not in server.read()
    assert "UA" in page.output(1)
    assert page.errors == []
