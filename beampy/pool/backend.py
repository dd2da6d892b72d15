"""Backend: what a pool asks of whoever starts its machines. Third parties implement this; a test kit holds them to it.

Rule: a backend starts and ends machines and tells what it knows of them. It does not talk to runners: a machine runs
`beampy runner` with the order's `spec` in the variable BEAMPY_RUNNER, and that dials home by itself. Every method may
be called for machines that have ended; none may wait longer than its deadline says. What a backend raises is shown to
the callers whose machine it was to be.

The kit: `beampy.testing.backends`. Backends that come with beampy: `beampy.pool.backends`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["starting", "running", "ended", "unknown"]


class Order(NamedTuple):
    """One machine that is wanted: `name` is its node's, `spec` what it is told (secret), `timeout` the seconds it
    has.
    """

    name: str
    spec: str
    env: Mapping[str, str]
    timeout: float


class Machine(NamedTuple):
    """A machine that was started: `id` as its backend knows it, `name` of its node. `detail` is the backend's own."""

    id: str
    name: str
    detail: Any = None


@dataclass(frozen=True)
class Description:
    """What is known of a machine now. `status`: exit status, or minus the signal that ended it; None where unknown.

    `oom`: it was ended because memory ran out. `why`: one line for people.
    """

    state: State
    status: int | None = None
    oom: bool = False
    why: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


class Backend(Protocol):
    """Starts machines. `grace`: seconds a runner waits for a parent it has lost (0: same machine; 30: others).

    `local`: its machines are on this one, reach unix sockets, and end with the process that `os.getpid()` is.
    """

    name: str
    grace: float
    local: bool

    async def start(self) -> None:
        """The pool starts. Raises where this backend cannot work here, saying what to do.

        It is cancelled after the pool's `boot_timeout`.
        """

    async def boot(self, order: Order) -> Machine:
        """Start one machine, and return as soon as it is known by an id; it need not be up yet. Cancelled, or raising,
        it leaves none behind. Called many times at once."""
        ...

    async def terminate(self, machine: Machine) -> None:
        """End it and all that it has started, now. It is gone when this returns. Twice is once."""

    async def logs(self, machine: Machine, limit: int = 20_000) -> str:
        """The last `limit` characters of what it wrote, its boot included; also after its end."""
        ...

    async def describe(self, machine: Machine) -> Description:
        """How it is. Right after its end the exit status may take a moment: wait for it, a second at most."""
        ...

    def price(self, machine: Machine | None = None) -> float | None:
        """What a machine costs an hour, in the currency of the account; 0 on hardware of one's own; None: unknown."""
        ...

    async def stop(self) -> None:
        """The pool stops: no machine of this backend is left."""
