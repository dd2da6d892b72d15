"""Frames of a pool: what `pool.frame` and `pool.frames` do (pool/frames_door.py is the door)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from beampy.errors import BadFunction
from beampy.frames import evaluate
from beampy.frames.moving import of_call
from beampy.otp.rpc_function import kind_of, shown, streams

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.frames.dataframe import RemoteDataFrame
    from beampy.frames.partitioned import PartitionedFrame


def frame(calls: Any, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> RemoteDataFrame:
    """What a function gives on a runner of `calls`, a pool or its options, as a frame that stays there."""
    if not callable(fn) or streams(kind_of("pool.frame", fn)):
        raise BadFunction("pool.frame", f"{fn!r}", "a function that returns a frame")
    made = evaluate.framed_async if asyncio.iscoroutinefunction(fn) else evaluate.framed
    named = calls.options(name=shown(fn))
    return of_call(named.keep(made, fn, *args, **kwargs), f"pool.frame({shown(fn)})")


def frames(calls: Any, fn: Callable[..., Any], iterables: tuple[Any, ...]) -> PartitionedFrame:
    """The same for each item, as parts of one frame."""
    from beampy.frames.partitions import of_items

    return of_items(calls, fn, iterables)
