"""Casting: what one who casts has in hand: whether the pool has taken the call. Its failure goes to the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.handle import Known
from beampy.otp.rpc_function import shown

if TYPE_CHECKING:
    from beampy.handle import Handle
    from beampy.pool.call import PoolCall
    from beampy.pool.calls import Calls
    from beampy.pool.options import CallOptions

log = logging.getLogger("beampy.pool")


def cast(calls: Calls, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions) -> Handle[None]:
    """`pool.cast`. PoolClosed; TypeError for a value that would be kept for nobody."""
    if options.keep:
        raise TypeError("pool.cast: with keep=True nobody would have the reference: pool.submit(…) gives it")
    calls._at_work()
    me = calls._caller("cast")

    async def taken() -> None:
        call = calls._start(me, fn, args, kwargs, options)
        if call.done():
            call.result()
        call.add_done_callback(log_failure)

    if calls._off_loop(me):
        return api.submit(me, taken, f"pool.cast of {shown(fn)}")
    call = calls._start(me, fn, args, kwargs, options)
    call.add_done_callback(log_failure)
    return Known(None, call.exception() if call.done() and not call.cancelled() else None, f"cast of {shown(fn)}")


def log_failure(call: PoolCall) -> None:
    """A cast that has failed: nobody else hears of it."""
    if not call.cancelled() and (error := call.exception()) is not None:
        log.error("%s was cast, and failed", shown(call.function), exc_info=error)
