"""What the processes of the tests about shipped modules run: cells in `__main__`, as a notebook has them, and counters.

A test sends the text of a cell to an origin, which runs it in its `__main__` and answers what it left in `result`.
"""

from __future__ import annotations

import ast
import gc
import inspect
import linecache
import logging
import sys
import types
from typing import Any

import beampy as bp
from beampy.code.client import SocketSource
from beampy.code.link import Link
from beampy.dist.connection import Connection
from beampy.otp.rpc import remote_call
from beampy.testing.cluster_node import idle

call = remote_call.options(timeout=60.0)
received = 0  # bytes that came over the connections of this process
links: list[Link] = []
questions: list[str] = []
warnings: list[str] = []


class Warned(logging.Handler):
    """Keeps what beampy warns of its code."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            warnings.append(record.getMessage())


async def cells() -> None:
    """The program of a node: count, have an empty `__main__`, and wait for cells."""
    count()
    logging.getLogger("beampy.code").addHandler(Warned())
    main = types.ModuleType("__main__")
    vars(main).update(bp=bp, there=there)
    sys.modules["__main__"] = main
    await idle()


def count() -> None:
    """Count bytes and questions from now on. Not of connections that there are: the loop has kept their methods."""
    updated, made = Connection.buffer_updated, Link.__init__

    def buffer_updated(self: Connection, nbytes: int) -> None:
        global received
        received += nbytes
        updated(self, nbytes)

    def init(self: Link, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        links.append(self)

    asked = Link._ask

    def ask(self: Link, what: str, fn: Any, *args: Any) -> Any:
        questions.append(f"{fn.__name__} {what}")
        return asked(self, what, fn, *args)

    asked_blocking = SocketSource._ask

    def ask_blocking(self: SocketSource, what: str, end: float, op: str, *args: Any) -> Any:
        questions.append(f"{op} {what} on a socket")
        return asked_blocking(self, what, end, op, *args)

    SocketSource._ask = ask_blocking  # type: ignore[assignment, method-assign]
    Link._ask = ask  # type: ignore[method-assign]
    Connection.buffer_updated = buffer_updated  # type: ignore[method-assign]
    Link.__init__ = init  # type: ignore[method-assign]


def counted() -> tuple[int, int]:
    """Bytes that came, and questions that were asked."""
    return received, sum(link.questions for link in links)


async def run(source: str) -> Any:
    """Run a cell in `__main__`. What it left in `result`."""
    names = vars(sys.modules["__main__"])
    names["cell"] = number = names.get("cell", 0) + 1
    path = f"<cell {number}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[path] = (len(source), None, lines, path)
    code = compile(source, path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    names.pop("result", None)
    done = eval(code, names)
    if inspect.iscoroutine(done):
        await done
    return names.get("result")


async def notebook() -> None:
    """The program of a node whose cells are IPython's."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    count()
    logging.getLogger("beampy.code").addHandler(Warned())
    config = Config()
    config.HistoryManager.enabled = False
    shell: Any = InteractiveShell.instance(config=config)
    shell.push({"bp": bp, "there": there})
    await idle()


async def run_in_notebook(source: str) -> Any:
    """Run a cell as a kernel does. What it left in `result`, and what it raised is raised."""
    from IPython.core.interactiveshell import InteractiveShell

    shell: Any = InteractiveShell.instance()
    shell.user_ns.pop("result", None)
    done = await shell.run_cell_async(source, store_history=True, transformed_cell=shell.transform_cell(source))
    done.raise_error()
    return shell.user_ns.get("result")


async def there(fn: Any, *args: Any, node: str = "b") -> Any:
    """Call a function on another node, `b` where nothing else is said."""
    return await call(f"{node}@127.0.0.1", fn, *args)


def asked() -> list[str]:
    """What was asked of others, since the last time that somebody looked."""
    found = list(questions)
    questions.clear()
    return found


def modules(*names: str) -> list[str]:
    """Which modules of these names, or with names that begin with one of them and a dot, or hold it, are imported."""
    return sorted(
        each for each in list(sys.modules) if any(name in each.split(".") for name in names) and sys.modules[each]
    )


def alive(what: str) -> int:
    """How many instances of a class of this name live, in any version of it, after a collection."""
    gc.collect()
    return sum(type(each).__name__ == what for each in gc.get_objects())


def warned() -> list[str]:
    """What was logged as a warning about code."""
    return list(warnings)


def remember_misses(seconds: float) -> None:
    """How long a name that an origin has not is not asked for again."""
    from beampy.code import shipped

    shipped.MISSED = seconds  # type: ignore[misc]


def wait_less(seconds: float) -> None:
    """Wait so many seconds for each answer about code, over the connection or on a socket of its own."""
    from beampy.code import client, link

    link.TIMEOUT = seconds
    defaults = client.SocketSource.__init__.__kwdefaults__
    assert defaults is not None
    defaults["timeout"] = seconds
