"""The errors of frames that are elsewhere. See the package's docstring."""

from __future__ import annotations

from beampy.errors.refs import RefError
from beampy.errors.root import BeampyError


class FrameError(BeampyError):
    """Something cannot be done with a frame that is elsewhere."""


class FrameDue(FrameError, RefError):
    """A frame is still being made, where it would have to be there: in a message, for its `ref`. Calls wait for it."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return f"{self.what} is still being made: `await` it first, or on a thread `.wait()`"


class FrameGone(FrameError, ReferenceError):
    """A frame that was only displayed in a notebook, and was freed as nothing else had it. `what` it was. So also a
    RemoteRef there, which is dropped then.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return (
            f"{self.what} was only displayed, and has been freed since: give it a name (df = …) in its cell, or use "
            "`_` in the next one"
        )


class FrameRefused(FrameError, AttributeError):
    """A name of polars that remote frames do not have: `what`, and `why`, with what to do instead."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)
        self.what = what
        self.why = why

    def __str__(self) -> str:
        return f"{self.what} is not there for frames of other nodes; instead: {self.why}"


class FrameTooLarge(FrameError, MemoryError):
    """A frame has more bytes than the `limit` that was given for bringing it here. Nothing of it was sent."""

    def __init__(self, node: str, what: str, nbytes: int, limit: int) -> None:
        super().__init__(node, what, nbytes, limit)
        self.node = node
        self.what = what
        self.nbytes = nbytes
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"{self.what} on {self.node} has {self.nbytes} bytes, more than limit={self.limit}, and nothing was sent: "
            "bring less of it (select, filter, head), or collect() without a limit"
        )


class NotAFrame(FrameError, TypeError):
    """Something that has to give a frame gave something else: `what` gave a `kind`, and not the `expected`."""

    def __init__(self, what: str, kind: str, expected: str) -> None:
        super().__init__(what, kind, expected)
        self.what = what
        self.kind = kind
        self.expected = expected

    def __str__(self) -> str:
        return f"{self.what} gave a {self.kind}, and a polars {self.expected} is wanted"


class NotPartitioned(FrameError, AttributeError):
    """Something of polars that partitions of a frame cannot do each for itself: `what`, `why`, and the `remedy`."""

    def __init__(self, what: str, why: str, remedy: str) -> None:
        super().__init__(what, why, remedy)
        self.what = what
        self.why = why
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} is not done on a partitioned frame: {self.why}. Instead: {self.remedy}"


class PartitionFailed(FrameError):
    """A query failed at one partition, and there is no result.

    `number` counts from 0, `what` is its file or item; `why` says what was raised, which is the `__cause__` here as
    well; `attempts` is how often it was tried.
    """

    def __init__(self, number: int, what: str, node: str, why: str, attempts: int = 1) -> None:
        super().__init__(number, what, node, why, attempts)
        self.number = number
        self.what = what
        self.node = node
        self.why = why
        self.attempts = attempts

    def __str__(self) -> str:
        where = f"failed on {self.node}, attempt {self.attempts}"
        return f"partition {self.number} ({self.what}) {where}: {self.why}"


class PartitionsDiffer(FrameError, TypeError):
    """Two partitions of a frame have not the same columns: that of `number`, on `node`, has `found` where the one of
    number `other` on `other_node` has `expected`. No row was computed."""

    def __init__(
        self,
        number: int,
        what: str,
        node: str,
        column: str,
        found: str,
        other: int,
        other_node: str,
        expected: str,
    ) -> None:
        super().__init__(number, what, node, column, found, other, other_node, expected)
        self.number = number
        self.what = what
        self.node = node
        self.column = column
        self.found = found
        self.other = other
        self.other_node = other_node
        self.expected = expected

    def __str__(self) -> str:
        return (
            f"partition {self.number} ({self.what}) on {self.node} has the column {self.column!r} as {self.found}, and "
            f"partition {self.other} on {self.other_node} as {self.expected}: make them alike (select, cast) before "
            "they are one frame"
        )


class MergeTooLarge(FrameError, MemoryError):
    """What would have to be moved between nodes for one step has `nbytes` bytes, more than the `limit`. It was not."""

    def __init__(self, what: str, nbytes: int, limit: int, remedy: str) -> None:
        super().__init__(what, nbytes, limit, remedy)
        self.what = what
        self.nbytes = nbytes
        self.limit = limit
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} needs {self.nbytes} bytes moved, more than the limit of {self.limit}: {self.remedy}"
