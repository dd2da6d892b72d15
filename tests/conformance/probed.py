"""The server of probes_server.erl: its callbacks do what the functions that are sent to them say."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import TYPE_CHECKING, Any

import beampy as bp
from beampy.errors import CallingSelf, CallTimeout, NoProcess, ServerExited, StartFailed, StartIgnored, StartTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

# How Erlang's answers to calls and starts are read.
CALLS = {
    ("exit", "noproc"): NoProcess,
    ("exit", "timeout"): CallTimeout,
    ("exit", "calling_self"): CallingSelf,
    "exit": ServerExited,
    "ok": None,
}
STARTS = {("error", "timeout"): StartTimeout, "error": StartFailed, "ignore": StartIgnored}


async def called(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


class Probed(bp.Server):
    """The server of probes_server.erl: its callbacks do what the functions that are sent to them say.

    What the state of the probes holds is given by keywords: `info` and `terminate` are told what those callbacks
    got, or are run.
    """

    def __init__(self, state: Any = "s", *, init: Any = None, info: Any = None, terminate: Any = None, trap=False):
        self.state = state
        self.on_init = init
        self.info = info
        self.on_terminate = terminate
        bp.trap_exit(trap)

    async def init(self):
        if self.on_init is not None:
            return await called(self.on_init(self))
        return None

    async def handle_call(self, request, from_):
        match request:
            case ("sleep", seconds):
                await asyncio.sleep(seconds)
                return "late"
            case "crash":
                raise RuntimeError("crashed")
            case "bad":
                return "not_a_valid_return"
            case "ping":
                return "pong"
            case ("stop", why):
                return bp.Stop(why)
        return await called(request(self, from_))

    async def handle_cast(self, request):
        return await called(request(self))

    async def handle_continue(self, then):
        return await called(then(self))

    async def handle_info(self, message):
        if callable(message):
            return await called(message(self))
        if self.info is not None:
            bp.send(self.info, ("handle_info", message))
        return None

    async def terminate(self, why):
        if callable(self.on_terminate):
            await called(self.on_terminate(why))
        elif self.on_terminate is not None:
            bp.send(self.on_terminate, ("terminate_called", why))


async def start(*args: Any, **options: Any) -> bp.Pid:
    return (await Probed.start(*args, **options)).pid


def say(to: bp.Pid, what: Any, answer: Any = None) -> Callable[..., Any]:
    """A callback's body: it sends `what`, and returns `answer`."""

    def body(*_: Any) -> Any:
        bp.send(to, what)
        return answer

    return body


def raising(error: BaseException) -> Callable[..., Any]:
    def body(*_: Any) -> Any:
        raise error

    return body


def exiting(why: Any) -> Callable[..., Any]:
    return lambda *_: bp.exit(why)


def answering(answer: Any) -> Callable[..., Any]:
    return lambda *_: answer


def reports(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The reports that were logged; the log is emptied."""
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    caplog.clear()
    return found


BAD = "Probed.{} returned 'nonsense'; it may return None, NoReply(…) or Stop(reason)"
