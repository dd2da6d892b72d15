"""The same workloads on other systems: asyncio by hand, pykka, thespian, xoscar, Erlang.

Each file is one peer's side of the measurement: same counts (or a share of them), same small tuples
as messages, uvloop where the peer can use it. A peer that lacks a workload leaves it out.
"""
