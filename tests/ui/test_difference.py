"""What is new in a view, told by the kernel and mended by the page, is the view."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from kernelkit.ui import assets
from kernelkit.ui.difference import difference

NODE = Path(sys.executable).parent / "node"
MEND = """
import {{ mended }} from {module};
import {{ readFileSync }} from 'node:fs';
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map(([view, news]) => mended(view, news))));
"""


def view(chance: random.Random) -> dict[str, Any]:
    """Rows of every kind that a view has: with keys, with the same key twice, without any, and lists."""
    keys = [f"run_{n}" for n in range(8)]
    chance.shuffle(keys)
    rows = [
        {"key": key, "name": "same", **({"clock": chance.choice(["1 s", None])} if chance.random() < 0.6 else {})}
        for key in keys[: chance.randrange(8)]
    ]
    lines = [[n, "info", chance.choice("ab")] for n in range(chance.randrange(3), chance.randrange(3, 7))]
    told = {
        name: chance.choice([0, None, "", "full", [], ["a"], {"deep": [1]}]) for name in "abc" if chance.random() < 0.6
    }
    keyless = [{"n": chance.randrange(3)} for _ in range(chance.randrange(4))]
    twice = [{"name": chance.choice("xy"), "n": chance.randrange(3)} for _ in range(chance.randrange(5))]
    cells = "".join(chance.choices("qeC", weights=[chance.choice([1, 900]), 1, 3], k=chance.choice([120, 120, 130])))
    return {"cells": cells, "rows": rows, "lines": lines, "keyless": keyless, "twice": twice, **told}


def test_news_mends_any_view_into_any_other() -> None:
    chance = random.Random(7)
    pairs = [(view(chance), view(chance)) for _ in range(300)]
    found = [difference(old, new) for old, new in pairs]
    assert sum("rows" in one for one in found) > 200, "rows are told by their pieces"
    given = json.dumps([[old, {**one, "n": 1, "of": 0}] for (old, _), one in zip(pairs, found, strict=True)])
    script = MEND.format(module=json.dumps((assets.folder() / "mend.js").as_uri()))
    mended = subprocess.run(
        [NODE, "--input-type=module", "-e", script], input=given, capture_output=True, text=True, check=True
    )
    assert json.loads(mended.stdout) == [{**new, "n": 1} for _, new in pairs]


def test_nothing_new_is_nothing() -> None:
    given = view(random.Random(1))
    assert difference(given, json.loads(json.dumps(given))) == {}
