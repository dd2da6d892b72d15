"""Every error beampy raises, in one place: `local` has those of one node, `nodes` those of many,
`code` those of code that travels, `pool` those of pools, `refs` those of remote references, `frames` those of frames.

    BeampyError
    ├ NotInNode, NotInProcess            a verb used where there is no node, or no process
    ├ NotTaskOwner                       a task is its owner's to await, wait for, shut down and ignore
    ├ BadFunction, BadName, BadPattern,
    │ BadDestination, BadRef             a wrong argument; also TypeError or ValueError
    ├ NotLocal                           a question that only the process's own node can answer
    ├ NameTaken, NotRegistered           the registry says no
    │  └ AlreadyRegistered                 a unique key of a Registry is held
    ├ ReceiveTimeout                     receive(timeout=…) saw nothing; also TimeoutError
    ├ CallFailed                         a call has no answer, and why:
    │  ├ NoProcess                         nobody there
    │  ├ ServerExited                      it ended before it answered
    │  ├ CallTimeout                       it did not answer in time; also TimeoutError
    │  │  └ TaskTimeout                      a task ran longer than it may, and was stopped
    │  ├ CallingSelf                       a process called itself
    │  ├ NodeDown                          the connection to its node is gone
    │  └ CallKilled                        the function that was called was ended by an exit signal, there
    ├ StartFailed                        a process did not come up
    │  ├ AlreadyStarted                    its name is held by another one
    │  ├ StartTimeout                      its init did not end in time; also TimeoutError
    │  └ StartIgnored                      its init said "ignore"
    ├ Exited                             a process whose value was waited for ended otherwise
    ├ ChildError                         a supervisor cannot do that with this child
    ├ BadSpec, BadReturn                 a supervisor's spec or a callback's answer is wrong
    ├ EncodeError                        a message that cannot travel
    ├ DecodeError                        a message that came and cannot be read here
    ├ PeerBusy                           too much waits for a node already
    ├ NotConnected                       no connection to a node, and why:
    │  ├ UnknownNode                       no address for its name, or nobody answers there
    │  ├ NameInUse                         another node has our own name
    │  ├ HandshakeFailed                   the two do not agree: refused, timed out, not a beampy node
    │  │  ├ CookieMismatch                   the other side's cookie is not ours
    │  │  ├ VersionMismatch                  no version of the protocol, or a required feature, in common
    │  │  └ NotAllowed                       it accepts other nodes only
    │  └ Superseded                        the other side's own attempt goes on instead
    ├ RemoteProtocolError                bytes that are not the protocol; that connection is closed
    ├ CodeRefused                        a node that takes no code from others
    ├ OriginLost                         code whose origin is gone; also ImportError
    ├ MissingPackage                     an installed package that is not there; also ModuleNotFoundError
    ├ VersionSkew                        two nodes differ in a version, and here it matters
    ├ PoolError                          a pool could not do what it was asked:
    │  ├ PoolClosed                        it is not started, or stopped
    │  ├ PoolSaturated                     too many calls wait already
    │  ├ PoolTimeout                       queue, boot and run took too long; also CallTimeout
    │  ├ BootFailed                        no machine came up
    │  └ RunnerLost                        the machine of a call is gone
    ├ RefError                           a reference to an object elsewhere cannot be used:
    │  ├ OwnerLost                         the node that has the object is gone
    │  ├ RefExpired                        the object was freed, as nobody was heard of for too long
    │  ├ RefDropped                        this handle was dropped
    │  ├ UnknownRef                        there never was such an object
    │  └ RefTooLarge                       the object does not fit here; also MemoryError
    ├ FrameError                         something cannot be done with a frame that is elsewhere:
    │  ├ FrameDue                          it is still being made; also RefError
    │  ├ FrameGone                         it was only displayed in a notebook; also ReferenceError
    │  ├ FrameRefused                      a name of polars that makes no sense from afar; also AttributeError
    │  ├ FrameTooLarge                     it has more bytes than may be brought; also MemoryError
    │  ├ NotAFrame                         what had to give a frame gave something else; also TypeError
    │  ├ NotPartitioned                    partitions cannot do it each for itself; also AttributeError
    │  ├ PartitionFailed                   one partition failed, and with it the query
    │  ├ PartitionsDiffer                  partitions have not the same columns; also TypeError
    │  └ MergeTooLarge                     too much would have to be moved between nodes; also MemoryError
    ├ RemoteError                        an exception of another process, kept as text
    └ InternalError                      a broken invariant of ours: please report it

    ProcessExit(BaseException)           control flow: how `exit(reason)` leaves a process
    RemoteTraceback                      the `__cause__` of an exception re-raised elsewhere

The rules: fields come first and the message is derived from them; every error pickles; each says whose
fault it is and what to do about it. This module imports nothing of beampy.
"""

