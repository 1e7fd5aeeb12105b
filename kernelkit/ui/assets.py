"""Finds the front end and hands it out as the texts that anywidget takes.

The files are plain ES modules in `widgets/`, which a wheel carries as `kernelkit/_widgets`. There is no build step: a
module and those it imports become one text by wrapping each in a function of its own. For that to stay this simple a
module imports only `import { names } from './file.js';` on one line, and exports functions and constants where they
are declared.

What a page needs is cut into parts, of which each is sent once: one with what views share, one with the forms that some
of them have, and one for each kind of view. A view's own text only says which part draws it (`widgets/drawn.js`). The
part that is shared unpacks the others (`widgets/bring.js`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kernelkit.errors import KernelKitError

_IMPORT = re.compile(r"^import \{ ([^}]+) \} from '\./([\w-]+\.js)';$", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
_DEFAULT = re.compile(r"^export default ([^;]+);$", re.MULTILINE)
_ROOT = re.compile(r"\.kk(?![\w-])")
_STYLES = ("tokens.css", "card.css")
_CONTROLS = "controls.css"
_SHEETS = {
    "batch.js": ("batch.css",),
    "card.js": ("run.css",),
    "engine.js": ("panel.css",),
    "logs.js": ("logs.css",),
    "queues.js": ("panel.css",),
    "schedules.js": ("panel.css",),
    "table.js": ("table.css",),
    "task.js": ("panel.css", "task.css"),
    "timeline.js": ("timeline.css",),
    "token.js": (),
    "tree.js": ("tree.css",),
}
_FORMS = ("answer.js", "python.js")
_FORM_SHEET = "form.css"
_WITH_FORM = ("task.js", "token.js")  # a run's card has one only when it asks
_OF_THE_PAGE = ("keep.js", "mend.js")  # what no view imports
_COMMENT = re.compile(r"^\s*//[^\n]*\n|(?<=[;,{}\])]) +// [^\n]*$|/\*\*(?:[^*]|\*(?!/))*\*/\s?|^\n", re.MULTILINE)
_REMARK = re.compile(r"/\*.*?\*/", re.DOTALL)
_TIGHT = re.compile(r"\s*([={}();,])\s*")  # these stand in no string of the few modules that it is used for
_AROUND = re.compile(r"\s*([{};,])\s*")
_AFTER_COLON = re.compile(r"(?<=:) +")
_INDENT = re.compile(r"^ +", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """Code and styles that are sent once to a page. `key` is made from both, so that no two versions meet in one."""

    key: str
    script: str
    style: str
    modules: tuple[str, ...]
    needs: tuple[Part, ...] = ()  # the parts that have to be there as well
    later: tuple[Part, ...] = ()  # those that it asks for once it is drawn

    @property
    def esm(self) -> str:
        """The text for anywidget's `_esm` of the model that brings it."""
        stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 9)
        packed = json.dumps(base64.b85encode(self._deflated(stream)).decode())
        if not self.needs:
            return f"{_plain('bring.js')}export default brings({json.dumps(self.key)}, {packed});\n"
        by = json.dumps(self.needs[0].key)
        return f"{_plain('hand.js')}export default hands({json.dumps(self.key)}, {by}, {packed});\n"

    def _deflated(self, stream: zlib._Compress) -> bytes:
        """The part that is shared is the beginning of a stream, and what needs it goes on from there."""
        for base in self.needs:
            base._deflated(stream)
        plain = json.dumps([self.style, self.script], ensure_ascii=False).encode()
        return stream.compress(plain) + stream.flush(zlib.Z_FINISH if self.needs else zlib.Z_SYNC_FLUSH)


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
def views() -> tuple[str, ...]:
    """The modules that draw a view."""
    return tuple(sorted(path.name for path in folder().glob("*.js") if _DEFAULT.search(path.read_text("utf-8"))))


@cache
def shared() -> Part:
    """What more than one view needs, and what the page needs once."""
    users = Counter(name for view in views() for name in _closure(view))
    names = [name for name in dict.fromkeys(n for v in views() for n in _closure(v)) if users[name] > 1]
    names += [name for one in _OF_THE_PAGE for name in _closure(one) if name not in names]
    script = _script(names, (), f"{{ {_variables(names)}, start: kk_keep.start }}")
    style, controls = _styles(_STYLES), _styles((_CONTROLS,))
    key = _key(script, style, controls)
    # The rules of controls win over those of cards, as those of one view do.
    style = _ROOT.sub(f".{key} .kk", style) + _ROOT.sub(f".{key}.{key} .kk", controls)
    return Part(key, script, style, tuple(names))


