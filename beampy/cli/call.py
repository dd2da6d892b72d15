"""`beampy call`: a function of a node, called from a shell."""

from __future__ import annotations

import ast
import json
import logging
import re
import sys
from typing import TYPE_CHECKING, Any

from beampy.cli.exits import NO, OK, USAGE, Refusal
from beampy.cli.visit import ask, visiting

if TYPE_CHECKING:
    import argparse

KEYWORD = re.compile(r"([A-Za-z_]\w*)=(.*)\Z", re.DOTALL)


def run(options: argparse.Namespace) -> int:
    """The value on stdout; what the function printed before it."""
    args, kwargs = arguments(options.args)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    return ask(_call(options, args, kwargs))


def arguments(given: list[str]) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments. Refusal for a positional one after a keyword, as in Python.

    >>> arguments(["1", "[2, 3]", "red wine", "n=4"])
    ([1, [2, 3], 'red wine'], {'n': 4})
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in given:
        keyword = KEYWORD.match(text)
        if keyword is not None:
            if keyword[1] in kwargs:
                raise Refusal(USAGE, f"{keyword[1]}= is given twice")
            kwargs[keyword[1]] = literal(keyword[2])
        elif kwargs:
            raise Refusal(USAGE, f"{text!r} comes after a KEY=VALUE: positional arguments come first")
        else:
            args.append(literal(text))
    return args, kwargs


def literal(text: str) -> Any:
    """A Python literal, else the text itself.

    >>> literal("0x10"), literal("'7'"), literal("seven"), literal("None")
    (16, '7', 'seven', None)
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


async def _call(options: argparse.Namespace, args: list[Any], kwargs: dict[str, Any]) -> int:
    from beampy.otp.rpc import remote_call

    async with visiting(options) as node:
        there = remote_call.options(timeout=options.seconds)
        try:
            if options.stream:
                async with there.stream(node, options.function, *args, **kwargs) as stream:
                    async for value in stream:
                        show(value, options.json)
            else:
                show(await there(node, options.function, *args, **kwargs), options.json)
        except Exception as error:
            return _failed(error, options.function, node)
    return OK


def show(value: Any, as_json: bool) -> None:
    """A value for people or for programs; what JSON does not know goes as its repr."""
    print(json.dumps(value, default=repr) if as_json else repr(value), flush=True)


def _failed(error: Exception, function: str, node: str) -> int:
    from beampy.errors import NodeDown, RemoteError, RemoteTraceback

    if isinstance(error, BrokenPipeError) and not isinstance(error.__cause__, RemoteTraceback):
        raise error
    if isinstance(error, NodeDown) and not isinstance(error.__cause__, RemoteTraceback):
        raise error
    cause = error.__cause__
    text = (
        cause.text if isinstance(cause, RemoteTraceback) else error.traceback if isinstance(error, RemoteError) else ""
    )
    if text:
        sys.stderr.write(f"{text.rstrip()}\n")
        kind = error.kind if isinstance(error, RemoteError) else type(error).__name__
        sys.stderr.write(f"beampy: {function} raised {kind} on {node}\n")
    else:
        sys.stderr.write(f"beampy: {error}\n")
    return NO
