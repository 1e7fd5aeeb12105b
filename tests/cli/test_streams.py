"""`kernelkit streams` as a program."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

import kernelkit as kk
from kernelkit.cli.main import main
from kernelkit.testing import engine

words = kk.streams.define("words", str)
rows = kk.streams.define("rows", dict)
hints = kk.streams.input("hints", str)


@kk.task
async def speaking() -> None:
    for word in ("To be ", "or not\n", "to \x1b[31mbe"):
        await words.append(word)
    await rows.append({"n": 1})
    await rows.append({"n": 2})
    await hints.wait(timeout="1h")


def said(home: Path, *given: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["streams", *given, "--home", str(home / ".kernelkit")])
    assert done.exit_code == code, done.output
    return done.output


def test_streams_are_listed_and_read(tmp_path: Path) -> None:
    with engine(home=tmp_path / ".kernelkit", real_time=True, workers=1):
        run = speaking.trigger()
        hints.send(run, "aside")
        run.result(timeout=30).unwrap()

        listed = json.loads(said(tmp_path, run.id, "--json"))
        assert {(one["name"], one["kind"], one["count"]) for one in listed} == {
            ("words", "output", 3),
            ("rows", "output", 2),
            ("hints", "input", 1),
        }
        assert "words" in said(tmp_path, run.id) and "VALUES" in said(tmp_path, run.id)
        assert said(tmp_path, run.id, "words", "--follow") == "To be or not\nto be\n"
        assert said(tmp_path, run.id, "rows", "--start", "1") == '{"n":2}\n'
        assert said(tmp_path, run.id, "words", "--json").splitlines()[0] == '"To be "'
        assert said(tmp_path, run.id, "hints", "--input") == "aside\n"
        assert said(tmp_path, run.id, "nothing") == ""
        assert "add its NAME" in said(tmp_path, run.id, "--follow", code=2)
        assert "run_none" in said(tmp_path, "run_none", "words", code=1)