@cache
def forms() -> Part:
    """What views with a form share. It is not kept in a saved notebook, as nothing can be sent from there
    (`widgets/keep.js` knows it by its name)."""
    names, base = _of_forms(), shared()
    script = _script(names, (base,), f"{{ {_variables(names)} }}")
    style = _styles((_FORM_SHEET,))
    key = _key(script, style).replace("kk-", "kk-forms-")
    return Part(key, script, _ROOT.sub(f".{base.key}.{key} .kk", style), names, (base,))


@cache
def part(view: str) -> Part:
    """What draws the views of module `view`, without what is shared."""
    base, form = shared(), json.dumps(forms().key)
    needs = (base,)
    names = [name for name in _closure(view) if name not in base.modules]
    # For a view that may need it: the forms, all their modules as one.
    bring = (
        f"async () => {{ const made = await needs({form}); host.el.classList.add({form}); "
        "return Object.assign({}, ...Object.values(made)); }"
    )
    render = (
        f"(host) => {{ host.el.classList.add({json.dumps(base.key)}, key); "
        f"return {_variable(view)}.render({{ ...host, bring: {bring} }}); }}"
    )
    script = _script(names, needs, f"{{ render: {render}, follow: kk_mend.follow }}")
    style = _styles(_SHEETS[view])
    key = _key(script, style)
    # Its rules hold inside such views alone, and win over the shared ones.
    later = (forms(),) if view in _WITH_FORM else ()
    return Part(key, script, _ROOT.sub(f".{base.key}.{key} .kk", style), tuple(names), needs, later)


def view(made: Part) -> str:
    """The text for anywidget's `_esm` of a view that `made` draws."""
    return f"{_plain('drawn.js')}export default drawn({json.dumps(made.key)});\n"


@cache
def _closure(name: str) -> tuple[str, ...]:
    """The modules that `name` needs, each after those it imports, and itself at the end."""
    found: dict[str, None] = {}
    for _, wanted in _IMPORT.findall((folder() / name).read_text("utf-8")):
        found.update(dict.fromkeys(_closure(wanted)))
    return (*found, name)


def _of_forms() -> tuple[str, ...]:
    """The modules of a form that no view needs at once."""
    used = {name for view in views() for name in _closure(view)}
    return tuple(dict.fromkeys(name for form in _FORMS for name in _closure(form) if name not in used))


def _script(names: Sequence[str], needs: tuple[Part, ...], made: str) -> str:
    """The module of a part: it takes what it `needs` from other parts, and gives what it has `made`."""
    wanted = {module for name in (*names, *(_OF_THE_PAGE if needs else ())) for module in _closure(name)}
    taken = [
        f"const {{ {_variables(sorted(wanted.intersection(need.modules)))} }} = await needs({json.dumps(need.key)});\n"
        for need in needs
    ]
    return f"export default async (needs, key) => {{\n{''.join(taken)}{_wrapped(names)}\nreturn {made};\n}};\n"


def _wrapped(names: Sequence[str]) -> str:
    """Each module in a function of its own, in this order."""
    return "\n".join(f"const {_variable(name)} = (() => {{\n{_body(name)}\n}})();" for name in names)


def _body(name: str) -> str:
    text = (folder() / name).read_text("utf-8")
    exports = ", ".join(_EXPORT.findall(text))
    text = _bare(text)
    text = _IMPORT.sub(lambda found: f"const {{ {found[1]} }} = {_variable(found[2])};", text)
    text = _DEFAULT.sub("", _EXPORT.sub("", text))
    return f"{text.strip()}\nreturn {{ {exports} }};"


@cache
def _plain(name: str) -> str:
    """A module and those it imports one after the other, to stand before others' text; it is packed nowhere."""
    texts = (_bare((folder() / one).read_text("utf-8")) for one in _closure(name))
    return "".join(_TIGHT.sub(r"\1", _EXPORT.sub("", _IMPORT.sub("", text)).strip()) + "\n" for text in texts)


def _styles(names: tuple[str, ...]) -> str:
    texts = ((folder() / name).read_text("utf-8") for name in names)
    plain = _REMARK.sub("", "\n".join(texts))
    return _AFTER_COLON.sub("", _AROUND.sub(r"\1", plain)).strip()


def _bare(text: str) -> str:
    """Without comments and indents."""
    return _INDENT.sub("", _COMMENT.sub("", text))


def _variables(names: Sequence[str]) -> str:
    return ", ".join(map(_variable, names))


def _variable(name: str) -> str:
    return "kk_" + name.removesuffix(".js").replace("-", "_")


def _key(*texts: str) -> str:
    """A name for these texts that can be a class of CSS."""
    return "kk-" + hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
