"""The inside of a remote prompt: lines of Python that run on this node, for somebody who types them on another one.

Rule: a session is two processes. One speaks with the client, the other runs the lines, one after the other, in a
namespace of their own; its mailbox is the lines' own, so `bp.self()` and `await bp.receive()` are as in any process.
A line with `await` runs on the event loop, as code of a process does; one without runs in a thread, so that what
computes or blocks does not hold up the node. An interrupt cancels the line and not its process. When a line ends its
process, a new one goes on with the same variables.

Place: called from another node as a stream (`bp.remote_call.stream(node, "beampy.otp.shell:session")`), so output goes
to the client, and when the client is lost everything of its session ends. The client is `beampy remsh`; what it sends
and gets are the classes below.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import linecache
import platform
import rlcompleter
import sys
import traceback
from asyncio import CancelledError
from collections import deque
from inspect import CO_COROUTINE
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from beampy import api
from beampy.core.group_leader import leader
from beampy.core.signals import Exit, safe_repr
from beampy.errors import ProcessExit
from beampy.otp.rpc_thread import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import CodeType

    from beampy.core.ids import Pid

SHOWN = 100_000  # characters of a value or a traceback that are sent: a few screens, and no flood
COMPLETIONS = 200  # words offered at most
REMEMBERED = 100  # inputs whose text tracebacks can still show
WAITING = 100  # inputs that may wait for the one that runs; a client asks for one at a time


class Evaluate(NamedTuple):
    """To the session: run this text, and say so as Done under the same number."""

    number: int
    text: str


class Interrupt(NamedTuple):
    """To the session: cancel what runs."""


class Complete(NamedTuple):
    """To the session: what may this word become? Answered with Completions."""

    number: int
    word: str


class Ready(NamedTuple):
    """From the session, first: where to send, and a line to greet with."""

    session: Pid
    banner: str


class Done(NamedTuple):
    """From the session: an input has ended.

    `how`: "value" (`text` is its repr, "" for None), "error" (a traceback), "interrupted", "exit" (it called exit()),
    or "died" (its process has ended; `text` says why).
    """

    number: int
    how: str
    text: str


class Completions(NamedTuple):
    """From the session: the answer to Complete."""

    number: int
    words: list[str]


async def session() -> AsyncIterator[Ready | Done | Completions]:
    """One remote prompt. It ends when its reader stops, or a line calls exit()."""
    api.trap_exit(True)
    api.set_label("beampy shell")
    me, process = api.self(), api.self_process()
    names = namespace()
    runner = _Runner(me, names)
    yield Ready(me, f"Python {platform.python_version()} on {me.node}, beampy as bp")
    try:
        while True:
            match await api.receive():
                case Evaluate() as job:
                    runner.give(job)
                case Interrupt():
                    runner.interrupt()
                case Complete(number, word):
                    yield Completions(number, await in_thread(completions, (names, word), {}))
                case Done() as done:
                    _flush()
                    yield done
                    if done.how == "exit":
                        return
                case Exit(pid, reason) if pid == runner.pid:
                    number = runner.number
                    runner = _Runner(me, names)
                    _flush()
                    yield Done(number, "died", safe_repr(reason))
                case Exit():  # nobody waits for this call any more
                    return
    finally:
        if process.alive:  # a killed one can do nothing more, and its link says enough
            api.exit(runner.pid, "shutdown")


def _flush() -> None:
    """What was printed goes before what is answered."""
    channel = leader.get()
    if channel is not None:
        channel.flush()


def namespace() -> dict[str, Any]:
    """The variables of a new prompt."""
    return {"__name__": "__shell__", "__builtins__": builtins, "bp": sys.modules["beampy"], "input": _no_input}


def _no_input(*_: object) -> NoReturn:
    raise EOFError("a remote prompt has no input(): stdin is on your side")


def completions(names: dict[str, Any], word: str) -> list[str]:
    """What a word may become: names, keywords, attributes."""
    completer = rlcompleter.Completer(names)
    found: dict[str, None] = {}
    for state in range(COMPLETIONS):
        try:
            one = completer.complete(word, state)
        except Exception:  # what an attribute's property raises is no matter of completion
            break
        if one is None:
            break
        found[one] = None
    return [*found]


# the process that runs the lines


class _Runner:
    """The process of one namespace, from the session's side."""

    def __init__(self, session: Pid, names: dict[str, Any]) -> None:
        self.number = 0  # of the input that runs, or ran last
        self.jobs: deque[Evaluate] = deque()
        self.wake = asyncio.Event()
        self.running = False
        self.pid = api.spawn_link(self._run, session, names)

    def give(self, job: Evaluate) -> None:
        """Run it when what came before has ended."""
        if len(self.jobs) < WAITING:
            self.jobs.append(job)
            self.wake.set()

    def interrupt(self) -> None:
        """Cancel what runs."""
        process = api.self_process().node.find(self.pid)
        if process is not None and self.running:
            process.cancel("interrupted")

    async def _run(self, session: Pid, names: dict[str, Any]) -> None:
        api.set_label("beampy shell: its lines")
        me = api.self_process()
        while True:
            while not self.jobs:
                self.wake.clear()
                await self.wake.wait()
            job = self.jobs.popleft()
            self.number, self.running = job.number, True
            try:
                how, text = await evaluate(job.text, names, f"<shell {me.pid.serial}:{job.number}>")
            except CancelledError:
                if not me.alive:
                    raise
                me.uncancel()
                how, text = "interrupted", ""
            finally:
                self.running = False
            api.send(session, Done(job.number, how, text))


