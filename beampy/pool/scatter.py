"""scatter: one function over the parts of something large, a call for each part.

Rule: parts are contiguous and as even as can be, and keep their type where it can be sliced: a list gives lists, a
range ranges, an array arrays, a frame frames. All calls start at once. The first failure is that of the whole, and
cancels the other calls; so does cancelling the handle, or who awaits it. Of a list (or tuple) of references each part
is a list of the objects, fetched where the part is worked on; the first item says whether it is such a list.

It knows a pool as a Starter only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.request import ANSWERED, WAITING
from beampy.core.standin import StandIn
from beampy.errors import BadFunction
from beampy.otp.rpc_function import kind_of, shown, streams
from beampy.otp.stream_engine import Bell

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.core.process import Process
    from beampy.handle import Handle
    from beampy.otp.rpc_call import RemoteCall
    from beampy.pool.options import CallOptions
    from beampy.pool.starting import Starter


def scattered(
    pool: Starter, fn: Callable[..., Any] | str, items: Any, parts: int | None, options: CallOptions
) -> Handle[list[Any]]:
    """`pool.scatter`: call `fn(part)` for `parts` parts of `items`; the Handle of their results, in order.

    By default there are as many parts as the pool can run calls at once, and never more than items. Of nothing the
    list is empty, and nothing is called. Raises at once BadFunction, PoolClosed, ValueError and TypeError.

    >>> sums = await pool.scatter(sum, range(1_000_000), parts=4)
    """
    if not isinstance(fn, str) and streams(kind_of("pool.scatter", fn)):
        raise BadFunction("pool.scatter", f"the generator {shown(fn)}: a part's result is one value")
    if parts is not None and (not isinstance(parts, int) or isinstance(parts, bool) or parts < 1):
        raise ValueError(f"pool.scatter: parts is a whole number, 1 or more, not {parts!r}")
    me = pool._caller("scatter")
    width = pool._width()
    pieces = cut(items, width if parts is None else parts)
    if pieces and isinstance(pieces[0], (list, tuple)) and isinstance(pieces[0][0], StandIn):
        pieces = [Piece(list(piece), type(piece)) for piece in pieces]

    def start() -> Scattered:
        return Scattered(pool, me, fn, pieces, options)

    return api.submit(me, start, f"scatter of {shown(fn)}") if pool._off_loop(me) else start()


def cut(items: Any, parts: int) -> list[Any]:
    """`items` in at most `parts` pieces; none is empty, and no two differ by more than one item.

    >>> cut([1, 2, 3, 4, 5], 2)
    [[1, 2, 3], [4, 5]]
    """
    if not can_slice(items):
        items = list(items)
    size = len(items)
    parts = min(parts, size)
    if not parts:
        return []
    least, more = divmod(size, parts)
    pieces = []
    at = 0
    for number in range(parts):
        end = at + least + (number < more)
        pieces.append(items[at:end])
        at = end
    return pieces


def can_slice(items: Any) -> bool:
    """Whether `items[a:b]` gives a part of it: sequences, arrays, frames."""
    if isinstance(items, Mapping) or not hasattr(items, "__len__") or not hasattr(items, "__getitem__"):
        return False
    try:
        items[0:0]
    except Exception:  # a deque; a class of one's own that knows numbers only
        return False
    return True


class Piece(StandIn):
    """A part of a list of references: an argument that becomes the list of their objects. `kind`: list, or tuple."""

    __slots__ = ("kind", "parts")

    def __init__(self, parts: list[Any], kind: type) -> None:
        self.parts = parts
        self.kind = kind

    def __reduce__(self) -> Any:
        return Piece, (self.parts, self.kind)

    @property
    def id(self) -> Any:
        return tuple(part.id for part in self.parts if isinstance(part, StandIn))

    async def value_here(self) -> Any:
        return self.kind([await part.value_here() if isinstance(part, StandIn) else part for part in self.parts])


class Scattered(Bell):
    """All calls of a scatter, as one request. Await it for the list of their results."""

    _seen = False
    dest: Any

    def __init__(
        self, pool: Starter, me: Process, fn: Callable[..., Any] | str, pieces: list[Any], options: CallOptions
    ) -> None:
        super().__init__(me)
        self.dest = self._what = f"scatter of {shown(fn)}"  # what is logged when nobody looks at its failure
        self._calls: list[RemoteCall] = []
        self._left = len(pieces)
        try:
            for piece in pieces:
                self._calls.append(pool._start(me, fn, (piece,), {}, options))
        except BaseException:
            self._stop()
            raise
        if not pieces:
            self._outcome = []
            self._settle(ANSWERED)
        for call in self._calls:
            call.add_done_callback(self._ended)

    def _ended(self, call: RemoteCall) -> None:
        if self._state != WAITING:
            return
        if call.cancelled():  # by the end of its process
            self.cancel()
        elif call._state != ANSWERED:
            error = call.exception()
            assert error is not None
            self._fail(error)
        else:
            self._left -= 1
            if not self._left:
                self._outcome = [each._outcome for each in self._calls]
                self._settle(ANSWERED)

    def _settle(self, state: int) -> None:
        super()._settle(state)
        if state != ANSWERED:
            self._stop()
        self._calls = []

    def _stop(self) -> None:
        for call in self._calls:
            call._seen = True
            call.cancel()

    def __repr__(self) -> str:
        state = ("waiting", "answered", "failed", "cancelled")[self._state]
        return f"<{self._what}: {len(self._calls)} calls, {state}>"
