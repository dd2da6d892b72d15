"""Identities: what names a process, a request or a node, the same from anywhere.

Pure. A `Pid` or `Ref` is three plain fields and one private shortcut to the object that takes messages for it on
its own node, None when it is dead or lives elsewhere: `_local`, the process of a pid, and `_holder`, who waits for an
alias. The shortcut never travels; a copy made by pickle finds its process again through the node's table.
"""

from __future__ import annotations

import re
from typing import Any

from beampy.errors import BadName

NODE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}@[A-Za-z0-9_.:-]{1,126}\Z")
NO_NODE = "nonode@nohost"  # Erlang's name for a node that is not distributed


def node_name(name: str | None) -> str:
    """The full `name@host` of a node; a bare name lives on localhost, None on no host at all.

    >>> node_name("a"), node_name("a@10.0.0.1"), node_name(None)
    ('a@localhost', 'a@10.0.0.1', 'nonode@nohost')
    """
    if name is None:
        return NO_NODE
    full = name if "@" in str(name) else f"{name}@localhost"
    if not isinstance(name, str) or not NODE_NAME.match(full):
        raise BadName("node", name, "letters, digits, '_', '.' and '-', as in app@10.0.0.1")
    return full


def full_name(node: str) -> str:
    """The name of another node as its pids have it: a bare one lives on localhost. BadName for what is none.

    >>> full_name("b"), full_name("b@10.0.0.2")
    ('b@localhost', 'b@10.0.0.2')
    """
    if not isinstance(node, str):
        raise BadName("node", node, "a string, as in app@10.0.0.1")
    return node if "@" in node else node_name(node)


def pid_of(dest: Any, default: Any = None) -> Any:
    """The pid of something that has one, such as a client; None when it stands for a name that nobody has now."""
    try:
        return dest.pid
    except AttributeError:
        return default
    except LookupError:
        return None


def is_destination(dest: Any) -> bool:
    """Whether `send` knows what is meant: a pid, an alias, a name, (name, node), or something with a pid."""
    if isinstance(dest, (Pid, Ref, str)):
        return True
    if isinstance(dest, tuple) and len(dest) == 2 and all(isinstance(part, str) for part in dest):
        return True
    pid = pid_of(dest, dest)
    return isinstance(pid, Pid) or (pid is None and dest is not None)


class Pid:
    """A process, anywhere: its node, the node's incarnation (`creation`) and a serial never used twice there."""

    __slots__ = ("_local", "creation", "node", "serial")

    def __init__(self, node: str, serial: int, creation: int) -> None:
        self.node = node
        self.serial = serial
        self.creation = creation
        self._local: Any = None

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not Pid:
            return NotImplemented
        return self.serial == other.serial and self.node == other.node and self.creation == other.creation

    def __lt__(self, other: Pid) -> bool:
        return (self.node, self.creation, self.serial) < (other.node, other.creation, other.serial)

    def __hash__(self) -> int:
        return hash((self.serial, self.node))

    def __repr__(self) -> str:
        return f"<Pid {self.node} {self.serial}>"

    def __reduce__(self) -> tuple[type[Pid], tuple[str, int, int]]:
        return Pid, (self.node, self.serial, self.creation)

    def __copy__(self) -> Pid:
        return self  # it never changes, and the copy of a message leads where the message does

    def __deepcopy__(self, memo: object) -> Pid:
        return self


class Ref:
    """A unique reference: a monitor, an alias, a timer or a request. An active alias is also a destination."""

    __slots__ = ("_holder", "creation", "id", "node")

    _local = None  # never a process: `send` asks any destination

    def __init__(self, node: str, id: int, creation: int) -> None:
        self.node = node
        self.id = id
        self.creation = creation
        self._holder: Any = None

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if type(other) is not Ref:
            return NotImplemented
        return self.id == other.id and self.node == other.node and self.creation == other.creation

    def __lt__(self, other: Ref) -> bool:
        return (self.node, self.creation, self.id) < (other.node, other.creation, other.id)

    def __hash__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<Ref {self.node} {self.id}>"

    def __reduce__(self) -> tuple[type[Ref], tuple[str, int, int]]:
        return Ref, (self.node, self.id, self.creation)

    def __copy__(self) -> Ref:
        return self  # it never changes, and the copy of a message leads where the message does

    def __deepcopy__(self, memo: object) -> Ref:
        return self
