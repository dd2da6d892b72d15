"""The data of packages, and what describes their distributions."""

from __future__ import annotations

import os

import pytest

from beampy.code.origin import Origin
from tests.unit.code.origin_ground import Project, origin, project

__all__ = ["origin", "project"]


# ---- data of packages ----


def test_the_data_of_a_package(origin: Origin, project: Project) -> None:
    project.write("pack/__init__.py")
    project.write("pack/module.py")
    project.write("pack/table.csv", "1,2")
    project.write("pack/templates/page.html", "<p>")
    project.write("pack/templates/deep/.hidden", "h")
    project.write("pack/sub/__init__.py")
    project.write("pack/sub/own.txt", "own")
    project.write("pack/__pycache__/x.txt")
    project.load("pack.sub")
    assert origin.resources("pack") == ["table.csv", "templates/deep/.hidden", "templates/page.html"]
    assert origin.resources("pack.sub") == ["own.txt"]
    assert origin.resource("pack", "templates/page.html") == b"<p>"
    assert origin.resources("pack.module") == origin.resources("surely_absent") == origin.resources("sys") == []


@pytest.mark.parametrize("imported_here", [True, False])
def test_the_data_of_a_namespace_package_are_of_all_its_portions(
    origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch, imported_here: bool
) -> None:
    project.write("space/one.txt", "1")
    other = project.root.parent / "other"
    (other / "space").mkdir(parents=True)
    (other / "space" / "two.txt").write_text("2")
    monkeypatch.syspath_prepend(str(other))
    if imported_here:
        project.load("space")
    assert origin.resources("space") == ["one.txt", "two.txt"]
    assert (origin.resource("space", "one.txt"), origin.resource("space", "two.txt")) == (b"1", b"2")


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "/etc/hostname", "a/../../secret.txt", "", ".", "table.csv/", "__init__.py", "a\0b", "absent"],
)
def test_what_is_no_data_of_the_package_is_not_given(origin: Origin, project: Project, path: str) -> None:
    project.write("secret.txt", "secret")
    project.write("pack/__init__.py")
    project.write("pack/a/table.csv", "1,2")
    with pytest.raises(FileNotFoundError):
        origin.resource("pack", path)


def test_no_data_of_no_package(origin: Origin) -> None:
    with pytest.raises(FileNotFoundError):
        origin.resource("surely_absent", "x.txt")


def test_data_are_bounded(origin: Origin, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from beampy.code import origin_data

    monkeypatch.setattr(origin_data, "FILES", 3)
    monkeypatch.setattr(origin_data, "FILE_LIMIT", 4)
    project.write("pack/__init__.py")
    for number in range(5):
        project.write(f"pack/{number}.txt", "12345")
    assert len(origin.resources("pack")) == 3
    with pytest.raises(OSError, match="larger than 4 bytes"):
        origin.resource("pack", "0.txt")


def test_metadata_are_those_of_the_distribution(origin: Origin) -> None:
    found = origin.metadata("pluggy")
    assert "Name: pluggy" in found["METADATA"]
    assert all(isinstance(text, str) and os.sep not in name for name, text in found.items())
