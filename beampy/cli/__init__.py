"""The `beampy` command: start a node, and look at nodes that run.

    beampy start a                         run a node
    beampy ping a                          is it there?
    beampy ps a                            its processes
    beampy remsh a                         a Python prompt inside it

Rule: a command is a visitor. It joins as a hidden node that listens nowhere, asks, and leaves no trace. What it asks
for is in beampy itself (otp/inspect.py, otp/shell.py), so every node can answer. Errors are one line on stderr, output
that programs read comes with --json, exit codes are in exits.py.

Place: on top of everything; nothing imports it. A command's file is imported when it is that command's turn, so
`beampy ping` costs little more than Python's start.
"""

from __future__ import annotations

import importlib
import os
import sys

from beampy.cli.arguments import parse
from beampy.cli.exits import INTERRUPTED, NO, UNREACHABLE, USAGE, Refusal
from beampy.errors import BadName, BeampyError, NodeDown, NotConnected

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run one command line (default: this program's own). Its exit code; see exits.py."""
    options = parse(argv)
    try:
        code: int = importlib.import_module(f"beampy.cli.{options.file}").run(options)
        sys.stdout.flush()
        return code
    except Refusal as refusal:
        return _say(refusal.code, str(refusal))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads our output has enough, as `| head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO
    except (NotConnected, NodeDown) as error:
        return _say(UNREACHABLE, str(error))
    except (BadName, PermissionError) as error:
        return _say(USAGE, str(error))
    except (BeampyError, OSError) as error:
        return _say(NO, str(error))


def _say(code: int, why: str) -> int:
    sys.stderr.write(f"beampy: {why}\n")
    return code
