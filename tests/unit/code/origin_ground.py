"""What tests of the origin stand on: a project of their own on sys.path, and a process left as it was."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import marshal
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from types import CodeType, ModuleType
from typing import Any

import pytest

from beampy.code import origin as origin_module
from beampy.code import origin_records, witness
from beampy.code.classify import variables
from beampy.code.entry import Module
from beampy.code.origin import Origin

MAGIC = importlib.util.MAGIC_NUMBER
_seconds = itertools.count(1)


class Project:
    """A directory on sys.path, whose files are written and edited."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str | bytes = "") -> Path:
        """Write a file; of one that was there the time moves on by whole seconds, as of an edit by hand."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.stat().st_mtime if file.exists() else None
        file.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        if before is not None:
            os.utime(file, (before + next(_seconds), before + next(_seconds)))
        importlib.invalidate_caches()
        return file

    def load(self, name: str) -> Any:
        importlib.invalidate_caches()
        return importlib.import_module(name)

    def reload(self, module: ModuleType) -> Any:
        importlib.invalidate_caches()
        return importlib.reload(module)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    root = tmp_path / "project"
    root.mkdir()
    before, finders, hooks = set(sys.modules), list(sys.meta_path), set(sys.path_importer_cache)
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield Project(root)
    left = []
    for name in set(sys.modules) - before:
        known = variables(sys.modules[name])
        places = [known.get("__file__") or "", *known.get("__path__", ())]
        if any(str(each).startswith(str(tmp_path)) for each in places):
            left.append(name)
    for name in left:
        del sys.modules[name]
    sys.meta_path[:] = finders
    for entry in set(sys.path_importer_cache) - hooks:
        if entry.startswith(str(tmp_path)):
            del sys.path_importer_cache[entry]


@pytest.fixture
def origin(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    """An origin that has seen nothing yet, and looks at files as often as it is asked."""
    monkeypatch.setattr(origin_records, "CHECK_EVERY", 0.0)
    monkeypatch.setattr(origin_module, "_here", None)
    monkeypatch.setattr(witness, "_begun", {})
    listener = witness._listener
    yield origin_module.here()
    witness.listen(listener)


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "beampy.code"]


def told(origin: Origin, *names: str) -> dict[str, Module]:
    """What is said of these, by name; no name twice."""
    entries = origin.entries(names)
    found = {each.name: each for each in entries}
    assert len(found) == len(entries)
    return found


def code_of(origin: Origin, digest: bytes) -> CodeType:
    _, data = origin.contents([digest], MAGIC)[digest]
    assert data is not None
    code = marshal.loads(data)
    assert isinstance(code, CodeType)
    return code
