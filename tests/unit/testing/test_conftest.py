"""What tests/conftest.py turns on for beampy's own tests."""

from __future__ import annotations

import time

import pytest


def test_leaks_and_loops_are_on(request: pytest.FixtureRequest) -> None:
    manager = request.config.pluginmanager
    assert manager.has_plugin("beampy-leaks")
    assert manager.has_plugin("beampy-loops")


@pytest.mark.nonblocking
async def test_a_blocking_call_raises(blockbuster: object) -> None:
    assert blockbuster is not None
    with pytest.raises(Exception, match=r"time\.sleep"):
        time.sleep(0.001)  # noqa: ASYNC251


async def test_a_blocking_call_is_free_elsewhere(blockbuster: object) -> None:
    assert blockbuster is None
    time.sleep(0.001)  # noqa: ASYNC251
