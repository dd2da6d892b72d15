"""deps: names, versions and who a module belongs to, read from directories; and how two processes differ."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from beampy.code import deps
from beampy.code.deps import Difference, Inventory, described, skew
from tests.unit.code.wheels import installed

OLD = 1_000_000_000  # a change time that no later change will have


def settle(directory: Path, when: int = OLD) -> None:
    os.utime(directory, (when, when))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory at the end of sys.path; modules imported from it are forgotten."""
    place = tmp_path / "place"
    place.mkdir()
    known = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path, str(place)])
    yield place
    for name in set(sys.modules) - known:
        del sys.modules[name]


# ---- what this process says ----


def test_the_profile_is_plain_text() -> None:
    profile = deps.profile()
    assert profile["python"].split(".")[:2] == [str(part) for part in sys.version_info[:2]]
    assert bytes.fromhex(profile["magic"]) == importlib.util.MAGIC_NUMBER
    assert all(type(value) is str and value for value in profile.values())


def test_packages_are_those_that_importlib_knows() -> None:
    known: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        known.setdefault(deps.normalised(each.name), each.version)
    assert deps.packages() == known


def test_the_first_of_a_name_on_the_path_counts(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(place, "Some.Thing", "1.0", {"some.py": ""})
    other = installed(tmp_path / "other", "some_thing", "2.0", {"some.py": ""})
    monkeypatch.setattr(sys, "path", [*sys.path, str(other)])
    assert deps.packages()["some-thing"] == "1.0"


@pytest.mark.parametrize(
    ("entry", "text", "found"),
    [
        ("a_b-1.0.dist-info/METADATA", "", {"a-b": "1.0"}),
        ("a-1.0+cpu.dist-info/METADATA", "", {"a": "1.0+cpu"}),
        ("a.dist-info/METADATA", "Name: a\nVersion: 3.1\n", {"a": "3.1"}),
        ("a-1.0-py3.11.egg-info/PKG-INFO", "", {"a": "1.0"}),
        ("a-1.0.egg-info", "", {"a": "1.0"}),
        ("a.egg-info/PKG-INFO", "Metadata-Version: 2.1\nVersion:  0.4\n", {"a": "0.4"}),
        ("a.egg-info/nothing", "", {"a": ""}),
        ("~a-1.0.dist-info/METADATA", "", {}),
        ("a-1.0.data/x", "", {}),
    ],
)
def test_what_describes_a_package(place: Path, entry: str, text: str, found: dict[str, str]) -> None:
    before = deps.packages()
    (place / entry).parent.mkdir(exist_ok=True)
    (place / entry).write_text(text)
    assert {name: version for name, version in deps.packages().items() if name not in before} == found


def test_packages_installed_later_count_and_removed_ones_do_not(place: Path) -> None:
    settle(place)
    assert "late" not in deps.packages()
    installed(place, "late", "1.0", {"late.py": ""})
    assert deps.packages()["late"] == "1.0"
    (place / "late-1.0.dist-info").rename(place / "late-1.1.dist-info")
    assert deps.packages()["late"] == "1.1"
    (place / "late-1.1.dist-info").rename(place / "gone")
    assert "late" not in deps.packages()


def test_a_change_that_leaves_a_recent_time_as_it_was_is_seen(place: Path) -> None:
    now = (place.stat().st_mtime_ns,) * 2
    assert "late" not in deps.packages()
    installed(place, "late", "1.0", {"late.py": ""})
    os.utime(place, ns=now)  # as two changes within one step of the filesystem's clock
    assert deps.packages()["late"] == "1.0"


def test_a_directory_that_did_not_change_is_not_read_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(place)
    before = deps.packages()
    monkeypatch.setattr(sys, "path", [str(place)])
    deps.packages()
    monkeypatch.setattr(os, "scandir", lambda _: pytest.fail("it was read again"))
    assert deps.packages() == {}
    assert "pytest" in before


def test_a_directory_that_appears_later_counts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = place / "later"
    monkeypatch.setattr(sys, "path", [*sys.path, str(later), str(place / "some.zip"), ""])
    assert "late" not in deps.packages()
    installed(later, "late", "1.0", {"late.py": ""})
    settle(later, 0)  # the epoch, which reproducible builds give everything
    assert deps.packages()["late"] == "1.0"


def test_directories_are_those_with_packages(place: Path) -> None:
    assert str(place) not in deps.directories()
    installed(place, "late", "1.0", {"late.py": ""})
    assert deps.directories()[-1] == str(place)


# ---- what is loaded ----


def test_loaded_packages_are_those_with_an_imported_module(place: Path) -> None:
    installed(place, "dist-one".replace("-", "_"), "1.0", {"quite_another/__init__.py": "", "quite_another/x.py": ""})
    installed(place, "dist_two", "2.0", {"two.py": ""})
    assert "dist-one" not in deps.loaded_packages()
    importlib.import_module("quite_another")
    loaded = deps.loaded_packages()
    assert loaded["dist-one"] == "1.0"
    assert "dist-two" not in loaded
    assert loaded["pytest"] == deps.packages()["pytest"]


def test_a_shared_package_counts_for_who_has_the_imported_file(place: Path) -> None:
    installed(place, "ns_one", "1.0", {"shared/one/__init__.py": ""})
    installed(place, "ns_two", "2.0", {"shared/two/__init__.py": ""})
    for name in ("ns_one-1.0", "ns_two-2.0"):
        (place / f"{name}.dist-info" / "top_level.txt").write_text("shared\n")
    importlib.import_module("shared.two")
    loaded = deps.loaded_packages()
    assert loaded["ns-two"] == "2.0"
    assert "ns-one" not in loaded


def test_a_local_module_of_a_packages_name_is_not_the_package(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(place, "shadowed", "1.0", {"shadowed.py": ""})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "shadowed.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "mine"), *sys.path])
    module = importlib.import_module("shadowed")
    assert "shadowed" not in deps.loaded_packages()
    assert deps.package_of(str(module.__file__)) == ("", "")
    assert deps.package_of(str(place / "shadowed.py")) == ("shadowed", "1.0")


def test_a_package_that_lists_no_files_is_known_by_its_name(place: Path) -> None:
    installed(place, "no_list", "1.0", {"no_list.py": ""})
    (place / "no_list-1.0.dist-info" / "RECORD").unlink()
    assert deps.package_of(str(place / "no_list.py")) == ("no-list", "1.0")


def test_a_directory_within_another_one_has_its_own_packages(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(place, "outer", "1.0", {"inner/__init__.py": ""})
    inner = installed(place / "inner", "thing", "2.0", {"thing.py": ""})
    monkeypatch.setattr(sys, "path", [*sys.path, str(inner)])
    assert deps.package_of(str(inner / "thing.py")) == ("thing", "2.0")
    assert deps.package_of(str(inner / "__init__.py")) == ("outer", "1.0")


def test_no_module_is_loaded_by_the_question(place: Path) -> None:
    (place / "lazy_one.py").write_text("raise RuntimeError('loaded')")
    spec = importlib.util.find_spec("lazy_one")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    sys.modules["lazy_one"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["no_module"] = object()  # type: ignore[assignment]
    assert "pytest" in deps.loaded_packages()


# ---- how two differ ----


def test_skew_has_what_both_have_in_different_versions() -> None:
    mine = Inventory({"python": "3.11.7", "implementation": "cpython"}, {"b": "1", "a": "1", "same": "1", "mine": "1"})
    theirs = Inventory({"python": "3.12.1", "implementation": "cpython"}, {"a": "2", "b": "2", "same": "1", "its": "1"})
    assert skew(mine, theirs) == [
        Difference("Python", "3.11.7", "3.12.1"),
        Difference("a", "1", "2"),
        Difference("b", "1", "2"),
    ]


@pytest.mark.parametrize(
    ("mine", "theirs", "found"),
    [
        ({"python": "3.11.7"}, {"python": "3.11.9"}, []),
        ({"python": "3.1.7"}, {"python": "3.11.7"}, [Difference("Python", "3.1.7", "3.11.7")]),
        (
            {"python": "3.11.7", "implementation": "cpython"},
            {"python": "3.11.9", "implementation": "pypy"},
            [Difference("Python", "3.11.7 (cpython)", "3.11.9 (pypy)")],
        ),
    ],
)
def test_skew_of_pythons(mine: dict[str, str], theirs: dict[str, str], found: list[Difference]) -> None:
    assert skew(Inventory(mine, {}), Inventory(theirs, {})) == found


def test_a_difference_is_one_line() -> None:
    both = [Difference("Python", "3.11.7", "3.12.1"), Difference("polars", "2.1", "2.0")]
    assert described("b@h", both) == "b@h runs Python 3.12.1 and polars 2.0 (here: 3.11.7 and 2.1)"
    assert described("b@h", both[1:]) == "b@h runs polars 2.0 (here: 2.1)"
    assert described("b@h", [*both, Difference("a", "1", "2")]) == (
        "b@h runs Python 3.12.1, polars 2.0 and a 2 (here: 3.11.7, 2.1 and 1)"
    )
    assert described("b@h", []) == ""


def test_a_long_line_is_cut_and_says_how_many_more() -> None:
    line = described("b@h", [Difference(f"p{number:02}", "1", "2") for number in range(20)])
    assert "p07 2 and 12 more (here: " in line
    assert "p08" not in line


def test_what_another_node_states_cannot_break_the_log() -> None:
    line = described("b@h", [Difference("a\nERROR forged", "1", "2" * 10_000)])
    assert "\n" not in line
    assert len(line) < 300
