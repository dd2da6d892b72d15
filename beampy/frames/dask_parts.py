"""Parts: what a dask graph has of the partitions of a frame, and how a worker gets the frame of one.

Rule: a Part goes by pickle, to where a RemoteRef cannot, so it says only which object it is, on which node. It keeps
that object in the process that made it, and there alone: what is unpickled in this process (dask's scheduler is here)
is the Part with the reference again; in others it keeps nothing.

Place: under dask_frames.py. `frame_of` is asked by a worker's thread, and `give` answers it where the frame is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from beampy.core.current import here
from beampy.errors import CallFailed, NotConnected, OwnerLost, RefExpired, RefTooLarge
from beampy.otp.rpc import remote_call
from beampy.refs.identity import ObjectId
from beampy.refs.room import exceeds, room
from beampy.refs.service import refs_of
from beampy.refs.using import shown_one

if TYPE_CHECKING:
    import polars as pl

    from beampy.refs.ref import RemoteRef


class Part:
    """One partition: the object `id`, a frame of `nbytes`. `what` is what it is, for errors."""

    __slots__ = ("id", "nbytes", "ref", "what")

    def __init__(self, id: ObjectId, what: str, nbytes: int, ref: RemoteRef[Any] | None) -> None:
        self.id = id
        self.what = what
        self.nbytes = nbytes
        self.ref = ref

    @classmethod
    def of(cls, ref: RemoteRef[Any]) -> Part:
        """The Part of a frame that somebody refers to here."""
        mine = _here.setdefault(ref.id, ref.another())
        return cls(ref.id, ref.what, ref.nbytes, mine)

    def __reduce__(self) -> Any:
        return unpickled, (tuple(self.id), self.what, self.nbytes)

    def __dask_tokenize__(self) -> Any:
        return ("beampy.Part", *self.id)

    def __repr__(self) -> str:
        return f"<Part {shown_one(self.what, self.nbytes)} on {self.id.node}>"

    def lost(self, cause: str) -> OwnerLost:
        """The error of a frame that cannot be had any more."""
        again = "make the frame again, and its to_dask"
        return OwnerLost(self.id.node, shown_one(self.what, self.nbytes), f"{cause}; {again}")


_here: WeakValueDictionary[ObjectId, RemoteRef[Any]] = WeakValueDictionary()  # the references that Parts here have


def unpickled(id: tuple[str, int, int], what: str, nbytes: int) -> Part:
    """A Part that has come by pickle: where it was made it is what it was."""
    whose = ObjectId(*id)
    return Part(whose, what, nbytes, _here.get(whose))


def frame_of(part: Part) -> pl.DataFrame:
    """The frame of a part, on a thread of a worker: the very object where it is this node's, else a copy.

    OwnerLost: its runner is gone, or it has been freed there. RefTooLarge: there is no room for a copy.
    """
    node = here("to_dask").node
    refs = refs_of(node)
    try:
        if refs.is_own(part.id):
            found: pl.DataFrame = refs.value(part.id)
            return found
        copy: pl.DataFrame = remote_call.options(capture=False)(part.id.node, give, part.id, room()).result()
        return copy
    except RefExpired as error:
        raise part.lost(error.why) from None
    except OwnerLost as error:
        raise part.lost(error.cause) from None
    except (CallFailed, NotConnected) as error:
        raise part.lost(str(error)) from None


async def give(id: ObjectId, most: int) -> Any:
    """An object of this node, for a worker elsewhere that has room for so many bytes. RefTooLarge."""
    node = here("to_dask").node
    value = refs_of(node).value(id)
    size = exceeds(value, most)
    if size is not None:
        raise RefTooLarge(node.name, "the partition", size, most)
    return value
