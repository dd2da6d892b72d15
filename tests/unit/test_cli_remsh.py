"""remsh on a terminal: what becomes of the reader when its node is gone."""

from __future__ import annotations

import asyncio
import builtins
import threading
import time
from typing import Any

import pytest

from beampy.cli.remsh import Prompt

LONG = 20.0  # seconds


def test_a_reader_that_did_not_hear_of_the_loss_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """readline hears of a signal that comes between its prompt and its waiting with the next key only."""
    begun = threading.Event()
    missed: list[str] = []

    def deaf_at_first(prompt: str) -> str:
        try:
            begun.set()
            time.sleep(LONG)
        except KeyboardInterrupt:
            missed.append(prompt)
        time.sleep(LONG)
        return "a key"

    async def lose() -> None:
        while not begun.is_set():
            await asyncio.sleep(0.01)
        prompt._lost()
        while prompt.reading:
            await asyncio.sleep(0.01)

    monkeypatch.setattr(builtins, "input", deaf_at_first)
    nothing: Any = None
    prompt = Prompt(nothing)
    loses = threading.Thread(target=asyncio.run, args=(lose(),))
    loses.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            prompt._read(">>> ")
    finally:
        loses.join()
    assert missed == [">>> "]


def test_a_loss_before_it_reads_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = None
    prompt = Prompt(nothing)
    prompt._lost()
    monkeypatch.setattr(builtins, "input", lambda prompt: pytest.fail("it reads"))
    with pytest.raises(KeyboardInterrupt):
        prompt._read(">>> ")
