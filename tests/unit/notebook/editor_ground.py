"""A notebook whose node answers at once: its questions go to a namespace of the test."""

from __future__ import annotations

from typing import Any

from beampy.code.browse_paths import Search
from beampy.notebook import remote_names
from beampy.notebook.questions import Questions


class Answered(Questions):
    """Questions about a node whose names are `there`; None: it hangs. `asked`: what was asked."""

    def __init__(self, there: dict[str, Any] | None) -> None:
        super().__init__()
        self.there = there
        self.asked: list[tuple[Any, ...]] = []

    def _answered(self, what: str, fn: Any, node: str, *args: Any) -> Any:
        self.asked.append((what, node, *args))
        return None if self.there is None else fn(self.there, *args, Search())

    def space(self, node: str, until: float) -> Any:
        self.asked.append(("space", node))
        return None if self.there is None else remote_names.rows_of(remote_names.Space(self.there), Search())

    def names(self, node: str, targets: Any, until: float) -> Any:
        return self._answered("names", remote_names.rows, node, targets)

    def facts(self, node: str, targets: Any, detail: int, until: float) -> Any:
        self.asked.append(("facts", node, targets))
        return None if self.there is None else remote_names.facts(self.there, targets, Search(), detail)

    def keys(self, node: str, targets: Any, until: float) -> Any:
        return self._answered("keys", remote_names.keys, node, targets)

    def modules(self, node: str, package: str, until: float) -> Any:
        self.asked.append(("modules", node, package))
        return None if self.there is None else ["json", "only_there"] if not package else ["deep"]

    def names_of(self, ref: Any, steps: Any, until: float) -> Any:
        self.asked.append(("names_of", ref.node, steps))
        return None if self.there is None else remote_names.names_of(self.there["object"], steps)

    def facts_of(self, ref: Any, steps: Any, detail: int, until: float) -> Any:
        self.asked.append(("facts_of", ref.node, steps))
        return None if self.there is None else remote_names.facts_of(self.there["object"], steps, detail)

    def nodes(self) -> list[str]:
        return ["notebook-1@localhost", "b@localhost"]

    def runner(self, pool: Any) -> str | None:
        return "runner-1@localhost"


def model_of() -> type:
    """A class that a node has."""

    class Model:
        """A model."""

        def __init__(self, n: int = 3) -> None:
            self.n = n

        def fit(self, rows, *, lr: float = 0.1, steps=10):
            """Learn from rows."""

    return Model