_inputs: deque[str] = deque()  # the files that linecache knows because of us


def _remember(filename: str, text: str) -> None:
    """Let tracebacks show the lines of this input."""
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    _inputs.append(filename)
    while len(_inputs) > REMEMBERED:
        linecache.cache.pop(_inputs.popleft(), None)


async def evaluate(text: str, names: dict[str, Any], filename: str) -> tuple[str, str]:
    """Run one input. How it ended, and what is to be shown; see Done. `_` is its value, unless that is None."""
    _remember(filename, text)
    value, error = None, None
    try:
        for code in parts(text, filename):
            if code.co_flags & CO_COROUTINE:
                value = await eval(code, names)
            else:
                value, error = await _in_thread(eval, code, names)
            if error is not None:
                break
    except (CancelledError, ProcessExit):
        raise
    except BaseException as raised:
        error = raised
    if error is None and value is not None:
        names["_"] = value
        value, error = await _in_thread(repr, value)
    match error:
        case None:
            return "value", "" if value is None else _cut(value)
        case SystemExit(code=said):
            return "exit", "" if said is None else str(said)
        case ProcessExit():
            raise error
        case _:
            return "error", _cut(report(error, filename))


async def _in_thread(fn: Any, *args: Any) -> tuple[Any, BaseException | None]:
    """What `fn(*args)` returns and raises, in a thread: futures take no StopIteration, loops no KeyboardInterrupt."""

    def work() -> tuple[Any, BaseException | None]:
        try:
            return fn(*args), None
        except CancelledError:
            raise
        except BaseException as error:
            return None, error

    answer: tuple[Any, BaseException | None] = await in_thread(work, (), {})
    return answer


def parts(text: str, filename: str) -> list[CodeType]:
    """The code of an input: all but its last expression, whose value is shown, and that expression."""
    tree = ast.parse(text, filename)
    last: ast.Expression | None = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
    codes = []
    for mode, part in (("exec", tree), ("eval", last)):
        if part is not None and (mode == "eval" or tree.body):
            code = compile(part, filename, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            codes.append(code)
    return codes


def report(error: BaseException, filename: str) -> str:
    """A traceback that begins with the input's own first frame."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename != filename:
        tb = tb.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, tb, chain=True))
    except Exception as broken:  # an exception whose str() raises
        return f"{type(error).__name__}, and its traceback cannot be shown: {type(broken).__name__}\n"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text) - SHOWN:,} characters more)"
