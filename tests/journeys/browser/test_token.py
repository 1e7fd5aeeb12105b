"""A person is asked: real JupyterLab, real browser, real engine."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from tests.journeys.browser.lab import open_notebook, picture, running_lab
from tests.journeys.tutorial import NOTEBOOKS

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SOON = 30_000

LOAD = "%load_ext kernelkit\nimport kernelkit as kk"
DEFINE = """\
letters = kk.streams.define("letter", str)

@kk.task(tags=["invoice"])
async def approve_invoice(number: str) -> dict:
    for word in f"Dear Nordlicht GmbH, we have received your invoice {number} and will look at it.".split():
        await letters.append(word + " ")
    token = kk.tokens.create(
        timeout="1h",
        question=f"Approve invoice {number}?",
        context={"amount": "18,400.00 EUR", "supplier": "Nordlicht GmbH"},
        tags=["invoice"],
    )
    kk.metadata.set("token", token.id)
    answer = await kk.wait.for_token(token).unwrap()
    return {"number": number, **answer}"""
TRIGGER = """\
run = approve_invoice.trigger(number="INV-2291")
run"""
TOKEN = """\
import time
other = approve_invoice.trigger(number="INV-2288")
while not (found := other.metadata.get("token")):
    time.sleep(0.05)
kk.tokens.retrieve(found)"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_person_approves_on_the_runs_card_and_a_colleague_elsewhere(
    theme: str, tmp_path: Path, chromium: str
) -> None:
    cells = [LOAD, DEFINE, TRIGGER, TOKEN]
    with running_lab(tmp_path, theme=theme) as lab, open_notebook(lab, chromium, cells) as notebook:
        notebook.run_all()
        card = notebook.output(2).locator(".kk")
        expect(card.locator(".status")).to_have_text("Waiting", timeout=SOON)
        expect(card.locator(".streams pre")).to_contain_text("we have received your invoice INV-2291")
        expect(card).to_contain_text("Approve invoice INV-2291?")
        expect(card).to_contain_text("18,400.00 EUR")
        panel = notebook.output(3).locator(".kk")
        expect(panel.locator(".name")).to_have_text("Approve invoice INV-2288?", timeout=SOON)
        expect(panel.locator(".why:not(.bad)")).to_contain_text(
            re.compile(r"Asked by approve-invoice run_\w+"), timeout=SOON
        )
        expect(panel.locator(".clock")).to_have_text(re.compile(r"(59:\d\d|1:00:00) left"))
        picture(notebook, f"token-{theme}")

        answer = card.get_by_role("textbox", name="Answer sent to the run (JSON)")
        answer.fill('{"approved": tru')
        expect(card.get_by_role("button", name="Approve", exact=True)).to_be_disabled()
        expect(card.get_by_role("alert")).to_be_visible()
        answer.fill('{"approved": true, "note": "ok, Q4 budget"}')
        card.get_by_role("button", name="Approve", exact=True).click()
        ended = notebook.output(2).locator("table")
        expect(ended).to_contain_text("approve-invoice: Completed in", timeout=SOON)
        expect(ended).to_contain_text("ok, Q4 budget")

        token = panel.locator(".foot .mono").inner_text()
        lab.command("tokens", "complete", token, "approved=false")
        answered = notebook.output(3).locator("table")
        expect(answered).to_contain_text('{"approved": false}', timeout=SOON)
        expect(panel).to_have_count(0)
        expect(answered).to_contain_text("Approve invoice INV-2288?")
        saved = notebook.save()
        assert set(saved["cells"][3]["outputs"][0]["data"]) == {"text/html", "text/plain"}
        assert notebook.problems == []


def test_a_token_of_nobody_is_answered_from_its_own_card_with_the_keyboard(tmp_path: Path, chromium: str) -> None:
    cells = [LOAD, 'token = kk.tokens.create(question="Deploy to production?")\ntoken', "token.refresh().output"]
    with running_lab(tmp_path) as lab, open_notebook(lab, chromium, cells, width=700) as notebook:
        notebook.run_all()
        panel = notebook.output(1).locator(".kk")
        expect(panel).to_contain_text("No run waits for it so far", timeout=SOON)
        picture(notebook, "token-700")
        panel.get_by_role("button", name="Reject").focus()
        notebook.page.keyboard.press("Enter")
        expect(notebook.output(1).locator("table")).to_contain_text('{"approved": false}', timeout=SOON)
        notebook.page.locator(".jp-CodeCell").nth(2).click()
        notebook.page.keyboard.press("Shift+Enter")
        expect(notebook.output(2)).to_contain_text("{'approved': False}", timeout=SOON)
        assert notebook.problems == []


