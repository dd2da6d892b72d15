"""Starter: what map, stream, scatter and executor ask of a pool.

Rule: this is all they know of it. `_start` and whatever it returns belong to the node's own loop; the others may be
asked on any thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from beampy.core.ids import Ref
    from beampy.core.process import Process
    from beampy.otp.rpc_call import RemoteCall
    from beampy.pool.manager import Manager
    from beampy.pool.options import CallOptions


class Working(Protocol):
    """A pool, as those see it that show it."""

    @property
    def _manager(self) -> Manager | None:
        """Who works for it now. None: nobody."""
        ...


class Starter(Protocol):
    """A pool, as those see it that make many calls of it."""

    @property
    def _pool(self) -> Working:
        """The pool itself, without options."""
        ...

    def _start(
        self,
        me: Process,
        fn: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        items: Ref | None = None,
    ) -> RemoteCall:
        """Start a call for `me`, or let it wait in the pool's queue. What the pool does not take has failed at once."""
        ...

    def _caller(self, verb: str) -> Process:
        """The current process, or who speaks for this thread."""
        ...

    def _off_loop(self, me: Process) -> bool:
        """Whether this is another thread than that of the node's loop."""
        ...

    def _width(self) -> int:
        """How many calls the pool can run at once, all of its machines up: 1 or more. PoolClosed."""
        ...
