"""What pyproject.toml, constraints.txt and the Makefile promise, held where a diff may slip by."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ("demo", "notebook", "tour", "test", "test-all", "check", "bench")


def project() -> dict[str, Any]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)["project"]
    return table


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower()


def test_core_depends_on_four_packages() -> None:
    names = {name_of(requirement) for requirement in project()["dependencies"]}
    assert names == {"cloudpickle", "cryptography", "msgpack", "uvloop"}


def test_uvloop_is_asked_for_where_it_exists() -> None:
    (uvloop,) = [r for r in project()["dependencies"] if name_of(r) == "uvloop"]
    assert "sys_platform != 'win32'" in uvloop
    assert "platform_python_implementation == 'CPython'" in uvloop


def test_users_are_never_pinned() -> None:
    extras = project()["optional-dependencies"].values()
    requirements = [*project()["dependencies"], *(r for extra in extras for r in extra)]
    assert not [r for r in requirements if re.search(r"==|<|~=", r.partition(";")[0])]


def test_constraints_pin_exactly() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert not [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", pin)]
    names = [name_of(pin) for pin in pins]
    assert len(names) == len(set(names))


def test_the_pytest_plugin_is_where_the_entry_point_says() -> None:
    plugins = project()["entry-points"]["pytest11"]
    assert plugins == {"beampy": "beampy.testing.plugin"}
    assert (ROOT / "beampy/testing/plugin.py").exists()


def test_types_are_shipped() -> None:
    assert (ROOT / "beampy/py.typed").exists()


def test_the_version_is_said_once() -> None:
    beampy = pytest.importorskip("beampy")
    version = project()["version"]
    assert getattr(beampy, "__version__", version) == version
    try:
        installed = importlib.metadata.version("beampy")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("beampy is not installed here")
    assert installed == version


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", TARGETS)
def test_every_command_is_a_target(target: str) -> None:
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_readme_says_the_commands_that_are_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```.*?^```", readme, flags=re.MULTILINE | re.DOTALL)
    in_blocks = re.findall(r"^(?:\$ )?make ([a-z-]+)", "\n".join(blocks), flags=re.MULTILINE)
    said = {*re.findall(r"`make ([a-z-]+)", readme), *in_blocks}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    assert "test" in said
    assert said <= targets


def test_ci_runs_the_same_commands() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in script
    assert re.search(r"^make --keep-going check ", script, flags=re.MULTILINE)
    assert re.findall(r"^make test ARGS=\"\$\{(.*?)\[\*\]\}\" ", script, flags=re.MULTILINE) == ["first", "second"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111