from __future__ import annotations

from beampy.errors.code import CodeRefused, MissingPackage, OriginLost, VersionSkew
from beampy.errors.frames import (
    FrameDue,
    FrameError,
    FrameGone,
    FrameRefused,
    FrameTooLarge,
    MergeTooLarge,
    NotAFrame,
    NotPartitioned,
    PartitionFailed,
    PartitionsDiffer,
)
from beampy.errors.local import (
    AlreadyRegistered,
    AlreadyStarted,
    BadDestination,
    BadFunction,
    BadName,
    BadPattern,
    BadRef,
    BadReturn,
    BadSpec,
    CallFailed,
    CallingSelf,
    CallTimeout,
    ChildError,
    EncodeError,
    Exited,
    InternalError,
    NameTaken,
    NodeDown,
    NoProcess,
    NotInNode,
    NotInProcess,
    NotLocal,
    NotRegistered,
    NotTaskOwner,
    ProcessExit,
    ReceiveTimeout,
    RemoteError,
    RemoteTraceback,
    ServerExited,
    StartFailed,
    StartIgnored,
    StartTimeout,
    TaskTimeout,
)
from beampy.errors.nodes import (
    CallKilled,
    CookieMismatch,
    DecodeError,
    HandshakeFailed,
    NameInUse,
    NotAllowed,
    NotConnected,
    PeerBusy,
    RemoteProtocolError,
    Superseded,
    UnknownNode,
    VersionMismatch,
)
from beampy.errors.pool import BootFailed, PoolClosed, PoolError, PoolSaturated, PoolTimeout, RunnerLost
from beampy.errors.refs import OwnerLost, RefDropped, RefError, RefExpired, RefTooLarge, UnknownRef
from beampy.errors.root import BeampyError

__all__ = [
    "AlreadyRegistered",
    "AlreadyStarted",
    "BadDestination",
    "BadFunction",
    "BadName",
    "BadPattern",
    "BadRef",
    "BadReturn",
    "BadSpec",
    "BeampyError",
    "BootFailed",
    "CallFailed",
    "CallKilled",
    "CallTimeout",
    "CallingSelf",
    "ChildError",
    "CodeRefused",
    "CookieMismatch",
    "DecodeError",
    "EncodeError",
    "Exited",
    "FrameDue",
    "FrameError",
    "FrameGone",
    "FrameRefused",
    "FrameTooLarge",
    "HandshakeFailed",
    "InternalError",
    "MergeTooLarge",
    "MissingPackage",
    "NameInUse",
    "NameTaken",
    "NoProcess",
    "NodeDown",
    "NotAFrame",
    "NotAllowed",
    "NotConnected",
    "NotInNode",
    "NotInProcess",
    "NotLocal",
    "NotPartitioned",
    "NotRegistered",
    "NotTaskOwner",
    "OriginLost",
    "OwnerLost",
    "PartitionFailed",
    "PartitionsDiffer",
    "PeerBusy",
    "PoolClosed",
    "PoolError",
    "PoolSaturated",
    "PoolTimeout",
    "ProcessExit",
    "ReceiveTimeout",
    "RefDropped",
    "RefError",
    "RefExpired",
    "RefTooLarge",
    "RemoteError",
    "RemoteProtocolError",
    "RemoteTraceback",
    "RunnerLost",
    "ServerExited",
    "StartFailed",
    "StartIgnored",
    "StartTimeout",
    "Superseded",
    "TaskTimeout",
    "UnknownNode",
    "UnknownRef",
    "VersionMismatch",
    "VersionSkew",
]

for _name in __all__:  # where people find them, and what tracebacks show
    globals()[_name].__module__ = __name__
