"""Long calls: calls of C code that held the interpreter, and every thread of the node with it, while code loaded.

Unmarshalling and compiling a module is one call each, and the event loop stands still for it, whichever thread makes
it. Those of 20 ms and more are kept, by module, and logged: a large generated module is seen by its name.
"""

from __future__ import annotations

import logging
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from beampy.otp.rpc import remote_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.handle import Handle

T = TypeVar("T")

LONG = 0.020  # seconds: what a node's tick may be late while it loads code
KEPT = 100  # the last ones

log = logging.getLogger("beampy.code")


class LongCall(NamedTuple):
    """One such call: `what` was done to `module`, for so many `seconds`."""

    module: str
    what: str
    seconds: float


_long: deque[LongCall] = deque(maxlen=KEPT)


def watched(module: str, what: str, fn: Callable[[], T]) -> T:
    """`fn()`; how long it took is kept where that was long."""
    started = perf_counter()
    value = fn()
    seconds = perf_counter() - started
    if seconds >= LONG:
        _long.append(LongCall(module, what, seconds))
        log.info("%s %s held the interpreter for %.0f ms", what, module, seconds * 1e3)
    return value


def long_calls_here() -> list[LongCall]:
    """Those of this process."""
    return list(_long)


def long_calls(node: str, *, timeout: float | None = 5.0) -> Handle[list[LongCall]]:
    """The last 100 calls that held up everything on a node for 20 ms or more while it loaded code.

    `timeout` is in seconds. Errors: those of `remote_call`. Wall-clock time: on a busy machine others' work is in it.

    >>> await bp.code.long_calls("b@localhost")
    [LongCall(module='parsetab', what='compiling', seconds=0.112)]
    """
    return remote_call.options(timeout=timeout, capture=False)(node, long_calls_here)
