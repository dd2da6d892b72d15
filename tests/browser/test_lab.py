"""The harness itself: a cell runs in JupyterLab, and its console is quiet."""

from __future__ import annotations

from pathlib import Path

from tests.browser.lab import Browser, Server


def test_a_cell_runs(tmp_path: Path) -> None:
    with Server(tmp_path) as server, Browser() as browser:
        page = browser.open(server, ["print('hello')\n6 * 7", "1 / 0"])
        assert page.run(0).split() == ["hello", "42"]
        assert "ZeroDivisionError" in page.run(1)
        page.screen("harness")
        assert page.errors == []
