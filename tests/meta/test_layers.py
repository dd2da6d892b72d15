"""The house's walls, held by reading every import (layers point downwards only).

The tables below are the rules: which part of beampy may import which, which modules are pure, where
each third-party package lives, how long a file may be; and everything outside beampy uses public
names only. Imports are read from the syntax tree, so one inside a function or under TYPE_CHECKING
counts like any other: a type is knowledge too. Nothing is imported here and nothing is run.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parents[2]

# Each part of beampy and the parts it may import, from the ground up: a row names rows above it,
# and `*` is all of those. A module belongs to the longest key that it lies in; a part may import
# itself, and naming a package names what is in it. A module of no part is a violation: place it.
LAYERS = {
    "version": "",
    "errors": "",
    "handle": "errors",
    "core.ids": "errors",
    "core.signals": "errors core.ids",
    "core.links": "errors core.ids core.signals",
    "core": "errors handle",
    "wire": "errors core.ids core.signals core.links",
    "api": "errors handle core",
    "dist": "errors handle core wire",
    "otp": "errors handle core api",
    "code": "errors handle core wire api otp",
    "refs": "errors handle core api otp code",
    "runtime": "*",
    "pool": "version errors handle core api dist otp code refs runtime",
    "frames": "errors handle core api otp code refs pool",
    "pool.frames_door": "frames",
    "serve": "errors handle core api otp code refs pool",
    "__init__": "*",
    "cli": "*",
    "__main__": "*",
    "notebook": "*",
    "observer": "*",
    "testing": "*",
}

# Modules that decide and do not act, and with them all that they import of beampy: time, nonces and
# seeds are arguments.
PURE = {
    "errors",
    "core.ids",
    "core.signals",
    "core.links",
    "otp.strategy",
    "wire",
    "code.manifest",
    "refs.identity",
    "refs.ledger",
    "refs.ledger_actions",
    "refs.ledger_messages",
    "refs.ledger_needs",
    "refs.ledger_tables",
    "pool.ticket",
    "pool.plan",
    "pool.plan_actions",
    "pool.plan_check",
    "pool.plan_fleet",
    "pool.plan_growth",
    "pool.plan_limits",
    "pool.plan_load",
    "pool.plan_rounds",
    "pool.plan_queue",
    "pool.scaling",
    "serve.batching",
}
IMPURE = {
    *("asyncio", "concurrent", "logging", "multiprocessing", "os", "queue", "random", "secrets"),
    *("select", "selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "threading"),
    *("_thread", "time"),
}

# Third-party package → its homes in beampy. One that has none is not used.
HOMES = {
    "IPython": {"notebook"},
    "aiohttp": {"observer", "pool.backends", "serve"},
    "anywidget": {"notebook"},
    "blockbuster": {"testing"},
    "cloudpickle": {"code.closures"},
    "comm": {"notebook"},
    "cryptography": {"dist.tls"},
    "dask": {
        *("frames.dask_back", "frames.dask_frames", "frames.dask_pool", "frames.dask_servers", "frames.dask_workers"),
    },
    "distributed": {
        *("frames.dask_back", "frames.dask_client", "frames.dask_cluster", "frames.dask_nearness", "frames.dask_pool"),
        *("frames.dask_servers", "frames.dask_workers"),
    },
    "hypothesis": {"testing"},
    "ipykernel": {"notebook"},
    "jedi": {"notebook"},
    "msgpack": {"refs.carriers", "refs.ledger_messages", "wire"},
    "numpy": {"wire.codec_arrow"},
    "opentelemetry": {"pool.context"},
    "pandas": {"frames"},
    "polars": {"frames", "wire.codec_arrow", "wire.codec_frames"},
    "pyarrow": {"frames", "wire.codec_arrow"},
    "pytest": {"testing"},
    "pytest_asyncio": {"testing"},
    "rich": {"pool.live", "pool.live_picture"},
    "torch": {"serve", "wire.codec_buffers"},
    "tornado": {"notebook"},
    "traitlets": {"notebook"},
    "uvloop": {"runtime"},
}

# What the trees beside beampy may import of it.
OUTSIDE = ("nodes", "examples", "benchmarks")
PUBLIC_MODULES = {
    *("beampy", "beampy.code", "beampy.errors", "beampy.frames", "beampy.otp", "beampy.refs", "beampy.testing"),
}
# Hot paths that no public name reaches are measured where they are.
MEASURED = {
    "benchmarks/channel.py": {"beampy.wire"},
    "benchmarks/codec.py": {"beampy.wire", "beampy.core.ids", "beampy.otp.messages"},
}

MAX_LINES = 500
# Path → why this file is longer. A waiver that is no longer needed is a violation.
LENGTH_WAIVERS: dict[str, str] = {}


@dataclass(frozen=True)
class Module:
    """One source file, under the dotted name it is imported by."""

    name: str
    path: Path
    tree: ast.Module
    lines: int

    @property
    def part(self) -> str:
        """Its name inside beampy: `core.ids` for beampy.core.ids, `__init__` for beampy itself."""
        return inside(self.name)


def inside(name: str) -> str:
    """The part of a dotted name after `beampy.`; the package itself is `__init__`."""
    return name.partition(".")[2] or "__init__"


def owner(part: str, keys: Iterable[str]) -> str | None:
    """The longest of `keys` that `part` is, or lies in."""
    found = [key for key in keys if part == key or part.startswith(f"{key}.")]
    return max(found, key=len, default=None)


def load(root: Path, tree: str) -> list[Module]:
    """Every Python file of one tree of the repository."""
    modules = []
    for path in sorted((root / tree).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        modules.append(Module(name, path.relative_to(root), ast.parse(text), text.count("\n")))
    return modules


def imports(module: Module, known: set[str]) -> Iterator[tuple[int, str]]:
    """(line, module) for each module that an import reaches.

    `from beampy import core` reaches beampy.core when that is one of the `known` modules, and
    `from beampy import spawn` reaches beampy.
    """
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(names=names):
                base = absolute(module, node)
                targets = [f"{base}.{alias.name}" for alias in names]
                reached = [target if target in known else base for target in targets]
                yield from ((node.lineno, target) for target in dict.fromkeys(reached))
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(target)), *_],
            ):
                yield node.lineno, target


def absolute(module: Module, node: ast.ImportFrom) -> str:
    """The absolute name of what an import statement imports from."""
    if not node.level:
        return node.module or ""
    package = module.name.split(".")
    drop = node.level - (module.path.name == "__init__.py")
    base = package[: len(package) - drop]
    return ".".join([*base, *([node.module] if node.module else [])])


# --- the rules: each takes the repository's root and yields "file:line: what is wrong" ----------


def layer_violations(root: Path) -> Iterator[str]:
    """Imports that do not point downwards, and modules without a place."""
    modules = load(root, "beampy")
    known = {module.name for module in modules}
    for module in modules:
        here = owner(module.part, LAYERS)
        if here is None:
            yield f"{module.path}: beampy.{module.part} is not in the table of layers"
            continue
        for line, target in imports(module, known):
            if target.partition(".")[0] != "beampy":
                continue
            if owner(inside(target), {here, *allowed(here)}) is None:
                yield f"{module.path}:{line}: {here} may not import {inside(target)}"


def allowed(row: str) -> set[str]:
    """The parts that a row of the table may import, itself aside."""
    rows = list(LAYERS)
    return set(rows[: rows.index(row)] if LAYERS[row] == "*" else LAYERS[row].split())


def purity_violations(root: Path) -> Iterator[str]:
    """Pure modules that reach for the world, or for a module of beampy that may."""
    modules = load(root, "beampy")
    known = {module.name for module in modules}
    for missing in sorted(PURE):
        package = f"beampy.{missing.partition('.')[0]}"
        if package in known and not any(owner(m.part, {missing}) for m in modules):
            yield f"beampy.{missing} is listed as pure and does not exist"
    reached = {module.name: [*imports(module, known)] for module in modules}
    pure = [module for module in modules if owner(module.part, PURE)]
    for module in pure:
        for line, target in reached[module.name]:
            # The pure ones speak for themselves: nothing is reported twice.
            world = impurity(target, reached, {module.name for module in pure})
            if world == target:
                yield f"{module.path}:{line}: a pure module may not import {target}"
            elif world:
                yield f"{module.path}:{line}: a pure module may not import {target}: it has {world}"


def impurity(name: str, reached: dict[str, list[tuple[int, str]]], seen: set[str]) -> str | None:
    """The first thing impure that is `name`, or that `name` imports, or that those import."""
    if name.partition(".")[0] in IMPURE:
        return name
    if name not in seen:
        seen.add(name)
        for _, target in reached.get(name, ()):
            if found := impurity(target, reached, seen):
                return found
    return None


def third_party_violations(root: Path) -> Iterator[str]:
    """Third-party imports away from home."""
    modules = load(root, "beampy")
    known = {module.name for module in modules}
    for module in modules:
        for line, target in imports(module, known):
            top = target.partition(".")[0]
            if top == "beampy" or top in sys.stdlib_module_names:
                continue
            homes = HOMES.get(top, set())
            if owner(module.part, homes) is None:
                where = " or ".join(sorted(homes)) or "nowhere"
                yield f"{module.path}:{line}: {top} is imported in {where}"


def public_violations(root: Path) -> Iterator[str]:
    """Private parts of beampy used by what stands beside it."""
    files = {module.name for module in load(root, "beampy") if module.name.count(".") == 1}
    internal = {name.partition(".")[2] for name in files - PUBLIC_MODULES}
    for module in (module for tree in OUTSIDE for module in load(root, tree)):
        aliases = set()
        for node in ast.walk(module.tree):
            match node:
                case ast.Import(names=names):
                    taken = [(alias.name, "") for alias in names]
                    aliases |= {a.asname or "beampy" for a in names if a.name == "beampy"}
                case ast.ImportFrom(names=names, module=str(base), level=0):
                    taken = [(base, alias.name) for alias in names]
                case _:
                    continue
            for base, name in taken:
                if any(owner(base, {home}) for home in MEASURED.get(module.path.as_posix(), ())):
                    continue
                if base.partition(".")[0] == "beampy" and (
                    base not in PUBLIC_MODULES or is_private(name) or (base == "beampy" and name in internal)
                ):
                    whole = f"{base}.{name}".rstrip(".")
                    yield f"{module.path}:{node.lineno}: {whole} is not a public name"
        for node in ast.walk(module.tree):
            match node:
                case ast.Attribute(value=ast.Name(id=alias), attr=attr) if alias in aliases and (
                    is_private(attr) or attr in internal
                ):
                    yield f"{module.path}:{node.lineno}: beampy.{attr} is not a public name"


def is_private(name: str) -> bool:
    """Whether a name has one leading underscore (`__version__` is for everybody)."""
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def length_violations(root: Path, waivers: dict[str, str]) -> Iterator[str]:
    """Files that hold more than one idea, by the crudest of measures."""
    modules = [module for tree in ("beampy", *OUTSIDE) for module in load(root, tree)]
    long = {str(module.path): module.lines for module in modules if module.lines > MAX_LINES}
    for path in sorted(long.keys() - waivers.keys()):
        yield f"{path}: {long[path]} lines, and {MAX_LINES} are enough: find the second idea in it"
    for path in sorted(waivers.keys() - long.keys()):
        yield f"{path}: has a waiver for its length and does not need it"


# --- the repository holds them -------------------------------------------------------------------


def expect_none(violations: Iterable[str]) -> None:
    found = list(violations)
    assert not found, "\n" + "\n".join(found)


def test_layers_point_downwards() -> None:
    expect_none(layer_violations(ROOT))


def test_pure_modules_stay_pure() -> None:
    expect_none(purity_violations(ROOT))


def test_third_party_packages_stay_at_home() -> None:
    expect_none(third_party_violations(ROOT))


def test_the_trees_beside_beampy_use_public_names() -> None:
    expect_none(public_violations(ROOT))


def test_files_are_short() -> None:
    expect_none(length_violations(ROOT, LENGTH_WAIVERS))


def test_a_row_names_rows_above_it_only() -> None:
    rows = list(LAYERS)
    for row, names in LAYERS.items():
        assert names == "*" or set(names.split()) <= set(rows[: rows.index(row)]), row


@pytest.mark.parametrize("part", ["core", "otp"])
def test_location_transparency_is_a_fact_of_the_imports(part: str) -> None:
    reached: set[str] = set()
    todo = {part}
    while todo:
        row = todo.pop()
        reached.add(row)
        todo |= allowed(row) - reached
    assert not reached & {"wire", "dist", "runtime"}


# --- and the rules find what breaks them ---------------------------------------------------------

GOOD = {
    "beampy/__init__.py": "from beampy.api import spawn",
    "beampy/errors.py": "import re",
    "beampy/api.py": "from beampy.core import node\nfrom . import errors",
    "beampy/runtime.py": "def run():\n    import uvloop\n    from beampy.otp import server",
    "beampy/core/__init__.py": "",
    "beampy/core/ids.py": "from ..errors import BadName",
    "beampy/core/signals.py": "from beampy.core.ids import Pid",
    "beampy/core/links.py": "from .signals import Down",
    "beampy/core/node.py": "import asyncio, time\nfrom .links import Links",
    "beampy/otp/__init__.py": "from .server import Server",
    "beampy/otp/server.py": "from beampy import api\nfrom beampy.core.ids import Pid",
    "beampy/otp/child.py": "from beampy.errors import BadSpec",
    "beampy/otp/strategy.py": "from beampy.core import ids\nfrom .child import ChildSpec",
    "beampy/testing/plugin.py": "import pytest, beampy\nfrom beampy.runtime import run",
    "nodes/app/node.py": "from beampy import Node, __version__",
    "examples/tour.py": "import os\nimport beampy as bp\nimport rich\nbp.spawn(bp.otp)",
    "benchmarks/call.py": "from beampy.otp import Server, groups\nimport beampy.testing",
}


def every_violation(root: Path) -> list[str]:
    return [
        *layer_violations(root),
        *purity_violations(root),
        *third_party_violations(root),
        *public_violations(root),
        *length_violations(root, {}),
    ]


def build(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def test_a_good_tree_is_accepted(tmp_path: Path) -> None:
    expect_none(every_violation(build(tmp_path, GOOD)))


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        # layers
        ("beampy/errors.py", "import beampy.core.ids", "errors may not import core.ids"),
        ("beampy/core/ids.py", "from . import signals", "core.ids may not import core.signals"),
        ("beampy/core/node.py", "from beampy import api", "core may not import api"),
        ("beampy/core/node.py", "import beampy", "core may not import __init__"),
        ("beampy/core/node.py", "from ..wire import frame", "core may not import wire"),
        (
            "beampy/core/node.py",
            "def f():\n    import beampy.dist.tls",
            ":2: core may not import dist",
        ),
        ("beampy/otp/server.py", "from beampy.dist import peers", "otp may not import dist"),
        ("beampy/otp/server.py", "from beampy.runtime import run", "otp may not import runtime"),
        (
            "beampy/otp/server.py",
            "import_module('beampy.wire.codec')",
            "otp may not import wire.codec",
        ),
        ("beampy/otp/__init__.py", "from ..runtime import run", "otp may not import runtime"),
        ("beampy/runtime.py", "import beampy.testing.plugin", "runtime may not import testing"),
        ("beampy/runtime.py", "from beampy.utils import x", "runtime may not import utils"),
        (
            "beampy/core/node.py",
            "if TYPE_CHECKING:\n    from beampy.otp.server import Server",
            ":2: core may not import otp.server",
        ),
        ("beampy/utils.py", "", "beampy.utils is not in the table"),
        ("beampy/otpx/server.py", "", "beampy.otpx.server is not in the table"),
        # purity
        ("beampy/core/ids.py", "import time", ":1: a pure module may not import time"),
        ("beampy/core/links.py", "from asyncio import Future", "may not import asyncio"),
        ("beampy/errors.py", "import os.path", "may not import os"),
        ("beampy/otp/strategy.py", "def f():\n    import random", ":2: a pure module may not"),
        (
            "beampy/otp/strategy.py",
            "from beampy.core import node",
            "import beampy.core.node: it has asyncio",
        ),
        # third-party packages
        ("beampy/core/node.py", "import uvloop", "uvloop is imported in runtime"),
        ("beampy/otp/server.py", "import msgpack", "msgpack is imported in refs.carriers or refs.ledger_messages or w"),
        ("beampy/api.py", "from requests import get", "requests is imported in nowhere"),
        # public names
        ("examples/tour.py", "import beampy.core.node", "beampy.core.node is not a public name"),
        ("examples/tour.py", "from beampy.api import spawn", "beampy.api.spawn is not a public"),
        ("examples/tour.py", "from beampy import api", "beampy.api is not a public name"),
        ("examples/tour.py", "from beampy import _lazy", "beampy._lazy is not a public name"),
        (
            "examples/tour.py",
            "import beampy as bp\nbp.core.node",
            ":2: beampy.core is not a public",
        ),
        ("nodes/app/node.py", "import beampy\nbeampy._current()", ":2: beampy._current is not"),
        (
            "nodes/app/node.py",
            "from beampy.otp.server import Server",
            "beampy.otp.server.Server is",
        ),
        ("benchmarks/call.py", "from beampy.otp import _call", "beampy.otp._call is not a public"),
        # length
        ("beampy/api.py", "\n" * 501, "beampy/api.py: 501 lines"),
        ("examples/tour.py", "\n" * 501, "examples/tour.py: 501 lines"),
    ],
)
def test_a_bad_file_is_reported(tmp_path: Path, path: str, text: str, complaint: str) -> None:
    found = every_violation(build(tmp_path, GOOD | {path: text}))
    assert found, "nothing was reported"
    assert all(line.startswith(path) for line in found), found
    assert any(complaint in line for line in found), found


def test_a_pure_module_that_went_away_is_reported(tmp_path: Path) -> None:
    root = build(tmp_path, GOOD)
    (root / "beampy/otp/strategy.py").unlink()
    assert every_violation(root) == ["beampy.otp.strategy is listed as pure and does not exist"]


def test_a_waiver_covers_a_long_file_and_no_short_one(tmp_path: Path) -> None:
    root = build(tmp_path, GOOD | {"beampy/api.py": "\n" * 501})
    expect_none(length_violations(root, {"beampy/api.py": "a reason"}))
    found = list(length_violations(root, {"beampy/api.py": "", "beampy/errors.py": ""}))
    assert found == ["beampy/errors.py: has a waiver for its length and does not need it"]
