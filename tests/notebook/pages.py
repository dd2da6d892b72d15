"""A page of a browser, as far as live cards go: what it has from the kernel, and what it says.

    page = Page(kernel)
    page.take(ran.messages)
    card = page.only()
    card.curve("loss", "runner-1")       # the points, put together from a whole card and increments
    page.say(card, "cancel")

It keeps to the rules of static/live.js, so that a test sees what a person would see.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.notebook.kernels import WAIT, Kernel, Ran

VIEW = "application/vnd.jupyter.widget-view+json"


@dataclass
class Shown:
    """One card."""

    id: str
    seq: int = -1
    head: dict[str, Any] = field(default_factory=dict)
    lines: dict[int, dict[str, Any]] = field(default_factory=dict)
    gaps: int = 0
    increments: int = 0
    wholes: int = 0
    snapshots: int = 0
    closed: bool = False

    @property
    def state(self) -> str:
        """As in the card's first line."""
        return str(self.head.get("state"))

    @property
    def button(self) -> str:
        """Which one it has: "cancel", "stop" or ""."""
        return str(self.head.get("button"))

    def whole(self, text: str) -> None:
        told = json.loads(text)
        if told["seq"] >= self.seq:
            self.seq, self.head = told["seq"], told["head"]
            self.lines = {line["id"]: line for line in told["lines"]}

    def more(self, text: str) -> None:
        told = json.loads(text)
        if told["seq"] <= self.seq:
            return
        self.increments += 1
        self.gaps += told["seq"] != self.seq + 1
        self.seq, self.head = told["seq"], told["head"]
        for change in told["lines"]:
            if "points" in change:
                self.lines[change["id"]] = change
            elif (line := self.lines.get(change["id"])) is not None:
                line["state"] = change["state"]
                last = line["points"][-2] if line["points"] else float("-inf")
                new = change["new"]
                while new and new[0] <= last:
                    new = new[2:]
                line["points"] += new
        for gone in told["gone"]:
            self.lines.pop(gone, None)

    def curve(
        self, name: str, *, call: int | None = None, runner: str | None = None
    ) -> list[list[tuple[float, float]]]:
        """The lines of a name, as points."""
        found = [line for line in self.lines.values() if line["name"] == name]
        if call is not None:
            found = [line for line in found if line["call"] == call]
        if runner is not None:
            found = [line for line in found if line["runner"] == runner]
        return [list(zip(line["points"][::2], line["points"][1::2], strict=True)) for line in found]

    def rows(self) -> dict[str, str]:
        """The runners, and their states."""
        return {row["name"]: row["state"] for row in self.head.get("rows", ())}


def states(ran: Ran) -> list[str]:
    """The states of the cards that stand in a cell's output now, as their pictures say."""
    return [
        found[1]
        for page in ran.shown("text/html")
        if (found := re.match(r'<div class="bp-card" data-state="(\w+)"', page))
    ]


def final(ran: Ran) -> bool:
    """Whether the cards of a cell stand there as their last pictures, without a widget."""
    there = states(ran)
    return bool(there) and "running" not in there and not ran.shown(VIEW)


class Notebook(Kernel):
    """A kernel that is asked by a page: which says which cell it wants to be run, a new one each time or `cell_id`."""

    def begin(self, code: str, *, cell_id: str = "", **options: Any) -> str:
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
            **options,
        }
        metadata = {"cellId": cell_id or secrets.token_hex(8)}
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])


class Page:
    """All cards that the kernel has told of."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.cards: dict[str, Shown] = {}

    def take(self, messages: Iterable[dict[str, Any]]) -> Page:
        for message in messages:
            content, kind = message["content"], message["header"]["msg_type"]
            if kind == "comm_open":
                state = content["data"].get("state", {})
                if state.get("_model_module") == "anywidget" and state.get("snapshot") is not None:
                    card = self.cards[content["comm_id"]] = Shown(content["comm_id"])
                    if state["snapshot"]:
                        card.whole(state["snapshot"])
            elif kind == "comm_msg" and (found := self.cards.get(content["comm_id"])) is not None:
                self._take(found, content["data"])
            elif kind == "comm_close" and content["comm_id"] in self.cards:
                self.cards[content["comm_id"]].closed = True
        return self

    def _take(self, card: Shown, data: dict[str, Any]) -> None:
        if data.get("method") == "custom":
            told = data["content"]
            if told["kind"] == "more":
                card.more(told["card"])
            elif told["kind"] == "all":
                card.wholes += 1
                card.whole(told["card"])
        elif data.get("method") == "update" and data["state"].get("snapshot"):
            card.snapshots += 1
            if card.seq < 0:
                card.whole(data["state"]["snapshot"])

    def only(self) -> Shown:
        (card,) = self.cards.values()
        return card

    def say(self, card: Shown, kind: str) -> None:
        """What the card in the page tells the kernel."""
        content = {"comm_id": card.id, "data": {"method": "custom", "content": {"kind": kind}}}
        client = self.kernel.client
        client.shell_channel.send(client.session.msg("comm_msg", content))

    def until(self, condition: Callable[[Page], object], timeout: float = WAIT) -> Page:
        """Take what comes until it holds. TimeoutError with what there is."""
        if condition(self):
            return self
        try:
            for message in self.kernel.messages(timeout):
                self.take([message])
                if condition(self):
                    return self
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.cards}") from None
        raise AssertionError("unreachable")
