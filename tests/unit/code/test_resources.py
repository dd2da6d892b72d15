"""Package data of shipped packages, through importlib.resources, pkgutil and the loader."""

from __future__ import annotations

import importlib.resources as resources
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from beampy.code.space import Space, Spaces
from beampy.errors import OriginLost
from tests.unit.code.fake_source import ROOT, FakeSource, connect, receiver

FILES = {
    "pkg/__init__.py": "",
    "pkg/code.py": "",
    "pkg/note.txt": "grüß\n",
    "pkg/data/a.txt": "a\n",
    "pkg/data/deep/b.txt": "b\r\n",
    "pkg/sub/__init__.py": "",
    "pkg/sub/own.txt": "own\n",
    "bare/mod.py": "",
    "bare/c.txt": "c\n",
    "single.py": "",
}


@pytest.fixture
def spaces() -> Iterator[Spaces]:
    with receiver() as made:
        yield made


@pytest.fixture
def source() -> FakeSource:
    return FakeSource(FILES)


@pytest.fixture
def space(spaces: Spaces, source: FakeSource) -> Space:
    return connect(spaces, source)


@pytest.fixture
def pkg(space: Space, source: FakeSource) -> ModuleType:
    return space.module(*source.ref("pkg"))


def test_files(pkg: ModuleType) -> None:
    files = resources.files(pkg)
    assert (files / "note.txt").read_text(encoding="utf-8") == "grüß\n"
    assert files.joinpath("data", "deep", "b.txt").read_bytes() == b"b\r\n"
    assert files.joinpath("data/deep/b.txt").read_text() == "b\n"
    assert files.joinpath("data").joinpath("../note.txt").is_file()
    with files.joinpath("data/a.txt").open("rb") as file:
        assert file.read() == b"a\n"
    with files.joinpath("note.txt").open(encoding="utf-8") as file:
        assert file.readlines() == ["grüß\n"]


def test_directories(pkg: ModuleType) -> None:
    files = resources.files("pkg")
    assert sorted((each.name, each.is_dir(), each.is_file()) for each in files.iterdir()) == [
        ("data", True, False),
        ("note.txt", False, True),
        ("sub", True, False),
    ]
    assert [each.name for each in (files / "data").iterdir()] == ["a.txt", "deep"]
    assert files.is_dir()
    assert files.name == "pkg"


def test_what_is_not_there(pkg: ModuleType) -> None:
    files = resources.files(pkg)
    nothing = files / "nothing.txt"
    assert (nothing.is_file(), nothing.is_dir()) == (False, False)
    with pytest.raises(FileNotFoundError):
        nothing.read_bytes()
    with pytest.raises(NotADirectoryError):
        list(nothing.iterdir())
    with pytest.raises(IsADirectoryError):
        (files / "data").read_bytes()
    with pytest.raises(ValueError, match="outside"):
        files.joinpath("../../etc/passwd")
    with pytest.raises(ValueError, match="only be read"):
        (files / "note.txt").open("w")


def test_as_file(pkg: ModuleType) -> None:
    with resources.as_file(resources.files(pkg) / "data" / "a.txt") as path:
        assert Path(path).read_text() == "a\n"
    assert not Path(path).exists()


@pytest.mark.skipif("sys.version_info < (3, 12)", reason="as_file of directories came with 3.12")
def test_as_file_of_a_directory(pkg: ModuleType) -> None:
    with resources.as_file(resources.files(pkg) / "data") as path:
        assert (Path(path) / "deep" / "b.txt").read_bytes() == b"b\r\n"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_functions_of_importlib_resources(pkg: ModuleType) -> None:
    assert resources.read_text("pkg", "note.txt", encoding="utf-8") == "grüß\n"
    assert resources.read_binary(pkg, "note.txt").decode() == "grüß\n"
    assert resources.is_resource(pkg, "note.txt")
    assert not resources.is_resource(pkg, "data")
    assert set(resources.contents(pkg)) == {"note.txt", "data", "sub"}
    with resources.path(pkg, "note.txt") as path:
        assert path.read_text(encoding="utf-8") == "grüß\n"


def test_subpackages_and_packages_without_init(space: Space, source: FakeSource) -> None:
    space.module(*source.ref("pkg.sub"))
    assert (resources.files("pkg.sub") / "own.txt").read_text() == "own\n"
    bare = space.module(*source.ref("bare"))
    assert (resources.files(bare) / "c.txt").read_text() == "c\n"


def test_get_data(pkg: ModuleType, space: Space, source: FakeSource) -> None:
    assert pkgutil.get_data("pkg", "data/a.txt") == b"a\n"
    assert pkg.__loader__.get_data(f"{ROOT}/pkg/note.txt") == "grüß\n".encode()
    assert pkg.__loader__.get_data(pkg.__file__) == b""
    code = space.module(*source.ref("pkg.code"))
    assert code.__loader__.get_data(f"{ROOT}/pkg/data/a.txt") == b"a\n"
    single = space.module(*source.ref("single"))
    for module, path in [(pkg, "/etc/passwd"), (pkg, f"{ROOT}/pkg/no.txt"), (single, f"{ROOT}/pkg/note.txt")]:
        with pytest.raises(OSError):
            module.__loader__.get_data(path)
    assert single.__loader__.get_resource_reader("single") is None


def test_data_is_asked_for_once_and_outlives_its_origin(pkg: ModuleType, source: FakeSource) -> None:
    for lost in (False, True):
        source.lost = lost
        assert (resources.files(pkg) / "note.txt").read_bytes()
    assert source.questions("resources") == ["pkg"]
    assert source.questions("resource") == [("pkg", "note.txt")]
    with pytest.raises(OriginLost, match=r"data/a\.txt of pkg is needed from nb@host"):
        (resources.files(pkg) / "data" / "a.txt").read_bytes()


def test_a_new_version_has_its_own_data(pkg: ModuleType, space: Space, source: FakeSource) -> None:
    assert (resources.files(pkg) / "note.txt").read_bytes()
    source.files["pkg/note.txt"] = "new\n"
    source.edit("pkg/__init__.py", "X = 1\n")
    again = space.module(*source.ref("pkg"))
    assert (resources.files(again) / "note.txt").read_text() == "new\n"
    assert (resources.files(pkg) / "note.txt").read_text(encoding="utf-8") == "grüß\n"


def test_data_kept_is_bounded(space: Space, source: FakeSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beampy.code.fetching.DATA", 100)
    source.files |= {f"pkg/{at}.bin": "x" * 40 for at in range(5)} | {"pkg/large.bin": "x" * 60}
    files = resources.files(space.module(*source.ref("pkg")))
    for name in ["0.bin", "1.bin", "2.bin", "large.bin", "2.bin", "large.bin", "0.bin"]:
        assert (files / name).read_bytes()
    assert [about[1] for about in source.questions("resource")] == [
        "0.bin",
        "1.bin",
        "2.bin",
        "large.bin",
        "large.bin",
        "0.bin",
    ]
