"""The errors of pools. See the package's docstring."""

from __future__ import annotations

from beampy.errors.local import CallTimeout
from beampy.errors.root import BeampyError, _shown

REMEDIES = {  # by the reason, where something can be done
    "it has not been started": "use it inside `async with bp.Pool(…) as pool:`, or `with` where there is no event loop",
    "it was stopped": "pool.start() starts it again, or make another",
}


class PoolError(BeampyError):
    """A pool could not do what it was asked."""


class PoolClosed(PoolError):
    """The pool has not been started, or was stopped, before or while it was asked."""

    def __init__(self, pool: str, why: str = "it was stopped") -> None:
        super().__init__(pool, why)
        self.pool = pool
        self.why = why

    def __str__(self) -> str:
        how = REMEDIES.get(self.why)
        return f"pool {self.pool}: {self.why}{f'; {how}' if how else ''}"


class PoolSaturated(PoolError):
    """As many calls wait as may: `waiting` of `limit`. Nothing was started; try again later, or raise max_queue."""

    def __init__(self, pool: str, waiting: int, limit: int) -> None:
        super().__init__(pool, waiting, limit)
        self.pool = pool
        self.waiting = waiting
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"pool {self.pool} takes no more calls now: {self.waiting} wait, and max_queue is {self.limit}; "
            "submit fewer at once (pool.map does that by itself), try again later, or raise max_queue"
        )


class PoolTimeout(PoolError, CallTimeout):
    """The one deadline of a call, over queue, boot and run, has passed. `state` is where it was then.

    `target` is the function; it may have run in part where the state is "running". `remedy`: what gives it longer.
    """

    remedy = "pool.options(timeout=…)"

    def __init__(self, target: object, seconds: float, state: str, detail: str = "") -> None:
        Exception.__init__(self, target, seconds, state, detail)
        self.target = target
        self.seconds = seconds
        self.state = state
        self.detail = detail

    def __str__(self) -> str:
        more = f" ({self.detail})" if self.detail else ""
        return (
            f"the call of {_shown(self.target)} did not end within {self.seconds:g} s: it was {self.state}{more}; "
            f"{self.remedy} gives it another deadline"
        )


class BootFailed(PoolError):
    """No machine came up for a call. `why` says what went wrong, `log` is what the last machine wrote."""

    def __init__(self, pool: str, why: str, attempts: int = 1, log: str = "") -> None:
        super().__init__(pool, why, attempts, log)
        self.pool = pool
        self.why = why
        self.attempts = attempts
        self.log = log

    def __str__(self) -> str:
        times = "" if self.attempts == 1 else f" after {self.attempts} rounds of attempts"
        log = f"\n--- what the machine wrote\n{self.log}" if self.log else ""
        return f"pool {self.pool} got no runner{times}: {self.why}{log}"


class RunnerLost(PoolError):
    """The runner of a call is gone, and what the call had done with it. It may have run in part, or whole.

    `node`: its name. `cause`: what is known. `status`: its process's exit status, or minus a signal's number. `oom`: it
    was ended because memory ran out. A call that may run twice wants `pool.options(retries=…)`.
    """

    def __init__(self, node: str, cause: str, status: int | None = None, oom: bool = False, attempts: int = 1) -> None:
        super().__init__(node, cause, status, oom, attempts)
        self.node = node
        self.cause = cause
        self.status = status
        self.oom = oom
        self.attempts = attempts

    def __str__(self) -> str:
        times = "" if self.attempts == 1 else f" (attempt {self.attempts})"
        memory = ": out of memory" if self.oom else ""
        return f"runner {self.node} was lost{times}{memory}: {self.cause}"
