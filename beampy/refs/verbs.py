"""The verbs of references: `bp.put`, `bp.remote` and `bp.refs`.

Rule: `put` makes a copy of its own, there or here, `remote` refers to the very object. Both work on any thread.
Place: over ref.py and service.py, beside the pool's `keep`, which makes references to what calls return.
"""

from __future__ import annotations

import asyncio
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar, overload

from beampy import api
from beampy.core.current import here
from beampy.core.ids import full_name
from beampy.core.standin import StandIn
from beampy.errors import EncodeError
from beampy.handle import Handle, Known, Pending
from beampy.otp.rpc import RemoteCaller
from beampy.otp.rpc_call import Called, RemoteCall
from beampy.refs import serving
from beampy.refs.ref import RemoteRef
from beampy.refs.service import refs_of
from beampy.refs.sizes import estimate, shown_type
from beampy.refs.table import RefTable

if TYPE_CHECKING:
    from beampy.core.ids import Ref
    from beampy.core.process import Process
    from beampy.refs.service import Refs

T = TypeVar("T")

LARGE = 1024 * 1024  # bytes from which a copy is made in a thread: 0.1 ms and more
LIMIT = 1000  # rows: what a person looks through, and a message that is small beside any object


@overload
def put(obj: RemoteRef[T], node: str | None = None, *, label: str | None = None) -> Handle[RemoteRef[T]]: ...
@overload
def put(obj: T, node: str | None = None, *, label: str | None = None) -> Handle[RemoteRef[T]]: ...
def put(obj: Any, node: str | None = None, *, label: str | None = None) -> Handle[RemoteRef[Any]]:
    """Keep an object on a node; the Handle of a reference to it.

    node: where it is sent and kept. Without one it is kept here: its large buffers (arrays, tensors, frames) are copied
    once into memory that nodes of this host share, where it is read-only, so that bringing it to them costs little;
    anything else is kept itself, and is not to be changed afterwards. Leave it alone until the handle is done. A
    RemoteRef makes a copy of its object there, which goes there directly.
    label: shown in `bp.refs`.

    Raises EncodeError for what cannot travel, NodeDown where the node cannot be reached.

    >>> ref = await bp.put(array, node="b@localhost")
    >>> await ref.do.sum()
    """
    me = here("put")
    if node is not None:
        node = full_name(node)
    if isinstance(obj, StandIn) or node not in (None, me.node.name):
        return PutCaller(obj)(node or me.node.name, serving.keep_here, obj, label)
    refs = refs_of(me.node)
    settle = refs.settle
    if settle is None or estimate(obj) < LARGE:
        return Known(refs.own(obj, label))
    if me._thread != get_ident() and me.node.thread != get_ident():
        return Known(refs.own(settle(obj), label))
    return api.submit(me, lambda: _settled(refs, settle, obj, label), f"put of {shown_type(obj)}")


async def _settled(refs: Refs, settle: Any, obj: Any, label: str | None) -> RemoteRef[Any]:
    return refs.own(await asyncio.to_thread(settle, obj), label)


class VerbCaller(RemoteCaller):
    """The remote call of a verb here: its errors say what was asked for."""

    __slots__ = ("_verb",)

    def __init__(self, verb: str) -> None:
        super().__init__(capture=False)
        self._verb = verb

    def _call(self, me: Process, node: str, fn: Any) -> VerbCall:
        return VerbCall(me, node, fn, self._verb)


class VerbCall(RemoteCall):
    """One such call, in flight."""

    def __init__(self, process: Process, node: str, fn: Any, verb: str) -> None:
        self._verb = verb
        super().__init__(process, node, fn, None)

    @property
    def called(self) -> Called:
        """What was asked for, for errors."""
        return Called(self._verb, self.callee)


class PutCaller(VerbCaller):
    """The remote call of a put: its errors speak of the object."""

    __slots__ = ("_obj",)

    def __init__(self, obj: Any) -> None:
        super().__init__(f"bp.put of {shown_type(obj)}")
        self._obj = obj

    def _ask(
        self, me: Process, node: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], items: Ref | None = None
    ) -> RemoteCall:
        try:
            return super()._ask(me, node, fn, args, kwargs, items)
        except EncodeError as error:
            what = f"the {shown_type(self._obj)} for {node}"
            part = error.what.replace("message.args[0]", "obj", 1)
            raise EncodeError(
                what, f"{part}: {error.cause}. bp.remote(obj) makes a reference to it on this node"
            ) from error


@overload
def remote(obj: RemoteRef[T], *, label: str | None = None) -> RemoteRef[T]: ...
@overload
def remote(obj: T, *, label: str | None = None) -> RemoteRef[T]: ...
def remote(obj: Any, *, label: str | None = None) -> RemoteRef[Any]:
    """A reference to this very object of this node. It is not copied, and kept as long as somebody has the reference.

    Who uses it from elsewhere sees and changes the object itself: by `ref.do` and `ref.apply`, one thread each.

    >>> ref = bp.remote(model)
    >>> bp.send(pid, ref)
    """
    if isinstance(obj, RemoteRef):
        return obj.another()
    return refs_of(here("remote").node).own(obj, label)


def refs(node: str | None = None, *, limit: int = LIMIT) -> Handle[RefTable]:
    """The objects that a node owns, and those of others that it holds: the Handle of a list of RefInfo, largest first.

    node: by default this one. limit: rows at most; the `total` of the list says how many there are. Printed, it is a
    table.

    >>> print(await bp.refs("b@localhost"))
    """
    if type(limit) is not int or limit < 1:
        raise ValueError(f"refs: limit is a number of rows, 1 or more, not {limit!r}")
    me = here("refs")
    name = me.node.name if node is None else full_name(node)
    if me._thread != get_ident() and me.node.thread != get_ident():
        return api.submit(me, lambda: _table(name, limit), f"refs of {name}")
    return Pending(_table(name, limit))


async def _table(name: str, limit: int) -> RefTable:
    if name == here("refs").node.name:
        total, rows = await serving.rows(limit)
    else:
        total, rows = await VerbCaller("bp.refs")(name, serving.rows, limit)
    return RefTable(name, total, rows)
