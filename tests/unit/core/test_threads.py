"""An executor whose threads end with their work."""

from __future__ import annotations

import os
import threading
import time

import pytest

from beampy.core.threads import Threads


def test_values_and_errors() -> None:
    threads = Threads(2, "here")
    assert threads.submit(divmod, 7, 2).result(5) == (3, 1)
    assert threads.submit(lambda: threading.current_thread().name).result(5) == "here"
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(5)


def test_no_more_than_so_many_at_once_and_the_rest_in_order() -> None:
    threads, gate, begun = Threads(2, "two"), threading.Event(), []

    def work(number: int) -> int:
        begun.append(number)
        gate.wait(5)
        return number

    futures = [threads.submit(work, number) for number in range(6)]
    deadline = time.monotonic() + 5
    while len(begun) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sorted(begun) == [0, 1]
    assert not futures[2].running()
    assert futures[5].cancel()
    gate.set()
    assert [future.result(5) for future in futures[:5]] == [0, 1, 2, 3, 4]
    assert 5 not in begun


def test_its_threads_end() -> None:
    threads = Threads(3, "ending")
    for future in [threads.submit(time.sleep, 0.001) for _ in range(20)]:
        future.result(5)
    deadline = time.monotonic() + 5
    while any(thread.name == "ending" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not [thread for thread in threading.enumerate() if thread.name == "ending"]
    assert threads.submit(int, "3").result(5) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_all_of_its_places() -> None:
    threads, gate = Threads(1, "forked"), threading.Event()
    held = threads.submit(gate.wait, 5)
    child = os.fork()
    if not child:  # the thread that holds the only place is the parent's
        os._exit(0 if threads.submit(int, "7").result(5) == 7 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    gate.set()
    assert held.result(5)
