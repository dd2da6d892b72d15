"""Entries: what an origin says of a module, and of everything that comes with it."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

from beampy.code import manifest, origin_records
from beampy.code.entry import ABSENT, COMPILED, NAMESPACE, SOURCE, Module
from beampy.code.origin import Origin
from tests.unit.code.origin_ground import MAGIC, Project, origin, project, told

__all__ = ["origin", "project"]


# ---- source modules ----


def test_an_entry_says_all_there_is(origin: Origin, project: Project) -> None:
    file = project.write("helpers.py", "import json, os.path, pytest\ndef f(): return 1")
    project.load("helpers")
    assert origin.entries(["helpers"]) == [
        Module("helpers", SOURCE, False, manifest.digest(file.read_bytes()), 1, str(file), ("pytest",), "", "")
    ]


def test_what_is_needed_comes_with_it_and_parents_too(origin: Origin, project: Project) -> None:
    project.write("app/__init__.py", "NAME = 'app'")
    project.write("app/deep/__init__.py")
    project.write("app/deep/one.py", "from . import two\nfrom .. import NAME\nfrom ..side import thing")
    project.write("app/deep/two.py", "import sys\ndef late():\n    from lonely import x\n    import surely_absent")
    project.write("app/side.py", "thing = 1")
    project.write("app/unused.py")
    project.write("lonely.py", "x = 1")
    project.load("app.deep.one")
    found = told(origin, "app.deep.one")
    assert found.keys() == {"app", "app.deep", "app.deep.one", "app.deep.two", "app.side", "lonely"}
    assert {each.kind for each in found.values()} == {SOURCE}
    assert {name for name, each in found.items() if each.package} == {"app", "app.deep"}
    assert found["app.deep.one"].needs == ("app", "app.deep", "app.deep.two", "app.side")
    assert found["app.deep.two"].needs == ("lonely",)
    assert "lonely" not in sys.modules


def test_circular_imports(origin: Origin, project: Project) -> None:
    project.write("ring_a.py", "import ring_b")
    project.write("ring_b.py", "import ring_a")
    found = told(origin, "ring_a")
    assert found["ring_a"].needs == ("ring_b",)
    assert found["ring_b"].needs == ("ring_a",)


def test_names_from_a_package_are_modules_only_if_they_are(origin: Origin, project: Project) -> None:
    project.write("app/__init__.py", "shadowed = 1\nfrom app import real")
    project.write("app/real.py")
    project.write("app/shadowed.py")
    project.write("user.py", "from app import real, shadowed, absent_attribute\nfrom app.real import f")
    project.load("app")
    assert told(origin, "user")["user"].needs == ("app", "app.real")


def test_a_submodule_that_was_deleted_is_still_one(origin: Origin, project: Project) -> None:
    project.write("app/__init__.py")
    project.write("app/real.py")
    project.write("user.py", "from app import real")
    project.load("app.real")
    del sys.modules["app.real"]
    assert told(origin, "user")["user"].needs == ("app", "app.real")


@pytest.mark.parametrize("imported_here", [True, False])
def test_namespace_packages(origin: Origin, project: Project, imported_here: bool) -> None:
    project.write("space/inner/leaf.py", "import space.inner.other")
    project.write("space/inner/other.py")
    if imported_here:
        project.load("space.inner.leaf")
    found = told(origin, "space.inner.leaf")
    assert found["space"] == Module("space", NAMESPACE, True, b"", 1, "")
    assert found["space.inner"].kind == NAMESPACE
    assert found["space.inner.other"].kind == SOURCE


@pytest.mark.parametrize("name", ["surely_absent", "helpers.absent", "absent_package.module", "../helpers", ""])
def test_what_is_absent(origin: Origin, project: Project, name: str) -> None:
    project.write("helpers.py")
    assert told(origin, name)[name] == Module(name, ABSENT)


def test_what_was_made_by_hand_cannot_be_sent_and_is_not_needed(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "by_hand", ModuleType("by_hand"))
    project.write("user.py", "import by_hand")
    assert told(origin, "by_hand")["by_hand"].kind == ABSENT
    assert told(origin, "user")["user"].needs == ()


def test_what_is_of_another_origin_is_absent(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    class Loader:
        beampy_space = object()

    module = ModuleType("arrived")
    module.__spec__ = importlib.machinery.ModuleSpec("arrived", Loader(), origin="/theirs.py")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "arrived", module)
    assert origin.kind("arrived") == "shipped"
    assert origin.version("arrived") == 0
    assert told(origin, "arrived")["arrived"].kind == ABSENT


def test_a_module_edited_before_the_first_look_is_sent_as_on_disk(
    origin: Origin, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.write("edited.py", "def f(): return 1")
    project.write("user.py", "import edited")
    project.load("user")
    project.write("edited.py", "def f(): return 2222")
    found = told(origin, "user")
    assert found["user"].needs == ("edited",)
    assert found["edited"].kind == SOURCE
    assert found["edited"].digest == manifest.digest(b"def f(): return 2222")
    assert origin.kind("edited") == "live"
    project.write("edited.py", "def f(): return 333333")
    found = told(origin, "user")
    assert found["edited"].digest == manifest.digest(b"def f(): return 333333")
    assert found["edited"].version == found["user"].version == 2
    assert "edited" in caplog.text


def test_asking_imports_nothing(origin: Origin, project: Project) -> None:
    project.write("outer/__init__.py", "raise SystemExit")
    project.write("outer/leaf.py", "import outer.other")
    project.write("outer/other.py", "raise SystemExit")
    before = set(sys.modules)
    assert told(origin, "outer.leaf").keys() == {"outer", "outer.leaf", "outer.other"}
    assert {name for name in set(sys.modules) - before if name.startswith("outer")} == set()


def test_versions_of_one_answer_are_of_one_moment(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("low.py", "x = 1")
    project.write("high.py", "import low")
    project.load("high")
    origin.entries(["high"])
    look, reloads = origin_records.Records.from_file, [1]

    def reloading(records: origin_records.Records, name: str) -> object:
        found = look(records, name)
        if reloads and reloads.pop():
            importlib.reload(sys.modules["low"])
        return found

    monkeypatch.setattr(origin_records.Records, "from_file", reloading)
    assert {name: each.version for name, each in told(origin, "high").items()} == {"high": 2, "low": 2}


# ---- installed modules ----


def test_an_installed_package_comes_with_its_modules_that_are_imported(origin: Origin) -> None:
    import pluggy

    found = told(origin, "pluggy._manager")
    imported_here = {name for name in sys.modules if name == "pluggy" or name.startswith("pluggy.")}
    assert imported_here <= found.keys()
    assert {name.partition(".")[0] for name in found} == {"pluggy"}
    entry = found["pluggy._manager"]
    assert (entry.kind, entry.package_name, entry.package_version) == (SOURCE, "pluggy", pluggy.__version__)
    assert "pluggy._callers" in entry.needs
    assert not any(name in ("pluggy.x", "inspect") for each in found.values() for name in each.needs)
    source, code = origin.contents([entry.digest], MAGIC)[entry.digest]
    assert source == Path(pluggy._manager.__file__).read_bytes()
    assert code is not None


def test_an_installed_package_that_is_not_imported_comes_with_what_it_needs(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = project.write("site-packages/whole/__init__.py", "from .part import f\nfrom other import g").parent.parent
    project.write("site-packages/whole/part.py", "def f(): import whole.late")
    project.write("site-packages/whole/late.py")
    project.write("site-packages/other.py", "g = 1")
    project.write("site-packages/Whole_Thing-2.1.dist-info/METADATA", "Name: Whole-Thing\nVersion: 2.1\n")
    project.write("site-packages/Whole_Thing-2.1.dist-info/RECORD", "whole/__init__.py,,\nwhole/part.py,,\n")
    monkeypatch.syspath_prepend(str(site))
    found = told(origin, "whole")
    assert found.keys() == {"whole", "whole.part", "whole.late"}
    assert {(each.package_name, each.package_version) for each in found.values()} == {("Whole-Thing", "2.1")}
    assert origin.metadata("whole_thing")["METADATA"].startswith("Name: Whole-Thing")
    assert origin.metadata("surely-absent") == {}


def test_packages_of_a_shared_namespace_are_apart(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = project.write("site-packages/shared/one/__init__.py").parent.parent.parent
    project.write("site-packages/shared/two/__init__.py")
    monkeypatch.syspath_prepend(str(site))
    project.load("shared.one")
    project.load("shared.two")
    assert told(origin, "shared.one").keys() == {"shared", "shared.one"}
    assert origin.entries(["shared.one"])[0].package_name == ""


def test_what_is_compiled_cannot_be_sent(origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("fast" + importlib.machinery.EXTENSION_SUFFIXES[0], b"\x7fELF")
    project.write("user.py", "import fast")
    found = told(origin, "fast", "sys", "json", "beampy.errors", "user")
    assert {found[name].kind for name in ("fast", "sys", "json", "beampy.errors")} == {COMPILED}
    assert found["fast"].path == str(project.root / ("fast" + importlib.machinery.EXTENSION_SUFFIXES[0]))
    assert found["fast"].digest == b""
    assert found["user"].needs == ("fast",)
    assert found.keys() == {"fast", "sys", "json", "beampy", "beampy.errors", "user"}


# ---- many ----


def test_two_hundred_modules_are_one_question(origin: Origin, project: Project) -> None:
    project.write("big/__init__.py")
    for number in range(1, 200):
        project.write(f"big/m{number}.py", f"import big.m{number // 2}\nN = {number}")
    project.write("big/m0.py", "\n".join(f"import big.m{number}" for number in range(1, 200)))
    project.load("big.m0")
    found = told(origin, "big.m0")
    assert len(found) == 201
    contents = origin.contents([each.digest for each in found.values()], MAGIC)
    assert all(code is not None for _, code in contents.values())


def test_threads_that_ask_at_once_while_modules_are_imported_and_reloaded(origin: Origin, project: Project) -> None:
    count = 20
    for number in range(count):
        project.write(f"busy_{number}.py", f"import busy_{(number + 1) % count}\ndef f(): return {number}")
    project.load("busy_0")
    told(origin, "busy_0")
    answers: list[dict[str, Module]] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def ask(number: int) -> None:
        try:
            while not over.is_set():
                name = f"busy_{number}"
                assert origin.kind(name) == "source"
                assert origin.version(name) >= 1
                assert not origin.changed(name)
                found = told(origin, name)
                assert len(found) == count
                assert len(origin.contents([each.digest for each in found.values()], MAGIC)) == count
                answers.append(found)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for number in range(count):
        project.reload(sys.modules[f"busy_{number}"])
    over.set()
    for thread in threads:
        thread.join(20)
    assert not failures
    assert answers
    assert {each.version for each in told(origin, "busy_0").values()} == {count + 1}
