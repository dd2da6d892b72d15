"""Calls of C code that hold the interpreter are kept by the name of their module."""

from __future__ import annotations

import logging
import time

import pytest

import beampy as bp
from beampy.code import long_calls as public
from beampy.code.held import KEPT, LONG, long_calls_here, watched


def test_a_long_call_is_kept_and_logged_by_name(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "beampy.code"):
        assert watched("quick", "compiling", lambda: 1) == 1
        assert watched("slow.module", "compiling", lambda: time.sleep(LONG * 1.1)) is None
    (last,) = [call for call in long_calls_here() if call.module == "slow.module"]
    assert last.what == "compiling"
    assert last.seconds >= LONG
    assert "quick" not in {call.module for call in long_calls_here()}
    assert "compiling slow.module held the interpreter" in caplog.text


def test_the_last_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("beampy.code.held.LONG", 0.0)
    for number in range(KEPT + 5):
        watched(f"module{number}", "reading", lambda: None)
    assert [call.module for call in long_calls_here()] == [f"module{number}" for number in range(5, KEPT + 5)]


def test_what_raises_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        watched("broken", "compiling", lambda: 1 // 0)


async def test_they_are_asked_of_a_node() -> None:
    async with bp.Node("asked@127.0.0.1"):
        assert await public("asked@127.0.0.1") == long_calls_here()
