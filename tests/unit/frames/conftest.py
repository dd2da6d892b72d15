"""What polars opens once for a process, at its first scan, is open before a test looks at what it has left open."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest


@pytest.fixture(scope="session", autouse=True)
def _polars_is_awake(tmp_path_factory: pytest.TempPathFactory) -> None:
    path: Path = tmp_path_factory.mktemp("polars") / "one.csv"
    path.write_text("a\n1\n")
    assert pl.scan_csv(path).collect().height == 1
