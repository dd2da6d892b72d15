"""What a person sees in JupyterLab: curves that grow, a reload, the stop button, a restart, Tab and Shift-Tab.

What can be seen at the protocol is tested there (tests/notebook); here stands what can only be seen in a page. The
pictures are kept in build/screens.
"""

from __future__ import annotations

from tests.browser.colours import faint
from tests.browser.lab import Browser, Page, Server
from tests.notebook.kernels import alive

FIRST = """
import os, time
import beampy as bp
pool = bp.Pool("lab", max=2, max_concurrency=1)
go = os.path.abspath("go")
"""

TRAIN = """
def train(rate):
    loss, at = 3.0, 0
    while at < 20 or not os.path.exists(go):
        time.sleep(0.05)
        loss *= 1 - rate
        at += 1
        bp.log(loss=loss)
    return os.getpid()
runs = pool.map(train, [0.01, 0.05])
runs
"""


def curves(page: Page, cell: int) -> list[int]:
    """How many points each drawn curve of a cell has."""
    paths = page.cell(cell).locator(".bp-chart path.bp-path").all()
    return [(path.get_attribute("d") or "").count("L") + 1 for path in paths]


def test_curves_grow_while_they_run_and_survive_a_reload(server: Server, browser: Browser) -> None:
    page = browser.open(server, [FIRST, TRAIN, "sorted(await runs) == sorted(set(await runs))"])
    page.run(0)
    page.run(1)  # the cell is over, and what it shows goes on
    page.until(lambda: len(curves(page, 1)) == 2 and min(curves(page, 1)) > 5, "two curves")
    seen = sum(curves(page, 1))
    page.until(lambda: sum(curves(page, 1)) > seen + 5, "the curves to grow")
    page.screen("curves")
    assert faint(page) == []
    page.command("docmanager:save")
    page.until(lambda: '"application/vnd.jupyter.widget-view+json"' in server.read(), "the notebook to be saved")
    seen = sum(curves(page, 1))
    page.reload()
    page.until(lambda: len(curves(page, 1)) == 2, "the curves after a reload")
    assert sum(curves(page, 1)) >= seen, "the curves begin where they began"
    later = sum(curves(page, 1))
    page.until(lambda: sum(curves(page, 1)) > later, "the curves to go on")
    page.screen("curves-reloaded")
    (server.files / "go").touch()
    assert page.run(2) == "True"
    page.until(
        lambda: page.cell(1).locator('.bp-card[data-state="done"]').count() == 1, "the card to say that it is done"
    )
    page.screen("curves-done")
    assert page.errors == []


def test_a_cell_that_is_run_again_has_one_card_that_starts_anew(server: Server, browser: Browser) -> None:
    page = browser.open(server, [FIRST, TRAIN, "runs.cancel(); None"])
    page.run(0)
    page.run(1)
    page.until(lambda: len(curves(page, 1)) == 2 and min(curves(page, 1)) > 20, "two curves")
    page.run(2)
    page.run(1)
    page.until(lambda: len(curves(page, 1)) == 2, "the new curves")
    assert page.cell(1).locator(".bp-card").count() == 1
    (server.files / "go").touch()
    page.until(lambda: page.cell(1).locator('.bp-card[data-state="done"]').count() == 1, "the new run to end")
    assert page.errors == []


def test_the_button_of_a_card_cancels_what_runs_while_a_cell_blocks(server: Server, browser: Browser) -> None:
    page = browser.open(
        server, [FIRST, TRAIN, "try:\n    runs.result()\nexcept BaseException as e:\n    print(type(e).__name__)"]
    )
    page.run(0)
    page.run(1)
    page.until(lambda: len(curves(page, 1)) == 2, "two curves")
    page.start(2)
    page.cell(1).locator(".bp-button").click()
    assert page.finish(2).strip() == "CancelledError"
    page.until(lambda: page.cell(1).locator('.bp-card[data-state="cancelled"]').count() == 1, "the card to say so")
    page.screen("cancelled")
    assert page.errors == []


def test_the_stop_button_ends_the_remote_work_and_the_kernel_goes_on(server: Server, browser: Browser) -> None:
    cells = [FIRST, TRAIN.replace("runs = ", "await ").removesuffix("runs\n"), "await pool.call(abs, -3)"]
    page = browser.open(server, cells)
    page.run(0)
    page.start(1)
    page.until(lambda: len(curves(page, 1)) == 2, "the curves of a cell that waits")
    page.tab.locator('[data-command="notebook:interrupt-kernel"]').first.click()
    assert "KeyboardInterrupt" in page.finish(1) or "CancelledError" in page.output(1)
    page.screen("interrupted")
    assert page.run(2) == "3"
    assert page.errors == []


def test_a_restart_leaves_no_runner(server: Server, browser: Browser) -> None:
    page = browser.open(server, [FIRST, "await pool.call(os.getpid)"])
    page.run(0)
    runner = int(page.run(1))
    assert alive(runner)
    page.tab.locator('[data-command="notebook:restart-kernel"]').first.click()
    page.tab.locator(".jp-Dialog button.jp-mod-accept").click()
    page.until(lambda: not alive(runner), "the runner to end")
    page.run(0)
    assert int(page.run(1)) != runner
    assert page.errors == []


def test_tab_and_shift_tab_in_a_cell_for_a_pool(server: Server, browser: Browser) -> None:
    define = """
def fit(rows, *, rate=0.1, epochs=10):
    "Fits a line to rows."
await pool.call(abs, -1)
"""
    page = browser.open(server, [FIRST, define, "pool.call(fit, e", "%%on lab@localhost\nimport js"])
    page.run(0)
    page.run(1)
    page.focus(2)
    page.tab.keyboard.press("Control+End")
    page.tab.keyboard.press("Tab")
    page.until(lambda: "epochs=" in page.completions(2), "the argument's name")
    page.screen("completion")
    page.tab.keyboard.press("Escape")
    page.type(2, "pool.call(fit, ")
    page.tab.keyboard.press("Shift+Tab")
    tooltip = page.tab.locator(".jp-Tooltip")
    tooltip.wait_for()
    page.until(lambda: "Fits a line to rows." in tooltip.inner_text(), "the documentation")
    page.screen("tooltip")
    assert page.errors == []


def test_a_card_is_readable_in_the_dark_and_when_it_is_narrow(server: Server, browser: Browser) -> None:
    cells = [FIRST, TRAIN, "pool"]
    page = browser.open(server, cells, dark=True, width=520)
    page.run(0)
    page.run(1)
    page.run(2)
    page.until(lambda: len(curves(page, 1)) == 2 and min(curves(page, 1)) > 10, "two curves")
    page.until(lambda: page.cell(2).locator(".bp-card").count() == 1, "the card of the pool")
    page.screen("dark-narrow")
    assert faint(page) == []
    for card in page.tab.locator(".bp-card").all():
        assert card.evaluate("card => card.scrollWidth <= card.clientWidth + 1"), "nothing of it is cut off"
    (server.files / "go").touch()
    page.until(lambda: page.cell(1).locator('.bp-card[data-state="done"]').count() == 1, "the run to end")
    assert page.errors == []
