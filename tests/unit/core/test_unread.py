"""Messages that are still encoded: who reads them, where, and what becomes of those that cannot be read."""

from __future__ import annotations

import asyncio

import pytest

import beampy as bp
from beampy.core.unread import NeedsThread, Unread
from beampy.errors import DecodeError
from beampy.testing import harness


def unread(value: object, *, thread: bool = False) -> Unread:
    def decode(in_thread: bool) -> object:
        if thread and not in_thread:
            raise NeedsThread
        if isinstance(value, Exception):
            raise value
        return value

    return Unread(decode, "b@h", 7)


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_now():
    assert unread(5).now() == 5
    with pytest.raises(NeedsThread):
        unread(5, thread=True).now()
    with pytest.raises(DecodeError) as caught:
        unread(ValueError("bad")).now()
    assert caught.value.sender == "b@h"
    assert "ValueError: bad" in str(caught.value)
    with pytest.raises(DecodeError, match="Unspeakable"):
        unread(Unspeakable()).now()


async def test_in_a_thread():
    loop = asyncio.get_running_loop()
    assert await unread(5, thread=True).in_thread(loop) == 5
    with pytest.raises(DecodeError):
        await unread(ValueError("bad"), thread=True).in_thread(loop)


@pytest.mark.parametrize("thread", [False, True])
async def test_a_process_takes_them_in_order(thread):
    async def body() -> None:
        me = bp.api.self_process()
        for message in (unread(1, thread=thread), unread(ValueError("bad"), thread=thread), 2, unread(3)):
            me.deliver(message)
        assert await bp.receive() == 1
        with pytest.raises(DecodeError):
            await bp.receive()
        assert [await bp.receive(), await bp.receive()] == [2, 3]

    await harness.run(body)


async def test_a_selective_receive_reads_what_it_looks_at():
    async def body() -> None:
        me = bp.api.self_process()
        for message in (unread(("a", 1)), unread(("b", 2), thread=True)):
            me.deliver(message)
        assert await bp.receive(("b", ...)) == ("b", 2)
        assert await bp.receive() == ("a", 1)

    await harness.run(body)
