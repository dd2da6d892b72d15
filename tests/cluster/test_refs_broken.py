"""References where they were found broken on real machines: what runners keep of calls that have ended."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

import beampy as bp
from beampy import api
from beampy.errors import ServerExited
from beampy.refs.service import refs_of
from tests.cluster.test_pool import until

pytestmark = [pytest.mark.cluster, pytest.mark.loops("uvloop")]

both = pytest.mark.parametrize("isolation", ["thread", "process"])
GIVEN: ContextVar[Any] = ContextVar("GIVEN")


async def fails(refs: list[Any]) -> None:
    raise ValueError(refs[0])


def fails_in_a_thread(refs: list[Any]) -> None:
    raise ValueError(refs[0])


async def leaves(refs: list[Any]) -> None:
    bp.exit(("no reason", refs[0]))


async def looks(refs: list[Any]) -> Any:
    return GIVEN.get() == refs[0]


async def freed() -> None:
    """Nobody refers to an object of ours any more."""
    refs = refs_of(api.self_process().node)
    await until(lambda: not refs.rows())


@both
@pytest.mark.parametrize("fn", [fails, fails_in_a_thread, leaves])
async def test_a_runner_keeps_nothing_of_the_first_call_that_failed_there(fn: Any, isolation: Any) -> None:
    async with bp.Node(), bp.Pool(max=1, isolation=isolation) as pool:
        with suppress(ValueError, ServerExited):
            await pool.call(fn, [bp.remote([])])
        await freed()


@both
async def test_a_runner_keeps_no_context_of_the_first_call_there(isolation: Any) -> None:
    async with bp.Node(), bp.Pool(max=1, isolation=isolation, context=[GIVEN]) as pool:
        ref: bp.RemoteRef[list[Any]] = bp.remote([])
        token = GIVEN.set(ref)
        assert await pool.call(looks, [ref])
        GIVEN.reset(token)
        del token, ref
        await freed()
