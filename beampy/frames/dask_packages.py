"""That what `pool.dask()`, `to_dask` and `from_dask` stand on is installed, here or where a worker is to be.

Rule: it is one error wherever it is found out: ModuleNotFoundError, or ImportError for a package that is too old or
broken, which says who needs what, on which node, and what to install.

Place: under those of frames that import dask; it imports nothing itself until it is asked.
"""

from __future__ import annotations

import importlib

OLDEST = (2026, 8)  # of dask, as in pyproject.toml: its client sends what its scheduler here reads
INSTALL = "pip install 'beampy[dask]'"
DASK = ("dask", "distributed")
PANDAS = ("pandas", "pyarrow")
FRAMES = (*PANDAS, "dask.dataframe")  # which stands on them


def need(who: str, *modules: str, node: str = "") -> None:
    """ImportError, where one of these is missing or too old. `node`: where this is, if it is not where it is read.

    >>> need("pool.dask", *DASK)
    """
    where = f" on {node}, in the environment of that runner" if node else ""
    for name in modules:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"{who} needs {name}, which is missing{where}: {INSTALL}", name=error.name
            ) from None
        except ImportError as error:
            raise ImportError(f"{who} needs {name}, which cannot be imported{where}: {error}; {INSTALL}") from error
        if name in DASK and _version(module.__version__) < OLDEST:
            least = ".".join(map(str, OLDEST))
            raise ImportError(
                f"{who} needs {name} {least} or later, and there is {module.__version__}{where}: {INSTALL}"
            )


def _version(text: str) -> tuple[int, ...]:
    """The year and the month of dask's version. What is none of its versions is a newer one."""
    parts = text.split(".")[:2]
    return tuple(map(int, parts)) if all(map(str.isdigit, parts)) else OLDEST
