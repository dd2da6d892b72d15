"""Matchers: how what completes a cell gets into IPython's own completion, where no kernel of ours answers.

Rule: a matcher is asked with the text of the cell and the place of the cursor in it, and says what may stand there, or
None. Where IPython has no matchers (before 8.6) there are none.

Place: under completion.py and on_magic.py, which say what completes. It does not know what that is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Matches(NamedTuple):
    """What may stand in the place of `fragment`, which ends at the cursor: (text, type), with jedi's words for types.

    `alone`: nobody else is asked. `ordered`: they stand in this order.
    """

    fragment: str
    items: Sequence[tuple[str, str]]
    alone: bool
    ordered: bool = False


def put_in(
    shell: Any, name: str, find: Callable[[str, int], Matches | None], *, priority: int, first: bool = False
) -> Callable[[], None]:
    """Ask `find(text, position)`, too. Of two matchers the one with the higher priority is heard; `first`: it is asked
    before the shell's others. The answer undoes it.
    """
    try:
        from IPython.core.completer import SimpleCompletion, context_matcher
    except ImportError:
        return lambda: None

    @context_matcher(identifier=f"beampy.{name}", priority=priority)  # type: ignore[untyped-decorator]
    def matcher(context: Any) -> dict[str, Any]:
        lines = context.full_text.split("\n")
        position = sum(len(line) + 1 for line in lines[: context.cursor_line]) + context.cursor_position
        found = find(context.full_text, position)
        if found is None:
            return {"completions": []}
        return {
            "completions": [SimpleCompletion(text, type=kind) for text, kind in found.items],
            "matched_fragment": found.fragment,
            "suppress": found.alone,
            "ordered": found.ordered,
        }

    matchers = shell.Completer.custom_matchers
    matchers.insert(0 if first else len(matchers), matcher)
    return lambda: matchers.remove(matcher) if matcher in matchers else None
