"""Viewing: a pool at work, as a View of plain values."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from beampy.pool.live_view import BarView, CurveView, RunnerView, View, bars_of, curves_of

if TYPE_CHECKING:
    from beampy.pool.manager import Manager
    from beampy.pool.record import Runner

EVERY = 1.0  # seconds over which a processor's share is taken: the kernel counts hundredths
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Viewer:
    """Makes the views of one pool. It remembers what it saw last, for what is a rate."""

    def __init__(self, manager: Manager) -> None:
        self.manager = manager
        # By process: when it was looked at, what it had used then, and what it used before that.
        self._cpu: dict[int, tuple[float, float, float | None]] = {}
        self.began = manager.clock()

    def view(self) -> View:
        """The pool now. On its own thread."""
        manager = self.manager
        metrics, plan = manager.tell.metrics, manager.plan
        bars: list[BarView] = []
        curves: list[CurveView] = []
        running = [(call.label or "", call.number, call.progress) for call in manager.calls.values() if call.progress]
        for label, number, progress in running:
            bars += bars_of(progress, label, number)
        for label, number, progress in [*manager.tell.ended, *running]:
            curves += curves_of(progress, label, number)
        finished = sum(metrics.outcomes.values())
        return View(
            pool=manager.name,
            age=manager.clock() - self.began,
            max=plan.limits.max,
            runners=[self._runner(runner) for runner in manager.runners.values()],
            waiting=plan.waiting,
            running=sum(len(runner.jobs) for runner in manager.runners.values()),
            finished=finished,
            failed=finished - metrics.outcomes["ok"] - metrics.outcomes["cancelled"],
            cancelled=metrics.outcomes["cancelled"],
            bars=bars,
            curves=curves,
            ended=manager.ended,
        )

    def _runner(self, runner: Runner) -> RunnerView:
        cpu, memory = self._used(runner)
        return RunnerView(
            name=runner.label,
            state=runner.state,
            slots=self.manager.width,
            busy=len(runner.jobs),
            zombies=sum(call.left for call in runner.jobs.values()),
            done=runner.done,
            failed=runner.failed,
            age=self.manager.clock() - runner.asked_at,
            cpu=cpu,
            memory=memory,
        )

    def _used(self, runner: Runner) -> tuple[float | None, int | None]:
        """Processors and memory that a runner of this machine uses, its slots included (Linux)."""
        if not self.manager.backend.local or not isinstance(pid := runner.about.get("os_pid"), int):
            return None, None
        pids = [pid, *(slot.os_pid for slot in runner.slots.values() if slot.os_pid)]
        now, used, memory = self.manager.clock(), 0.0, 0
        try:
            for one in pids:
                with open(f"/proc/{one}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
                used += (int(fields[11]) + int(fields[12])) / TICKS
                memory += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return None, None
        then, before, cpu = self._cpu.get(pid, (now, used, None))
        if now - then >= EVERY:
            cpu = max(0.0, used - before) / (now - then)
            then, before = now, used
        self._cpu[pid] = (then, before, cpu)
        return cpu, memory
