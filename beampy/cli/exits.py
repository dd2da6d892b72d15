"""How a command ends: its exit codes, and the failures that it says in one line.

0    it did what it was asked to
1    the node, or what ran there, said no; `ping`: there is no answer
2    it cannot be asked like that: arguments, a cookie file that others can read, an application that is not there
3    there is no connection to the node, or it was lost
130  Ctrl-C, as shells count it: 128 + SIGINT
"""

from __future__ import annotations

OK, NO, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

CODES = """\
exit codes: 0 done; 1 the node, or what ran there, said no; 2 wrong arguments; 3 no connection; 130 Ctrl-C"""


class Refusal(Exception):
    """The command ends here: one line for people, and its exit code."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(code, why)
        self.code = code
        self.why = why

    def __str__(self) -> str:
        return self.why
