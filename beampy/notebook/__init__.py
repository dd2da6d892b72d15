"""Notebooks: a cell is the unit of work, and the cluster is what is behind it.

    import beampy as bp            # in a kernel this is all: the node starts at its first use
    pool = bp.Pool(max=8)
    await pool.map(train, rates)   # train is of a cell; curves grow below while it runs

Rule: `import beampy` in IPython loads this extension, as `%load_ext beampy` does. Nothing else of beampy knows that
notebooks exist: what has to be asked is asked through hooks that are empty without it. IPython and ipykernel are looked
at when they are there, and never imported before.

Each file is one part of it; extension.py puts them in place.
"""

from __future__ import annotations

from beampy.notebook.extension import load_ipython_extension as load_ipython_extension
from beampy.notebook.extension import unload_ipython_extension as unload_ipython_extension
