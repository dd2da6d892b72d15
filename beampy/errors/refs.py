"""The errors of references to objects of other nodes. See the package's docstring."""

from __future__ import annotations

from beampy.errors.root import BeampyError


class RefError(BeampyError):
    """A reference cannot be used. Nothing was done with the object."""


class OwnerLost(RefError):
    """The node that has the object is gone, or nobody reaches it; `cause` says which, and whether it may come back.

    A function that was running there when the connection broke may have run in part, or whole.
    """

    def __init__(self, node: str, what: str, cause: str) -> None:
        super().__init__(node, what, cause)
        self.node = node
        self.what = what
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.what} was on {self.node}, which is lost: {self.cause}"


class RefExpired(RefError):
    """The object has been freed: its owner did not hear of its holders for longer than the lease. `why` says it."""

    def __init__(self, node: str, what: str, why: str) -> None:
        super().__init__(node, what, why)
        self.node = node
        self.what = what
        self.why = why

    def __str__(self) -> str:
        return f"{self.what} is no longer on {self.node}: {self.why}. Make it again, and use the new reference"


class RefDropped(RefError):
    """This handle was dropped, by `drop()` or at the end of its `with`. `what` is the object it was a handle of."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return (
            f"this handle of {self.what} was dropped before: drop a handle once, after its last use. "
            "Where several places use the object, give each a handle of its own: copy.copy(ref)"
        )


class UnknownRef(RefError):
    """A node was asked for an object that it never had. A reference that came in a message is never such a one."""

    def __init__(self, node: str, number: int, why: str) -> None:
        super().__init__(node, number, why)
        self.node = node
        self.number = number
        self.why = why

    def __str__(self) -> str:
        return (
            f"{self.node} has no object {self.number}: {self.why}. References come from bp.put, bp.remote and "
            "keep=True, and travel in messages; they cannot be made up"
        )


class RefTooLarge(RefError, MemoryError):
    """An object is too large to be brought here: it has `nbytes` bytes, and there is room for `room`. None was sent."""

    def __init__(self, node: str, what: str, nbytes: int, room: int) -> None:
        super().__init__(node, what, nbytes, room)
        self.node = node
        self.what = what
        self.nbytes = nbytes
        self.room = room

    def __str__(self) -> str:
        return (
            f"{self.what} on {self.node} has {self.nbytes} bytes, and here is room for {self.room}. Work on it where "
            "it is, with ref.do.method(…) or ref.apply(fn, …), or bring a part: await ref.do[start:stop]"
        )
