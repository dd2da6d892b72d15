"""`%%on` in a shell: the transformer, the magic of that name, and the completion of its arguments.

    %%on b@localhost -i rows -o best -t 60
    best = min(rows)

Rule: a cell that begins with `%%on` becomes one statement, which awaits: so the kernel's loop is free while the cell
runs elsewhere, and an interrupt cancels it there. A shell without a loop of its own, as IPython in a terminal, waits
for the result instead. History has the cell as it was written.

Place: over on.py, which says what such a cell says; on_run.py, which runs it, is loaded with the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from beampy.notebook import on
from beampy.notebook.cells import current_cell
from beampy.notebook.matchers import Matches, put_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from beampy.notebook.on_run import Run

ATTRIBUTE: Final = "beampy_on"  # of the shell: what a rewritten cell calls
AWAITED: Final = f"await get_ipython().{ATTRIBUTE}({{}})"
WAITED: Final = f"get_ipython().{ATTRIBUTE}({{}}).result()"


def install(shell: Any) -> Callable[[], object]:
    """Put `%%on` in place: the transformer, the magic that others may call, and the completion of its arguments."""

    def rewrite(lines: list[str]) -> list[str]:
        return on.rewritten(lines, AWAITED if awaits(shell) else WAITED) or lines

    rewrite.has_side_effects = True  # type: ignore[attr-defined]  # a terminal is not to think the cell complete

    def run(text: str) -> Run:
        from beampy.notebook.on_run import begin

        return begin(shell, text)

    def on_cell(line: str, cell: str) -> None:
        """Run this cell on a node, or on a runner of a pool: `%%on NODE|pool [-i NAMES] [-o NAMES] [-t SECONDS]`.

        NODE is the name of a node (`b@localhost`, or `b`), or an expression of the notebook: a Pool, a node's name, a
        pid, a RemoteRef. `-i a,b` sends variables there, `-o c` brings variables back, both by value; a RemoteRef stays
        one, and `await ref.get()` is its object there. `-t` gives up after so many seconds. Names stay on a node from
        cell to cell, as long as this notebook runs; on a pool each cell begins with none. With `await` at its top level
        a cell runs on the node's event loop, and otherwise in a thread. What is printed and shown there, the value of
        the last expression too, appears here, with the name of the node.
        """
        run(f"%%on {line}\n{cell}").result()

    # First it sees the cell as it was written, which tells the right line numbers; last what is left of pasted prompts.
    transforms = shell.input_transformers_cleanup
    transforms.insert(0, rewrite)
    transforms.append(rewrite)
    setattr(shell, ATTRIBUTE, run)
    shell.register_magic_function(on_cell, "cell", "on")
    remove = _install_completion(shell)

    def undo() -> None:
        while rewrite in transforms:
            transforms.remove(rewrite)
        if hasattr(shell, ATTRIBUTE):
            delattr(shell, ATTRIBUTE)
        shell.magics_manager.magics["cell"].pop("on", None)
        remove()

    return undo


def awaits(shell: Any) -> bool:
    """Whether a cell of this shell can await: in a kernel, but not in a cell that another one runs, as %rerun does."""
    if getattr(shell, "kernel", None) is None or not getattr(shell, "autoawait", False):
        return False
    cell = current_cell()
    return cell is None or not cell.runs_here()


def _install_completion(shell: Any) -> Callable[[], object]:
    """The matcher of the arguments."""

    def arguments(cell: str, position: int) -> Matches | None:
        found = completed(shell, cell, position)
        if found is None:
            return None
        return Matches(found.fragment, [(match, "instance") for match in found.matches], bool(found.matches))

    return put_in(shell, "on_arguments", arguments, priority=1000, first=True)


def completed(shell: Any, cell: str, position: int) -> on.Completed | None:
    """What completes the arguments of a `%%on` cell in this notebook; None where the cursor is elsewhere."""
    if on.MAGIC not in cell:
        return None
    from beampy.notebook.on_run import connected_nodes, of_value

    hidden = shell.user_ns_hidden
    names = {name: value for name, value in list(shell.user_ns.items()) if name not in hidden}
    targets = [name for name, value in names.items() if not isinstance(value, str) and of_value(value, ()) is not None]
    return on.argument_completions(
        cell, position, nodes=connected_nodes(), targets=sorted(targets), names=sorted(names)
    )
