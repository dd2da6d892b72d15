"""What of a caller's context a call of a pool takes along, and how the job finds it.

    request_id: ContextVar[str] = ContextVar("request_id")
    pool = bp.Pool(context=(request_id,))

    request_id.set("r-17")
    await pool.call(handle, order)           # in `handle`, on the runner: request_id.get() == "r-17"

Rule: four things go, each only where there is something of it.

- The variables of the pool's `context=` that are set where the call is made. One that is not set there is not set in
  the job either: it has its default, or LookupError.
- OpenTelemetry's context: the current span, as W3C `traceparent`, and baggage, by the propagators that the program has
  configured. Spans of the job are children of the caller's.
- structlog's bound contextvars. What is no plain data goes as its repr: an object that cannot travel must not make a
  call fail that never mentioned it.
- On whose behalf the caller works (`bp.callers()`), with the caller itself in front. A caller that works for nobody
  carries nothing, as with a remote call.

Nothing is imported for this at the caller: who has not imported OpenTelemetry or structlog has nothing of them.
On the runner they are imported when something of them arrives, and left out where they are not installed. Their
errors are logged once and never a job's.

A `logging.Filter`, a record factory or a formatter that reads the variables of `context=` (or the current span, or what
structlog merges) works in a job as at home, if the runner's logging has it: there is nothing to carry for it.

The values are those of the moment of the call; what the job sets stays in the job. What the values are is the user's
choice: one that cannot be encoded fails the call, with an EncodeError that says where it is.

Place: pool/manager.py carries, pool/job.py restores, in a process of the job's own. Threads for functions that are not
async have a copy of that process's context. Which ContextVar is which elsewhere: code/contextvars.py.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import TYPE_CHECKING, Any

from beampy.core.current import current
from beampy.otp import task

if TYPE_CHECKING:
    from contextvars import ContextVar

    from beampy.core.ids import Pid

    Carried = tuple[tuple[tuple[ContextVar[Any], Any], ...], dict[str, str], dict[str, Any], tuple[Pid, ...]]

log = logging.getLogger("beampy.pool")

UNSET: Any = object()
HEADER = 8192  # characters of one trace header: the most that W3C baggage may have; what is longer is left out
BOUND = 64  # of structlog's names: people bind a handful
TEXT = 1024  # characters of the repr of what is no plain data
DEEP = 4  # containers in containers, for the same
CHAIN = 64  # callers of callers: jobs that call jobs that call jobs

PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
# Types of these modules travel by name, and are on every node. Not imported here for that.
PLAIN_MODULES = frozenset({"datetime", "decimal", "uuid"})

_left_out: set[str] = set()  # modules that are not installed here, and faults that were told: a handful


def carry(vars: tuple[ContextVar[Any], ...] = ()) -> Carried | None:
    """What a call takes along from the current context: plain data, and the variables; None: nothing.

    >>> carry(()) is None
    True
    """
    modules = sys.modules
    values = [(var, value) for var in vars if (value := var.get(UNSET)) is not UNSET] if vars else ()
    trace = _trace() if "opentelemetry.context" in modules else None
    bound = _bound() if "structlog.contextvars" in modules else None
    behalf = task.callers()
    if not values and not trace and not bound and not behalf:
        return None
    if behalf and (me := current.get(None)) is not None:
        behalf = (me.pid, *behalf)[:CHAIN]
    return tuple(values), trace or {}, bound or {}, behalf


def restore(carried: Carried) -> None:
    """Let the current context have what a call took along: that of a job's process, which ends with it."""
    values, trace, bound, behalf = carried
    for var, value in values:
        var.set(value)
    if trace:
        _attach(trace)
    if bound:
        _bind(bound)
    if behalf:
        task._callers.set(behalf)


# OpenTelemetry: the package is there where `opentelemetry.context` is, so its other modules may be asked for


def _trace() -> dict[str, str] | None:
    try:
        if not sys.modules["opentelemetry.context"].get_current():  # neither a span nor baggage
            return None
        headers: dict[str, str] = {}
        importlib.import_module("opentelemetry.propagate").inject(headers)
        return {
            name: value
            for name, value in headers.items()
            if type(name) is str and type(value) is str and len(value) <= HEADER
        }
    except Exception:
        _tell("OpenTelemetry's context is not carried along with calls")
        return None


def _attach(headers: dict[str, str]) -> None:
    propagate, context = _imported("opentelemetry.propagate"), _imported("opentelemetry.context")
    if propagate is None or context is None:
        return
    try:
        context.attach(propagate.extract(headers))
    except Exception:
        _tell("the OpenTelemetry context that came with a call is left out")


# structlog


def _bound() -> dict[str, Any] | None:
    try:
        bound = sys.modules["structlog.contextvars"].get_contextvars()
        return {name: _portable(bound[name]) for name in [*bound][:BOUND]} if bound else None
    except Exception:
        _tell("structlog's bound contextvars are not carried along with calls")
        return None


def _bind(bound: dict[str, Any]) -> None:
    contextvars = _imported("structlog.contextvars")
    if contextvars is None:
        return
    try:
        contextvars.bind_contextvars(**bound)
    except Exception:
        _tell("structlog's bound contextvars that came with a call are left out")


def _portable(value: Any, deep: int = DEEP) -> Any:
    """The value, where it is plain data; else its repr."""
    kind = type(value)
    if kind in PLAIN or kind.__module__ in PLAIN_MODULES:
        return value
    if deep and kind in (list, tuple):
        return kind([_portable(one, deep - 1) for one in value])
    if deep and kind is dict:
        return {_portable(key, deep - 1): _portable(one, deep - 1) for key, one in value.items()}
    return repr(value)[:TEXT]


# both


def _imported(name: str) -> Any:
    """A module, imported where it is installed; else None. One that a job imports later counts from then on."""
    found = sys.modules.get(name)
    if found is not None or name in _left_out:
        return found
    try:
        return importlib.import_module(name)
    except ImportError:
        log.debug("%s is not installed here: what calls bring of it is left out", name)
    except Exception:
        _tell(f"{name} cannot be imported here: what calls bring of it is left out")
    _left_out.add(name)
    return None


def _tell(what: str) -> None:
    """Log the current exception, once for each."""
    if what not in _left_out:
        _left_out.add(what)
        log.warning("%s", what, exc_info=True)
