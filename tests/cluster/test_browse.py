"""Looking at the code of a node in another process, which has files that this one has not."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy.code import browse
from beampy.otp.rpc import remote_call
from beampy.testing import cluster as clusters
from beampy.testing.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

ME = "test@127.0.0.1"
ZOO = '''
"""Animals."""
raise SystemExit("it was imported")

class Lion:
    """A cat."""

    def roar(self, loud: bool = True) -> bytes:
        """It does."""
        return b"!"
'''
LOADED = '''
"""A module that is imported there."""
from functools import partial

class Trap:
    """Looks at nothing."""

    def __getattr__(self, name):
        print("it ran", name, flush=True)
        raise ValueError(name)

    __repr__ = __dir__ = lambda self: print("it ran", flush=True)

trap = Trap()
twice = partial(pow, 2)

def add(a, b: int = 2):
    return a + b
'''


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Any]:
    """A node that has two modules more, and runs one of them."""
    (tmp_path / "browsed_zoo").mkdir()
    (tmp_path / "browsed_zoo" / "__init__.py").write_text("raise SystemExit('it was imported')\n")
    (tmp_path / "browsed_zoo" / "cats.py").write_text(textwrap.dedent(ZOO))
    (tmp_path / "browsed_app.py").write_text(textwrap.dedent(LOADED))
    path = os.pathsep.join([clusters._import_path(), str(tmp_path)])
    async with Cluster() as cluster, bp.Node(ME):
        node = await cluster.start("b", env={"PYTHONPATH": path})
        assert await remote_call(node.name, "browsed_app.add", 1) == 3
        yield node
        assert "it ran" not in node.output
        assert await remote_call(node.name, "builtins.len", "abc") == 3  # it goes on


async def test_a_node_that_has_what_this_one_has_not(there: Any):
    assert await browse.modules(there.name, "browsed_") == ["browsed_app", "browsed_zoo"]
    assert await browse.modules(there.name, "browsed_zoo.") == ["browsed_zoo.cats"]
    assert "browsed_app" not in sys.modules

    found = await browse.names(there.name, "browsed_app")
    assert [name for name in found if name.name not in ("partial", "twice")] == [
        browse.Name("Trap", "class", "()", "Looks at nothing."),
        browse.Name("add", "function", "(a, b: int = 2)"),
        browse.Name("trap", "value", None, "Looks at nothing."),
    ]
    assert [name.kind for name in found if name.name in ("partial", "twice")] == ["class", "function"]
    assert await browse.names(there.name, "browsed_app:trap") == []
    add = await browse.source(there.name, "browsed_app.add")
    assert add.text == "def add(a, b: int = 2):\n    return a + b\n"
    assert add.file.endswith("/browsed_app.py")

    assert await browse.names(there.name, "browsed_zoo.cats.Lion") == [
        browse.Name("roar", "method", "(self, loud: bool = True) -> bytes", "It does.")
    ]
    assert await browse.signature(there.name, "browsed_zoo.cats:Lion.roar") == "(self, loud: bool = True) -> bytes"
    assert await browse.doc(there.name, "browsed_zoo.cats") == "Animals."
    assert (await browse.source(there.name, "browsed_zoo.cats.Lion")).line == 5


async def test_errors_come_from_there(there: Any):
    with pytest.raises(LookupError, match="nothing is named tests_of_nobody on this node"):
        await browse.names(there.name, "tests_of_nobody")
    with pytest.raises(OSError, match=r"no source of browsed_app\.trap: it is a value"):
        await browse.source(there.name, "browsed_app.trap")


async def test_what_only_the_caller_has_is_not_found_there(there: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    here = tmp_path / "here"
    here.mkdir()
    (here / "browsed_here.py").write_text("'Only here.'")
    monkeypatch.syspath_prepend(here)
    assert await browse.doc(ME, "browsed_here") == "Only here."
    with pytest.raises(LookupError, match="no module browsed_here is there"):
        await browse.doc(there.name, "browsed_here")


async def test_from_a_thread_and_many_at_once(there: Any):
    def ask() -> list[str]:
        return browse.modules(there.name, "browsed_").result(timeout=10)

    assert await asyncio.to_thread(ask) == ["browsed_app", "browsed_zoo"]
    many = await asyncio.gather(*(browse.names(there.name, "browsed_zoo.cats") for _ in range(50)))
    assert all(names == many[0] for names in many)
    assert [name.name for name in many[0]] == ["Lion"]
