"""report: one readable block for each process that dies of an exception, once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy import api
from beampy.core.report import crash_report
from beampy.core.signals import Crash
from beampy.otp import gen
from beampy.testing import harness

if TYPE_CHECKING:
    import pytest


async def falls(to: bp.Pid) -> None:
    bp.set_label("a label")
    bp.link(to)
    for n in range(7):
        bp.send(bp.self(), n)
    await asyncio.sleep(0)
    raise ValueError("a bad\nvalue")


async def test_the_whole_report(caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> bp.Pid:
        bp.trap_exit()
        bp.spawn(falls, bp.self(), name="falling")
        await harness.expect(bp.Exit)
        return bp.self()

    me = await harness.run(body)
    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.ERROR, "beampy.process")
    lines = record.getMessage().splitlines()
    pid = bp.Pid(me.node, me.serial + 1, me.creation)
    assert lines[0] == f"process {pid!r} crashed: ValueError: a bad"
    text = record.getMessage()
    for line in (
        "  registered name: falling",
        "  label:           'a label'",
        "  initial call:    falls",
        f"  links:           {me!r}",
        "  unread messages: 7: 0, 1, 2, 3, 4, …",
        "  Traceback (most recent call last):",
        "  ValueError: a bad",
    ):
        assert line in text
    assert any(line.startswith(f"  ancestors:       {me!r}, ") for line in lines)
    assert "beampy/core" not in text


async def test_what_there_is_nothing_to_say_of_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise KeyError("x")

    async def body() -> None:
        await harness.ended(bp.spawn(fails))

    await harness.run(body)
    text = caplog.text
    for word in ("registered name", "label", "links", "unread"):
        assert word not in text


async def test_orderly_ends_and_exit_reasons_are_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def leaves(reason: Any) -> None:
        bp.exit(reason)

    async def nothing() -> None:
        pass

    async def body() -> None:
        await harness.ended(bp.spawn(nothing))
        for reason in ("normal", "shutdown", "boom", ("shutdown", 1), Crash("T", "m")):
            await harness.ended(bp.spawn(leaves, reason))

    await harness.run(body)
    assert caplog.records == []


async def test_a_note_of_the_behaviour_is_part_of_it(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        gen.note_for_report(lambda: {"state": "{'n': 1}", "last message": "'x'"})
        raise ValueError("x")

    async def body() -> None:
        await harness.ended(bp.spawn(fails))

    await harness.run(body)
    assert "  state:           {'n': 1}\n  last message:    'x'\n" in caplog.text


async def test_a_note_that_fails_hides_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def note() -> dict[str, str]:
        raise LookupError("note")

    async def fails() -> None:
        gen.note_for_report(note)
        raise ValueError("the crash itself")

    async def body() -> object:
        return await harness.ended(bp.spawn(fails))

    assert await harness.run(body) == Crash("ValueError", "the crash itself")
    assert "ValueError: the crash itself" in caplog.text
    assert "its report failed" in caplog.text


async def test_a_quiet_process_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        api.self_process().extras().quiet = True
        raise ValueError("x")

    async def body() -> None:
        await harness.ended(bp.spawn(fails))

    await harness.run(body)
    assert caplog.records == []


async def test_other_reasons_are_shown_as_they_are() -> None:
    class Unsaid:
        def __repr__(self) -> str:
            raise LookupError("no words")

    async def body() -> tuple[str, str, str]:
        me = api.self_process()
        return crash_report(me, ("odd", 1)), crash_report(me, Unsaid()), crash_report(me, Crash("T", "m"))

    plain, unsaid, bare = await harness.run(body)
    assert plain.splitlines()[0].endswith("ended: ('odd', 1)")
    assert "whose repr() raised LookupError" in unsaid
    assert bare.splitlines()[0].endswith("crashed: T: m")
    assert "Traceback" not in bare
