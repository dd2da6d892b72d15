"""Packages that are made by hand, and a program that stands for uv: nothing here needs a network."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path


def wheel(where: Path, name: str, version: str, files: dict[str, str], requires: tuple[str, ...] = ()) -> Path:
    """A wheel with these files."""
    where.mkdir(parents=True, exist_ok=True)
    path = where / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    lines = [f"Requires-Dist: {each}\n" for each in requires]
    every = dict(files)
    every[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{''.join(lines)}"
    every[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    every[f"{info}/RECORD"] = "".join([f"{each},,\n" for each in [*every, f"{info}/RECORD"]])
    with zipfile.ZipFile(path, "w") as file:
        for each, text in every.items():
            file.writestr(each, text)
    return path


def installed(where: Path, name: str, version: str, files: dict[str, str], requires: tuple[str, ...] = ()) -> Path:
    """A directory that has this package, as an installer leaves it. It is told by its time that it changed."""
    path = wheel(where, name, version, files, requires)
    with zipfile.ZipFile(path) as file:
        file.extractall(where)
    path.unlink()
    return where


def offline(wheels: Path) -> dict[str, str]:
    """The variables that make pip use these wheels and nothing else."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull}


UV = """#!{python}
import os, sys, time, zipfile
arguments = sys.argv[1:]
with open({log!r}, "a") as file:
    file.write(" ".join(arguments) + "\\n")
if {before!r}:
    exec({before!r})
if arguments[:2] == ["pip", "compile"]:
    with open(arguments[-1]) as wanted, open(arguments[arguments.index("--output-file") + 1], "w") as out:
        out.write("# made by hand\\n" + wanted.read())
else:
    target = arguments[arguments.index("--target") + 1]
    for line in open(arguments[arguments.index("--requirement") + 1]):
        name = line.strip().replace("==", "-") + "-py3-none-any.whl"
        zipfile.ZipFile(os.path.join(os.environ["UV_FIND_LINKS"], name)).extractall(target)
"""


def fake_uv(where: Path, before: str = "") -> Path:
    """A program `uv` in `where`, which does `before` and unpacks what is asked for; the file that has its calls."""
    where.mkdir(parents=True, exist_ok=True)
    log = where / "calls.txt"
    log.touch()
    program = where / "uv"
    program.write_text(UV.format(python=sys.executable, log=str(log), before=before))
    program.chmod(0o755)
    return log
