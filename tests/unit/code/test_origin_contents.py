"""Sources and their code by digest, from files, archives and other loaders."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import py_compile
import sys
import zipfile
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from beampy.code import imported, manifest, origin_kept
from beampy.code.entry import SOURCE
from beampy.code.origin import Origin
from tests.unit.code.origin_ground import MAGIC, Project, code_of, origin, project, told

__all__ = ["origin", "project"]


# ---- contents ----


@pytest.mark.parametrize("no_bytecode", [True, False])
def test_code_is_that_of_the_source_and_names_its_file(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch, no_bytecode: bool
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", no_bytecode)
    file = project.write("helpers.py", "def f(): return 1")
    project.load("helpers")
    assert Path(importlib.util.cache_from_source(str(file))).exists() != no_bytecode
    digest = told(origin, "helpers")["helpers"].digest
    assert code_of(origin, digest) == compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    assert code_of(origin, digest).co_filename == str(file)
    assert origin.contents([digest, b"absent"], b"\0\0\0\0") == {digest: (file.read_bytes(), None)}


@pytest.mark.parametrize(
    "mode", [py_compile.PycInvalidationMode.CHECKED_HASH, py_compile.PycInvalidationMode.TIMESTAMP]
)
def test_a_pyc_of_this_source_is_used_and_no_other(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch, mode: py_compile.PycInvalidationMode
) -> None:
    compiled: list[str] = []
    plain = imported.compiled

    def counted(source: bytes, path: str) -> CodeType | None:
        compiled.append(Path(path).name)
        return plain(source, path)

    monkeypatch.setattr(imported, "compiled", counted)
    file = project.write("fresh.py", "x = 1")
    py_compile.compile(str(file), invalidation_mode=mode)
    stale = project.write("stale.py", "x = 1")
    py_compile.compile(str(stale), invalidation_mode=mode)
    project.write("stale.py", "x = 2222")
    moved = project.write("moved.py", "x = 4")
    py_compile.compile(str(moved), dfile="/elsewhere/moved.py", invalidation_mode=mode)
    broken = project.write("broken.py", "x = 5")
    cached = Path(py_compile.compile(str(broken), invalidation_mode=mode) or "")
    cached.write_bytes(cached.read_bytes()[:20])
    found = told(origin, "fresh", "stale", "moved", "broken")
    assert compiled == ["stale.py", "broken.py"]
    assert code_of(origin, found["stale"].digest).co_consts[0] == 2222
    assert code_of(origin, found["moved"].digest).co_filename == str(moved)


def test_what_does_not_compile_is_sent_as_it_is(origin: Origin, project: Project) -> None:
    project.write("broken.py", "def f(:")
    entry = told(origin, "broken")["broken"]
    assert (entry.kind, entry.needs) == (SOURCE, ())
    assert origin.contents([entry.digest], MAGIC) == {entry.digest: (b"def f(:", None)}


def test_a_source_that_was_given_out_can_be_had_after_edits_and_reloads(origin: Origin, project: Project) -> None:
    project.write("helpers.py", "def f(): return 1")
    module = project.load("helpers")
    digests = [told(origin, "helpers")["helpers"].digest]
    for number in range(2, 5):
        project.write("helpers.py", f"def f(): return {'1' * number}")
        project.reload(module)
        digests.append(told(origin, "helpers")["helpers"].digest)
    found = origin.contents(digests, MAGIC)
    assert [found[digest][0][-number - 1 :] for number, digest in enumerate(digests)] == [b"1", b"11", b"111", b"1111"]


def test_sources_that_are_kept_are_bounded_and_read_again(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = origin_kept.Kept(100)
    monkeypatch.setattr(origin._records, "kept", kept)
    project.write("first.py", "x = 1" + " " * 40)
    project.write("second.py", "x = 2" + " " * 40)
    monkeypatch.setattr("beampy.code.imported.marshal.dumps", lambda code: b"c" * 30)
    found = told(origin, "first", "second")
    assert kept.get(found["first"].digest) is None
    assert origin.contents([found["first"].digest], b"")[found["first"].digest][0].startswith(b"x = 1")
    project.write("second.py", "x = 3")
    assert origin.contents([found["second"].digest], b"") == {}


def test_the_least_recently_used_goes_first() -> None:
    kept = origin_kept.Kept(10)
    kept.put(b"a", b"aaaa", None)
    kept.put(b"b", b"bb", b"bb")
    assert kept.get(b"a") == (b"aaaa", None)
    kept.put(b"c", b"cccc", None)
    assert kept.get(b"b") is None
    assert kept.get(b"a") == (b"aaaa", None)
    kept.put(b"a", b"aaaa", b"code")
    assert kept.get(b"c") is None
    assert kept.copy().get(b"a") == (b"aaaa", b"code")
    kept.put(b"d", b"d" * 11, None)
    assert kept.get(b"d") is None
    assert kept.get(b"a") is not None


def test_a_source_beyond_the_limit_has_none(origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imported, "SOURCE_LIMIT", 10)
    project.write("huge.py", "x = 1" + " " * 10)
    assert told(origin, "huge")["huge"].kind != SOURCE


# ---- archives, and loaders of others ----


def test_an_archive(origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = project.root / "all.zip"
    text = "# coding: latin-1\nNAME = 'm\u00fcller'\n".encode("latin-1")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr("packed/__init__.py", "from . import part")
        writing.writestr("packed/part.py", text)
        writing.writestr("packed/data/table.txt", "1 2 3")
        writing.writestr("packed/sub/__init__.py", "")
        writing.writestr("packed/sub/own.txt", "")
    monkeypatch.syspath_prepend(str(archive))
    assert project.load("packed").part.NAME == "müller"
    assert origin.kind("packed") == "source"
    found = told(origin, "packed")
    assert found["packed"].path == str(archive / "packed/__init__.py")
    assert found["packed.part"].digest == manifest.digest(text)
    assert origin.contents([found["packed.part"].digest], MAGIC)[found["packed.part"].digest][0] == text
    assert not origin.changed("packed")
    assert origin.resources("packed") == ["data/table.txt"]
    assert origin.resource("packed", "data/table.txt") == b"1 2 3"
    with pytest.raises(FileNotFoundError):
        origin.resource("packed", "data/absent.txt")


def test_a_loader_that_knows_its_source(origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    class Loader:
        def get_source(self, name: str) -> str:
            return "# coding: latin-1\nNAME = 'm\u00fcller'\n"

    module = ModuleType("generated")
    module.__spec__ = importlib.machinery.ModuleSpec("generated", Loader(), origin="<database>")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "generated", module)
    assert origin.kind("generated") == "source"
    digest = told(origin, "generated")["generated"].digest
    assert origin.contents([digest], b"")[digest][0] == "# coding: latin-1\nNAME = 'm\u00fcller'\n".encode("latin-1")


def test_a_rewritten_test_module_is_sent_as_it_is_written(origin: Origin) -> None:
    entry = told(origin, __name__)[__name__]
    assert origin.kind(__name__) == "source"
    assert entry.digest == manifest.digest(Path(__file__).read_bytes())
    assert "tests.unit.code.origin_ground" in entry.needs
    assert "@pytest_ar" not in code_of(origin, entry.digest).co_names
