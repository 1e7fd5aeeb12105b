"""Files that are kept with a run, such as a notebook job's, on its card."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from kernelkit.authoring.artifacts import Artifact, artifacts_of, write_artifact
from kernelkit.config import Home
from kernelkit.models.run import RunStatus
from kernelkit.ui.html import run_html
from kernelkit.ui.text import run_text
from kernelkit.ui.view import RunCard, run_card
from tests.ui import samples
from tests.ui.samples import BERLIN, NOW

EVIL = '"><script>alert(1)<br>.html'


def card_with(folder: Path, *names: str) -> RunCard:
    home = Home(folder / ".kernelkit").create()
    run = samples.run(status=RunStatus.COMPLETED, output_json="null", output_size=4)
    for name in names:
        write_artifact(home.artifacts / run.id, name, b"x" * 2_048)
    return run_card(run, (), artifacts_of(home, run.id), now=NOW, zone=BERLIN)


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        self.hrefs += [value or "" for name, value in attrs if name == "href"]


def test_the_static_face_links_each_file_and_says_where_it_lies(tmp_path: Path) -> None:
    face = run_html(card_with(tmp_path, "daily.html", "daily.ipynb"))

    links = Links()
    links.feed(face)
    folder = tmp_path / ".kernelkit" / "artifacts" / "run_5yq0c9te"
    assert links.hrefs == [(folder / "daily.html").as_uri(), (folder / "daily.ipynb").as_uri()]
    assert f"<code>{folder / 'daily.html'}</code>" in face.replace("/<wbr>", "/"), (
        "a long path may be broken, and is copied whole"
    )
    assert "2.0 kB" in face or "2 kB" in face


def test_the_text_face_names_the_files_and_their_folder(tmp_path: Path) -> None:
    told = run_text(card_with(tmp_path, "daily.html", "daily.ipynb"), width=200)

    assert "files   daily.html 2" in told and "daily.ipynb" in told
    assert str(tmp_path / ".kernelkit" / "artifacts" / "run_5yq0c9te") in told


def test_a_run_without_files_says_nothing_of_them(tmp_path: Path) -> None:
    card = card_with(tmp_path)

    assert "files" not in run_text(card)
    assert "Files" not in run_html(card)


def test_of_many_files_four_are_named(tmp_path: Path) -> None:
    card = card_with(tmp_path, *(f"part-{number}.csv" for number in range(9)))

    assert (len(card.files), card.more_files) == (4, 5)
    assert "and 5 more" in run_html(card) and "and 5 more" in run_text(card, width=200)


def test_a_hostile_name_stays_text(tmp_path: Path) -> None:
    path = tmp_path / EVIL
    path.write_bytes(b"")
    run = samples.run(status=RunStatus.COMPLETED)

    face = run_html(run_card(run, (), [Artifact(path)], now=NOW, zone=BERLIN))

    links = Links()
    links.feed(face)
    assert len(links.hrefs) == 1