ASK = """\
from pydantic import BaseModel, Field
class Payment(BaseModel):
    approved: bool
    amount: float = Field(ge=0, le=20_000, description="in EUR")
    account: str = Field(pattern="^DE")
    note: str = ""

@kk.task
async def pay(number: str) -> str:
    token = kk.tokens.create(question=f"Pay invoice {number}?", context={"supplier": "Nordlicht GmbH"}, schema=Payment)
    answer = await kk.wait.for_token(token).unwrap()
    return f"{type(answer).__name__}: {answer.amount:.2f} EUR, {answer.note or 'no note'}"

run = pay.trigger(number="INV-2291")
run"""
STRICT = """\
from typing import Annotated
import pydantic
kk.tokens.create(question="Which one?", schema=Annotated[int, pydantic.Field(multiple_of=3)])"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_a_person_fills_in_what_a_token_asks_for(theme: str, tmp_path: Path, chromium: str) -> None:
    with (
        running_lab(tmp_path, theme=theme) as lab,
        open_notebook(lab, chromium, [LOAD, ASK, STRICT], width=700) as notebook,
    ):
        notebook.run_all()
        card = notebook.output(1).locator(".kk")
        expect(card).to_contain_text("Pay invoice INV-2291?", timeout=SOON)
        card.get_by_label("amount").fill("25000")
        card.get_by_label("note").focus()
        expect(card.get_by_role("alert").filter(has_text="Must be at most 20,000")).to_be_visible()
        picture(notebook, f"token-form-{theme}")
        card.get_by_label("amount").fill("184")
        card.get_by_role("button", name="Approve", exact=True).click()
        expect(card.get_by_label("account")).to_be_focused()
        card.get_by_label("account").fill("DE89")
        card.get_by_label("account").press("Control+Enter")
        expect(notebook.output(1).locator("table")).to_contain_text("Payment: 184.00 EUR, no note", timeout=SOON)

        panel = notebook.output(2).locator(".kk")
        expect(panel.get_by_role("button", name="Reject")).to_be_hidden()
        panel.get_by_label("answer").fill("4")
        panel.get_by_role("button", name="Send answer").click()
        expect(panel.get_by_role("alert").filter(has_text="multiple of 3")).to_be_visible(timeout=SOON)
        panel.get_by_label("answer").fill("6")
        panel.get_by_role("button", name="Send answer").click()
        expect(notebook.output(2).locator("table")).to_contain_text("completed", timeout=SOON)
        assert notebook.problems == []


@pytest.mark.timeout(300)
def test_a_person_goes_through_the_tutorial_on_approvals(tmp_path: Path, chromium: str) -> None:
    tutorial = nbformat.read(NOTEBOOKS / "waits_and_approvals.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    cells = [cell.source for cell in tutorial.cells if cell.cell_type == "code"]
    trigger = next(n for n, source in enumerate(cells) if source.startswith("run = clean.trigger"))
    with running_lab(tmp_path) as lab, open_notebook(lab, chromium, cells[: trigger + 2], name="tutorial") as notebook:
        notebook.run_all()
        card = notebook.output(trigger).locator(".kk")
        expect(card).to_contain_text("Leave out 3 of 178 wines?", timeout=90_000)
        picture(notebook, "tutorial-approval")
        card.get_by_role(
            "button", name="Approve", exact=True
        ).click()  # the next cell awaits the run: the kernel is busy
        expect(card.locator(".why")).to_contain_text("For time", timeout=SOON)
        expect(notebook.output(trigger + 1)).to_contain_text("{'kept': 175, 'file': 'wine.csv'}", timeout=SOON)
        expect(notebook.output(trigger).locator("table")).to_contain_text("Completed", timeout=SOON)
        assert notebook.problems == []
