"""A local package: it is nowhere but in this folder."""

from __future__ import annotations

from lab.report import Report, Text, readability

__all__ = ["Report", "Text", "readability"]
