"""Rich displays of a call: in order with its text, bounded, and on what has no screen."""

from __future__ import annotations

import asyncio

import pytest

from beampy.core.bundles import BUNDLE
from beampy.core.group_leader import BUNDLES, HELD, PIECE, RATE, STDERR, STDOUT, Bundle, Text
from tests.unit.core.test_group_leader import a_still_clock, recorded, send_to_console, until
from tests.unit.otp.tidy import process


@process
async def test_displays_keep_their_place_among_the_text():
    channel, recorder = recorded()
    channel.write(STDOUT, "before\n")
    channel.bundle({"text/plain": "P"}, {"m": 1}, display_id="d")
    channel.write(STDOUT, "after\n")
    await until(lambda: len(recorder.got) == 3)
    assert recorder.got == [
        Text(STDOUT, "before\n"),
        Bundle({"text/plain": "P"}, {"m": 1}, "d"),
        Text(STDOUT, "after\n"),
    ]


@process
async def test_a_display_that_is_too_large_is_refused():
    channel, recorder = recorded()
    with pytest.raises(ValueError, match=r"10,485,761 bytes is more than the 10,485,760"):
        channel.bundle({"text/plain": "x" * (BUNDLE + 1)})
    channel.flush()
    assert recorder.got == []


@a_still_clock
@process
async def test_of_many_updates_the_last_comes_and_other_displays_are_counted():
    channel, recorder = recorded()
    channel.bundle({"text/plain": "x" * BUNDLE}, display_id="d")
    for n in range(100):
        channel.bundle({"text/plain": str(n)}, display_id="d", update=True)
    channel.bundle({"text/plain": "another"})
    channel._flush_output()
    assert [type(one) for one in recorder.got] == [Bundle, Text]
    assert recorder.text(STDERR) == "… a display of 7 bytes left out: too many at once\n"
    await asyncio.sleep(1.1)
    assert recorder.got[-1] == Bundle({"text/plain": "99"}, {}, "d", True)
    for n in range(2 * HELD):
        channel.bundle({"text/plain": str(n)}, display_id=str(n), update=True)
    channel.flush()  # the call ends
    said, *updates = recorder.got[3:]
    assert said == Text(STDERR, "… updates of displays left out: more than 16 displays wait for theirs; said once\n")
    assert [one.display_id for one in updates] == [str(n) for n in range(HELD, 2 * HELD)]
    await asyncio.sleep(2)
    assert len(recorder.got) == 4 + HELD


@a_still_clock
@process
async def test_updates_that_waited_come_a_few_at_a_time():
    channel, recorder = recorded()
    channel.bundle({"text/plain": "x" * BUNDLE})
    for n in range(4):
        channel.bundle({"text/plain": "x" * (BUNDLES // 2)}, display_id=str(n), update=True)
    await asyncio.sleep(1.1)
    assert [one.display_id for one in recorder.got[1:]] == ["0", "1"]
    await asyncio.sleep(1.1)
    assert [one.display_id for one in recorder.got[1:]] == ["0", "1", "2", "3"]


@a_still_clock
@process
async def test_lines_of_displays_that_were_left_out_count_as_text():
    channel, recorder = recorded()
    channel.bundle({"text/plain": "x" * BUNDLE})
    for _ in range(RATE // 20):
        channel.bundle({"text/plain": "another"})
    channel.flush()
    assert len(recorder.text(STDERR)) <= RATE + PIECE


@process
async def test_small_json_and_metadata_count_what_they_are():
    channel, recorder = recorded()
    for n in range(50):
        channel.bundle({"application/json": {"n": n}})
    channel.flush()
    assert [one.data["application/json"]["n"] for one in recorder.got] == list(range(50))
    with pytest.raises(ValueError, match="is more than the"):
        channel.bundle({"text/plain": "x"}, {"m": "x" * BUNDLE})


@process
async def test_without_a_screen_the_plain_text_of_a_display_is_printed(capsys):
    send_to_console(Bundle({"text/plain": "P"}, {}))
    send_to_console(Bundle({"text/plain": b"large"}, {}))
    send_to_console(Bundle({"image/png": b""}, {}))
    assert capsys.readouterr() == ("P\nlarge\n", "")
