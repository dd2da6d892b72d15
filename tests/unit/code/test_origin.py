"""What the sending side asks of the origin: the process it is, kinds, and digests of sources as imported."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
from types import ModuleType

import pytest

from beampy.code import imported_trust, manifest, witness
from beampy.code.origin import Origin, here
from tests.unit.code.origin_ground import Project, origin, project, warned

__all__ = ["origin", "project"]


# ---- the process ----


def test_there_is_one_origin_in_a_process(origin: Origin) -> None:
    assert here() is origin
    assert len(origin.id) == 16
    assert int(origin.id, 16) >= 0
    assert Origin().id != origin.id


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_is_another_one_and_knows_what_was_imported(origin: Origin, project: Project) -> None:
    project.write("before_fork.py", "x = 1")
    project.load("before_fork")
    digest = origin.digest("before_fork")
    project.write("before_fork.py", "x = 2222")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            mine = here()
            project.write("in_child.py", "x = 1")
            project.load("in_child")
            module = project.reload(sys.modules["in_child"])
            answer = (mine.id != origin.id, mine.digest("before_fork") == digest, mine.version("in_child"), module.x)
            os.write(writing, repr(answer).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read(1000)
    os.waitpid(child, 0)
    assert said == b"(True, True, 1, 1)"
    assert here() is origin


# ---- kinds ----


def test_kinds(origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("helpers.py", "def f(): return 1")
    monkeypatch.setitem(sys.modules, "by_hand", ModuleType("by_hand"))
    project.load("helpers")
    for _ in range(2):  # cold and warm
        assert origin.kind("json") == "installed"
        assert origin.kind("helpers") == "source"
        assert origin.kind("by_hand") == "live"
        assert origin.kind("__main__") == "live"
        assert origin.kind("surely_absent") == "live"


def test_what_was_absent_may_come(origin: Origin, project: Project) -> None:
    assert origin.kind("late") == "live"
    assert origin.version("late") == 0
    assert origin.digest("late") is None
    project.write("late.py", "x = 1")
    assert origin.kind("late") == "source"
    assert origin.version("late") == 1


def test_what_was_made_by_hand_may_become_a_file(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "changing", ModuleType("changing"))
    assert origin.kind("changing") == "live"
    del sys.modules["changing"]
    project.write("changing.py", "x = 1")
    project.load("changing")
    assert origin.kind("changing") == "source"


def test_a_known_name_may_be_taken_by_hand(origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("taken.py", "x = 1")
    project.load("taken")
    assert origin.kind("taken") == "source"
    monkeypatch.setitem(sys.modules, "taken", ModuleType("taken"))
    assert origin.kind("taken") == "live"
    assert origin.digest("taken") is None


# ---- the source as imported ----


@pytest.mark.parametrize("no_bytecode", [True, False])
def test_the_digest_is_that_of_the_file(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch, no_bytecode: bool
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", no_bytecode)
    text = "# coding: latin-1\nNAME = 'm\u00fcller'\ndef f(): return NAME\n".encode("latin-1")
    project.write("cookie.py", text)
    assert project.load("cookie").f() == "müller"
    assert origin.kind("cookie") == "source"
    assert origin.digest("cookie") == manifest.digest(text)
    assert origin.contents([manifest.digest(text)], b"")[manifest.digest(text)] == (text, None)


def test_installed_modules_have_a_version_and_a_digest_too(origin: Origin) -> None:
    assert origin.version("pytest") == 1
    with open(pytest.__file__, "rb") as file:
        assert origin.digest("pytest") == manifest.digest(file.read())
    assert origin.version("pytest") == 1


def test_a_namespace_package_has_nothing_to_send(origin: Origin, project: Project) -> None:
    project.write("space/leaf.py", "x = 1")
    project.load("space.leaf")
    assert origin.kind("space") == "source"
    assert origin.digest("space") == b""
    assert origin.version("space") == 1


@pytest.mark.parametrize("no_bytecode", [True, False])
@pytest.mark.parametrize("started", [True, False])
def test_edited_before_the_first_look(
    origin: Origin,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    no_bytecode: bool,
    started: bool,
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", no_bytecode)
    project.write("edited.py", "def f(): return 1")
    module = project.load("edited")
    if started:
        origin.witness_start()
    new = project.write("edited.py", "def f(): return 2222")
    for _ in range(2):
        assert origin.kind("edited") == "live"
        assert origin.digest("edited") is None
    assert warned(caplog) == [
        f"edited ({new}) was edited after it was imported, and what it was before is not known: its definitions are "
        "sent by value. importlib.reload(edited) sends the new code"
    ]
    project.reload(module)
    assert origin.kind("edited") == "source"
    assert origin.digest("edited") == manifest.digest(new.read_bytes())
    assert origin.version("edited") == 2
    assert len(warned(caplog)) == 1


def test_an_edit_of_nothing_but_a_value_before_the_first_look_is_seen_by_the_pyc(
    origin: Origin, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.write("value.py", "LIMIT = 1")
    project.load("value")
    project.write("value.py", "LIMIT = 2222")
    assert origin.kind("value") == "live"
    assert len(warned(caplog)) == 1


def test_a_pyc_of_another_edit_does_not_count_when_none_are_written(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("stale.py", "def f(): return 1")
    project.load("stale")
    del sys.modules["stale"]
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    project.write("stale.py", "def f(): return 2222")
    assert project.load("stale").f() == 2222
    assert origin.kind("stale") == "source"


def test_only_touched_or_moved_lines_before_the_first_look(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project.write("touched.py", "def f(): return 1")
    project.load("touched")
    project.write("touched.py", "# it is one\n\ndef f(): return 1")
    assert origin.kind("touched") == "source"
    assert warned(caplog) == []


def test_a_file_older_than_its_import_needs_no_comparison(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compare(*args: object) -> bool:
        raise AssertionError("nothing to compare")

    project.write("old.py", "def f(): return 1")
    time.sleep(2.5 * imported_trust.TICK)
    project.load("old")
    monkeypatch.setattr(imported_trust, "matches", compare)
    assert origin.kind("old") == "source"


def test_functions_of_all_places_are_compared(origin: Origin, project: Project) -> None:
    text = """
        import contextlib, dataclasses, functools

        def wrapped(fn):
            @functools.wraps(fn)
            def wrapper(*args):
                return fn(*args)
            return wrapper

        @wrapped
        def decorated(): return 0

        @contextlib.contextmanager
        def manager(): yield

        @dataclasses.dataclass
        class Data:
            x: int
            class Inner:
                @staticmethod
                def static(): return [y for y in range(3)]
                @property
                def prop(self): return %d
                @classmethod
                def of(cls): return cls()

        made = lambda: 1
        """
    project.write("places.py", text % 1)
    project.load("places")
    assert origin.kind("places") == "source"
    project.write("places2.py", text % 1)
    project.load("places2")
    project.write("places2.py", text % 2222)
    assert origin.kind("places2") == "live"


def test_a_removed_file(origin: Origin, project: Project, caplog: pytest.LogCaptureFixture) -> None:
    known, unknown = project.write("known.py", "x = 1"), project.write("unknown.py", "x = 1")
    project.load("known")
    project.load("unknown")
    digest = origin.digest("known")
    source = known.read_bytes()
    known.unlink()
    unknown.unlink()
    assert not origin.changed("known")
    assert origin.digest("known") == digest == manifest.digest(source)
    assert origin.contents([digest], b"")[digest][0] == source
    assert origin.kind("known") == "source"
    assert origin.kind("unknown") == "live"
    (message,) = warned(caplog)
    assert message.startswith(f"the source of unknown ({unknown}) is gone")


# ---- the start ----


def test_nothing_is_logged_of_what_is_as_it_should_be(
    origin: Origin, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    project.write("quiet.py", "def f(): return 1")
    module = project.load("quiet")
    origin.witness_start()
    assert origin.kind("quiet") == "source"
    assert not origin.changed("quiet")
    importlib.reload(module)
    assert origin.version("quiet") == 2
    assert warned(caplog) == []


def test_the_start_reads_no_file(origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from beampy.code import imported

    project.write("started.py", "x = 1")
    project.load("started")

    def read(*args: object) -> None:
        raise AssertionError("a file is read")

    with monkeypatch.context() as patched:
        patched.setattr(imported, "read", read)
        patched.setattr(imported, "_file", read)
        origin.witness_start()
    assert isinstance(sys.meta_path[0], witness.Witness)
    assert here().kind("started") == "source"
