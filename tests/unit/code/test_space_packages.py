"""Packages that are installed at an origin and not here: loaded from there, installed, or refused with a remedy."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from beampy.code.entry import Module
from beampy.code.space import Refused, Space, Spaces
from beampy.errors import MissingPackage
from tests.unit.code.fake_source import FakeSource, connect, receiver

PRETTY = {
    "user.py": "def version():\n    import pretty\n    return pretty.version()\n",
    "pretty/__init__.py": "from importlib.metadata import version as v\nfrom .more import M\n"
    "def version(): return v('Pretty_Dist')\n",
    "pretty/more.py": "M = 1\n",
    "pretty/unused.py": "U = 1\n",
}
METADATA = {
    "METADATA": "Metadata-Version: 2.1\nName: pretty-dist\nVersion: 1.5\nSummary: nice\n",
    "entry_points.txt": "[a]\nb = pretty:version\n",
}


class Policy:
    """Answers as told, and writes down what it was asked."""

    def __init__(self, answer: str | Exception | None = "load") -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, str]] = []

    def decide(self, entry: Module, node: str, origin_node: str):
        self.asked.append((entry.name, node, origin_node))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def spaces() -> Iterator[Spaces]:
    with receiver() as made:
        made.node = "here@host"
        yield made


def pretty(spaces: Spaces, policy: Policy, files: dict[str, str] = PRETTY) -> tuple[Space, FakeSource]:
    source = FakeSource(files)
    source.packages["pretty"] = ("pretty-dist", "1.5")
    source.texts["pretty-dist"] = METADATA
    space = connect(spaces, source)
    space.missing = policy
    return space, source


def test_a_missing_package_is_asked_about_once_and_when_it_is_imported(spaces: Spaces) -> None:
    policy = Policy()
    space, source = pretty(spaces, policy)
    user = space.module(*source.ref("user"))
    assert policy.asked == []
    assert source.questions("contents") == [1]
    user.version()
    user.version()
    space.module(*source.ref("pretty.more"))
    assert policy.asked == [("pretty", "here@host", "nb@host")]
    assert source.questions("contents") == [1, 3]  # the whole package in one question


def test_its_metadata_is_there_for_its_own_code(spaces: Spaces) -> None:
    space, source = pretty(spaces, Policy())
    user = space.module(*source.ref("user"))
    assert user.version() == "1.5"
    with space.importing():
        found = importlib.metadata.distribution("pretty.dist")
        assert found.metadata["Summary"] == "nice"
        assert [point.name for point in found.entry_points] == ["b"]
        with pytest.raises(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version("another")
        assert importlib.metadata.version("pytest") == pytest.__version__
        assert "pretty-dist" not in {dist.name for dist in importlib.metadata.distributions()}
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("pretty-dist")
    assert source.questions("metadata") == ["pretty-dist"]


def test_a_refusal_is_an_import_error_that_stays(spaces: Spaces) -> None:
    refusal = MissingPackage("pretty", "pretty-dist", "1.5", "here@host", "nb@host", "policy is off", "Install it.")
    policy = Policy(refusal)
    space, source = pretty(spaces, policy)
    user = space.module(*source.ref("user"))
    for _ in range(2):
        with pytest.raises(MissingPackage, match=r"here@host has no pretty-dist 1\.5, which nb@host uses"):
            user.version()
    with pytest.raises(MissingPackage):
        space.module(*source.ref("pretty"))
    assert policy.asked == [("pretty", "here@host", "nb@host")]
    assert "pretty" not in sys.modules
    policy.answer = "load"
    space.add_source(source)
    assert user.version() == "1.5"


@pytest.mark.parametrize("compiled", [False, True])
def test_looking_for_what_is_optional_finds_nothing(spaces: Spaces, compiled: bool) -> None:
    refusal = MissingPackage("pretty", "pretty-dist", "1.5", "here@host", "nb@host", "policy is off", "Install it.")
    files = {"pretty.so": ""} if compiled else dict(PRETTY)
    files["user.py"] = "from importlib.util import find_spec\ndef has(name): return find_spec(name) is not None\n"
    space, source = pretty(spaces, Policy("load" if compiled else refusal), files)
    assert space.module(*source.ref("user")).has("pretty") is False


def test_what_was_installed_now_is_this_process_own(
    spaces: Spaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))

    class Installs(Policy):
        def decide(self, entry: Module, node: str, origin_node: str):
            (tmp_path / "pretty.py").write_text("def version(): return 'installed'\n")
            return super().decide(entry, node, origin_node)

    space, source = pretty(spaces, Installs("installed"))
    user = space.module(*source.ref("user"))
    try:
        assert user.version() == "installed"
        assert spaces.shipped("pretty") is None
        assert space.module(*source.ref("pretty")) is sys.modules["pretty"]
    finally:
        sys.modules.pop("pretty", None)
    assert source.questions("contents") == [1]


@pytest.mark.parametrize("clash", [False, True])
def test_installed_here_too_in_another_version(spaces: Spaces, clash: bool) -> None:
    """Its own is used, whatever its source."""
    source = FakeSource({"user.py": "import pytest, iniconfig\n", "pytest.py": "V = 1\n", "iniconfig.py": "V = 1\n"})
    source.packages = {"pytest": ("pytest", "0.1"), "iniconfig": ("another-name-of-it", "0")}
    policy = Policy()
    space = connect(spaces, source)
    space.missing = policy
    user = space.module(*source.ref("user"))
    assert user.pytest is pytest
    assert user.iniconfig is importlib.import_module("iniconfig")
    assert policy.asked == []


# ---- compiled modules ----


def test_a_library_with_a_fallback_takes_it(spaces: Spaces) -> None:
    files = {
        "pretty/__init__.py": "try:\n    from ._fast import f\nexcept ImportError as e:\n    error = e\n"
        "    from .slow import f\n"
    }
    files |= {"pretty/_fast.so": "", "pretty/slow.py": "def f(): return 'slow'\n"}
    space, source = pretty(spaces, Policy(), files)
    module = space.module(*source.ref("pretty"))
    assert module.f() == "slow"
    assert isinstance(module.error, Refused)
    said = "pretty._fast of pretty-dist 1.5 is compiled for nb@host and cannot be sent. What installs it: "
    assert str(module.error).startswith(said)
    assert str(module.error).endswith("install 'pretty-dist==1.5'")
    assert module.error.name == "pretty._fast"


@pytest.mark.parametrize(
    "wrap",
    ["", "try:\n    import pretty.deep\nexcept ImportError as e:\n    raise RuntimeError('broken build') from e\n"],
)
def test_a_package_that_needs_its_compiled_module(spaces: Spaces, wrap: str) -> None:
    files = {
        "user.py": "import pretty\n",
        "pretty/__init__.py": wrap or "import pretty.deep\n",
        "pretty/deep.py": "from . import _fast\n",
    }
    space, source = pretty(spaces, Policy(), files | {"pretty/_fast.so": ""})
    with pytest.raises(MissingPackage) as caught:
        space.module(*source.ref("user"))
    error = caught.value
    assert (error.name, error.package, error.version, error.node, error.origin) == (
        "pretty",
        "pretty-dist",
        "1.5",
        "here@host",
        "nb@host",
    )
    assert error.remedy.startswith("Run on here@host: ")
    assert error.remedy.endswith("install 'pretty-dist==1.5'")
    assert error.__cause__ is not None
    assert not {"pretty", "pretty.deep", "user"} & set(sys.modules)


def test_a_local_compiled_module(spaces: Spaces) -> None:
    source = FakeSource({"user.py": "import fastmath\n", "fastmath.so": ""})
    space = connect(spaces, source)
    with pytest.raises(Refused, match="fastmath is compiled for nb@host"):
        space.module(*source.ref("user"))
    with pytest.raises(ImportError, match="fastmath"):
        space.module(*source.ref("fastmath"))


def test_a_compiled_module_that_is_here_too(spaces: Spaces) -> None:
    source = FakeSource({"user.py": "import _json\n", "_json.so": ""})
    source.packages["_json"] = ("json-dist", "1")
    space = connect(spaces, source)
    assert space.module(*source.ref("user"))._json is importlib.import_module("_json")
