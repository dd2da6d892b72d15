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
