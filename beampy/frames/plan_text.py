"""Plans as people read them: what a RemoteLazyFrame begins with, and what is done then, a step a line.

    RemoteLazyFrame on b@localhost: a plan, of which nothing is done yet
      scan_parquet('flights/*.parquet')
      .filter([(col("arr_delay")) > (dyn int: 60)])
      .group_by('carrier')
      .len()
    collect() brings the result, compute() leaves it there; await explain() shows how it is done

Rule: only what is written down here is shown, and nothing is asked; so it is there at once, also on the node's own
loop. Long plans have their middle left out, long arguments their end. Arguments that may be secrets are not shown at
all, as notebooks are shared.

Place: `__repr__` and `_repr_mimebundle_` of RemoteLazyFrame.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

import polars as pl

from beampy.frames.asking import Remote, Scan
from beampy.frames.preview import failure, headline, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from beampy.frames.due import Due
    from beampy.frames.lazyframe import RemoteLazyFrame
    from beampy.frames.tree import Step

STEPS = 12  # that are shown; as many lines as a table of ten rows has
CELL = 80  # characters of an argument, and
STEP = 160  # of a step: a line of most screens, and a bit
DEEP = 3  # lists in lists that are written out
HINT = "collect() brings the result, compute() leaves it there; await explain() shows how it is done"
# Arguments of polars' functions that hold credentials, and the password that a URL may have.
SECRET = re.compile(r"option|credential|connection|token|password|secret|key_id|api_key|headers", re.IGNORECASE)
PASSWORD = re.compile(r"(://[^/\s:@'\"]*):[^@\s'\"]*@")


def text(plan: RemoteLazyFrame) -> str:
    """The plan for a terminal."""
    return "\n".join([first(plan), *(f"  {line}" for line in lines(plan)), HINT])


def html(plan: RemoteLazyFrame) -> str:
    """The plan for a notebook."""
    steps = escape("\n".join(lines(plan)))
    return (
        f'<div class="bp-frame"><div style="margin:2px 0">{escape(first(plan))}</div>'
        f'<pre style="margin:2px 0 2px 2ch;white-space:pre-wrap">{steps}</pre>'
        f'<div style="margin:2px 0">{escape(HINT)}</div></div>'
    )


def bundle(plan: RemoteLazyFrame) -> dict[str, str]:
    """Both, by MIME type."""
    return {"text/plain": text(plan), "text/html": html(plan)}


def first(plan: RemoteLazyFrame) -> str:
    """What it is, in one line."""
    try:
        node = plan.node
    except Exception:
        node = None
    return f"RemoteLazyFrame{f' on {node}' if node else ''}: a plan, of which nothing is done yet"


def lines(plan: RemoteLazyFrame) -> list[str]:
    """What it begins with, and its steps."""
    query = plan._query
    try:
        root = query.root
        begins = (
            f"{root.call.name}{_arguments(root.call.args, root.call.kwargs)}" if isinstance(root, Scan) else _of(root)
        )
    except Exception as error:
        begins = f"({failure(error)})"
    steps = [step for step in query.steps if step.name != "lazy"]
    shown = [step_text(step) for step in steps]
    over = len(shown) - STEPS
    if over > 0:
        shown = [*shown[: STEPS // 2], f"… {number(over)} more steps …", *shown[-(STEPS - STEPS // 2) :]]
    return [begins, *shown]


def _of(due: Due) -> str:
    """What a plan over a frame begins with."""
    if not due.done():
        return f"a frame that is being made ({due._what.removesuffix(' of a remote frame')})"
    if not due.ready:
        error = due.exception(0)
        return f"a frame that failed: {failure(error)}" if error is not None else "a frame"
    made = due.there()
    return headline(f"a {made.kind}", made.shape, made.ref.nbytes)


def step_text(step: Step) -> str:
    """A step as it is written.

    >>> step_text(Step("filter", (pl.col("a") > 1,), {}))
    '.filter([(col("a")) > (dyn int: 1)])'
    """
    try:
        return f".{step.name}" if step.args is None else _cut(f".{step.name}{_arguments(step.args, step.kwargs)}", STEP)
    except Exception:
        return f".{step.name}(…)"


def _arguments(args: Iterable[Any], kwargs: dict[str, Any]) -> str:
    named = (f"{key}={'…' if SECRET.search(key) else written(arg)}" for key, arg in kwargs.items())
    return f"({', '.join([*(written(arg) for arg in args), *named])})"


def written(value: Any, deep: int = 0) -> str:
    """An argument, as a plan shows it.

    >>> written(["a", pl.col("b")])
    "['a', col(\\"b\\")]"
    """
    if isinstance(value, Remote):
        return type(value).__name__
    if isinstance(value, pl.LazyFrame):
        return "LazyFrame"
    if isinstance(value, (pl.DataFrame, pl.Series)):
        return headline(type(value).__name__, value.shape)
    if isinstance(value, pl.Expr):
        return _cut(str(value))
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        inner = [written(each, deep + 1) for each in value[:STEPS]] if deep < DEEP else ["…"]
        more = ["…"] if len(value) > STEPS and deep < DEEP else []
        joined = ", ".join([*inner, *more])
        return _cut(f"[{joined}]" if type(value) is list else f"({joined})")
    if isinstance(value, (str, bytes)):
        return _cut(PASSWORD.sub(r"\1:…@", repr(value[:STEP])))
    if callable(value) and hasattr(value, "__qualname__"):
        return _cut(str(value.__qualname__))
    return _cut(repr(value))


def _cut(text: str, most: int = CELL) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
