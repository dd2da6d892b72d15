"""here: what this process could import itself, found without importing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from beampy.code.here import Here
from beampy.code.manifest import digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Namespace packages in one another, on the path, whose modules nobody has imported."""
    folder = tmp_path / "here_outer" / "here_inner"
    folder.mkdir(parents=True)
    (folder / "leaf.py").write_text("LEAF = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("here_outer")]:
        del sys.modules[name]


@pytest.mark.parametrize("outer", ["imported", "not imported"])
def test_namespace_packages_in_one_another(below: Path, outer: str) -> None:
    if outer == "imported":
        __import__("here_outer")
    before = set(sys.modules)
    here = Here(lambda name: None)
    assert here.has("here_outer.here_inner.leaf")
    assert here.has("here_outer.here_inner")
    assert here.path("here_outer.here_inner.leaf") == str(below / "leaf.py")
    assert here.digest("here_outer.here_inner.leaf") == digest(b"LEAF = 1\n")
    assert here.regular("here_outer.here_inner.leaf")
    assert not here.regular("here_outer.here_inner")
    assert not here.has("here_outer.here_inner.absent")
    assert not here.has("here_outer.absent.leaf")
    assert set(sys.modules) == before
