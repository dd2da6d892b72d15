"""The source text of code: which lines to send with it, so that tracebacks and inspect.getsource show them elsewhere.

Rule: a look that may fail: the text is a courtesy, and where it is not surely that of the code there is none. It is the
whole statement at the left margin that the code is part of: it compiles by itself, on another Python too.
"""

from __future__ import annotations

import ast
import linecache
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType

TRIES = 50  # statements taken together until they parse: lines at the margin in one text
MOST = 5_000  # lines of one statement: a class of 200 methods has some 2 000


def statement(code: CodeType) -> tuple[str, int]:
    """The statement that `code` stands in, and the number of its first line; ("", 0) where it is not known.

    >>> statement(compile("1", "<nowhere>", "eval"))
    ('', 0)
    """
    lines = linecache.getlines(code.co_filename)
    at = code.co_firstlineno - 1
    if not 0 <= at < len(lines) or not _is_its(lines[at], code.co_name):
        return "", 0
    first = _back(lines, at)
    for _ in range(TRIES):  # backwards: a line at the margin may be within a text or a parenthesis
        last = at
        for _ in range(TRIES):
            last = _on(lines, max(last, first))
            text = "".join(lines[first:last]).rstrip() + "\n"
            if last - first > MOST:
                return "", 0
            if last > at and _parses(text):
                return _without_end(lines, first, last), first + 1
            if last == len(lines):
                break
        if first == 0:
            break
        first = _back(lines, first - 1)
    return "", 0


def _back(lines: list[str], at: int) -> int:
    """The nearest line before, or this, with which a statement may begin."""
    while at > 0 and not _begins(lines, at):
        at -= 1
    return at


def _on(lines: list[str], at: int) -> int:
    """The nearest line after this with which a statement may begin; else how many lines there are."""
    at += 1
    while at < len(lines) and not _begins(lines, at):
        at += 1
    return min(at, len(lines))


def _without_end(lines: list[str], first: int, last: int) -> str:
    """The lines without what comes after the statement: empty ones, and comments at the margin."""
    while last > first + 1 and (not lines[last - 1].strip() or lines[last - 1].startswith("#")):
        last -= 1
    return "".join(lines[first:last])


@lru_cache(256)  # a class is asked about for each of its methods
def _parses(text: str) -> bool:
    """Whether this is a whole statement, or some."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they were told when it ran first
            compile(text, "<statement>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def starts_at(code: CodeType) -> tuple[int, int] | None:
    """The line and the column of the first thing that code does, where it knows: every Python says the same."""
    return min(((line, column) for line, _, column, _ in code.co_positions() if line and column), default=None)


def _begins(lines: list[str], at: int) -> bool:
    """Whether a statement at the left margin begins with this line."""
    line = lines[at]
    if at > 0 and lines[at - 1].rstrip().endswith("\\"):
        return False
    return (
        not line[:1].isspace()
        and line[:1] not in (")", "]", "}", "#", "")
        and not line.startswith(("else:", "elif ", "except", "finally:", "case ", '"""', "'''"))
    )


def _is_its(line: str, name: str) -> bool:
    """Whether the line may be the first one of code of this name."""
    text = line.lstrip()
    return (
        text.startswith("@")
        or name.strip("<>") in line
        or name in ("<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>")
    )
