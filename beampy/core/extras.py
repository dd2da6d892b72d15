"""The parts of a process that most processes never need, made on first use; see benchmarks/memory.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.core.links import Links

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from contextvars import Context

    from beampy.core.ids import Pid, Ref
    from beampy.core.request import Request

    Lineage = tuple[Pid, "Lineage | None"]


UNSET: Any = object()


class Become:
    """What a process's function may return to go on as another coroutine, its own frames gone.

    The process stays what it is: pid, mailbox, links. It is OTP's hibernate(M, F, A), used by behaviours so that
    an idle server does not keep the frames of its start.
    """

    __slots__ = ("coro",)

    def __init__(self, coro: Coroutine[Any, Any, Any]) -> None:
        self.coro = coro


class Extras:
    """What only some processes need: made on first use."""

    __slots__ = (
        "aliases",
        "callbacks",
        "cancels",
        "exiting",
        "label",
        "lineage",
        "links",
        "name",
        "outcome",
        "quiet",
        "report_note",
        "requests",
        "tasks",
        "timers",
        "trap_exit",
    )

    def __init__(self) -> None:
        self.links = Links()
        self.aliases: dict[Ref, str] | None = None
        self.callbacks: list[tuple[Callable[[Any], object], Context | None]] | None = None
        self.cancels = 0
        self.exiting: Any = UNSET
        self.label: Any = None
        self.lineage: Lineage | None = None
        self.name: str | None = None
        self.outcome: tuple[Any, BaseException | None] | None = None
        self.quiet = False
        self.report_note: Callable[[], dict[str, str]] | None = None
        self.requests: dict[Request, None] | None = None  # calls that no deadline would end
        self.tasks: set[asyncio.Task[Any]] | None = None
        self.timers: set[Ref] | None = None
        self.trap_exit = False

    def own_requests(self) -> dict[Request, None]:
        """The calls that nothing but the end of the process may end."""
        if self.requests is None:
            self.requests = {}  # a dict for its order
        return self.requests

    def own_timers(self) -> set[Ref]:
        """The timers that go when the process ends."""
        if self.timers is None:
            self.timers = set()
        return self.timers
