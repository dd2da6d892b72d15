"""What the link from one host to another does: the rules of the simulated network.

Rule: pure. A link is directed and open unless a rule says otherwise; of the rules that match it
the latest counts; a rule with no name matches every host; a host is always linked to itself;
a host that is down is cut off, also from itself.

Place: testing, under simnet. It knows no loop, no connection and no byte.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

# Mean one-way delays in seconds: machines of one data centre, and processes of one machine.
REMOTE_LATENCY = 0.002
LOCAL_LATENCY = 0.00005


class LinkState(Enum):
    """What a link does with what is on it."""

    OPEN = "open"
    HELD = "held"
    CUT = "cut"


class Link(NamedTuple):
    """How long a link takes: mean latency in seconds, and bytes per second if that matters."""

    latency: float
    bandwidth: float | None = None


class Links:
    """All links of a network.

    Example:
        links = Links()
        links.rule("n1", None, LinkState.CUT)      # n1 is alone
        links.rule("n1", "n2", LinkState.OPEN)     # but for n2
    """

    def __init__(self) -> None:
        self.remote = Link(REMOTE_LATENCY)
        self.local = Link(LOCAL_LATENCY)
        self.down: set[str] = set()
        self._links: dict[tuple[str, str], Link] = {}
        self._rules: list[tuple[str | None, str | None, LinkState]] = []
        self._states: dict[tuple[str, str], LinkState] = {}

    def set_link(self, a: str, b: str, latency: float | None, bandwidth: float | None) -> None:
        """The same properties for both directions."""
        mean = self.remote.latency if latency is None else latency
        self._links[a, b] = self._links[b, a] = Link(mean, bandwidth)

    def link(self, here: str, there: str) -> Link:
        """The properties of one direction."""
        default = self.local if here == there else self.remote
        return self._links.get((here, there), default)

    def rule(self, a: str | None, b: str | None, state: LinkState, *, both: bool = True) -> None:
        """From now on the link from a to b (None: any host) does this; `both`: and back."""
        self._rules.append((a, b, state))
        if both:
            self._rules.append((b, a, state))
        self._states.clear()

    def open_all(self) -> None:
        """No rule holds any more (what is down stays down)."""
        self._rules.clear()
        self._states.clear()

    def set_down(self, name: str, down: bool) -> None:
        """A host is gone, or back."""
        if down:
            self.down.add(name)
        else:
            self.down.discard(name)
        self._states.clear()

    def state(self, here: str, there: str) -> LinkState:
        """What the link from here to there does now."""
        state = self._states.get((here, there))
        if state is None:
            state = self._states[here, there] = self._decide(here, there)
        return state

    def _decide(self, here: str, there: str) -> LinkState:
        if here in self.down or there in self.down:
            return LinkState.CUT
        if here == there:
            return LinkState.OPEN
        for a, b, state in reversed(self._rules):
            if a in (None, here) and b in (None, there):
                return state
        return LinkState.OPEN
