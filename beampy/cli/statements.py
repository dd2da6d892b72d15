"""Lines into whole statements, as they are typed or piped in.

Rule: what is typed follows Python's own prompt: a block ends with an empty line. What is piped ends where the next
statement begins, so that a script needs no empty lines. `await` may stand anywhere. Text that can never be a statement
is handed on as it is: who runs it says what is wrong.
"""

from __future__ import annotations

import ast
import codeop
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONTINUES = ("else", "elif", "except", "finally")  # what may follow a block at its own depth


class Statements:
    """What has been typed of one statement so far. `symbol` is compile()'s mode: "single" waits for empty lines."""

    def __init__(self, symbol: str = "single") -> None:
        self.lines: list[str] = []
        self._symbol = symbol
        self._compiler = codeop.CommandCompiler()
        self._compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def __bool__(self) -> bool:
        return bool(self.lines)

    def take(self, line: str) -> str | None:
        """One more line. The statement, when that was its last; None while there is more to come."""
        self.lines.append(line)
        return self.end() if self.whole() else None

    def whole(self) -> bool:
        """Whether what is there can be run, or can never be."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return self._compiler("\n".join(self.lines), "<shell>", self._symbol) is not None
            except (SyntaxError, ValueError, OverflowError):
                return True

    def end(self) -> str:
        """What is there, and begin again."""
        text, self.lines = "\n".join(self.lines), []
        return text


def statements(lines: Iterable[str]) -> Iterator[str]:
    """The statements of a text that arrives line by line.

    >>> list(statements(["if x:", "    y()", "z()"]))
    ['if x:\\n    y()', 'z()']
    """
    kept = Statements("exec")
    for raw in lines:
        line = raw.rstrip("\r\n")
        if kept and _begins(line) and kept.whole():
            yield kept.end()
        if not kept and not line.strip():
            continue
        kept.lines.append(line)
        if kept.whole() and not _is_block(kept.lines):
            yield kept.end()
    if kept:
        yield kept.end()


def _begins(line: str) -> bool:
    """Whether a line may be the first one of a statement."""
    return bool(line.strip()) and not line[0].isspace() and not line.startswith(CONTINUES)


def _is_block(lines: list[str]) -> bool:
    """Whether more lines may belong to a statement that can be run as it is."""
    try:
        body = ast.parse("\n".join(lines)).body
    except (SyntaxError, ValueError):
        return False
    return bool(body) and hasattr(body[-1], "body")
