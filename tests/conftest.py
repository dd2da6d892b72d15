"""What every test of beampy runs under: three event loops, leak checks, a seed in the header.

The ini options `beampy_loops` and `beampy_leaks` have the last word; without them this file turns
on all there is. Tests marked `nonblocking` fail when they block their event loop.
"""

from __future__ import annotations

import gc
import itertools
import os
import secrets
import socket
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

OFTEN = 50  # tests, between two looks at what they have left in memory

# An installed beampy brings its plugin along; where it is only on the path, load it from here.
_installed = any(point.name == "beampy" for point in entry_points(group="pytest11"))
_autoload = not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")


def _free_port() -> int:
    """A port that nobody listens on, below those that the system gives to whoever connects somewhere."""
    while True:
        port = secrets.randbelow(10_000) + 20_000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


# Nodes of the tests meet each other and nobody else: a name service and a cookie of their own, also for subprocesses.
os.environ["ERL_EPMD_PORT"] = str(_free_port())
os.environ.pop("ERL_EPMD_ADDRESS", None)
os.environ["BEAMPY_COOKIE"] = secrets.token_urlsafe(24)

pytest_plugins = ["pytester"]
if not (_installed and _autoload):
    pytest_plugins.append("beampy.testing.plugin")


def pytest_configure(config: pytest.Config) -> None:
    from beampy.testing import plugin  # not before pytest has loaded it and rewritten its asserts

    config.addinivalue_line("markers", "nonblocking: fail if the test blocks its event loop")
    loops = config.getini("beampy_loops") or ["asyncio", "uvloop", "sim"]
    plugin.enable(config, loops=loops, leaks=True)


@pytest.fixture(autouse=True)
def blockbuster(request: pytest.FixtureRequest) -> Generator[object]:
    """Calls that block raise in tests marked `nonblocking`; elsewhere this does nothing."""
    if request.node.get_closest_marker("nonblocking") is None:
        yield None
        return
    buster = pytest.importorskip("blockbuster")
    with buster.blockbuster_ctx() as active:
        yield active


def pytest_collection_finish() -> None:
    if "hypothesis" in sys.modules:
        _read_constants()
    _freeze()


_finished = itertools.count(1)


def pytest_runtest_logfinish() -> None:
    """What pytest keeps of each test that has run adds up as well, to half a million objects."""
    if next(_finished) % OFTEN == 0:
        _freeze()


def _freeze() -> None:
    """The tests that were collected are more than a million objects: no collection of garbage has to look at them.

    Without this a test that collects a hundred times takes as long as a thousand others.
    """
    gc.collect()
    gc.freeze()


def _read_constants() -> None:
    """Have hypothesis read all our modules for constants now: it takes seconds, and the test that is the first to draw
    a number is told to be slow."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    @settings(max_examples=3, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.integers(), min_size=200, max_size=200))  # about one of twenty is a constant
    def draw(_: list[int]) -> None:
        pass

    draw()
