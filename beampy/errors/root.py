"""The root of all errors, and how they show the values they are about."""

from __future__ import annotations

from typing import Any

SHOWN = 300  # characters of a value in a message


def _shown(value: object) -> str:
    """`repr(value)`, shortened. It never raises: an error can always be printed, whatever its fields are."""
    try:
        text = repr(value)
    except Exception as broken:
        text = f"<{type(value).__name__} whose repr() raised {type(broken).__name__}>"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _said(value: object) -> str:
    """`str(value)`; it never raises, either."""
    try:
        return str(value)
    except Exception as broken:
        return f"<{type(value).__name__} whose str() raised {type(broken).__name__}>"


class BeampyError(Exception):
    """The root of everything beampy raises."""

    def __reduce__(self) -> Any:
        """As every exception; said here, as packages that pickle exceptions in a way of their own (tblib, which dask
        has put in place) leave those alone that say it themselves."""
        return super().__reduce__()
