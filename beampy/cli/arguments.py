"""The arguments of every command, and its --help with examples.

Rule: nothing is imported here but argparse; a command's own file is imported when it is called.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from beampy.cli.exits import CODES

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL = 1.0  # seconds between two looks, as top's is a few
COLUMNS = ("pid", "name", "status", "messages", "steps", "memory")
EVENTS = ("spawn", "send", "exit", "long_mailbox")
LEVELS = ("debug", "info", "warning", "error", "critical")

ABOUT = """\
Erlang-style processes for Python: run a node, and look at nodes that run.

A node is named NAME@HOST; a bare NAME lives on localhost. All nodes of a cluster share a cookie, a secret: it is read
from --cookie-file, else from BEAMPY_COOKIE, else from ~/.beampy.cookie, which is made at first use. There is no option
to give the cookie itself, since everybody on this machine sees the arguments of everybody's commands."""

EXAMPLES = """\
examples:
  beampy start a                       in one terminal
  beampy ping a                        in another one
  beampy call a os.getpid
  beampy remsh a"""


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments of one command line. Wrong ones end the program with 2."""
    parser = argparse.ArgumentParser(
        prog="beampy",
        description=ABOUT,
        epilog=f"{EXAMPLES}\n\n{CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", dest="command")

    def command(
        name: str, file: str, about: str, more: str, examples: str, *, node: bool = True, json: bool = True
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}. {more}",
            epilog=f"examples:\n{examples}\n\n{CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # `--cookie SECRET` must not pass for --cookie-file
        )
        sub.set_defaults(file=file)
        if node:
            sub.add_argument("node", metavar="NODE", help="NAME@HOST; a bare NAME lives on localhost")
            _trust(sub)
            sub.add_argument(
                "--timeout", type=_seconds, default=7.0, metavar="SECONDS", help="for the connection (default: 7)"
            )
        if json:
            sub.add_argument("--json", action="store_true", help="JSON instead of text")
        return sub

    _start(command)
    _runner(command)
    _look(command)
    _run_there(command)
    options = parser.parse_args(argv)
    if options.version:
        from beampy import __version__

        print(f"beampy {__version__}")
        parser.exit()
    if options.command is None:
        parser.print_help()
        parser.exit(2)
    return options


def _trust(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--cookie-file", metavar="FILE", help="the cookie, in a file that only you can read (mode 600)")


def _start(command: Callable[..., argparse.ArgumentParser]) -> None:
    sub = command(
        "start",
        "start",
        "run a node, in the foreground",
        "One line on stderr says when it is up, and where it\n"
        "listens. SIGTERM ends it in order (exit code 0), and so does Ctrl-C (130).",
        "  beampy start a\n"
        "  beampy start shop --app shop.main:App         a Supervisor class, or an async function\n"
        "  beampy start b@10.0.0.2 --bind 0.0.0.0 --port 9100 --connect a@10.0.0.1",
        node=False,
        json=False,
    )
    sub.add_argument("name", metavar="NAME", help="NAME@HOST, where HOST is what others find it by")
    sub.add_argument(
        "--app", metavar="MODULE:NAME", help="what it runs, from this folder or installed; it ends with that"
    )
    sub.add_argument("--connect", nargs="+", default=[], metavar="NODE", help="nodes to stay connected with")
    _trust(sub)
    sub.add_argument("--hidden", action="store_true", help="not in the nodes() of others, nor in their mesh")
    sub.add_argument(
        "--bind", default="127.0.0.1", metavar="ADDRESS", help="where it listens for TCP (default: 127.0.0.1)"
    )
    sub.add_argument("--port", type=_port, default=0, metavar="N", help="its TCP port (default: any)")
    sub.add_argument("--no-unix", action="store_true", help="no unix socket for nodes of this machine")
    sub.add_argument(
        "--tls",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="TLS everywhere, or nowhere (default: on all addresses that are not loopback)",
    )
    sub.add_argument(
        "--accept-code",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run functions and modules that are only on other nodes (default: yes)",
    )
    sub.add_argument(
        "--packages",
        choices=("off", "pure", "install"),
        default="pure",
        help="packages that are missing here: none, from the node that has them, or installed (default: pure)",
    )
    sub.add_argument("--log-level", choices=LEVELS, default="info", help="what is logged to stderr (default: info)")


def _runner(command: Callable[..., argparse.ArgumentParser]) -> None:
    sub = command(
        "runner",
        "runner",
        "be a runner of a pool, as its spec says",
        "The spec is text that a pool makes for each machine. It\n"
        "is secret, so it comes in the variable BEAMPY_RUNNER or in a file. It ends when the pool says so, with\n"
        "exit code 0; 3: no pool took it; 4: its pool refused it; 5: it has lost its pool.",
        "  beampy runner\n  beampy runner --spec-file /run/secrets/runner",
        node=False,
        json=False,
    )
    sub.add_argument("--spec-file", metavar="FILE", help="read the spec from there (default: BEAMPY_RUNNER)")


def _look(command: Callable[..., argparse.ArgumentParser]) -> None:
    sub = command(
        "names",
        "names",
        "list the nodes that are registered on a host",
        "The name service may be ours or Erlang's epmd.",
        "  beampy names\n  beampy names 10.0.0.2 --json",
        node=False,
    )
    sub.add_argument("host", metavar="HOST", nargs="?", default="localhost", help="(default: localhost)")

    command(
        "ping",
        "names",
        "say whether a node answers, and how fast",
        "Exit code 0: it does. 1: it does not, and why.",
        "  beampy ping a\n  beampy ping b@10.0.0.2 && echo there",
    )

    sub = command(
        "ps",
        "ps",
        "list the processes of a node",
        "One row for each process.",
        "  beampy ps a\n  beampy ps a --by memory --limit 10\n  beampy ps a --watch",
    )
    sub.add_argument("--by", choices=COLUMNS, default="pid", help="sorted by this; sizes largest first (default: pid)")
    sub.add_argument("--limit", type=_count, default=100, metavar="N", help="rows at most; 0: all (default: 100)")
    sub.add_argument("--watch", action="store_true", help="again and again, until Ctrl-C")
    _every(sub)

    sub = command(
        "refs",
        "refs",
        "list the objects that a node keeps for others",
        "And those of others that it holds. The largest come first.",
        "  beampy refs a\n  beampy refs a --limit 10 --json",
    )
    sub.add_argument("--limit", type=_positive, default=100, metavar="N", help="rows at most (default: 100)")

    sub = command(
        "top",
        "top",
        "show the busiest processes of a node, live",
        "Keys: q leaves; s, m and b sort by steps, memory and mailbox.\n"
        "Without a terminal, and with --once, it prints one table.",
        "  beampy top a\n  beampy top a --once --json",
    )
    sub.add_argument("--by", choices=("steps", "memory", "messages"), default="steps", help="(default: steps)")
    sub.add_argument("--limit", type=_positive, default=20, metavar="N", help="rows at most (default: 20)")
    sub.add_argument("--once", action="store_true", help="one table, of what happens in one interval")
    _every(sub)

    sub = command(
        "trace",
        "trace",
        "show what the processes of a node do, live",
        "What happens faster than 1000 events a second is counted\n"
        "and not shown. The node is as before when this command ends, however it ends.",
        "  beampy trace a --for 5\n  beampy trace a --events spawn,exit\n  beampy trace a --match order --json",
    )
    sub.add_argument("--for", dest="seconds", type=_seconds, metavar="SECONDS", help="then it ends (default: Ctrl-C)")
    sub.add_argument(
        "--events", type=_events, default=list(EVENTS), metavar="A,B", help=f"of {', '.join(EVENTS)} (default: all)"
    )
    sub.add_argument("--match", default="", metavar="TEXT", help="only those with this text in their line")


def _run_there(command: Callable[..., argparse.ArgumentParser]) -> None:
    sub = command(
        "call",
        "call",
        "call a function on a node, and print what it returns",
        "Arguments are Python literals\n"
        "where they can be, else text; KEY=VALUE is a keyword argument. What the function prints and logs appears\n"
        "here. When it raises, the traceback from there is on stderr, and the exit code is 1.",
        "  beampy call a os.getpid\n"
        "  beampy call a shop.stock.count 'red wine' warehouse=3\n"
        "  beampy call a glob.glob '*.py' --json\n"
        "  beampy call a itertools.repeat 1 3 --stream",
    )
    sub.add_argument("function", metavar="MODULE.FUNCTION", help="its name there; MODULE:CLASS.METHOD too")
    sub.add_argument("args", metavar="ARG", nargs="*", help="a Python literal, text, or KEY=VALUE")
    sub.add_argument("--stream", action="store_true", help="print each of many values as it comes: for generators")
    sub.add_argument("--for", dest="seconds", type=_seconds, metavar="SECONDS", help="give up after that")

    command(
        "remsh",
        "remsh",
        "a Python prompt inside a node",
        "Lines run there, in a process of their own, and may\n"
        "await. Lines without `await` run in a thread, so that the node goes on. `bp` is beampy, `_` the last value.\n"
        "Tab completes, Ctrl-C interrupts what runs, Ctrl-D leaves. Without a terminal, lines come from stdin; then\n"
        "an error is exit code 1.",
        "  beampy remsh a\n  echo 'bp.processes()' | beampy remsh a",
        json=False,
    )


def _every(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--interval",
        type=_interval,
        default=INTERVAL,
        metavar="SECONDS",
        help=f"between two looks (default: {INTERVAL:g})",
    )


# what an argument may be


def _number(text: str, least: float, most: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value


def _seconds(text: str) -> float:
    return _number(text, 0.001, 1e9, "a number of seconds")


def _interval(text: str) -> float:
    return _number(text, 0.1, 3600, "an interval of 0.1 to 3600 seconds")


def _whole(text: str, least: int, most: int, what: str) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return int(text)


def _count(text: str) -> int:
    return _whole(text, 0, 10_000_000, "a number of rows")


def _positive(text: str) -> int:
    return _whole(text, 1, 10_000, "a number of rows, 1 or more")


def _port(text: str) -> int:
    return _whole(text, 0, 65535, "a port")


def _events(text: str) -> list[str]:
    events = [part.strip() for part in text.split(",") if part.strip()]
    if not events or not set(events) <= set(EVENTS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of {', '.join(EVENTS)}")
    return events
