"""Shift-Tab, through Jupyter's protocol: of cells that run on nodes, and of what runs on nodes in the others."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ipykernel")
from tests.notebook.kernels import WAIT, Kernel
from tests.notebook.nodes import Node, free_port

pytestmark = [pytest.mark.cluster]


def soon(kernel: Kernel, code: str, text: str, detail: int = 0) -> dict[str, Any]:
    """What is shown as soon as this is a part of it: a first answer may be late."""
    end = time.monotonic() + WAIT
    while text not in (reply := kernel.inspect(code, detail=detail))["data"].get("text/plain", ""):
        assert time.monotonic() < end, f"{text!r} is not shown for {code!r}, but {reply}"
    return reply


def test_hovering_shows_what_the_node_that_has_it_says(tmp_path: Path):
    with Kernel(tmp_path, ERL_EPMD_PORT=str(free_port())) as kernel, Node(tmp_path, "b", kernel.env):
        kernel.ok("import beampy as bp\nlimit = 'here'")
        kernel.ok(
            '%%on b@localhost\nlimit = 3\ndef there(x: int, *, y=2) -> str:\n    """Of there."""\n    return str(x)'
        )
        reply = soon(kernel, "%%on b@localhost\nthere", "Signature: there(x: int, *, y=2) -> str")
        assert (reply["status"], reply["found"]) == ("ok", True)
        assert "Node: b@localhost" in reply["data"]["text/plain"]
        assert "Of there." in reply["data"]["text/html"]
        soon(kernel, "%%on b@localhost\nthere(1, ", "Signature: there(")  # what is called
        soon(kernel, "%%on b@localhost\nthere", 'def there(x: int, *, y=2) -> str:\n    """Of there."""', detail=1)
        soon(kernel, "%%on b@localhost\nlimit", "Value: 3")
        nothing = kernel.inspect("%%on b@localhost\nnothing_of_this_name")
        assert (nothing["status"], nothing["found"], nothing["data"]) == ("ok", False, {})

        kernel.ok("ref = await bp.put([1, 2], node='b@localhost')\ndef train(rows, *, lr=0.1):\n    'Train it.'")
        kernel.ok("pool = bp.Pool(max=1)\n@pool.remote\ndef area(radius, unit='m'):\n    'An area.'")
        soon(kernel, "ref.do.append(", "Signature: ref.do.append(object, /)")
        assert "Signature: train(rows, *, lr=0.1)" in kernel.inspect("pool.call(train, ")["data"]["text/plain"]
        assert "Signature: area(radius, unit='m')" in kernel.inspect("area(")["data"]["text/plain"]
        assert "here" in kernel.inspect("limit")["data"]["text/plain"]  # IPython's own
