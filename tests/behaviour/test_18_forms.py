"""Tokens that ask for more than any JSON value: what fits is taken, what does not is refused and asked for again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, field_validator

import kernelkit as kk
from kernelkit.testing import engine
from tests.behaviour.conftest import Stage
from tests.behaviour.waiting import lose_workers, result, waits

pytestmark = pytest.mark.timeout(120)


class Approval(BaseModel):
    approved: bool
    amount: float = Field(default=0, ge=0, le=20_000)
    note: str = Field(default="", max_length=2_000)


@dataclass
class Choice:
    colour: Literal["red", "green"]


ROW = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}

FITS: list[tuple[Any, Any, Any]] = [
    (Approval, {"approved": True, "amount": 17.5}, Approval(approved=True, amount=17.5)),
    (Approval, Approval(approved=False, note="n" * 2_000), Approval(approved=False, note="n" * 2_000)),
    (Choice, {"colour": "red"}, Choice("red")),
    (list[int], [1, 2], [1, 2]),
    (ROW, {"n": 3}, {"n": 3}),
]
REFUSED: list[tuple[Any, Any, list[list[str | int]]]] = [
    (Approval, {"amount": -1}, [["approved"], ["amount"]]),
    (Approval, {"approved": "yes"}, [["approved"]]),
    (Approval, {"approved": True, "note": "n" * 2_001}, [["note"]]),
    (Approval, None, [[]]),
    (Choice, {"colour": "blue"}, [["colour"]]),
    (list[int], [1, "x"], [[1]]),
    (ROW, {"n": 1, "m": 2}, [["m"]]),
    (ROW, {"n": 1.5}, [["n"]]),
]


def test_an_answer_that_fits_is_taken_and_is_what_was_asked_for(stage: Stage) -> None:
    for kind, answer, expected in FITS:
        token = kk.tokens.create(schema=kind)
        known = kk.tokens.retrieve(token.id)  # as another process knows it
        assert known.schema == token.schema is not None

        assert token.complete(answer).output == expected

        plain = known.refresh().output
        assert known.status == "COMPLETED" and not isinstance(plain, BaseModel | Choice)


def test_an_answer_that_does_not_fit_is_refused_by_field_and_the_token_stays_open(stage: Stage) -> None:
    for kind, answer, fields in REFUSED:
        token = kk.tokens.create(schema=kind)
        with pytest.raises(kk.PayloadValidationError, match="does not fit what it asks for") as refused:
            kk.tokens.complete(token.id, answer)  # by id: nothing but the schema is known
        assert [one["loc"] for one in refused.value.facts["errors"]] == fields
        assert token.status == "WAITING"


def test_the_run_that_waits_is_given_the_type_also_when_it_is_resumed(stage: Stage) -> None:
    @kk.task
    async def paying() -> dict[str, Any]:
        token = kk.tokens.create(schema=Approval, question="Pay?")
        kk.metadata.set("token", token.id)
        answer = await kk.wait.for_token(token).unwrap()
        return {"kind": type(answer).__name__, "note": answer.note, "approved": answer.approved}

    run = paying.trigger()
    waits(stage, run, "token")
    if stage.is_virtual:  # what is lost with real ones is told by the other waits
        lose_workers(stage)
    token = run.refresh().metadata["token"]
    with pytest.raises(kk.PayloadValidationError, match="approved: Field required"):
        kk.tokens.complete(token, {"note": "well"})
    assert run.status == "WAITING"
    kk.tokens.complete(token, {"approved": True})
    kk.tokens.complete(token, "late, and of no kind")  # the first completion counts

    assert result(stage, run) == {"kind": "Approval", "note": "", "approved": True}


class Even(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def is_even(cls, n: int) -> int:
        if n % 2:
            raise ValueError("is odd")
        return n


def test_validators_in_python_speak_where_the_type_is_at_hand() -> None:
    @kk.task(retry=None)
    def evens() -> list[str]:
        token = kk.tokens.create(schema=Even)
        with pytest.raises(kk.PayloadValidationError, match="n: Value error, is odd"):
            token.complete({"n": 1})
        kk.tokens.complete(token.id, {"n": 3})
        try:
            kk.wait.for_token(token).result()
        except kk.PayloadValidationError as refused:
            return [str(refused)]
        return []

    with engine() as eng:
        run = evens.trigger()
        eng.drain()

        assert "is odd" in run.result().unwrap()[0]


def test_a_run_that_gives_an_answer_of_another_kind_fails(stage: Stage) -> None:
    @kk.task(retry=None)
    async def answering(token: str) -> str:
        kk.tokens.complete(token, {"n": "three"})
        return "done"

    token = kk.tokens.create(schema=ROW)
    run = answering.trigger(token=token.id)
    stage.finish()

    error = run.result(timeout=30).error
    assert error is not None and error.name == "PayloadValidationError"
    assert "n: Input should be a valid integer" in error.message
    assert token.status == "WAITING"


def test_what_is_asked_for_outlives_the_engine(tmp_path: Path) -> None:
    with engine(home=tmp_path):
        asked = kk.tokens.create(schema=Approval)
    with engine(home=tmp_path):
        token = kk.tokens.retrieve(asked.id)
        assert token.schema is not None and token.schema["required"] == ["approved"]
        with pytest.raises(kk.PayloadValidationError):
            token.complete({})
        token.complete({"approved": False})
        assert token.output == {"approved": False}


def test_what_cannot_be_asked_for_is_refused_at_the_call() -> None:
    wrong: list[tuple[Any, str]] = [
        (object(), "has no JSON Schema"),
        ({"type": "integer", "if": {}}, "it says 'if'"),
        ({"$ref": "https://example.org/schema"}, "is not in it"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}}, "means itself"),
        ({"type": "string", "pattern": "(?=a)"}, "look-ahead"),
        ({"type": "nothing"}, "no type 'nothing'"),
        ({"enum": ["x" * 20_000]}, "at most 16,384"),
    ]
    with engine():
        for schema, told in wrong:
            with pytest.raises(kk.KernelKitError, match=told) as refused:
                kk.tokens.create(schema=schema)
            assert refused.value.facts["field"] == "schema"
        token = kk.tokens.create(schema=str)
        with pytest.raises(kk.PayloadValidationError, match="65,536"):
            token.complete("x" * 70_000)
        assert kk.tokens.list().total == 1
