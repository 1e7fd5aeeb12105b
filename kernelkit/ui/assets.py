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
    exported = _DEFAULT.search((folder() / name).read_text("utf-8"))
    default = exported.group(1) if exported else "{}"
    parts = [f"const {_variable(key)} = (() => {{\n{text}\n}})();" for key, text in made.items()]
    return "\n".join([*parts, f"export default (({{ render }}) => ({default}))({_variable(name)});\n"])


@cache
def style(*names: str) -> str:
    """The style sheets of these names, one after another, for anywidget's `_css`."""
    return "\n".join((folder() / name).read_text("utf-8") for name in names)


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
