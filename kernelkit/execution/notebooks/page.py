"""The executed notebook as a web page: one file that needs no network, no script and no font.

nbconvert draws the cells; the frame around them and its few rules of style are ours. Its own full templates weigh
300 kB a page and ask for MathJax from afar.
"""

from __future__ import annotations

import html
from typing import Any

from kernelkit.execution.notebooks.libraries import quiet

_STYLE = """
:root { color-scheme: light }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1f2328; background: #fff;
       font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
h1, h2, h3 { line-height: 1.25 }
a.anchor-link { display: none }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere }
pre, code { font: 13px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace }
.cell { margin: 0.6rem 0 }
.prompt { color: #6e7781; font-size: 11px; font-family: ui-monospace, Menlo, Consolas, monospace }
.input_area, .highlight { background: #f6f8fa; border-radius: 6px }
.input_area .highlight pre, .input_area > pre { padding: 0.5rem 0.75rem }
.output_area { padding: 0.25rem 0.75rem; overflow-x: auto }
.output_stderr, .output_error pre { background: #fff5f5 }
img, svg { max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: 13px }
th, td { padding: 0.25rem 0.6rem; border: 1px solid #d0d7de; text-align: right }
thead th { background: #f6f8fa }
"""


def load() -> None:
    """Import nbconvert: half a second that is spent while a kernel works."""
    import nbconvert.exporters  # noqa: F401


def page_of(notebook: Any, title: str) -> str:
    """The page. Raises whatever nbconvert makes of outputs that it cannot draw."""
    from nbconvert.exporters import HTMLExporter
    from pygments.formatters import HtmlFormatter

    exporter = HTMLExporter(template_name="basic", log=quiet)
    body, _ = exporter.from_notebook_node(notebook)
    colours = HtmlFormatter(style="default").get_style_defs(".highlight")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{colours}\n{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
