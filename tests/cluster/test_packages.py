"""Real packages, installed at the origin only: whole programs that use them run on a node without them.

What each gives is compared with what it gives at the origin.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy.otp.rpc import remote_call
from beampy.testing.cluster import Cluster, ClusterNode
from tests.cluster.environments import PINNED, ROOT, Environment, kept

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

APP = "tests.cluster.packages_app"
NAMES = ["networkx", "sympy", "jinja2", "rich", "sqlglot", "lark", "certifi", "tzdata", "tests"]
call = remote_call.options(timeout=60.0)


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> Environment:
    """A Python that has all the packages."""
    return kept(request.config.cache.mkdir("beampy-environments"), PINNED)


@pytest.fixture(scope="session")
def bare(request: pytest.FixtureRequest) -> Environment:
    """A Python that has none."""
    return kept(request.config.cache.mkdir("beampy-environments"), ())


class Nodes:
    """The node `a`, which has the packages, and others that have not."""

    def __init__(self, cluster: Cluster, full: Environment, bare: Environment, caches: Path) -> None:
        self._cluster = cluster
        self._full = full
        self._bare = bare
        self.caches = caches
        self.a: ClusterNode | None = None

    async def origin(self) -> None:
        options = {**self._full.options, "bare": None}
        env = {"PYTHONPATH": str(ROOT), "BEAMPY_CODE_CACHE": str(self.caches / "a")}
        self.a = await self._cluster.start("a", env=env, **options)

    async def other(self, name: str = "b", **options: Any) -> ClusterNode:
        env = {"PYTHONPATH": "", "BEAMPY_CODE_CACHE": str(self.caches / "b")}
        env["BEAMPY_ENVIRONMENTS"] = str(self.caches / "environments")
        return await self._cluster.start(name, env=env, **self._bare.options, **options)

    async def run(self, function: str, *args: Any) -> Any:
        """A function of the app, at the origin."""
        return await call("a@127.0.0.1", f"{APP}.{function}", *args)


@pytest.fixture
async def nodes(full: Environment, bare: Environment, tmp_path: Path) -> AsyncIterator[Nodes]:
    async with Cluster() as cluster, bp.Node("test@127.0.0.1", cookie=cluster.cookie):
        nodes = Nodes(cluster, full, bare, tmp_path)
        await nodes.origin()
        yield nodes


@pytest.mark.parametrize(
    "figures",
    [
        "networkx_figures",
        "sympy_figures",
        "jinja2_pages",
        "rich_text",
        "sqlglot_dialects",
        "lark_tree",
        "zones",
        "certificates",
        "described",
    ],
)
async def test_the_same_as_at_the_origin(nodes: Nodes, figures: str):
    b = await nodes.other()
    assert await nodes.run("missing_there", b.name, NAMES) == NAMES
    here, there = await nodes.run("both", b.name, figures)
    assert there == here


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("graphs", [True, True, True, True, "No path between 0 and 7."]),
        ("expressions", [True, True, "SympifyError", {2: 3, 3: 2, 5: 1}]),
        ("tables", [True, "closing tag '[/b]' at position 0 doesn't match any open tag"]),
        ("statements", [True, True, "Expecting )"]),
        ("templates", ["<b>&lt;&amp;&gt;</b>", True, ["Expected an expression, got 'end of statement block'", 1]]),
        ("cells", [True, True, True, ("5*x**4", "Double(x) + 10", "5", True, "1.3.1")]),
    ],
)
async def test_their_classes_go_there_and_come_back(nodes: Nodes, function: str, expected: Any):
    b = await nodes.other()
    assert await nodes.run(function, b.name) == expected


async def test_imports_on_the_thread_of_the_event_loop(nodes: Nodes):
    b = await nodes.other()
    here, there = await nodes.run("on_the_loop_there", b.name)
    assert there == here == [["SELECT COALESCE(a, 1)"], 7]


async def test_a_second_process_has_it_from_disk(nodes: Nodes):
    received = []
    for name in ("b", "c"):
        node = await nodes.other(name)
        await nodes.run("watch_there", node.name)
        here, there = await nodes.run("both", node.name, "sqlglot_dialects")
        assert there == here
        asked = await nodes.run("watched_there", node.name)
        assert len(asked) <= 10, asked  # of some 150 modules
        received.append(sum(source + code for _, source, code in asked))
        assert (await nodes.run("both", node.name, "sqlglot_dialects"))[1] == here
        assert await nodes.run("watched_there", node.name) == []
        node.terminate()
        await node.wait()
    assert received[0] > 1_000_000
    assert received[1] == 0


@pytest.mark.slow
async def test_packages_that_are_installed_from_the_index(nodes: Nodes, bare: Environment):
    if not bare.link(("pip",)):
        pytest.skip("the environment of the tests has no pip")
    b = await nodes.other(packages="install")
    here, there = await nodes.run("both", b.name, "jinja2_pages")
    assert there == here
    compiled = await nodes.run("use_there", b.name, "markupsafe._speedups", "__file__")
    assert compiled.startswith(str(nodes.caches / "environments"))
    made = list((nodes.caches / "environments").iterdir())
    again = await nodes.other("c", packages="install")
    assert (await nodes.run("both", again.name, "jinja2_pages"))[1] == here
    assert list((nodes.caches / "environments").iterdir()) == made
    assert await nodes.run("use_there", again.name, "markupsafe._speedups", "__file__") == compiled
