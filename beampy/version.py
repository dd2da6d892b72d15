"""The version of this release; pyproject.toml has the same (tests/meta/test_meta_project.py)."""

from __future__ import annotations

__version__ = "0.1.0"
