"""Benchmarks: one file for each hot path, and the same workloads on other systems beside them.

    python -m benchmarks.run                 everything, with every peer that is installed
    python -m benchmarks.pingpong --smoke    one hot path, tiny

They use beampy's public names only. README.md says how to read what they print.
"""

from __future__ import annotations

HOT_PATHS = (
    "pingpong",
    "oneway",
    "fanin",
    "ring",
    "spawn",
    "call",
    "selective",
    "memory",
    "supervisor",
    "timers",
    "tasks",
    "codec",
    "channel",
    "remote",
    "remote_oneway",
    "remote_call",
    "remote_bulk",
    "remote_shared",
    "remote_mixed",
    "remote_connect",
    "remote_idle",
    "remote_names",
    "code",
    "code_modules",
    "pool_call",
    "pool_tasks",
    "pool_boot",
    "pool_idle",
    "pool_cpu",
    "pool_stream",
    "refs_churn",
    "refs_bulk",
    "frames_ops",
    "frames_collect",
    "frames_group",
    "notebook_completion",
    "notebook_display",
    "notebook_screen",
    "notebook_start",
)
