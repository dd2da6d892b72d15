"""What every test of beampy runs under: three event loops, leak checks, a seed in the header.

The ini options `beampy_loops` and `beampy_leaks` have the last word; without them this file turns
on all there is. Tests marked `nonblocking` fail when they block their event loop.
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

# An installed beampy brings its plugin along; where it is only on the path, load it from here.
_installed = any(point.name == "beampy" for point in entry_points(group="pytest11"))
_autoload = not os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")

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
