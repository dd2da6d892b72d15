"""Dial: what an attempt to connect leaves when it ends half way."""

from __future__ import annotations

import time
from typing import Any

import pytest

from beampy.dist.connection import Connection
from beampy.errors import NotConnected
from tests.security.ground import is_well, peers_of, quiet, until
from tests.unit.dist.asking import CARRIERS, A, B, carrier_of, connect, nodes

pytestmark = pytest.mark.loops("asyncio", "uvloop")

SOON = 0.05  # seconds: a deadline that is to be missed


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_an_attempt_that_is_late_when_it_has_its_carrier_leaves_nothing(
    carrier: str, monkeypatch: pytest.MonkeyPatch
):
    """uvloop closes the carrier of whoever does not wait for it any more, and tells nobody."""
    made = Connection.connection_made

    def stalling(self: Connection, transport: Any) -> None:
        made(self, transport)
        if self.expected is not None:
            time.sleep(2 * SOON)

    async with nodes(A, B, setup_timeout=SOON, **CARRIERS[carrier]) as [a, b]:
        with monkeypatch.context() as patched:
            patched.setattr(Connection, "connection_made", stalling)
            with pytest.raises(NotConnected):
                await b.run(connect, A)
        await until(quiet(a, b))
        assert not peers_of(a).connections
        assert not peers_of(b).connections
    async with nodes(A, B, **CARRIERS[carrier]) as [a, b]:
        await is_well(b, a)
        assert carrier_of(a) == carrier
