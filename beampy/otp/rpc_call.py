"""One remote call in flight, as its caller's process has it: a Request whose end the callee hears of.

Rule: whatever settles it on the caller's side (deadline, cancellation, the end of the caller's process) tells the
callee's server, so that what nobody waits for does not run on. Errors name the function and its node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from beampy.core.request import ANSWERED, WAITING, Request
from beampy.core.signals import NOCONNECTION, NOPROC
from beampy.errors import CallKilled, CallTimeout, NodeDown, NoProcess, ServerExited
from beampy.otp.rpc_function import shown
from beampy.otp.rpc_server import RPC, Cancel, Left
from beampy.otp.task import end_with

if TYPE_CHECKING:
    from beampy.core.ids import Ref
    from beampy.core.process import Process


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
        super().__init__(process, (RPC, node), timeout or None)
        if self._state == WAITING and timeout:
            end_with(process, self)  # without a deadline it is among its process's own requests

    def is_sent(self, timeout: float | None) -> None:
        """The callee may run it from now on. With no time at all it has timed out, as in Erlang."""
        self._sent = True
        if timeout is not None and timeout <= 0:
            self.ring()

    def tell(self) -> None:
        """Tell the callee that nobody wants it any more."""
        if self._sent:
            self._sent = False
            # Sent by the process also where it has ended: so it cannot overtake the call itself.
            self._process.node.route_message(self._process, (RPC, self.callee), Cancel(self.ref))

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
