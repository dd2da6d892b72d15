"""How values of a cell are shown that runs on another node: as text and in richer forms, sent to who runs the cell.

Rule: an object says itself how it looks, in IPython's ways (`_repr_mimebundle_`, `_repr_html_` and others); a figure of
matplotlib is a picture. IPython's own formatters are asked where IPython is loaded, and it is never loaded for this.
While a cell runs, `IPython.display.display` of libraries goes the same way. Showing never raises: what is broken is
shown as its text, with the reason.

Place: on the node that runs the cell, under evaluator.py. Where displays go is the group leader's business.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import secrets
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from beampy.core.group_leader import leader
from beampy.core.signals import safe_repr

if TYPE_CHECKING:
    from collections.abc import Callable

FORMS: Final = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
    "_repr_pdf_": "application/pdf",
}
TEXT: Final = 100_000  # characters of an object's text: some thousand lines, more than anybody reads
MODULE: Final = "IPython.core.display_functions"  # where IPython has `display`; from IPython 7.23 on

Shown = tuple["dict[str, Any]", "dict[str, Any]"]
"""The forms of an object by MIME type, and what is said about them."""

_running: ContextVar[bool] = ContextVar("beampy_cell_runs", default=False)


def display(
    *objects: Any, display_id: str | bool | None = None, update: bool = False, raw: bool = False, **options: Any
) -> Any:
    """Show objects in the notebook whose cell this is, as `IPython.display.display` does there.

    display_id: the name under which it is updated, or True for a new one; then a handle with `update(object)` comes
    back. raw: the objects are forms by MIME type already. metadata: what is said about the forms. Other options of
    IPython's are taken and not used.

    >>> display(table, figure)
    """
    name = secrets.token_hex(8) if display_id is True else display_id or None
    for each in objects:
        data, metadata = (dict(each), {}) if raw else shown(each)
        if data:
            _send(data, {**metadata, **(options.get("metadata") or {})}, name, update)
    return Updated(name) if name is not None and not update else None


class Updated:
    """A display that can be changed, as IPython's DisplayHandle."""

    def __init__(self, display_id: str) -> None:
        self.display_id = display_id

    def display(self, obj: Any, **options: Any) -> None:
        """Show it once more, under the same name."""
        display(obj, display_id=self.display_id, **options)

    def update(self, obj: Any, **options: Any) -> None:
        """Show another object in its place."""
        display(obj, display_id=self.display_id, update=True, **options)


def _send(data: dict[str, Any], metadata: dict[str, Any], display_id: str | None, update: bool) -> None:
    channel = leader.get()
    if channel is None:  # nobody but this node's own streams
        if not update:
            sys.stdout.write(f"{data.get('text/plain', '')}\n")
        return
    try:
        channel.bundle(data, metadata, display_id=display_id, update=update)
    except ValueError as error:  # more than one display may have
        sys.stderr.write(f"{error}; its text:\n{str(data.get('text/plain', ''))[:TEXT]}\n")


# forms


def shown(obj: Any) -> Shown:
    """The forms of an object. It never raises; {} of an object that has shown itself.

    >>> shown(1)
    ({'text/plain': '1'}, {})
    """
    formatter = _formatter()
    if formatter is not None:
        try:
            data, metadata = formatter.format(obj)
        except Exception as error:
            return {"text/plain": _broken(obj, error)}, {}
    else:
        data, metadata = forms(obj)
    if _is_figure(obj) and "image/png" not in data:
        data = {"image/png": _picture(obj), **data}
    if len(text := str(data.get("text/plain", ""))) > TEXT:
        data = {**data, "text/plain": f"{text[:TEXT]}\n… {len(text) - TEXT:,} characters more"}
    return dict(data), dict(metadata)


