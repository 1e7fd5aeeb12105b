"""What a person is asked, as the cards say it."""

from __future__ import annotations

from msgspec.structs import replace

from kernelkit.clock import from_datetime
from kernelkit.models.run import RunRef, RunStatus
from kernelkit.models.stream import StreamTail
from kernelkit.models.value import Value
from kernelkit.models.wait import Token
from kernelkit.ui.streams import SHOWN_BYTES, stream_views
from kernelkit.ui.token_card import asked_of, token_card
from kernelkit.ui.tokens import token_html, token_row, token_text
from tests.ui import samples
from tests.ui.samples import BERLIN

NOW = samples.at("13:33:21")
OPEN = Token(
    "waitpoint_1",
    from_datetime(samples.at("13:20:03")),
    question="Approve invoice\nINV-2291?\x1b[31m",
    context='{"amount": 18400, "supplier": "Nordlicht <GmbH>", "a": 1, "b": 2, "c": 3, "d": [1, 2], "e": null}',
    tags=("invoice",),
    timeout_at=from_datetime(samples.at("14:20:03")),
)


def answered(text: str) -> Token:
    value = Value(text=text, size=len(text))
    return replace(
        OPEN,
        status="COMPLETED",
        value=value,
        completed_at=from_datetime(samples.at("13:24:13")),
        completed_by="notebook invoices.ipynb",
    )


def test_an_open_token_says_what_is_asked_by_whom_and_until_when() -> None:
    waiting = [RunRef(f"run_{n}", "approve-invoice", RunStatus.WAITING) for n in range(5)]
    card = token_card(OPEN, waiting, 7, now=NOW, zone=BERLIN)

    assert (card.asked.title, card.word) == ("Approve invoice INV-2291?", "Waiting")
    assert [(pair.key, pair.value) for pair in card.asked.context][:2] == [
        ("amount", "18,400"),
        ("supplier", "Nordlicht <GmbH>"),
    ]
    assert (len(card.asked.context), card.asked.more) == (6, 1)
    assert (card.waiting[0], len(card.waiting), card.more_waiting) == ("approve-invoice run_0", 3, 4)
    assert card.asked.until == samples.at("14:20:03")


def test_an_answer_is_told_by_what_it_says() -> None:
    words = {'{"approved": true}': "Approved", '{"approved": false}': "Rejected", '"later"': "Answered"}
    for text, word in words.items():
        card = token_card(answered(text), now=NOW, zone=BERLIN)
        assert (card.word, card.is_final, card.after) == (word, True, "04:10")
        assert card.why.startswith("Answered ") and card.why.endswith(" by notebook invoices.ipynb.")


def test_the_static_faces_hold_the_question_and_who_answered() -> None:
    row = token_row(answered('{"approved": true}'), now=NOW, zone=BERLIN)
    for face in (token_html(row), token_text(row)):
        assert "Approve invoice INV-2291?" in face
        assert "notebook invoices.ipynb" in face
    assert "Nordlicht &lt;GmbH&gt;" in token_html(row)


def test_what_a_token_asks_for_is_a_form_without_the_verdict_that_the_buttons_give() -> None:
    schema = (
        '{"type": "object", "required": ["approved"], "properties": {"approved": {"type": "boolean"}, '
        '"amount": {"type": "number", "minimum": 0, "maximum": 20000}, "note": {"type": "string", "default": ""}}}'
    )
    asked = asked_of(replace(OPEN, schema=schema))
    row = token_row(replace(OPEN, schema=schema), now=NOW, zone=BERLIN)

    assert asked.form is not None and asked.verdict
    assert [field.name for field in asked.form.fields] == ["amount", "note"]
    for face in (token_html(row), token_text(row, width=200)):
        assert "approved: yes or no, required; amount: number, 0 – 20,000" in face


def test_an_answer_of_one_value_is_one_field() -> None:
    asked = asked_of(replace(OPEN, schema='{"type": "array", "items": {"type": "integer"}}'))

    assert asked.form is not None and asked.form.whole and not asked.verdict
    (field,) = asked.form.fields
    assert (field.kind, field.label, field.required) == ("list", "answer", True)


def test_a_stream_of_texts_reads_as_one_and_other_values_one_a_line() -> None:
    texts = StreamTail("out/tokens", 4, 20, ('"To be "', '"or not\\n"', '"to be."'))
    rows = StreamTail("out/rows", 2, 20, ('{"a": 1}', "[2]"))
    unseen = (StreamTail("in/orders", 1, 1, ("1",)), StreamTail("out/nothing", 0))

    first, second = stream_views([*unseen, texts, rows, texts])

    assert (first.name, first.count, first.text) == ("tokens", "4 values", "…To be or not\nto be.")
    assert second.text == '{"a": 1}\n[2]'


def test_only_the_end_of_a_long_stream_is_shown() -> None:
    (shown,) = stream_views([StreamTail("out/t", 1, 9_000, ('"' + "x" * 9_000 + ' end"',))])

    assert shown.text.startswith("…") and shown.text.endswith(" end")
    assert len(shown.text.encode()) <= SHOWN_BYTES + 3
