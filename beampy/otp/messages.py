"""The messages behaviours exchange. Pure records: who may send them and what they mean is gen.py's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from beampy.core.ids import Pid, Ref


class Call(NamedTuple):
    """A request that wants an answer. It is also the address of the answer: `reply(call, value)`."""

    ref: Ref
    pid: Pid
    request: Any


class Cast(NamedTuple):
    """A request that wants none."""

    request: Any


class Method(NamedTuple):
    """The request of a typed method: `@bp.call` and `@bp.cast` functions get their arguments this way."""

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class System(NamedTuple):
    """A question to the behaviour itself rather than to its user's code, as OTP's `sys` messages."""

    ref: Ref
    pid: Pid
    op: str
    arg: Any
