"""One remote call in flight, as its caller's process has it: a Request whose end the callee hears of.

Rule: whatever settles it on the caller's side (deadline, cancellation, the end of the caller's process) tells the
callee's server, so that what nobody waits for does not run on. Errors name the function and its node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from beampy.core.ids import Ref
from beampy.core.request import ANSWERED, WAITING, Request
from beampy.core.signals import NOCONNECTION, NOPROC
from beampy.errors import CallKilled, CallTimeout, NodeDown, NoProcess, PeerBusy, ServerExited
from beampy.otp.rpc_function import shown
from beampy.otp.rpc_server import RPC, Cancel, Left
from beampy.otp.task import end_with

if TYPE_CHECKING:
    from beampy.core.process import Process

PEER_BUSY = 0.01  # seconds until a cancellation is sent that the connection had no room for; it drains 64 MiB by then


class Called(NamedTuple):
    """The `target` of a failed remote call: which function, and where."""

    function: str
    node: str

    def __repr__(self) -> str:
        return f"{self.function} on {self.node}"


class RemoteCall(Request):
    """A call of a function on another node. Await it for its value."""

    _sent = False  # and not over there, as far as is known here

    def __init__(self, process: Process, node: str, fn: Any, timeout: float | None) -> None:
        self.callee = node
        self._fn = fn
        if node in process.node.far:
            self._ask_far(process, (RPC, node), timeout)
        else:
            super().__init__(process, (RPC, node), timeout or None)
        if self._state == WAITING and timeout:
            end_with(process, self)  # without a deadline it is among its process's own requests

    def _ask_far(self, process: Process, to: tuple[str, str], timeout: float | None) -> None:
        """What a Request does first, without looking for who is meant: another node, which has been used before."""
        self._process = process
        self.dest = self.to = self.far = to
        node = process.node
        self.ref = ref = Ref(node.name, next(node.refs), node.creation)
        ref._holder = self
        node.exported[ref.id] = ref
        node.remote.ask(process.pid, to, ref)
        if self._state != WAITING:
            return  # there is no way to that node
        if timeout:
            self._bucket = node.deadlines.add(timeout, self)
        else:
            process.extras().own_requests()[self] = None

    def is_sent(self, timeout: float | None) -> None:
        """The callee may run it from now on. With no time at all it has timed out, as in Erlang."""
        self._sent = True
        if timeout is not None and timeout <= 0:
            self.ring()

    def tell(self) -> None:
        """Tell the callee that nobody wants it any more."""
        if self._sent:
            self._sent = False
            tell_cancelled(self._process, self.callee, self.ref)

    @property
    def called(self) -> Called:
        """What was called, for errors."""
        return Called(shown(self._fn), self.callee)

    def take_message(self, ref: Ref, message: Any) -> None:
        if message.__class__ is Left:
            self._sent = False
            if self._state == WAITING:
                self._fail(ServerExited(self.called, message.reason))
            return
        self._sent = False
        super().take_message(ref, message)

    def take_down(self, reason: Any) -> None:
        self._sent = False
        if self._state == WAITING and not (isinstance(reason, str) and reason in (NOPROC, NOCONNECTION)):
            self.target = self.far = None
            self._fail(CallKilled(self.called, reason))
        else:
            super().take_down(reason)

    def _fail(self, error: BaseException) -> None:
        if error.__class__ is NodeDown:
            error = NodeDown(self.called)
        elif error.__class__ is NoProcess:
            error = NoProcess(self.called)
        elif error.__class__ is CallTimeout and self._sent and isinstance(error, CallTimeout):
            error = CallTimeout(self.called, error.seconds)
        super()._fail(error)

    def _settle(self, state: int) -> None:
        super()._settle(state)
        process = self._process
        if self._bucket is not None and (extras := process._extras) is not None and extras.tasks:
            extras.tasks.discard(self)
        if state != ANSWERED:
            self.tell()

    def __hash__(self) -> int:
        return self.ref.id  # sets of handles have an order that is the same in every run

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        state = ("waiting", "answered", "failed", "cancelled")[self._state]
        return f"<RemoteCall of {self.called!r} {state}>"


def tell_cancelled(process: Process, callee: str, ref: Ref) -> None:
    """Tell a callee that nobody wants a call any more: now, or when its connection has room.

    Sent by the process also where it has ended: so it cannot overtake the call itself.
    """
    node = process.node
    try:
        node.route_message(process, (RPC, callee), Cancel(ref))
    except PeerBusy:
        node.loop.call_later(PEER_BUSY, _tell_again, process, callee, ref)


def _tell_again(process: Process, callee: str, ref: Ref) -> None:
    node = process.node
    if not node.closed and callee in node.remote.nodes("all"):  # else it has heard that we are gone
        tell_cancelled(process, callee, ref)
