"""What travels between nodes and what does not; timers and calls that lead to other nodes. beam.md 4.29."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import beampy as bp
from beampy.errors import DecodeError, EncodeError, NodeDown, NoProcess, RemoteError
from tests.conformance.nodes import MISSING, across, echo, gone, mute
from tests.conformance.test_distribution_signals import collects
from tests.conformance.vocabulary import NONE, absent, ca, get1, reason

# what cannot travel


class Odd(Exception):
    """Pickle cannot make it again from its args."""

    def __init__(self, code: int, *, text: str) -> None:
        super().__init__(f"{code}: {text}")


class Server(bp.Server):
    async def handle_call(self, request, from_):
        if request == "odd":
            raise Odd(404, text="nothing there")
        return threading.Lock()


async def serves(to: bp.Pid) -> None:
    bp.send(to, (await Server.start()).pid)


@across()
async def test_an_error_that_cannot_travel_is_a_remote_error(there):
    await bp.spawn(serves, bp.self(), node=there.name)
    with pytest.raises(RemoteError, match="404: nothing there"):
        await bp.call(await get1(), "odd")


@across()
async def test_what_cannot_travel_raises_at_its_sender_and_leaves_order_alone(there):
    pid = await bp.spawn(collects, bp.self(), node=there.name)
    held = threading.Lock()
    for message in (b"1", held, b"22", [lambda: held]):
        if isinstance(message, bytes):
            bp.send(pid, message)
        else:
            with pytest.raises(EncodeError, match="lock"):
                bp.send(pid, message)
    bp.send(pid, "tell")
    assert await get1() == [1, 2]


class Unreadable:
    """Its reader's code fails."""

    def __setstate__(self, state: Any) -> None:
        raise ValueError("not readable here")

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}


async def reads(to: bp.Pid) -> None:
    seen: list[Any] = []
    while not seen or seen[-1] != "tell":
        try:
            seen.append(await bp.receive())
        except DecodeError as error:
            seen.append(type(error).__name__)
    bp.send(to, seen)


@across()
async def test_what_cannot_be_read_is_its_receivers_in_its_place(there):
    pid = await bp.spawn(reads, bp.self(), node=there.name)
    for message in ("before", Unreadable(), "after", "tell"):
        bp.send(pid, message)
    assert await get1() == ["before", "DecodeError", "after", "tell"]


@across()
async def test_a_reason_that_cannot_travel_arrives_as_text(there):
    _, ref = await bp.spawn(ends_oddly, node=there.name, monitor=True)
    seen = await reason(ref)
    assert isinstance(seen, str)
    assert "lock" in seen


async def ends_oddly() -> None:
    bp.exit(threading.Lock())


# timers


@across()
async def test_timers_to_pids_there_fire_and_are_ours(there):
    pid = await bp.spawn(echo, node=there.name)
    bp.send_after(0.001, pid, (bp.self(), "late"))
    assert await get1() == "late"
    ref = bp.send_after(60, await gone(there), "x")  # nobody here hears of that end
    assert bp.cancel_timer(ref) > 0


# calls


@across()
async def test_a_call_to_what_is_not_there_says_what(there):
    pid = await gone(there)
    for dest in (pid, ("nobody", there.name)):
        assert await ca(bp.call(dest, "x")) is NoProcess
    assert await ca(bp.call(("nobody", MISSING), "x")) is NodeDown
    call = bp.call(await bp.spawn(mute, node=there.name), "x", timeout=None)
    bp.disconnect(there.name)
    assert await ca(call) is NodeDown
    assert await absent() == NONE
