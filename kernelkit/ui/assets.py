"""Finds the front end and hands it out as the two texts that anywidget takes: one module, one style sheet.

The files are plain ES modules in `widgets/`, which a wheel carries as `kernelkit/_widgets`. There is no build step: a
module and those it imports become one text by wrapping each in a function of its own. For that to stay this simple a
module imports only `import { names } from './file.js';` on one line, and exports functions and constants where they
are declared.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from kernelkit.errors import KernelKitError

_IMPORT = re.compile(r"^import \{ ([^}]+) \} from '\./([\w-]+\.js)';$", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
_DEFAULT = re.compile(r"^export default ([^;]+);$", re.MULTILINE)
_ROOT = re.compile(r"\.kk(?![\w-])")
_SHARED = ("tokens.css", "card.css")
_COMMENT = re.compile(r"^\s*(?://[^\n]*|/\*\*(?:[^*]|\*(?!/))*\*/)\n", re.MULTILINE)


def folder() -> Path:
    """Where the front end lies: inside the package of a wheel, beside it in a checkout."""
    package = Path(__file__).parent.parent
    for place in (package / "_widgets", package.parent / "widgets"):
        if (place / "card.js").is_file():
            return place
    raise KernelKitError(
        "The files of KernelKit's widgets are missing from this installation. Install kernelkit again."
    )


@cache
def module(name: str) -> str:
    """The text of one module with everything it imports inside, for anywidget's `_esm`."""
    made: dict[str, str] = {}
    _take(name, folder(), made)
    parts = [f"const {_variable(key)} = (() => {{\n{text}\n}})();" for key, text in made.items()]
    marked = f'host.el.classList.add("{_class(name)}")'
    shown = f"const render = (host) => {{ {marked}; return {_variable(name)}.render(host); }};"
    return "\n".join([*parts, shown, "export default { render };\n"])


@cache
def style(view: str, *names: str) -> str:
    """The style sheets of these names for the view that module `view` draws, for anywidget's `_css`.

    All views of a page share its styles, so the rules of every sheet but the shared two hold inside such a view alone.
    """
    texts = {name: (folder() / name).read_text("utf-8") for name in names}
    return "\n".join(
        text if name in _SHARED else _ROOT.sub(f".{_class(view)} .kk", text) for name, text in texts.items()
    )


def _take(name: str, place: Path, made: dict[str, str]) -> None:
    """Add `name` to `made` after everything it imports."""
    if name in made:
        return
    text = (place / name).read_text("utf-8")
    for _, wanted in _IMPORT.findall(text):
        _take(wanted, place, made)
    exports = ", ".join(_EXPORT.findall(text))
    text = _COMMENT.sub("", text)
    text = _IMPORT.sub(lambda found: f"const {{ {found[1]} }} = {_variable(found[2])};", text)
    text = _DEFAULT.sub("", _EXPORT.sub("", text))
    made[name] = f"{text.strip()}\nreturn {{ {exports} }};"


def _variable(name: str) -> str:
    return "kk_" + name.removesuffix(".js").replace("-", "_")


def _class(name: str) -> str:
    """What the element around a view is marked with."""
    return "kk-" + name.removesuffix(".js")
