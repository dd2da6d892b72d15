"""Placing: a call that starts a process on a runner, and has its slot until that process ends."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from beampy import api
from beampy.core.request import ANSWERED
from beampy.pool.call import PoolCall

if TYPE_CHECKING:
    from beampy.core.ids import Pid, Ref
    from beampy.errors import RunnerLost

START = "beampy.pool.children:start"

LAST_WORDS = 1.0  # seconds that what a child has printed may take; its runner sends it within a turn of its loop


class Placing(PoolCall):
    """The Handle of the pid of a placed child."""

    voice: Ref | None = None  # where the child's output comes

    def send_to(self, place: Any) -> None:
        node = self._process.node
        self.voice = voice = node.new_ref()
        voice._holder = Voice(self)
        node.export(voice)
        self._kwargs = self._kwargs | {"to": voice if self.options.capture else None}
        super().send_to(place)

    def _settle(self, state: int) -> None:
        if state != ANSWERED:
            self.hush()
            super()._settle(state)
            return
        manager = self.manager
        pid: Pid = self._outcome
        self.settle_only(state)
        manager.tell.finished(self)
        manager.stays(self)

        def watch() -> None:
            manager.held[api.monitor(pid)] = self

        manager.post(watch)

    def lost(self, error: RunnerLost) -> None:
        self.hush()
        super().lost(error)

    def over(self) -> None:
        """The child has ended; its last words may come after the news of that."""
        self._process.node.loop.call_later(LAST_WORDS, self.hush)

    def hush(self) -> None:
        """Nothing comes from the child any more."""
        voice, self.voice = self.voice, None
        if voice is not None:
            voice._holder = None
            self._process.node.exported.pop(voice.id, None)


class Voice:
    """Takes the output of a placed child, as long as it lives."""

    def __init__(self, call: Placing) -> None:
        self.call = call

    def take_message(self, ref: Ref, message: Any) -> None:
        """It printed or logged something."""
        if message.__class__.__name__ == "Unread":
            message = message.now()
        self.call.manager.said(self.call, message)


def described(child: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a user says is to be placed, as one thing."""
    if not args and not kwargs:
        return child
    if hasattr(child, "child_spec"):
        return child.child_spec(*args, **kwargs)
    return (functools.partial(child, **kwargs) if kwargs else child, *args)
