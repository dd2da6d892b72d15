"""The goals, as data in one place, and whether a run met them.

A goal bounds one figure: by a value of its own, by a peer in the same run (how many times better
beampy must be), or by another of beampy's figures in the same run. Ratios are the goals that travel
between machines; absolute ones belong to the kind of machine that they were set on, a 2-core
virtual one, so read them with the calibration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.case import Figure


@dataclass(frozen=True)
class Goal:
    """What one figure must reach, `at_least` or `at_most`: itself, or its ratio to something.

    With `subject`, it is not beampy as it comes that must, but one of its variants.
    """

    figure: str
    at_least: float | None = None
    at_most: float | None = None
    peer: str | None = None
    beside: str | None = None
    subject: str = "beampy"


# Two nodes on one host. An echo is the least that a round trip can cost.
_SOCKETS = {"beampy": "echo-unix", "beampy-tcp": "echo-tcp", "beampy-tls": "echo-tls"}
_CALLED = {"server": ("rpyc", "pyro5", "xoscar", "dask", "ray"), "function": ("dask", "ray")}
_BULK = tuple(f"remote_bulk.{size}MB" for size in (1, 64))
REMOTE_GOALS = (
    *(Goal("remote.p50", at_least=1 / 1.3, peer=echo, subject=ours) for ours, echo in _SOCKETS.items()),
    Goal("remote.p50", at_least=1 / 1.5, peer="beampy-tcp", subject="beampy-tls"),
    Goal("remote.pairs", at_least=60_000),
    Goal("remote_oneway", at_least=200_000),
    Goal("remote_oneway.hundred", at_least=200_000),
    Goal("remote_call.server", at_most=1.3, beside="remote_call.pingpong"),
    Goal("remote_call.function", at_most=1.3, beside="remote_call.pingpong"),
    *(Goal(f"remote_call.{kind}", at_least=1.0, peer=peer) for kind, peers in _CALLED.items() for peer in peers),
    Goal("remote_call.function", at_least=2.0, peer="pool"),
    Goal("remote_call.pipelined", at_least=40_000),
    Goal("remote_call.pipelined.one", at_least=40_000),
    *(Goal(f"{size}.{how}", at_least=1.0, peer="erlang") for size in _BULK for how in ("wait", "stream")),
    *(Goal(f"{size}.wait", at_least=0.8, peer="socket-fresh") for size in _BULK),
    *(Goal(f"{size}.wait", at_least=0.5, peer="socket-reused") for size in _BULK),
    Goal("remote_bulk.64MB.wait", at_least=500, subject="beampy-tls"),
    *(Goal(f"remote_shared.100MB.{how}", at_least=2_000) for how in ("argument", "return")),
    Goal("remote_shared.100MB.settled", at_least=4_000),
    Goal("remote_mixed.p99", at_most=5000),
    Goal("remote_connect.p50", at_most=10, subject="beampy-tls"),
    Goal("remote_connect.down", at_most=16),
    Goal("remote_connect.downs", at_most=60),
    Goal("remote_idle.boot", at_most=150),
    Goal("remote_idle.rss", at_most=40),
    Goal("remote_idle.cpu", at_most=0.5),
)
CODE_GOALS = (
    Goal("code.shipped", at_most=1.15, beside="code.installed"),
    Goal("code.first.over", at_most=5),
    # What sends the function again with each call, and what declares it once.
    *(Goal("code.helpers", at_least=3.0, peer=peer) for peer in ("dask", "ray", "cloudpickle")),
    # No code: a reference, which says of a definition what a name says of what is installed, and its version.
    Goal("code.wire.second", at_most=1.5, beside="code.wire.installed"),
    Goal("code_modules.200", at_most=2.0, beside="code_modules.200.disk"),
    Goal("code_modules.200.cached", at_most=2.0, beside="code_modules.200.disk"),
    Goal("code_modules.gap.p99", at_most=20),
)
_POOLS = ("executor", "loky", "ray", "dask")
POOL_GOALS = (
    # As the system places the processes, and with a core for each, where it cannot help the one and not the other.
    Goal("pool_call.p50", at_least=2.0, peer="executor"),
    Goal("pool_call.apart.p50", at_least=2.0, peer="executor"),
    *(Goal("pool_call.p50", at_least=3.0, peer=peer) for peer in ("dask", "ray", "ipyparallel")),
    *(Goal("pool_tasks", at_least=3.0, peer=peer) for peer in _POOLS),
    Goal("pool_tasks", at_least=1.0, peer="aiomultiprocess"),
    Goal("pool_boot.one", at_most=60),
    Goal("pool_boot.ten", at_most=200),
    Goal("pool_boot.nothing", at_most=500),
    Goal("pool_idle.rss", at_most=90),
    Goal("pool_idle.pss", at_most=50),
    Goal("pool_idle.cpu", at_most=0.5),
)
REFS_GOALS = (
    *(Goal(f"refs_bulk.{how}", at_least=1.0, peer="ray") for how in ("argument", "return", "ref", "shared")),
    *(Goal(f"refs_bulk.{how}", at_least=4.0, peer="dask") for how in ("argument", "return", "ref")),
    *(Goal(f"refs_bulk.{how}", at_least=2_000) for how in ("argument", "return", "get")),
    *(Goal(f"refs_bulk.{how}", at_least=4_000) for how in ("ref", "shared")),
    *(Goal(f"refs_churn.{how}", at_least=20_000) for how in ("made", "handed")),
    Goal("refs_churn.freed", at_most=1_000),
)
# A remote method beside a call that does the same there; what is brought beside an array by reference.
FRAMES_GOALS = (
    Goal("frames_ops.select", at_most=2.0, beside="frames_ops.call"),
    Goal("frames_ops.head", at_most=2.0, beside="frames_ops.bare"),
    Goal("frames_ops.value", at_most=2.0, beside="frames_ops.bare"),
    Goal("frames_group", at_least=1.5, peer="dask"),
    Goal("frames_collect.frame", at_least=0.8, beside="frames_collect.array"),
)
# An event of a running call is to be seen within 250 ms: what a browser takes is in there, too.
_ASKED = ("names", "attributes", "arguments", "hover", "asked", "busy")
NOTEBOOK_GOALS = (
    *(Goal(f"notebook_completion.{what}.p50", at_most=10) for what in _ASKED),
    *(Goal(f"notebook_completion.{what}.p95", at_most=100) for what in _ASKED),
    Goal("notebook_completion.hung", at_most=300),
    Goal("notebook_display.p95", at_most=200),
    Goal("notebook_display.cpu", at_most=20),
    *(Goal(f"notebook_screen.{kind}.p95", at_most=250) for kind in ("simulated", "real")),
    Goal("notebook_start.first", at_most=1_000),
    Goal("notebook_start.memory", at_most=60),
)
GOALS = (
    Goal("pingpong", at_least=3.0, peer="queue-uvloop"),
    Goal("pingpong", at_least=1 / 3, peer="erlang"),
    Goal("pingpong", at_least=1 / 3, peer="erlang-1"),
    Goal("oneway", at_least=0.7, peer="deque-uvloop"),
    Goal("ring", at_least=600_000),
    Goal("spawn", at_least=1 / 5, peer="erlang-1"),
    Goal("spawn.batch", at_least=1 / 5, peer="erlang-1"),
    Goal("call.rate", at_least=10.0, peer="pykka"),
    Goal("call.rate", at_least=10.0, peer="xoscar"),
    Goal("call.p50", at_most=12.0),
    # Unaffected by the mailbox: within what two timings of one thing differ by on a busy machine.
    Goal("call.behind", at_most=1.25, beside="call.quiet"),
    Goal("memory.process", at_most=1000),
    Goal("memory.server", at_most=2000),
    Goal("kill.down", at_most=20.0),
    Goal("restart", at_most=100.0),
    Goal("send_after", at_least=300_000),
    Goal("whereis", at_least=3_000_000),
    *REMOTE_GOALS,
    *CODE_GOALS,
    *POOL_GOALS,
    *REFS_GOALS,
    *FRAMES_GOALS,
    *NOTEBOOK_GOALS,
)


@dataclass(frozen=True)
class Verdict:
    """A goal and what was reached: `reached` is None when this run could not measure it.

    `margin` is how far past the goal: 1.0 is exactly met, 2.0 twice as good, 0.5 half as good.
    """

    goal: Goal
    reached: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def margin(self) -> float | None:
        if self.reached is None:
            return None
        if self.goal.at_least is not None:
            return self.reached / self.goal.at_least
        assert self.goal.at_most is not None
        return self.goal.at_most / self.reached if self.reached > 0 else float("inf")

    @property
    def met(self) -> bool | None:
        return None if self.margin is None else self.margin >= 1.0

    @property
    def word(self) -> str:
        return {None: "not measured", True: "met", False: "MISSED"}[self.met]


Runs = Mapping[str, Mapping[str, Sequence[float]]]
"""The values of every run: of a figure's name, of a subject's name."""


def judge(goal: Goal, figures: Mapping[str, Figure], runs: Runs) -> Verdict:
    """Compare run by run, then take the median; a ratio of medians would mix different minutes."""
    ours = runs.get(goal.figure, {}).get(goal.subject, ())
    values: list[float | None] = list(ours)
    if goal.peer is not None:
        theirs = runs.get(goal.figure, {}).get(goal.peer, ())
        figure = figures.get(goal.figure)
        values = [figure.times_better(a, b) for a, b in zip(ours, theirs, strict=False) if figure]
    elif goal.beside is not None:
        other = runs.get(goal.beside, {}).get(goal.subject, ())
        values = [a / b if b > 0 else None for a, b in zip(ours, other, strict=False)]
    reached = [value for value in values if value is not None]
    if not reached:
        return Verdict(goal)
    return Verdict(goal, median(reached), min(reached), max(reached))
