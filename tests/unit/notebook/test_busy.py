"""Where a kernel has not what answering beside its cells leans on, it is left as it was."""

from __future__ import annotations

import asyncio
import types
from typing import Any

import pytest

from beampy.notebook import busy


def kernel_of_seven() -> Any:
    """What ipykernel 7 has."""

    async def usual(message: Any) -> None:
        """The kernel's own way."""

    return types.SimpleNamespace(
        _main_asyncio_lock=asyncio.Lock(),
        shell_channel_thread=types.SimpleNamespace(io_loop=object()),
        shell_channel_thread_main=usual,
        shell_stream=types.SimpleNamespace(on_recv=lambda fn, copy: None),
        _publish_status=lambda *args, **kwargs: None,
    )


def test_a_kernel_that_has_it_all_can():
    assert busy.able(kernel_of_seven())


@pytest.mark.parametrize("name", [*busy.PRIVATE, "shell_stream"])
def test_a_kernel_that_lacks_a_part_of_it_cannot(name: str):
    kernel = kernel_of_seven()
    delattr(kernel, name)
    assert not busy.able(kernel)
    setattr(kernel, name, None)
    assert not busy.able(kernel)
    busy.install(types.SimpleNamespace(kernel=kernel))()  # and nothing is put in place


@pytest.mark.parametrize(
    "name", ["_main_asyncio_lock", "shell_channel_thread", "shell_channel_thread_main", "shell_stream"]
)
def test_a_kernel_where_a_part_has_become_something_else_cannot(name: str):
    kernel = kernel_of_seven()
    setattr(kernel, name, object())
    assert not busy.able(kernel)


def test_a_shell_without_a_kernel_cannot():
    assert not busy.able(None)
    busy.install(types.SimpleNamespace())()


class Published:
    """A kernel whose statuses are kept: whose, and which."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[tuple[str, str]] = []
        self.heard: list[dict[str, Any]] = []
        self.running = True
        kernel = kernel_of_seven()
        kernel.session = None
        kernel.get_parent = lambda channel: {"header": {"msg_id": "cell"}}
        kernel._main_asyncio_lock = types.SimpleNamespace(locked=lambda: self.running)
        kernel._publish_status = lambda state, channel, parent: self.said.append((parent["header"]["msg_id"], state))
        comm = types.SimpleNamespace(handle_msg=self.heard.append)
        kernel.comm_manager = types.SimpleNamespace(get_comm=lambda id: comm)
        self.beside = busy.Beside(kernel)
        monkeypatch.setattr(busy, "OWED", 3)

    def take(self, name: str, method: str = "custom") -> None:
        header = {"msg_id": name, "msg_type": "comm_msg"}
        self.beside._answer([], {"header": header, "content": {"comm_id": "c", "data": {"method": method}}})


def test_beats_of_a_card_are_not_said_before_the_cell_ends_or_there_are_many(monkeypatch: pytest.MonkeyPatch):
    kernel = Published(monkeypatch)
    kernel.take("1")
    kernel.take("2")
    assert (kernel.said, len(kernel.heard)) == ([], 2)
    kernel.take("3")
    assert kernel.said == [("1", "idle"), ("2", "idle"), ("3", "idle"), ("cell", "busy")]
    kernel.said.clear()
    kernel.take("4")
    kernel.beside.cell_ended()
    kernel.beside.cell_ended()
    assert kernel.said == [("4", "idle"), ("cell", "busy")]


def test_one_that_comes_when_the_cell_has_just_ended_is_said_at_once(monkeypatch: pytest.MonkeyPatch):
    kernel = Published(monkeypatch)
    kernel.running = False
    kernel.take("1")
    assert kernel.said == [("1", "idle")]


def test_a_change_of_a_widgets_state_is_said_with_busy_and_idle_since_it_is_waited_for(monkeypatch: pytest.MonkeyPatch):
    kernel = Published(monkeypatch)
    kernel.take("1", "update")
    assert kernel.said == [("1", "busy"), ("1", "idle"), ("cell", "busy")]
