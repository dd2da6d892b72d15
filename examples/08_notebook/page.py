"""An executed notebook as one page of HTML: light or dark as its reader likes, and without a network.

Rule: everything is in the page: no script, no font and no style comes from elsewhere. Of the forms that an output has
the richest one that is still is taken; a widget needs a kernel, so what stands beside it is. HTML of outputs is taken
as it is, as in any notebook. nbconvert would do it too; it brings a dozen packages, and pages that load scripts.

Place: demo.py calls it. It knows the notebook's file format and nothing of kernels.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

ANSI = re.compile(r"\x1b\[[0-9;]*m")  # the colours of a traceback

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1c2230; --faint: #5b6472; --line: #e2e5ea; --code: #f6f7f9;
  --accent: #2f62c9; --bad: #b3261e; --comment: #5f6b7a; --word: #8a3ab9; --text: #18794e; --name: #2f62c9; }
@media (prefers-color-scheme: dark) { :root { --page: #14171c; --ink: #e6e8ec; --faint: #a2abb8; --line: #2c323b;
  --code: #1b1f26; --accent: #8ab0ff; --bad: #ff9a92; --comment: #98a3b3; --word: #d7a6f5; --text: #7fd1a6;
  --name: #8ab0ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.6 system-ui, sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 1rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .25rem; }
p { margin: .5rem 0 1rem; max-width: 44rem; }
a { color: var(--accent); }
code, pre { font: 13.5px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
p code { background: var(--code); border-radius: 4px; padding: .1em .3em; }
.source { background: var(--code); border: 1px solid var(--line); border-radius: 8px; overflow-x: auto; }
.source pre { margin: 0; padding: .8rem 1rem; }
.output { margin: .75rem 0 1.25rem; padding-left: 1rem; border-left: 3px solid var(--line); overflow-x: auto; }
.output pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.output pre.wide { white-space: pre; }
.stderr, .error { color: var(--bad); }
table.dataframe { border: 0; border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
table.dataframe th, table.dataframe td { padding: .2rem .75rem; text-align: right; border: 0;
  border-bottom: 1px solid var(--line); white-space: nowrap; }
table.dataframe th { font-weight: 600; }
table.dataframe thead tr + tr td { color: var(--faint); font-size: .75rem; padding-top: 0; }
table.dataframe tr > :first-child { text-align: left; padding-left: 0; }
.output small { color: var(--faint); }
.output img { max-width: 100%; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1rem; color: var(--faint);
  font-size: .85rem; }
.c, .c1, .cm { color: var(--comment); font-style: italic; } .k, .kn, .kc, .ow { color: var(--word); }
.s, .s1, .s2, .sd, .sa, .si { color: var(--text); } .nf, .nc, .nd { color: var(--name); }
@media (max-width: 40rem) { main { padding: 1.5rem .9rem 3rem; } h1 { font-size: 1.6rem; } body { font-size: 15px; } }
"""


def page(notebook: dict[str, Any], footer: str) -> str:
    """The whole page. Its title is the notebook's first heading."""
    found = re.search(r"^# (.+)$", "\n".join(text(cell["source"]) for cell in notebook["cells"]), re.MULTILINE)
    title = found[1] if found else "A notebook"
    body = "\n".join(_cell(cell) for cell in notebook["cells"])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{STYLE}</style></head>\n'
        f"<body><main>\n{body}\n<footer>{escape(footer)}</footer>\n</main></body></html>\n"
    )


def text(lines: str | list[str]) -> str:
    """What the file format writes as one text or as a list of lines."""
    return lines if isinstance(lines, str) else "".join(lines)


def _cell(cell: dict[str, Any]) -> str:
    source = text(cell["source"])
    if cell["cell_type"] == "markdown":
        return str(MarkdownIt("commonmark").enable("table").render(source))
    if cell["cell_type"] != "code":
        return f"<pre>{escape(source)}</pre>"
    coloured = highlight(source, PythonLexer(), HtmlFormatter(nowrap=True))
    outputs = "\n".join(f'<div class="output">{shown}</div>' for one in cell["outputs"] if (shown := _output(one)))
    name = escape(str(cell.get("id", "")))
    return f'<section id="{name}"><div class="source"><pre>{coloured.rstrip()}</pre></div>\n{outputs}</section>'


def _output(output: dict[str, Any]) -> str:
    match output["output_type"]:
        case "stream":
            return f'<pre class="{escape(output["name"])}">{escape(ANSI.sub("", text(output["text"]))).rstrip()}</pre>'
        case "error":
            return f'<pre class="error wide">{escape(ANSI.sub("", chr(10).join(output["traceback"])))}</pre>'
    data = output["data"]
    if "text/html" in data:
        return text(data["text/html"])
    if "image/svg+xml" in data:
        return text(data["image/svg+xml"])
    if "image/png" in data:
        return f'<img alt="" src="data:image/png;base64,{escape(text(data["image/png"]).strip())}">'
    return f'<pre class="wide">{escape(text(data["text/plain"]))}</pre>' if "text/plain" in data else ""
