"""`beampy remsh`: a Python prompt inside a node.

Rule: the prompt, its history and its editing are here; the code runs there (otp/shell.py). The node that speaks for
us lives on a thread of its own, since input() holds this one. Without a terminal, statements are read from stdin, and
the first error does not end them but is the exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.cli.exits import INTERRUPTED, NO, OK, UNREACHABLE
from beampy.cli.statements import Statements, statements
from beampy.cli.visit import settings
from beampy.core.ids import node_name
from beampy.errors import NodeDown
from beampy.otp.rpc import remote_call
from beampy.otp.shell import Complete, Completions, Done, Evaluate, Interrupt, Ready
from beampy.runtime.background import start

if TYPE_CHECKING:
    import argparse

    from beampy.core.ids import Pid
    from beampy.runtime.node import Node

GREETING = 10.0  # seconds for the session to be there; a connection is already
COMPLETION = 1.0  # seconds that a Tab may take
AGAIN = 0.1  # seconds until the reader is interrupted once more, when that was too early
CONTINUED = "..."


def run(options: argparse.Namespace) -> int:
    """A prompt, or statements from stdin."""
    node = node_name(options.node)
    with start(**settings(options)) as me:
        api.connect(node).result()
        with Session(me, node) as session:
            if sys.stdin.isatty() and sys.stdout.isatty():
                return Prompt(session).run()
            return piped(session)


class Session:
    """The client's end of one session there."""

    def __init__(self, me: Node, node: str) -> None:
        self.node = node
        self.lost: BaseException | None = None
        self.on_loss: Any = None  # called on the node's thread
        self._number = 0
        self._box: queue.SimpleQueue[Any] = queue.SimpleQueue()  # one question at a time is open, so it stays short
        self._there = me.run(self._follow)
        ready = self._next(GREETING)
        if not isinstance(ready, Ready):
            raise self.lost or NodeDown(node)
        self.pid: Pid = ready.session
        self.banner = ready.banner

    async def _follow(self) -> None:
        try:
            async with remote_call.stream(self.node, "beampy.otp.shell:session") as stream:
                async for item in stream:
                    self._box.put(item)
        except Exception as error:
            self.lost = error
        self._box.put(None)
        if self.on_loss is not None:
            self.on_loss()

    def _next(self, timeout: float | None = None) -> Any:
        try:
            return self._box.get(timeout=timeout)
        except queue.Empty:
            return None

    def evaluate(self, text: str) -> Done:
        """Run it there, and wait. Ctrl-C interrupts it there; a second one, while that goes on, is ours."""
        self._number += 1
        api.send(self.pid, Evaluate(self._number, text))
        interrupted = False
        while True:
            try:
                item = self._next()
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted = True
                api.send(self.pid, Interrupt())
                continue
            if item is None:
                raise self.lost or NodeDown(self.node)
            if isinstance(item, Done) and (item.how == "died" or item.number == self._number):
                return item

    def news(self) -> Done | None:
        """What happened to the process of the lines while nobody waited for it."""
        news = None
        while not self._box.empty():
            item = self._next()
            if item is None:
                raise self.lost or NodeDown(self.node)
            if isinstance(item, Done):
                news = item
        return news

    def complete(self, word: str) -> list[str]:
        """What a word may become there."""
        self._number += 1
        api.send(self.pid, Complete(self._number, word))
        while (item := self._next(COMPLETION)) is not None:
            if isinstance(item, Completions) and item.number == self._number:
                return item.words
        return []

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.on_loss = None
        self._there.cancel()


def show(done: Done, node: str) -> bool:
    """Say how an input ended. Whether it went well."""
    match done.how:
        case "value":
            if done.text:
                print(done.text)
        case "error":
            sys.stderr.write(done.text)
        case "interrupted":
            sys.stderr.write("KeyboardInterrupt\n")
        case "died":
            sys.stderr.write(f"*** the shell's process on {node} ended: {done.text}. A new one has its variables\n")
    sys.stdout.flush()
    sys.stderr.flush()
    return done.how in ("value", "exit")


# without a terminal


def piped(session: Session) -> int:
    """Run the statements of stdin."""
    code = OK
    for text in statements(sys.stdin):
        try:
            done = session.evaluate(text)
        except KeyboardInterrupt:
            return INTERRUPTED
        if done.how == "interrupted":
            return INTERRUPTED
        if not show(done, session.node):
            code = NO
        if done.how == "exit":
            break
    return code


# with one


class Prompt:
    """Lines typed by a person."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.words: list[str] = []
        self.reading = False
        self.gone = False

    def run(self) -> int:
        """Until Ctrl-D, exit(), or the loss of the node."""
        print(f"{self.session.banner}. Ctrl-D leaves.")
        self.session.on_loss = self._lost
        try:
            with self._editing():
                return self._loop()
        except NodeDown:
            sys.stderr.write(f"\nbeampy: {self.session.node} is gone\n")
            return UNREACHABLE

    def _loop(self) -> int:
        typed = Statements()
        first = f"{self.session.node}>>> "
        more = CONTINUED.rjust(len(first) - 1) + " "
        while True:
            try:
                news = self.session.news()
                if news is not None:
                    show(news, self.session.node)
                try:
                    line = self._read(more if typed else first)
                except EOFError:
                    print()
                    return OK
                text = typed.take(line)
                if text is not None and text.strip():
                    done = self.session.evaluate(text)
                    show(done, self.session.node)
                    if done.how == "exit":
                        return OK
            except KeyboardInterrupt:
                if self.gone:
                    raise self.session.lost or NodeDown(self.session.node) from None
                typed = Statements()
                sys.stderr.write("\nKeyboardInterrupt\n")

    def _read(self, prompt: str) -> str:
        self.reading = True
        try:
            if self.gone:
                raise KeyboardInterrupt
            return input(prompt)
        finally:
            self.reading = False

    def _lost(self) -> None:
        """The node is gone: input() does not see that by itself, nor a signal that comes just before it waits."""
        self.gone = True
        if self.reading:
            ident = threading.main_thread().ident
            assert ident is not None
            signal.pthread_kill(ident, signal.SIGINT)
            asyncio.get_running_loop().call_later(AGAIN, self._lost)

    @contextlib.contextmanager
    def _editing(self) -> Any:
        """History and Tab, where this Python has readline."""
        try:
            import readline
        except ImportError:
            yield
            return
        from beampy.cli.history import History

        before = readline.get_completer()
        readline.set_completer(self._complete)
        # libedit, on macOS, has another language for the same.
        libedit = "libedit" in (readline.__doc__ or "")
        readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")
        try:
            with History(readline):
                yield
        finally:
            readline.set_completer(before)

    def _complete(self, word: str, state: int) -> str | None:
        """readline's question: the `state`-th of the words that may follow."""
        if state == 0:
            import readline

            if not readline.get_line_buffer()[: readline.get_endidx()].strip():
                self.words = ["    "]
            else:
                try:
                    self.words = self.session.complete(word)
                except Exception:  # the node is gone: the next line says so
                    self.words = []
        return self.words[state] if state < len(self.words) else None
