"""What a node does about code and packages that it has not: refuse, load, install; and what it says when it differs.

The packages are made by hand, but for pip, which installs them, and Python, which is of other minor versions.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sysconfig
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import beampy as bp
from beampy.code.shipped import MISSED
from beampy.errors import CodeRefused, MissingPackage, VersionSkew
from beampy.otp.rpc import remote_call
from beampy.testing.cluster import Cluster, ClusterNode
from tests.cluster.environments import ROOT, Environment, kept, other_pythons
from tests.unit.code.wheels import installed, offline, wheel

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

APP = "tests.cluster.packages_app"
SHAPES = {
    "shapes/__init__.py": "from shapes.round import area\n__version__ = '1.2'\n",
    "shapes/round.py": "def area(r): return 3 * r * r\nclass Disc:\n    def area(self): return area(2)\n",
    "shapes/late.py": "def corners(): return 4\n",
}
call = remote_call.options(timeout=60.0)


@pytest.fixture(scope="session")
def bare(request: pytest.FixtureRequest) -> Environment:
    """A Python that has what beampy needs."""
    return kept(request.config.cache.mkdir("beampy-environments"), ())


class Nodes:
    """The node `a`, from which the tests have code sent, and others. Each has a place for packages of its own."""

    def __init__(self, cluster: Cluster, bare: Environment, folder: Path) -> None:
        self.cluster = cluster
        self.bare = bare
        self.folder = folder

    def site(self, name: str) -> Path:
        """Where the packages of a node are."""
        place = self.folder / name / "site-packages"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def local(self, name: str, files: dict[str, str]) -> Path:
        """A directory of modules that are no packages of an index."""
        place = self.folder / name / "local"
        for path, text in files.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(textwrap.dedent(text))
        return place

    async def start(
        self, name: str, env: dict[str, str] | None = None, python: Environment | None = None, **options: Any
    ) -> ClusterNode:
        paths = [str(self.site(name)), str(self.folder / name / "local")]
        if name == "a":
            paths.append(str(ROOT))
        variables = {
            "PYTHONPATH": os.pathsep.join(paths),
            "BEAMPY_CODE_CACHE": str(self.folder / name / "cache"),
            "BEAMPY_ENVIRONMENTS": str(self.folder / "environments"),
            "PATH": os.environ.get("PATH", ""),
        }
        environment = python or self.bare
        return await self.cluster.start(name, env=variables | (env or {}), **environment.options, **options)

    async def run(self, function: str, *args: Any) -> Any:
        """A function of the app, at the origin."""
        return await call("a@127.0.0.1", f"{APP}.{function}", *args)


@pytest.fixture
async def nodes(bare: Environment, tmp_path: Path) -> AsyncIterator[Nodes]:
    async with Cluster() as cluster, bp.Node("test@127.0.0.1", cookie=cluster.cookie):
        yield Nodes(cluster, bare, tmp_path)


# ---- packages ----


async def test_off_says_what_to_do(nodes: Nodes):
    installed(nodes.site("a"), "shapes", "1.2", SHAPES)
    await nodes.start("a")
    b = await nodes.start("b", packages="off")
    with pytest.raises(MissingPackage, match=r"has no shapes 1\.2"):
        await nodes.run("itself_there", b.name, "shapes.round", "area", 2)
    with pytest.raises(MissingPackage, match=r"has no shapes 1\.2"):
        await nodes.run("discs_there", b.name)
    with pytest.raises(MissingPackage) as caught:
        await nodes.run("use_there", b.name, "shapes.round", "area", 2)
    error = caught.value
    assert (error.name, error.package, error.version) == ("shapes", "shapes", "1.2")
    assert (error.node, error.origin) == ("b@127.0.0.1", "a@127.0.0.1")
    assert str(error).replace(str(nodes.bare.python), "python") == (
        "b@127.0.0.1 has no shapes 1.2, which a@127.0.0.1 uses (module shapes): this node neither loads packages from "
        "others nor installs them. Run on b@127.0.0.1: python -m pip install 'shapes==1.2'"
    )


async def test_pure_loads_it_and_says_which_of_its_modules_is_compiled(nodes: Nodes):
    compiled = f"shapes/fast{sysconfig.get_config_var('EXT_SUFFIX')}"
    installed(nodes.site("a"), "shapes", "1.2", {**SHAPES, "shapes/slow.py": "from shapes import fast\n"})
    installed(nodes.site("a"), "quick", "3", {"quick/__init__.py": "from quick import core\n"})
    extension = _an_extension()
    shutil.copy(extension, nodes.site("a") / compiled)
    shutil.copy(extension, nodes.site("a") / f"quick/core{sysconfig.get_config_var('EXT_SUFFIX')}")
    await nodes.start("a")
    b = await nodes.start("b", packages="pure")
    assert await nodes.run("use_there", b.name, "shapes.round", "area", 2) == 12
    for module, package in (("quick", "quick 3"), ("shapes.fast", "shapes 1.2"), ("shapes.slow", "shapes 1.2")):
        with pytest.raises(ImportError, match=package) as caught:
            await nodes.run("use_there", b.name, module, "anything")
        said = str(caught.value)
        assert re.search(r"is compiled", said), said
        assert said.endswith(f"-m pip install '{package.replace(' ', '==')}'"), said
    assert await nodes.run("use_there", b.name, "shapes.late", "corners") == 4


def _an_extension() -> Path:
    """A compiled module, whose content does not matter: it is never loaded."""
    for place in (sysconfig.get_path("platlib"), f"{sysconfig.get_path('platstdlib')}/lib-dynload"):
        for each in sorted(Path(place).rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}")):
            return each
    raise LookupError("this Python has no compiled modules")


async def test_a_package_that_is_installed_at_the_origin_after_its_start(nodes: Nodes):
    nodes.site("a")
    await nodes.start("a")
    b = await nodes.start("b")
    with pytest.raises(ModuleNotFoundError):
        await nodes.run("use_there", b.name, "shapes.round", "area", 2)
    installed(nodes.site("a"), "shapes", "1.2", SHAPES)
    await asyncio.sleep(MISSED)
    assert await nodes.run("use_there", b.name, "shapes.round", "area", 2) == 12


async def test_a_package_that_is_installed_there_after_its_start_is_used(nodes: Nodes):
    installed(nodes.site("a"), "shapes", "1.2", SHAPES)
    await nodes.start("a")
    b = await nodes.start("b", packages="off")
    with pytest.raises(MissingPackage):
        await nodes.run("use_there", b.name, "shapes.round", "area", 2)
    theirs = {**SHAPES, "shapes/round.py": SHAPES["shapes/round.py"].replace("3 *", "3.5 *")}
    installed(nodes.site("b"), "shapes", "1.2", theirs)
    assert await nodes.run("use_there", b.name, "shapes.round", "area", 2) == 14


async def test_install_with_pip_and_once_for_all_nodes_of_a_user(nodes: Nodes, tmp_path: Path):
    if not nodes.bare.link(("pip",)):
        pytest.skip("the environment of the tests has no pip")
    wheels = tmp_path / "wheels"
    wheel(wheels, "shapes", "1.2", SHAPES, ("colours>=2",))
    wheel(wheels, "shapes", "1.3", SHAPES)
    wheel(wheels, "colours", "2.1", {"colours.py": "def red(): return 'colours 2.1'\n"})
    installed(nodes.site("a"), "shapes", "1.2", SHAPES)
    await nodes.start("a")
    variables = offline(wheels)
    b = await nodes.start("b", variables, packages="install")
    assert await nodes.run("use_there", b.name, "shapes.round", "area", 2) == 12
    file = await nodes.run("use_there", b.name, "shapes", "__file__")
    assert file.startswith(str(tmp_path / "environments"))
    assert await nodes.run("use_there", b.name, "colours", "red") == "colours 2.1"
    shutil.rmtree(wheels)
    again = await nodes.start("c", offline(wheels), packages="install")
    assert await nodes.run("use_there", again.name, "shapes", "__file__") == file
    assert len([each for each in (tmp_path / "environments").iterdir() if each.is_dir()]) == 1


async def test_install_that_fails_says_why(nodes: Nodes, tmp_path: Path):
    if not nodes.bare.link(("pip",)):
        pytest.skip("the environment of the tests has no pip")
    (tmp_path / "wheels").mkdir()
    installed(nodes.site("a"), "shapes", "1.2", SHAPES)
    await nodes.start("a")
    b = await nodes.start("b", offline(tmp_path / "wheels"), packages="install")
    with pytest.raises(MissingPackage, match=r"No matching distribution found for shapes==1\.2"):
        await nodes.run("use_there", b.name, "shapes.round", "area", 2)
    assert await nodes.run("use_there", b.name, "json", "dumps", [1]) == "[1]"


# ---- a node that takes no code ----

EQUAL = {"equal.py": "def double(x): return 2 * x\nclass Point:\n    x = 1\n"}


async def test_no_code_is_taken(nodes: Nodes):
    nodes.local("a", {**EQUAL, "mine.py": "def triple(x): return 3 * x\n"})
    nodes.local("b", EQUAL)
    installed(nodes.site("a"), "shapes", "1.2", SHAPES)
    installed(nodes.site("b"), "shapes", "1.2", SHAPES)
    await nodes.start("a")
    b = await nodes.start("b", accept_code=False)
    for what, refused in (
        (("cell_there", "def cell(): return 1", "cell"), "cell of a@127.0.0.1"),
        (("cell_there", "cell = lambda: 1", "cell"), "<lambda> of a@127.0.0.1"),
        (
            ("cell_there", "import functools\ndef f(x): return x\ncell = functools.partial(f, 1)", "cell"),
            "f of a@127.0.0.1",
        ),
        (("cell_there", "class C:\n    def m(self): return 1\ncell = C().m", "cell"), "C of a@127.0.0.1"),
        (("itself_there", "mine", "triple", 2), "mine.triple"),
        (("use_there", "json", "dumps", 1), f"{APP}.use"),
    ):
        with pytest.raises(CodeRefused) as caught:
            await nodes.run(what[0], b.name, *what[1:])
        error = caught.value
        assert error.node == b.name
        assert error.what == refused
        assert str(error).startswith(f"b@127.0.0.1 accepts no code from other nodes, and it needs {error.what}.")
    assert await nodes.run("itself_there", b.name, "equal", "double", 2) == 4
    assert await nodes.run("itself_there", b.name, "shapes.round", "area", 2) == 12
    assert await nodes.run("itself_there", b.name, "json", "dumps", [1]) == "[1]"
    assert await nodes.run("name_there", b.name, "equal.double", 3) == 6
    assert await nodes.run("name_there", b.name, "os.path.basename", "/a/b") == "b"
    with pytest.raises(CodeRefused, match=r"it needs mine\.triple\."):
        await nodes.run("name_there", b.name, "mine.triple", 2)
    with pytest.raises(CodeRefused, match=r"it needs cell of a@127\.0\.0\.1"):
        await nodes.run("spawned_there", b.name, "def cell(): return 1", "cell")


# ---- versions that differ ----

NEWER = {
    "shapes/__init__.py": "__version__ = '1.3'\n",
    "shapes/round.py": SHAPES["shapes/round.py"] + "def edge(r): return 6 * r\nclass Ring:\n    pass\nring = Ring()\n",
    "shapes/late.py": SHAPES["shapes/late.py"],
    "shapes/later.py": "def none(): return 0\n",
}
LOADS_IT = {"loads_it.py": "import shapes, beampy as bp\nasync def main(): await bp.receive()\n"}


async def test_what_differs_is_said_at_connect_and_raised_where_it_matters(nodes: Nodes):
    installed(nodes.site("a"), "shapes", "1.3", NEWER)
    installed(nodes.site("b"), "shapes", "1.2", SHAPES)
    nodes.local("a", LOADS_IT)
    a = await nodes.start("a", app="loads_it:main")
    b = await nodes.start("b")
    assert await nodes.run("itself_there", b.name, "shapes.round", "area", 2) == 12
    said = await a.says("INFO beampy.code: b@127.0.0.1 runs ")
    assert said == "INFO beampy.code: b@127.0.0.1 runs shapes 1.2 (here: 1.3)"
    remedy = f"Run on b@127.0.0.1: {nodes.bare.python} -m pip install 'shapes==1.3'"
    cell = "from shapes.round import edge\ndef cell(): return edge(1)"
    for what, named in (
        (("itself_there", "shapes.round", "edge", 2), "shapes.round.edge"),
        (("itself_there", "shapes.later", "none"), "shapes.later"),
        (("name_there", "shapes.round.edge", 2), "shapes.round.edge"),
        (("sent_there", "shapes.round", "ring"), "shapes.round.Ring"),
        (("cell_there", cell, "cell"), "shapes.round.edge"),
    ):
        with pytest.raises(VersionSkew) as caught:
            await nodes.run(what[0], b.name, *what[1:])
        assert str(caught.value) == (
            f"'{named}' cannot be used on b@127.0.0.1, which has shapes 1.2: a@127.0.0.1 has shapes 1.3. {remedy}"
        )
    with pytest.raises(AttributeError):  # which neither has
        await nodes.run("name_there", b.name, "shapes.round.corner", 2)


async def test_equal_nodes_have_nothing_to_say(nodes: Nodes):
    for name in ("a", "b"):
        installed(nodes.site(name), "shapes", "1.2", SHAPES)
    a = await nodes.start("a")
    b = await nodes.start("b")
    assert await nodes.run("itself_there", b.name, "shapes.round", "area", 2) == 12
    assert "beampy.code" not in a.output + b.output


@pytest.mark.parametrize("python", other_pythons() or [None], ids=lambda each: each.name if each else "none")
async def test_another_minor_version_runs_local_code_from_source(
    nodes: Nodes, request: pytest.FixtureRequest, python: Path | None
):
    if python is None:
        pytest.skip("there is no other Python that beampy runs on")
    other = kept(request.config.cache.mkdir("beampy-environments"), (), python)
    local = {
        "local/__init__.py": "from local.parts import Part\n",
        "local/parts.py": """
            from dataclasses import dataclass
            import sys
            @dataclass
            class Part:
                size: int
                def doubled(self): return Part(self.size * 2)
            def where(): return sys.version_info[:2], [n * 2 for n in range(3)], where.__code__.co_filename
        """,
    }
    place = nodes.local("a", local)
    a = await nodes.start("a")
    b = await nodes.start("b", python=other)
    await nodes.run("watch_there", b.name)
    version, doubled, file = await nodes.run("itself_there", b.name, "local.parts", "where")
    assert f"python{version[0]}.{version[1]}" == python.name
    assert (doubled, file) == ([0, 2, 4], str(place / "local" / "parts.py"))
    assert all(compiled == 0 for _, _, compiled in await nodes.run("watched_there", b.name))
    assert await nodes.run("sizes_there", b.name, "local", "Part", 4) == [8, True]
    cell = "def cell(n):\n    return sum(x * x for x in range(n))\n"
    assert await nodes.run("cell_there", b.name, cell, "cell", 4) == 14
    assert re.search(rf"INFO beampy.code: b@127.0.0.1 runs Python {version[0]}\.{version[1]}\.\d+", a.output)


# ---- an origin that is gone ----


async def test_code_goes_on_when_its_origin_was_killed(bare: Environment, tmp_path: Path):
    async with Cluster() as cluster, bp.Node("test@127.0.0.1", cookie=cluster.cookie):
        nodes = Nodes(cluster, bare, tmp_path)
        nodes.local(
            "a",
            {
                "kept.py": """
                    import asyncio, sys
                    import beampy as bp

                    def work():
                        import fetched
                        return fetched.more()

                    async def serve(to):
                        bp.register("kept", bp.self())
                        bp.send(to, "serving")
                        async for sender, what in bp.mailbox():
                            try:
                                answer = await asyncio.to_thread(globals()[what])
                            except Exception as error:
                                answer = type(error).__name__, str(error)
                            bp.send(sender, (what, answer))

                    def new():
                        import importlib
                        importlib.import_module("never_" + "fetched")  # or it had come along
                """,
                "fetched.py": "def more():\n    from fetched_too import MORE\n    return MORE\n",
                "fetched_too.py": "MORE = 'more'\n",
                "never_fetched.py": "",
            },
        )
        a = await nodes.start("a")
        b = await nodes.start("b")
        bp.monitor_node(a.name)
        await nodes.run("serve_there", b.name, bp.self())
        assert await bp.receive(timeout=10) == "serving"
        bp.send(("kept", b.name), (bp.self(), "work"))
        assert await bp.receive(timeout=10) == ("work", "more")
        a.kill()
        assert isinstance(await bp.receive(timeout=10), bp.NodeDown)
        await b.says("a@127.0.0.1", count=2)
        bp.send(("kept", b.name), (bp.self(), "work"))
        assert await bp.receive(timeout=10) == ("work", "more")
        bp.send(("kept", b.name), (bp.self(), "new"))
        what, (kind, said) = await bp.receive(timeout=40)
        assert (what, kind) == ("new", "OriginLost")
        assert said.startswith("module never_fetched is needed from a@127.0.0.1, which does not answer: "), said


async def test_code_that_both_have_and_its_package_only_one(nodes: Nodes):
    both = {"user.py": "def now():\n    import shapes.round\n    return shapes.round.area(2)\n"}
    installed(nodes.site("a"), "shapes", "1.2", SHAPES)
    for name in ("a", "b"):
        nodes.local(name, both)
    await nodes.start("a")
    b = await nodes.start("b")
    assert await nodes.run("itself_there", b.name, "user", "now") == 12


async def test_two_origins_with_different_versions_of_a_package(nodes: Nodes):
    older = {**SHAPES, "shapes/round.py": SHAPES["shapes/round.py"].replace("3 *", "3.5 *")}
    installed(nodes.site("a"), "shapes", "1.2", SHAPES)
    installed(nodes.site("c"), "shapes", "1.1", older)
    await nodes.start("a")
    user = "from shapes.round import area\ndef now():\n    import shapes\n    return area(2), shapes.area(2)\n"
    local = nodes.local("c", {"others.py": user})
    c = await nodes.start("c", {"PYTHONPATH": os.pathsep.join([str(nodes.site("c")), str(local), str(ROOT)])})
    b = await nodes.start("b")
    run_c = lambda function, *args: call(c.name, f"{APP}.{function}", *args)  # noqa: E731
    for _ in range(2):
        assert await nodes.run("use_there", b.name, "shapes.round", "area", 2) == 12
        assert await run_c("use_there", b.name, "shapes.round", "area", 2) == 14
        assert await nodes.run("itself_there", b.name, "shapes.round", "area", 2) == 12
        assert await run_c("itself_there", b.name, "shapes.round", "area", 2) == 14
        assert await run_c("itself_there", b.name, "others", "now") == (14, 14)
        assert await nodes.run("discs_there", b.name) == [True, 12]
        assert await run_c("discs_there", b.name) == [True, 14]
