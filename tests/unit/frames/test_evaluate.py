"""frames: what a node imports to send the memory of what it has made, and when."""

from __future__ import annotations

import sys
import threading

import pytest

pl = pytest.importorskip("polars")

import beampy as bp  # noqa: E402
from beampy.frames import evaluate  # noqa: E402

ROWS = evaluate.LARGE // 8


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The modules that are imported, each with whether it is on the main thread, which has the event loop."""
    found: list[tuple[str, bool]] = []

    def importer(name: str) -> None:
        found.append((name, threading.current_thread() is threading.main_thread()))
        raise ImportError(name)  # it is not there: the frame goes another way

    monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    monkeypatch.setattr(evaluate, "import_module", importer)
    return found


def test_pyarrow_is_imported_for_large_frames_only(
    imported: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = pl.DataFrame({"n": range(ROWS - 1)})
    for value in (few, few["n"], few.lazy(), pl.DataFrame()):
        evaluate.as_frame(value, "f")
    assert imported == []
    assert evaluate.as_frame(pl.DataFrame({"n": range(ROWS)}), "f").height == ROWS
    assert imported == [("pyarrow", True)]
    monkeypatch.setitem(sys.modules, "pyarrow", pl)  # it is there
    evaluate.as_frame(pl.DataFrame({"n": range(ROWS)}), "f")
    assert len(imported) == 1


@pytest.mark.loops("asyncio")
async def test_what_is_made_of_a_frame_imports_it_in_a_thread(imported: list[tuple[str, bool]]) -> None:
    async with bp.Node("frames-import@localhost", hidden=True, listen=False):
        small = await bp.frames.from_local(pl.DataFrame({"n": range(100)}))
        assert (await small.with_columns(m=pl.col("n") * 2).collect()).width == 2
        assert await small.select(pl.len()).item() == 100
        assert imported == []
        large = small.join(pl.DataFrame({"m": range(ROWS // 100)}), how="cross")
        await large
        assert imported == [("pyarrow", False)]
