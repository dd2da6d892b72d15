"""What these tests want: JupyterLab, a browser, and something that drives it. `make test-all` installs them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browser.lab import Browser, Server

HERE = Path(__file__).parent
MISSING = [name for name in ("ipykernel", "jupyterlab", "playwright") if importlib.util.find_spec(name) is None]

if MISSING:
    collect_ignore_glob = ["test_*.py"]  # they import these


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(240))  # a server, a browser and kernels, one after the other


if not MISSING:
    from beampy.testing.leaks import allow_thread

    allow_thread("asyncio_")  # of the loop that drives the browser, which lives as long as the browser


@pytest.fixture(autouse=True)
def _a_browser() -> None:
    from tests.browser.lab import CHROMIUM

    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium, or make test-all")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from tests.browser.lab import Server

    with Server(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from tests.browser.lab import Browser

    with Browser() as browser:
        yield browser


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test has pages, files and kernels of its own."""
    yield
    if "browser" in request.fixturenames:
        server: Server = request.getfixturevalue("server")
        browser: Browser = request.getfixturevalue("browser")
        browser.close()
        server.stop_kernels()
        server.clear()
