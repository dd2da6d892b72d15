"""The substrates of the conformance suite: every behaviour on one node, and again with its processes on two.

A test that runs a body (`harness.run`, or a decorator of vectors.py) has further variants, named by loop and substrate:

    test_x[sim]           one node, as on every loop
    test_x[sim-tcp]       two nodes on the simulator
    test_x[uvloop-tcp]    two nodes over sockets of this machine
    test_x[uvloop-tls]    the same, encrypted: the tests of links, monitors, exits and servers
    test_x[asyncio-tcp]   two nodes on asyncio's own loop: the tests of links and of order

What is promised on one node only is marked `one_node("why")`, with the sentence of core/SEMANTICS.md;
test_substrates.py counts them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from beampy.testing import harness
from beampy.testing.substrate import Substrate

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

WITH_TLS = ("test_links", "test_monitors", "test_exits", "test_exit_signals", "test_server", "test_server_ends")

ON_ASYNCIO = ("test_links", "test_order")


class On:
    """A loop factory that says where the processes of the test live."""

    def __init__(self, factory: Callable[[], Any], substrate: Substrate) -> None:
        self.factory = factory
        self.substrate = substrate

    def __call__(self) -> Any:
        return self.factory()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.factory, name)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "one_node(why): what this test holds is promised on one node only")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> Generator[None, Any, Any]:
    factories = yield
    return {**factories, **substrates(item, factories)} if factories else factories


def substrates(item: Any, factories: dict[str, Any]) -> dict[str, Any]:
    """The further variants of a test."""
    if item.get_closest_marker("one_node") or "harness" not in item.function.__code__.co_names:
        return {}
    found = {}
    module = item.module.__name__.rpartition(".")[2]
    for name, factory in factories.items():
        loop = name.partition("-")[0]
        if loop in ("sim", "uvloop") or (loop == "asyncio" and module in ON_ASYNCIO):
            found[f"{name}-tcp"] = On(factory, TCP)
        if loop == "uvloop" and module in WITH_TLS:
            found[f"{name}-tls"] = On(factory, TLS)
    return found


TCP = Substrate()
TLS = Substrate(tls=True)


@pytest.fixture(autouse=True)
def on_substrate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts the processes where the test's variant says."""
    callspec = getattr(request.node, "callspec", None)
    factory = None if callspec is None else callspec.params.get("_asyncio_loop_factory")
    if isinstance(factory, On):
        monkeypatch.setattr(harness, "substrate", factory.substrate)
