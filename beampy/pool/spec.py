"""RunnerSpec: all that a new machine has to know to become a runner of a pool, as one text.

Rule: the backend carries it (environment variable BEAMPY_RUNNER, a pipe, a Secret) and does not look inside. It holds
the pool's cookie: it is never logged, and never an argument of a process.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from typing import Any

VARIABLE = "BEAMPY_RUNNER"  # where a runner looks for its spec

FAILSAFE = 20.0  # seconds without any connection after which a runner that never had one ends; FLAME's


@dataclass(frozen=True)
class RunnerSpec:
    """What a runner is told. Times in seconds.

    name: its node name.
    parent: the pool's node, at one of `addresses` (`[{"host", "port", "tls", "unix", "boot_id", "netns"}]`, fields of
    `dist.address.Address`).
    manager: the registered name of the pool's process there.
    cookie, ticket: how it proves itself.
    grace: how long it waits for a parent it has lost. failsafe: how long for one that never comes.
    shutdown: what jobs and children get when it ends.
    slots: how many calls at once.
    isolation: "thread" or "process"; "slot" for the process of one slot.
    parent_pid: the process to end with, on the same machine; 0: none.
    """

    name: str
    parent: str
    addresses: list[dict[str, Any]]
    manager: str
    cookie: str = field(repr=False)
    ticket: str = field(repr=False)
    slots: int = 100
    isolation: str = "thread"
    grace: float = 0.0
    failsafe: float = FAILSAFE
    shutdown: float = 30.0
    parent_pid: int = 0
    node: dict[str, Any] = field(default_factory=dict)  # more options of its Node: packages, tick_time, …
    env: dict[str, str] = field(default_factory=dict)  # environment variables to set before anything is imported

    def to_text(self) -> str:
        """As it travels.

        >>> RunnerSpec.from_text(RunnerSpec("r@h", "p@h", [], "m", "c", "t").to_text()).name
        'r@h'
        """
        return base64.urlsafe_b64encode(json.dumps(asdict(self), separators=(",", ":")).encode()).decode()

    @classmethod
    def from_text(cls, text: str) -> RunnerSpec:
        """ValueError for anything that `to_text` has not made; unknown fields, of a later version, are left out."""
        try:
            told = json.loads(base64.urlsafe_b64decode(text))
            known = {name: told[name] for name in cls.__dataclass_fields__ if name in told}
            return cls(**known)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{VARIABLE} holds no runner's spec: {type(error).__name__}") from None
