"""A supervised program: two servers, one of which crashes, and a supervisor that heals it.

python examples/03_supervised.py
"""

from __future__ import annotations

import asyncio
import logging

import beampy as bp


class Sensor(bp.Server):
    """Measures, until it meets a value that it cannot take."""

    def __init__(self) -> None:
        self.readings: list[float] = []

    @bp.call
    async def measure(self, raw: str) -> float:
        value = float(raw)  # "n/a" is the end of this process, and of no other
        self.readings.append(value)
        return sum(self.readings) / len(self.readings)


class Log(bp.Server):
    """Keeps lines. It does not notice that its neighbour was restarted."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @bp.cast
    def write(self, line: str) -> None:
        self.lines.append(line)

    @bp.call
    async def read(self) -> list[str]:
        return self.lines


class App(bp.Supervisor):
    """The tree: each child is restarted alone; more than three restarts in five seconds would be too many."""

    strategy = "one_for_one"
    intensity = 3

    def children(self) -> list[bp.ChildSpec]:
        return [Log.child_spec(name="log"), Sensor.child_spec(name="sensor")]


async def main() -> None:
    await App.start_link()
    log, sensor = Log.client("log"), Sensor.client("sensor")

    for raw in ["20", "22", "n/a", "30"]:
        try:
            log.write(f"{raw}: average {await sensor.measure(raw)}")
        except ValueError as error:
            log.write(f"{raw}: {error}")
            await asyncio.sleep(0.01)  # by now a new sensor stands in its place, with no readings

    print(*await log.read(), sep="\n")


if __name__ == "__main__":
    logging.disable()  # the crash report and the supervisor's line about the restart
    bp.run(main)