def forms(obj: Any) -> Shown:
    """The same where IPython is not loaded."""
    data: dict[str, Any] = {"text/plain": _text(obj)}
    metadata: dict[str, Any] = {}
    if isinstance(obj, type):  # its methods are those of its instances
        return data, metadata
    for method, kind in FORMS.items():
        found = _said(obj, method)
        if isinstance(found, tuple) and len(found) == 2:
            found, metadata[kind] = found
        if found is not None:
            data[kind] = found
    bundle = _said(obj, "_repr_mimebundle_", include=None, exclude=None)
    if isinstance(bundle, tuple) and len(bundle) == 2:
        bundle, more = bundle
        metadata.update(more)
    if isinstance(bundle, dict):
        data.update(bundle)
    return data, metadata


def _said(obj: Any, method: str, **arguments: Any) -> Any:
    # Looked for in the class: an object whose `__getattr__` makes anything up has none of them, as with IPython.
    if getattr(type(obj), method, None) is None and method not in getattr(obj, "__dict__", ()):
        return None
    try:
        return getattr(obj, method)(**arguments)
    except NotImplementedError:
        return None
    except Exception as error:
        sys.stderr.write(f"{type(obj).__name__}.{method} raised {safe_repr(error)}\n")
        return None


def _text(obj: Any) -> str:
    try:
        if isinstance(obj, (list, dict, set, tuple, frozenset)) and type(obj).__repr__ in _PLAIN:
            import pprint

            return pprint.pformat(obj, width=100, compact=True, sort_dicts=False)
        return repr(obj)
    except Exception as error:
        return _broken(obj, error)


_PLAIN: Final = (list.__repr__, dict.__repr__, set.__repr__, tuple.__repr__, frozenset.__repr__)


def _broken(obj: Any, error: Exception) -> str:
    return f"<{type(obj).__name__} that cannot be shown: {safe_repr(error)}>"


def _is_figure(obj: Any) -> bool:
    return type(obj).__module__.partition(".")[0] == "matplotlib" and callable(getattr(obj, "savefig", None))


def _picture(figure: Any) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", bbox_inches="tight")
    return target.getvalue()


_own: Any = None  # formatters of IPython's that no shell has


def _formatter() -> Any:
    """IPython's formatters, where IPython is loaded: those of its shell, if there is one."""
    global _own
    formatters = sys.modules.get("IPython.core.formatters")
    if formatters is None:
        return None
    shells = sys.modules.get("IPython.core.interactiveshell")
    if shells is not None and shells.InteractiveShell.initialized():
        return shells.InteractiveShell.instance().display_formatter
    if _own is None:
        _own = formatters.DisplayFormatter()
    return _own


# `display` of IPython, called by the code of libraries


def route() -> None:
    """From now on IPython's `display` shows things in the notebook whose cell runs, for code with this context."""
    if MODULE in sys.modules:
        _cover(sys.modules[MODULE])
    elif not any(isinstance(finder, _Imports) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Imports())
    _running.set(True)  # for good: what the cell starts goes on after it, and the context is that of this one call


class _Imports:
    """Covers IPython's `display` as soon as somebody imports it: from then on it is in anybody's hands."""

    def __init__(self) -> None:
        self._busy = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Nothing, but for that one module."""
        if name != MODULE or self._busy:
            return None
        self._busy = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy = False
        if spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            load(module)
            _cover(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        return spec


def _cover(module: Any) -> None:
    """Put ours before IPython's `display` and `publish_display_data`, for code of cells. Twice is once."""
    for name, ours in (("display", display), ("publish_display_data", _publish)):
        theirs = getattr(module, name, None)
        if theirs is None or hasattr(theirs, "beampy_covers"):
            continue
        covering = _covering(theirs, ours)
        for holder in (module, sys.modules.get("IPython.display"), sys.modules.get("IPython.core.display")):
            if holder is not None and getattr(holder, name, None) is theirs:
                setattr(holder, name, covering)


def _covering(theirs: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(theirs)
    def either(*args: Any, **kwargs: Any) -> Any:
        return (ours if _running.get() and leader.get() is not None else theirs)(*args, **kwargs)

    either.beampy_covers = theirs  # type: ignore[attr-defined]
    return either


def _publish(
    data: dict[str, Any], metadata: Any = None, *, transient: Any = None, update: bool = False, **_: Any
) -> None:
    _send(dict(data), dict(metadata or {}), (transient or {}).get("display_id"), update)
