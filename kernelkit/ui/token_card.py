"""A token as a person is asked: what, by whom, until when, what they need to know, and what was answered.

Pure. The live card draws it whole; a waiting run's card shows the part that is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

import msgspec
from msgspec.structs import replace

from kernelkit import jsonvalues
from kernelkit.clock import to_datetime
from kernelkit.models.run import RunRef
from kernelkit.models.wait import Token
from kernelkit.ui import words
from kernelkit.ui.form import Form, form_of
from kernelkit.ui.view import Pair

FIELDS = 6
VERDICT = "approved"
ANSWER = '{"approved": true, "note": ""}'


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a person is to answer."""

    id: str
    title: str
    context: tuple[Pair, ...] = ()
    more: int = 0
    answer: str = ANSWER
    form: Form | None = None  # of the answer, where it has a schema; without its verdict
    verdict: bool = False  # the answer says whether it is approved, which is what the two buttons are for
    until: datetime | None = None


class TokenCard(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The whole card."""

    asked: Asked
    status: str
    word: str
    until_text: str = ""
    waiting: tuple[str, ...] = ()  # runs that wait for it
    more_waiting: int = 0
    output: str = ""
    why: str = ""
    after: str = ""
    created: str
    tags: tuple[str, ...] = ()
    is_final: bool = False
    as_of: datetime
    as_of_text: str
    zone: str


def asked_of(token: Token) -> Asked:
    """The question of a token, its fields, and the end of its time."""
    pairs = _fields(token.context)
    form, verdict = _form(token.schema)
    return Asked(
        id=token.id,
        title=title_of(token),
        context=tuple([Pair(words.cut(words.clean(key), 60), _short(value)) for key, value in pairs[:FIELDS]]),
        more=max(0, len(pairs) - FIELDS),
        form=form,
        verdict=verdict,
        until=to_datetime(token.timeout_at) if token.timeout_at else None,
    )


def _form(schema: str) -> tuple[Form | None, bool]:
    if not schema:
        return None, False
    form = form_of(schema)
    if form.whole:
        return Form(fields=(replace(form.fields[0], label="answer", required=True),), whole=True), False
    verdict = any(field.name == VERDICT and field.kind == "check" for field in form.fields)
    return (Form(fields=tuple([field for field in form.fields if field.name != VERDICT])) if verdict else form), verdict


def _fields(context: str) -> list[tuple[str, Any]]:
    try:
        fields = jsonvalues.decode(context or "{}")
    except (ValueError, RecursionError):  # of a client that is not ours: it is shown as it came
        fields = {"context": context}
    return list(fields.items()) if isinstance(fields, dict) else [("context", fields)]


def title_of(token: Token) -> str:
    """What is asked, else what the token is called."""
    return words.cut(words.clean(token.question or token.name or f"Answer for token {token.id}"), 300)


def token_card(
    token: Token, waiting: Sequence[RunRef] = (), count: int = 0, *, now: datetime, zone: tzinfo
) -> TokenCard:
    """The card of a token as it was at `now`."""
    created, ended = to_datetime(token.created_at), to_datetime(token.completed_at) if token.completed_at else None
    shown = tuple([f"{words.clean(run.task_id)} {run.id}" for run in waiting[:3]])
    return TokenCard(
        asked=asked_of(token),
        status=token.status,
        word=word_of(token),
        until_text=words.full_moment(to_datetime(token.timeout_at), zone) if token.timeout_at else "",
        waiting=shown,
        more_waiting=max(0, max(count, len(waiting)) - len(shown)),
        output=output_of(token),
        why=why_of(token, now, zone),
        after=words.ticking((ended - created).total_seconds()) if ended else "",
        created=f"created {words.moment(created, now, zone)}",
        tags=tuple([words.cut(words.clean(tag), 60) for tag in token.tags[:3]]),
        is_final=not token.is_open,
        as_of=now,
        as_of_text=words.full_moment(now, zone),
        zone=words.zone_name(zone, now),
    )


def word_of(token: Token) -> str:
    """Approved and Rejected, where that is what was answered."""
    match token.status:
        case "WAITING":
            return "Waiting"
        case "TIMED_OUT":
            return "Timed out"
        case _:
            answer = value_of(token)
            approved = answer.get("approved") if isinstance(answer, dict) else None
            return "Approved" if approved is True else "Rejected" if approved is False else "Answered"


def why_of(token: Token, now: datetime, zone: tzinfo) -> str:
    """By whom it was answered and when, or that nobody did."""
    if not token.completed_at:
        return ""
    at = words.moment(to_datetime(token.completed_at), now, zone)
    if token.status == "TIMED_OUT":
        return f"Nobody answered by {at}."
    by = f" by {words.cut(words.clean(token.completed_by), 200)}" if token.completed_by else ""
    return f"Answered {at}{by}."


def value_of(token: Token) -> Any:
    """What it was completed with, where that is at hand."""
    if token.value is None or token.value.text is None:
        return None
    return jsonvalues.decode(token.value.text)


def output_of(token: Token) -> str:
    """The same as a few lines."""
    if token.status != "COMPLETED" or token.value is None or token.value.text is None:
        return ""
    shown, _ = words.cut_block(words.clean_block(words.fitted_json(value_of(token))))
    return shown


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else words.short_value(value)
    return words.cut(words.clean(text), 500)
