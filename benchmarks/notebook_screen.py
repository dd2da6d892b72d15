"""A live card on the screen: from an event of a call to the picture of it in JupyterLab.

In headless Chromium, a card has the bars of its runners, and the page notes at each frame what they say; the kernel
(simulated runners) or the runners (real ones) note when each step was made, by the clock of the same machine. An event
is on the screen at the first frame that shows it or a later one. "simulated": 64 runners with ten events a second each,
of which the page shows twelve; "real": two runners of a pool. The page has had a card before: its first one waits a
second or so for the code of widgets. The size is seconds.

Wants JupyterLab, playwright and Chromium: `make test-all` installs them.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.case import Case, Figure, Figures, percentile_us
from benchmarks.harness import main
from benchmarks.notebook_display import FEED, RATE, RUNNERS

WATCH = r"""() => {
    window.seen = [];
    const look = () => {
        const at = Date.now() / 1000, rows = [];
        for (const row of document.querySelectorAll('.bp-card tbody tr')) {
            const text = row.innerText, name = text.match(/runner-\d+/), done = text.match(/(\d+)\/\d+/);
            if (name && done) rows.push([name[0], Number(done[1])]);
        }
        window.seen.push([at, rows]);
        requestAnimationFrame(look);
    };
    look();
}"""
NOTED = "made = {}\n" + FEED.replace(
    "        self.step += 1\n",
    "        self.step += 1\n        made[f'runner-{self.number}', self.step] = time.time()\n",
)
WARM = """
import beampy as bp
with bp.Pool("warm", max=1) as warm, warm.live():
    await warm.call(abs, -1)
"""
REAL = """
def steps(count):
    import os, time
    times = []
    for _ in bp.track(range(count), label="steps"):
        times.append(time.time())
        time.sleep(1 / rate)
    return bp.node(), times
pool = bp.Pool("real", max=2, max_concurrency=1)
handles = [pool.submit(steps, total) for _ in range(2)]
"""
GATHER = """
made = {}
for handle in handles:
    node, times = await handle
    for step, at in enumerate(times[1:], 1):  # an item counts as done when the next one is asked for
        made[f"runner-{node.partition('@')[0].rpartition('-')[2]}", step] = at
"""


def shown(seconds: int) -> Figures:
    """Both kinds, one after the other, in a page of their own."""
    lab: Any = importlib.import_module("tests.browser.lab")  # playwright need not be there where types are checked
    figures: dict[str, float] = {}
    total = seconds * RATE
    kinds = {
        "simulated": [f"runners, rate, total = {RUNNERS}, {RATE}, {total}\n{NOTED}"],
        "real": [f"import beampy as bp\nrate, total = {RATE}, {total}\n{REAL}", GATHER],
    }
    with tempfile.TemporaryDirectory() as folder, lab.Server(Path(folder)) as server, lab.Browser() as browser:
        for kind, cells in kinds.items():
            page = browser.open(server, [WARM, *cells, "print([*made.items()])"])
            page.run(0)
            page.tab.wait_for_selector(".bp-card")
            page.tab.evaluate(WATCH)
            page.run(1)
            page.tab.wait_for_timeout(1000 * (seconds + 2))
            for number in range(2, 1 + len(cells)):
                page.run(number)
            made = dict(ast.literal_eval(page.run(1 + len(cells)).strip()))
            late = delays(made, page.tab.evaluate("() => window.seen"))
            figures[f"notebook_screen.{kind}.p50"] = percentile_us(late, 0.5) / 1e3
            figures[f"notebook_screen.{kind}.p95"] = percentile_us(late, 0.95) / 1e3
            browser.close()
            server.stop_kernels()
            server.clear()
    return figures


def delays(made: dict[tuple[str, int], float], seen: list[Any]) -> list[float]:
    """Seconds from each event to the first frame that shows it, of the runners that are shown from the beginning.

    >>> delays({("runner-1", 1): 10.0, ("runner-1", 2): 10.5}, [[10.25, [["runner-1", 1]]], [11.0, [["runner-1", 3]]]])
    [0.25, 0.5]
    """
    late: list[float] = []
    shown: dict[str, int] = next((dict.fromkeys(dict(rows), 0) for _, rows in seen if rows), {})
    for at, rows in seen:
        for runner, done in rows:
            if (before := shown.get(runner)) is None:
                continue  # it has moved up when others had ended
            late += [at - made[runner, step] for step in range(before + 1, done + 1) if (runner, step) in made]
            shown[runner] = max(before, done)
    if not late:
        raise RuntimeError("nothing was to be seen on the page")
    return late


async def notebook_screen(seconds: int) -> Figures:
    return await asyncio.to_thread(shown, seconds)


CASES = (
    Case(
        "notebook_screen",
        notebook_screen,
        tuple(
            Figure(f"notebook_screen.{kind}.{part}", "ms", higher=False)
            for kind in ("simulated", "real")
            for part in ("p50", "p95")
        ),
        size=10,
        smoke=4,
        fresh=True,
        runs=1,
    ),
)

if __name__ == "__main__":
    raise SystemExit(main(CASES))
