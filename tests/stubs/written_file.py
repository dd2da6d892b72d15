"""The command of a script that writes a file from the installed polars: writes it, or says whether it is up to date.

Place: under frames.py and surface_page.py, which say what is in their files.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import polars as pl


def command(doc: str | None, target: Path, text: str) -> int:
    """What such a script does with its arguments: the exit status. `doc` is the script's own documentation."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    options = parser.parse_args()
    if options.check:
        return int(not target.exists() or target.read_text(encoding="utf-8") != text)
    target.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{target.name}: {text.count(chr(10))} lines, polars {pl.__version__}\n")
    return 0
