"""Tokens as a table, and one as a list of facts: text and static HTML of the same views."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

import msgspec

from kernelkit.clock import to_datetime
from kernelkit.models.wait import Token
from kernelkit.ui import html, words
from kernelkit.ui.columns import aligned
from kernelkit.ui.form import form_of, told
from kernelkit.ui.text import WIDTH, to_ascii
from kernelkit.ui.token_card import asked_of, output_of

EMPTY = "No such token in this project. kk.tokens.create() makes one."
STATUSES = {"WAITING": "waiting", "COMPLETED": "completed", "TIMED_OUT": "timed out"}
_TITLES = ("STATUS", "NAME", "TAGS", "CREATED", "UNTIL", "TOKEN")


class TokenRow(msgspec.Struct, frozen=True):
    """One token. `until` is the end of its time while it waits, and afterwards the moment it was completed."""

    id: str
    status: str
    word: str
    name: str
    tags: tuple[str, ...]
    created: str
    created_full: str
    until: str
    until_full: str
    output: str = ""
    question: str = ""
    context: tuple[tuple[str, str], ...] = ()
    by: str = ""
    asks: tuple[str, ...] = ()  # the fields of the answer


class TokensTable(msgspec.Struct, frozen=True):
    rows: tuple[TokenRow, ...]
    zone: str
    caption: str = ""


def token_row(token: Token, *, now: datetime, zone: tzinfo) -> TokenRow:
    """The view of one token; `output` is its value on one line or a few."""
    created = to_datetime(token.created_at)
    end = token.timeout_at if token.is_open else token.completed_at
    return TokenRow(
        id=token.id,
        status=token.status,
        word=STATUSES[token.status],
        name=words.cut(words.clean(token.name), 200),
        tags=tuple(words.clean(tag) for tag in token.tags),
        created=words.moment(created, now, zone),
        created_full=words.full_moment(created, zone),
        until=words.moment(to_datetime(end), now, zone) if end else words.NONE,
        until_full=words.full_moment(to_datetime(end), zone) if end else words.NONE,
        output=output_of(token),
        question=words.cut(words.clean(token.question), 300),
        context=tuple([(pair.key, pair.value) for pair in asked_of(token).context]),
        asks=_asks(token.schema) if token.is_open else (),
        by=words.cut(words.clean(token.completed_by), 200),
    )


def tokens_table(
    tokens: Sequence[Token], *, now: datetime, zone: tzinfo, total: int, has_more: bool = False
) -> TokensTable:
    """The view of some tokens, newest first, out of `total`."""
    rows = tuple(token_row(token, now=now, zone=zone) for token in tokens)
    count = f"{words.number(total)} token{'' if total == 1 else 's'}"
    caption = f"the newest {len(rows):,} of {count}" if has_more else count
    return TokensTable(rows, words.zone_name(zone, now), caption)


def tokens_text(table: TokensTable, *, width: int = WIDTH, ascii: bool = False) -> str:
    """Upper-case heads, two blanks between columns; the id last, for copying."""
    if not table.rows:
        return EMPTY
    cells = [(row.word, row.name, " ".join(row.tags), row.created, row.until, row.id) for row in table.rows]
    # Tags give way first, then the name.
    lines = aligned([_TITLES, *cells], width=max(80, width), giving=[(2, 8), (1, 8)])
    lines.append(f"{table.caption}, times in {table.zone}")
    return "\n".join(to_ascii(line) if ascii else line for line in lines)


def tokens_html(table: TokensTable) -> str:
    """A bare table with whole moments, and the count below it."""
    if not table.rows:
        return f"<p>{html.esc(EMPTY)}</p>"
    rows = [
        (
            html.esc(row.word),
            html.esc(row.name),
            html.esc(", ".join(row.tags)),
            html.esc(row.created_full),
            html.esc(row.until_full),
            html.code(row.id),
        )
        for row in table.rows
    ]
    titles = ("Status", "Name", "Tags", "Created", "Until, or ended", "Token")
    return html.table([(title, "left") for title in titles], rows) + f"\n<p>{html.esc(table.caption)}</p>"


def token_text(row: TokenRow, *, width: int = WIDTH, ascii: bool = False) -> str:
    """What it is, and how to complete it while it waits."""
    lines = [f"token {row.id}: {row.word}"]
    lines += [f"  {label:<10}{words.cut(value, max(20, width - 12))}" for label, value in _facts(row)]
    if row.output:
        lines += ["  output", *(f"    {words.cut(line, width - 4)}" for line in row.output.splitlines())]
    if row.status == "WAITING":
        lines.append(f"  {_how(row)}")
    return "\n".join(to_ascii(line) if ascii else line for line in lines)


def token_html(row: TokenRow) -> str:
    """The same as a list of facts."""
    rows = [(label, html.esc(value)) for label, value in _facts(row)]
    if row.output:
        rows.append(("output", f"<pre>{html.esc(row.output)}</pre>"))
    if row.status == "WAITING":
        rows.append(("complete", html.code(_how(row))))
    return html.facts(f"<strong>{html.esc(row.word)}</strong> token {html.code(row.id)}", rows)


def _facts(row: TokenRow) -> list[tuple[str, str]]:
    end = {"WAITING": "times out", "COMPLETED": "completed", "TIMED_OUT": "timed out"}[row.status]
    facts = [
        ("question", row.question),
        *row.context,
        ("answer", "; ".join(row.asks)),
        ("name", row.name),
        ("tags", ", ".join(row.tags)),
        ("created", row.created_full),
        (end, row.until_full),
        ("by", row.by),
    ]
    return [(label, value) for label, value in facts if value and value != words.NONE]


def _asks(schema: str) -> tuple[str, ...]:
    if not schema:
        return ()
    form = form_of(schema)
    lines = [told(field) if form.whole else f"{words.clean(field.name)}: {told(field)}" for field in form.fields]
    return tuple([words.cut(line, 200) for line in lines])


def _how(row: TokenRow) -> str:
    return f'kk.tokens.complete("{row.id}", …)'
