"""Python environments for tests: one has real packages, one has only what beampy needs to run.

Each is a directory like that of venv, made in a few milliseconds; what beampy needs is linked from the environment that
runs the tests, everything else is installed by pip from the index that it is configured with, once for all runs.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Packages of different habits. One list, so that another version is another environment.
PINNED = (
    "networkx==3.6.1",  # lazy attributes, entry points, functions that are objects, optional numpy
    "sympy==1.14.0",  # a thousand modules, metaclasses, caches
    "mpmath==1.3.0",
    "jinja2==3.1.6",  # compiles templates to code at run time
    "markupsafe==3.0.4",  # C where there is some, else Python
    "rich==15.0.0",  # imports in functions, protocols
    "markdown-it-py==4.3.0",
    "mdurl==0.1.2",
    "pygments==2.21.0",  # imports by computed names, plugins by entry points
    "sqlglot==30.30.0",  # registers classes by their metaclass
    "lark==1.3.1",  # package data by pkgutil
    "certifi==2026.10.18",  # package data as a file on disk
    "tzdata==2026.6",  # package data that the standard library reads
)
# What every node needs; see pyproject.toml.
NEEDED = ("cffi", "cloudpickle", "cryptography", "msgpack", "pycparser", "uvloop")
INSTALL = 300  # seconds: 15 MB and a thousand files to compile


class Environment:
    """A directory with a Python in it. `python` runs it."""

    def __init__(self, directory: Path, base: Path | None = None) -> None:
        base = base or Path(getattr(sys, "_base_executable", sys.executable))
        version = _minor(base)
        self.directory = directory
        self.python = directory / "bin" / "python"
        self.site = directory / "lib" / f"python{version}" / "site-packages"
        self.base = base
        if not self.python.exists():
            self.python.parent.mkdir(parents=True)
            self.site.mkdir(parents=True)
            (directory / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
            self.python.symlink_to(base)
            (self.site / "beampy").symlink_to(ROOT / "beampy")

    @property
    def options(self) -> dict[str, object]:
        """For `Cluster.start`: a node that has this environment and nothing of the tests'."""
        return {"python": str(self.python), "bare": self.directory}

    def link(self, names: Sequence[str] = NEEDED) -> bool:
        """Have these packages from where the tests have them. Whether all of them are there."""
        every = True
        for name in names:
            try:
                files = importlib.metadata.files(name) or ()
            except importlib.metadata.PackageNotFoundError:
                every = False
                continue
            for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
                place = Path(str(importlib.metadata.distribution(name).locate_file(top)))
                if not os.path.lexists(self.site / top):
                    (self.site / top).symlink_to(place)
        return every

    def install(self, requirements: Sequence[str]) -> None:
        """Have these packages, of these versions and without what they need. Skips the test when there is no index."""
        run = [str(self.base), "-m", "pip"] if _minor(self.base) != _minor(None) else [sys.executable, "-m", "pip"]
        options = ["--no-input", "--no-deps", "--quiet", "--retries", "1", "--timeout", "20"]
        try:
            done = subprocess.run(
                [*run, "install", *options, "--target", str(self.site), "--upgrade", *requirements],
                check=False,
                capture_output=True,
                text=True,
                timeout=INSTALL,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"pip did not install {', '.join(requirements)} within {INSTALL} s")
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it says nothing"]
            pytest.skip(f"pip cannot install {', '.join(requirements)}: {said[-1]}")


def kept(cache: Path, requirements: Sequence[str], base: Path | None = None) -> Environment:
    """The environment of these packages, in the directory `cache`: made once, for all runs."""
    needed = [f"{name}=={_version(name)}" for name in NEEDED if _version(name)]
    own = _minor(base) == _minor(None)
    base = base or Path(getattr(sys, "_base_executable", sys.executable))
    parts = [str(base), _minor(base), sys.prefix if own else "", str(ROOT), *needed, *requirements]
    directory = cache / hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    if (directory / "complete").exists():
        return Environment(directory, base)
    shutil.rmtree(directory, ignore_errors=True)
    made = Environment(directory, base)
    if own:
        made.link()
    if requirements or not own:
        made.install([*(() if own else needed), *requirements])
    (directory / "complete").touch()
    return made


def other_pythons() -> list[Path]:
    """Interpreters of other minor versions that beampy runs on, newest first."""
    found: dict[str, Path] = {}
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    for minor in ("3.13", "3.12", "3.11"):
        if minor != _minor(None):
            here = shutil.which(f"python{minor}", path=_path_without_shims())
            candidates = [*sorted(root.glob(f"{minor}.*/bin/python{minor}")), *([Path(here)] if here else [])]
            for each in candidates:
                found.setdefault(minor, each.resolve())
    return list(found.values())


def _path_without_shims() -> str:
    """A shim is found for versions that are not chosen, and does not run."""
    return os.pathsep.join([each for each in os.environ.get("PATH", "").split(os.pathsep) if "shims" not in each])


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _minor(python: Path | None) -> str:
    if python is None:
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    name = python.resolve().name.removeprefix("python")
    return name if name.count(".") == 1 else f"{sys.version_info[0]}.{sys.version_info[1]}"
