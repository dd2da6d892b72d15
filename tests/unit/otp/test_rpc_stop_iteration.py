"""A called function that raises StopIteration, which no future takes: its caller hears of it all the same."""

from __future__ import annotations

import pytest

from beampy.otp.rpc import remote_call
from tests.unit.otp.rpc_ground import calling, here


def empty() -> int:
    return next(iter([]))


async def empty_too() -> int:
    return empty()


@pytest.mark.parametrize("fn", [empty, empty_too])
async def test_it_is_a_runtime_error_as_in_a_coroutine(fn):
    @calling
    async def body() -> None:
        with pytest.raises(RuntimeError, match="raised StopIteration"):
            await remote_call.options(timeout=2)(here(), fn)

    await body()
