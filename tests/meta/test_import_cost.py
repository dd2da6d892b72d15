"""`import beampy` costs the standard library and beampy, and shows every public name.

What is loaded is read from `python -X importtime`, in a process of its own. No time is asserted
here: which modules are loaded decides the cost, and a clock on a shared machine does not tell.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
PUBLIC_NAMES = Path(__file__).with_name("public_names.txt")
WRITE_PUBLIC_NAMES = (
    f"{Path(sys.executable).name} -c \"import beampy; print(*sorted(beampy.__all__), sep='\\n')\""
    f" > {PUBLIC_NAMES.relative_to(ROOT)}"
)
# Loaded at the first use of a name that needs them, by nobody who only asks what there is.
LATE = ("asyncio", "logging", "socket", "ssl", "subprocess")

_IMPORTTIME = re.compile(r"^import time:\s*(\d+) \|\s*(\d+) \| *(\S+)$")


def python(*args: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds this very beampy."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, *args],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def loaded(code: str) -> dict[str, int]:
    """Module → microseconds, its own imports included, for every module that `code` imports.

    What any start of this interpreter imports (site, .pth files) is left out.
    """
    found = {}
    for source in ("pass", code):
        lines = python("-X", "importtime", "-c", source).stderr.splitlines()
        matches = filter(None, map(_IMPORTTIME.match, lines))
        found[source] = {match[3]: int(match[2]) for match in matches}
    return {name: cost for name, cost in found[code].items() if name not in found["pass"]}


def test_import_loads_the_standard_library_and_beampy_only(
    record_property: Callable[[str, object], None],
) -> None:
    modules = loaded("import beampy")
    assert "beampy" in modules
    own = {"beampy", *sys.stdlib_module_names}
    strangers = sorted(name for name in modules if name.partition(".")[0] not in own)
    assert not strangers, f"`import beampy` loads {strangers}"
    early = sorted(name for name in modules if name.partition(".")[0] in LATE)
    assert not early, f"`import beampy` loads {early}: import them where they are needed"
    record_property("import_beampy_ms", modules["beampy"] / 1000)


def test_importtime_is_read_as_it_is_written() -> None:
    modules = loaded("import asyncio.queues")
    assert {"asyncio", "asyncio.queues", "ssl"} <= modules.keys()
    assert not {"sys", "site"} & modules.keys()


def public_names() -> list[str]:
    return python("-c", "import beampy; print(*beampy.__all__, sep='\\n')").stdout.split()


def test_every_public_name_is_there() -> None:
    code = (
        "import beampy\n"
        "for name in beampy.__all__:\n"
        "    getattr(beampy, name)\n"
        "print(*sorted(set(beampy.__all__) - set(dir(beampy))))\n"
    )
    assert python("-c", code).stdout.split() == [], "public names that dir(beampy) does not list"


def test_each_public_name_can_be_the_first_that_is_used() -> None:
    # A fresh process for each would take minutes: a module is fresh once sys.modules forgot it.
    code = (
        "import sys, beampy\n"
        "for name in list(beampy.__all__):\n"
        "    for module in [m for m in sys.modules if m.partition('.')[0] == 'beampy']:\n"
        "        del sys.modules[module]\n"
        "    import beampy\n"
        "    getattr(beampy, name)\n"
    )
    python("-W", "error", "-c", code)


def test_an_unknown_name_is_an_attribute_error() -> None:
    beampy = pytest.importorskip("beampy")
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = beampy.no_such_name


def test_public_names_are_said_once() -> None:
    names = public_names()
    assert len(names) == len(set(names))
    assert not [name for name in names if name.startswith("_") and name != "__version__"]


def test_checkers_see_the_names_that_the_interpreter_sees() -> None:
    """What __init__ imports under TYPE_CHECKING is its __all__."""
    tree = ast.parse((ROOT / "beampy/__init__.py").read_text(encoding="utf-8"))
    typed = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom | ast.Import)
        for alias in statement.names
    }
    assert typed >= set(public_names()) - {"__version__"}


def test_public_surface_is_the_one_that_was_agreed() -> None:
    """A name that comes or goes shows in the diff of public_names.txt, where it is looked at."""
    agreed = PUBLIC_NAMES.read_text(encoding="utf-8").split() if PUBLIC_NAMES.exists() else []
    names = set(public_names())
    assert names == set(agreed), (
        f"\nnew: {sorted(names - set(agreed))}\ngone: {sorted(set(agreed) - names)}\n"
        f"If that is meant, write them down:\n  {WRITE_PUBLIC_NAMES}"
    )


def test_every_public_name_has_a_docstring() -> None:
    code = (
        "import beampy, types\n"
        "for name in beampy.__all__:\n"
        "    value = getattr(beampy, name)\n"
        "    kinds = type, types.FunctionType, types.ModuleType\n"
        "    if isinstance(value, kinds) and not (value.__doc__ or '').strip():\n"
        "        print(name)\n"
    )
    assert python("-c", code).stdout.split() == []
