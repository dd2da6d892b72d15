"""What is written when a process dies of an exception: one readable block, once, through `logging`.

It only formats. Whoever lets a process die calls it (process.py for plain processes, otp/gen.py for servers,
which add their last message and state through `Extras.context_note`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from beampy.core.mailbox import length, messages
from beampy.core.signals import Crash, safe_repr

if TYPE_CHECKING:
    from beampy.core.process import Process

SHOWN_MESSAGES = 5


def crash_report(process: Process, reason: Any) -> str:
    """The report of one process: who, why, with what it was busy, who is linked, and the traceback."""
    extras = process._extras
    lines = [
        f"process {process.pid!r} crashed: {reason!s}"
        if isinstance(reason, Crash)
        else f"process {process.pid!r} ended: {safe_repr(reason)}"
    ]
    if extras is not None and extras.name:
        lines.append(f"  registered name: {extras.name}")
    if extras is not None and extras.label is not None:
        lines.append(f"  label:           {safe_repr(extras.label)}")
    lines.append(f"  initial call:    {process.initial_call()}")
    ancestors = []
    lineage = process._lineage
    while lineage is not None:
        ancestors.append(repr(lineage[0]))
        lineage = lineage[1]
    if ancestors:
        lines.append(f"  ancestors:       {', '.join(ancestors)}")
    if extras is not None:
        if extras.report_note is not None:
            lines.extend(f"  {key + ':':<16} {text}" for key, text in extras.report_note().items())
        if links := extras.links.active():
            lines.append(f"  links:           {', '.join(map(repr, links))}")
    if waiting := length(process._mailbox):
        first = ", ".join(safe_repr(m, 80) for m in messages(process._mailbox)[:SHOWN_MESSAGES])
        more = ", …" if waiting > SHOWN_MESSAGES else ""
        lines.append(f"  unread messages: {waiting}: {first}{more}")
    if isinstance(reason, Crash) and reason.traceback:
        lines.extend("  " + line for line in reason.traceback.rstrip().splitlines())
    return "\n".join(lines)
