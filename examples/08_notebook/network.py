"""A small neural network in numpy, and what it is fed with. Runners import this module; nobody puts it there.

One hidden layer, mini-batches, plain gradient descent. It learns how much time a flight makes up, or loses, after it
has left: the rest of its arrival delay is its departure delay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

Columns = dict[str, np.ndarray[Any, Any]]  # of the flights of one carrier, by name
Numbers = np.ndarray[Any, np.dtype[np.float32]]

HIDDEN = 24  # units
BATCH = 128  # flights
STEP = 0.1  # of the descent, at its beginning
TEST_EVERY = 5  # days: each fifth one is kept for the test, with all its flights, since they share its weather


def held_out(flights: Columns) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which flights are of days that are kept for the test."""
    kept: np.ndarray[Any, np.dtype[np.bool_]] = (flights["month"] * 31 + flights["day"]) % TEST_EVERY == 0
    return kept


def made_up(flights: Columns) -> Numbers:
    """What is to be learnt: minutes lost in the air, negative where time was made up."""
    return (flights["arr_delay"] - flights["dep_delay"]).astype(np.float32)


def features(flights: Columns) -> Numbers:
    """What is known at departure, a column each."""
    season = 2 * np.pi * (flights["month"] + flights["day"] / 31) / 12
    late = flights["dep_delay"]
    numbers = [late, np.minimum(late, 15), flights["distance"], flights["scheduled"], flights["hour"]]
    airports = [flights[end] == code for end in ("origin", "dest") for code in np.unique(flights[end])]
    return np.column_stack([*numbers, np.sin(season), np.cos(season), *airports]).astype(np.float32)


def rms(errors: Numbers) -> float:
    """The root of their mean square: the size of a typical error, in minutes."""
    return float(np.sqrt(np.mean(np.square(errors, dtype=np.float64))))


@dataclass
class Network:
    """Its weights, and the scales of what goes in and out."""

    first: Numbers
    first_bias: Numbers
    last: Numbers
    last_bias: float
    mean: Numbers
    spread: Numbers
    target_mean: float
    target_spread: float

    @classmethod
    def fresh(cls, inputs: Numbers, targets: Numbers, seed: int = 0) -> Network:
        """One that has learnt nothing but the scales: it says the mean."""
        random = np.random.default_rng(seed)
        width = inputs.shape[1]
        return cls(
            first=(random.standard_normal((width, HIDDEN)) / np.sqrt(width)).astype(np.float32),
            first_bias=np.zeros(HIDDEN, np.float32),
            last=np.zeros(HIDDEN, np.float32),
            last_bias=0.0,
            mean=inputs.mean(0),
            spread=inputs.std(0) + np.float32(1e-6),
            target_mean=float(targets.mean()),
            target_spread=float(targets.std()),
        )

    def scaled(self, inputs: Numbers) -> Numbers:
        """As the network wants its inputs: about 1. Rare airports, and delays of a day, would be far out."""
        rows: Numbers = np.clip((inputs - self.mean) / self.spread, -5, 8)
        return rows

    def __call__(self, inputs: Numbers) -> Numbers:
        """Minutes lost, for each row."""
        hidden = np.tanh(self.scaled(inputs) @ self.first + self.first_bias)
        answer: Numbers = (hidden @ self.last + self.last_bias) * self.target_spread + self.target_mean
        return answer

    def learn(self, inputs: Numbers, targets: Numbers, epochs: int, seed: int = 0) -> Iterator[float]:
        """Descend `epochs` times over all rows, in another order each time. After each the loss: 1 is the mean's."""
        rows, wanted = self.scaled(inputs), (targets - self.target_mean) / self.target_spread
        random = np.random.default_rng(seed)
        for epoch in range(epochs):
            step = STEP * (1 + np.cos(np.pi * epoch / epochs)) / 2
            squares = 0.0
            order = random.permutation(len(rows))
            for start in range(0, len(rows), BATCH):
                chosen = order[start : start + BATCH]
                squares += self._descend(rows[chosen], wanted[chosen], step)
            yield squares / len(rows)

    def _descend(self, rows: Numbers, wanted: Numbers, step: float) -> float:
        """One step downhill. The squares of the errors before it."""
        hidden = np.tanh(rows @ self.first + self.first_bias)
        errors = hidden @ self.last + self.last_bias - wanted
        back = np.outer(errors, self.last) * (1 - hidden * hidden)
        pace = step / len(rows)
        self.first -= pace * (rows.T @ back)
        self.first_bias -= pace * back.sum(0)
        self.last -= pace * (hidden.T @ errors)
        self.last_bias -= pace * float(errors.sum())
        return float(errors @ errors)
