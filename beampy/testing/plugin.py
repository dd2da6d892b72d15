"""The pytest plugin: asyncio tests on several event loops, with seeds, and leak checks.

Rule: it does nothing to a project that does not ask. Installing beampy loads it (entry point
`pytest11`); it registers its options, and everything else when an option is set or a test is
marked. Importing it imports pytest alone.

    [tool.pytest.ini_options]
    beampy_loops = ["asyncio", "uvloop", "sim"]   # each asyncio test runs on each of these
    beampy_leaks = true                           # see beampy.testing.leaks

    @pytest.mark.loops("sim")                     # this one on these only
    async def test_a_day() -> None:
        await asyncio.sleep(86400)

A loop is "asyncio", "sim" (beampy.testing.simloop, with the seed of `--beampy-seed`) or a module
that has `new_event_loop` (uvloop); where the module is missing its tests are skipped.
`--beampy-seeds N` runs the tests on "sim" N times, with as many seeds. A failing test on "sim"
says its seed and the command that replays it.

Place: testing, over pytest-asyncio (1.5 or later), whose hook takes the loop factories.
"""

from __future__ import annotations

import functools
import os
import shlex
import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

_MATRIX = "beampy-loops"
_LEAKS = "beampy-leaks"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("beampy", "beampy: the simulated event loop")
    group.addoption("--beampy-seed", type=int, default=0, metavar="N", help="the simulator's (first) seed")
    group.addoption(
        "--beampy-seeds",
        type=int,
        default=None,
        metavar="N",
        help="run each test on the simulator with N seeds, as loops sim-0, sim-1, ...",
    )
    parser.addini(
        "beampy_loops",
        "event loops to run asyncio tests on: asyncio, sim, or a module such as uvloop",
        type="args",
        default=[],
    )
    parser.addini(
        "beampy_leaks",
        "fail tests that leak tasks, threads, file descriptors or child processes",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "loops(name, ...): run an asyncio test on these loops only")
    enable(config, loops=config.getini("beampy_loops"), leaks=config.getini("beampy_leaks"))


def enable(config: pytest.Config, *, loops: Iterable[str] = (), leaks: bool = False) -> None:
    """Turn parts of the plugin on, for a conftest.py that does not want to do it by options.

    Example:
        def pytest_configure(config: pytest.Config) -> None:
            plugin.enable(config, loops=["asyncio", "sim"], leaks=True)
    """
    manager = config.pluginmanager
    if loops and not manager.has_plugin(_MATRIX):
        if not hasattr(config.hook, "pytest_asyncio_loop_factories"):
            raise pytest.UsageError("beampy's loops need pytest-asyncio 1.5 or later")
        manager.register(LoopMatrix(config, list(loops)), _MATRIX)
    if leaks and not manager.has_plugin(_LEAKS):
        from beampy.testing import leaks as leak_checks

        manager.register(leak_checks, _LEAKS)


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None]:
    """A test marked with loops turns the matrix on, if only for itself."""
    if metafunc.definition.get_closest_marker("loops"):
        enable(metafunc.config, loops=["asyncio"])
    return (yield)


@pytest.fixture
def beampy_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test's simulation, for tests that make their own.

    Example:
        def test_election(beampy_seed: int) -> None:
            simloop.run(election, seed=beampy_seed)
    """
    factory = _sim_factory(request.node)
    seed: int = _option(request.config, "--beampy-seed") if factory is None else factory.seed
    return seed


def _option(config: pytest.Config, name: str) -> Any:
    return config.getoption(name)


class LoopMatrix:
    """Gives pytest-asyncio the loops of each test, and the seed to a test that failed."""

    def __init__(self, config: pytest.Config, loops: list[str]) -> None:
        self._loops = loops
        self._factories: dict[str, Callable[[], Any]] = {}
        self._seed = _option(config, "--beampy-seed")
        self._seeds = _option(config, "--beampy-seeds")
        if self._seeds is not None and self._seeds < 1:
            raise pytest.UsageError("--beampy-seeds must be at least 1")

    def pytest_report_header(self) -> str:
        last = "" if self._seeds in (None, 1) else f" to {self._seed + self._seeds - 1}"
        return f"beampy: loops {', '.join(self._loops)}; seed {self._seed}{last}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_asyncio_loop_factories(self, item: pytest.Item) -> dict[str, Callable[[], Any]]:
        marker = item.get_closest_marker("loops")
        if marker is not None and (not marker.args or marker.kwargs):
            raise pytest.UsageError(f"{item.nodeid}: loops takes names, as in loops('sim')")
        wanted: dict[str, Callable[[], Any]] = {}
        for loop in self._loops if marker is None else marker.args:
            for name in self._ids(loop):
                wanted[name] = self._factory(loop, name)
        return wanted

    def _ids(self, loop: str) -> list[str]:
        if loop != "sim" or self._seeds is None:
            return [loop]
        return [f"sim-{seed}" for seed in range(self._seed, self._seed + self._seeds)]

    def _factory(self, loop: str, name: str) -> Callable[[], Any]:
        """One factory object per name: pytest-asyncio compares them to keep wider loops apart."""
        if name not in self._factories:
            if loop == "sim":
                from beampy.testing.simloop import SimFactory

                seed = int(name.removeprefix("sim-")) if name != "sim" else self._seed
                self._factories[name] = SimFactory(seed)
            else:
                self._factories[name] = _loop_of_module(loop)
        return self._factories[name]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report = yield
        factory = _sim_factory(item)
        if report.failed and factory is not None:
            report.sections.append(("beampy simulator", _replay(item, factory)))
        return report


def _loop_of_module(name: str) -> Callable[[], Any]:
    def factory() -> Any:
        loop = pytest.importorskip(name).new_event_loop()
        loop.close = functools.partial(_close, loop.close)
        return loop

    return factory


def _close(close: Callable[[], None]) -> None:
    """Close a loop, and warn of what was left open when that is done.

    uvloop warns of each handle before it closes it, and then waits for all to be closed: a warning that raises would
    leave one open, and it would wait forever.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        close()
    for one in caught:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno, source=one.source)


def _sim_factory(item: pytest.Item) -> Any:
    """The simulator's factory, if that is what this test runs on."""
    callspec = getattr(item, "callspec", None)
    factory = None if callspec is None else callspec.params.get("_asyncio_loop_factory")
    return factory if hasattr(factory, "seed") else None


def _replay(item: pytest.Item, factory: Any) -> str:
    """What a reader needs to see the same failure again."""
    config = item.config
    loop = factory.last
    lines = [f"seed {factory.seed}"]
    if loop is not None:
        lines[0] += f", virtual time {loop.time()}, fingerprint {loop.fingerprint()}"
    command = ["python", "-m", "pytest", item.nodeid]
    command += [f"--beampy-seed={config.getoption('--beampy-seed')}"]
    if (seeds := _option(config, "--beampy-seeds")) is not None:
        command += [f"--beampy-seeds={seeds}"]
    for override in _option(config, "override_ini") or ():
        if override.startswith("beampy_"):
            command += ["-o", override]
    text = shlex.join(command)
    hash_seed = os.environ.get("PYTHONHASHSEED")
    if hash_seed and hash_seed != "random":
        text = f"PYTHONHASHSEED={hash_seed} {text}"
    else:
        lines.append("string hashes were random: set PYTHONHASHSEED if the replay differs")
    return "\n".join([lines[0], f"replay: {text}", *lines[1:]])
