"""What IPython's autoreload says it has brought a module to: it patches in place what was edited.

Rule: a look that may fail. IPython is never imported for it, and what it keeps is read only if it is where its versions
from 8.33 on have it. Place: under imported_trust.py, which goes by the module's functions where this does not tell.
"""

from __future__ import annotations

import io
import sys
import tokenize


def agrees(name: str, source: bytes) -> bool:
    """Whether autoreload has seen this source of the module, and done to the module what it takes."""
    try:
        shell = sys.modules["IPython"].get_ipython()
        reloader = shell.magics_manager.registry["AutoreloadMagics"]._reloader
        seen = reloader.deduper_reloader.source_by_modname[name]
    except (KeyError, AttributeError):
        return False
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        text = io.TextIOWrapper(io.BytesIO(source), encoding).read()  # with its line ends, as autoreload reads it
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return False
    return bool(seen) and seen == text
