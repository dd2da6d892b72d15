"""A module that stands for `polars` in polars' own tests: its frames are remote ones, on another node.

Rule: what the tests do with a frame is done by beampy's classes of remote frames, and only waited for here: no method
of a frame is carried out in this process. Expressions, types and selectors are polars' own.

Place: loaded as a pytest plugin (plugin.py) in the process that runs polars' tests, and in no other; counting.py on the
node that has the frames, too. It is no part of beampy.
"""
