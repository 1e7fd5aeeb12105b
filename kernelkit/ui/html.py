"""The static face: what a saved, exported or reopened notebook shows.

Only `table tr th td p div hr br wbr strong code pre a` with `align` and `colspan`, because sanitizers take everything
else away or print it. Nothing here may be untrue tomorrow: full dates and the zone, no countdown, no "ago". Every text
goes through `esc`. What a newcomer would get wrong: JupyterLab's style sheet aligns every cell of a table to the right
and beats the cell's own `align`, so what stands on the left is a `div` inside its cell.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from kernelkit.ui import words
from kernelkit.ui.failure import ErrorView
from kernelkit.ui.job import JobView
from kernelkit.ui.reason import Bit
from kernelkit.ui.view import RunCard

NBSP = "&nbsp;"


def esc(text: str) -> str:
    return html.escape(text, quote=True)


def code(text: str) -> str:
    return f"<code>{esc(text)}</code>"


def told(status: str, word: str) -> str:
    """Sign and word, joined by a no-break space."""
    return f"{esc(words.STATUSES[status].sign)}{NBSP}{esc(word)}"


def left(cell: str) -> str:
    """HTML that stands on the left of its cell, in JupyterLab as well."""
    return f'<div align="left">{cell}</div>'


def table(head: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """A table of columns `(title, align)`; the cells of `rows` are HTML already."""
    aligns = [align for _, align in head]
    titles = "".join(_cell("th", esc(title), align) for title, align in head)
    body = "".join(
        f"<tr>{''.join(_cell('td', cell, align) for cell, align in zip(row, aligns, strict=True))}</tr>\n"
        for row in rows
    )
    return f"<table>\n<tr>{titles}</tr>\n{body}</table>"


def _cell(tag: str, cell: str, align: str) -> str:
    return f'<{tag} align="{align}">{left(cell) if align == "left" and cell else cell}</{tag}>'


def facts(heading: str, rows: Iterable[tuple[str, str]]) -> str:
    """A heading over two columns, name and HTML; rows without content are left out."""
    body = "".join(
        f"<tr>{_cell('td', esc(name), 'left')}{_cell('td', cell, 'left')}</tr>\n" for name, cell in rows if cell
    )
    return f'<table>\n<tr><th align="left" colspan="2">{left(heading)}</th></tr>\n{body}</table>'


def run_html(card: RunCard) -> str:
    """The whole card, true for good when the run has ended, else as of the moment of the view."""
    return facts(_heading(card), _rows(card))


def _heading(card: RunCard) -> str:
    head = f"{esc(words.STATUSES[card.status].sign)}{NBSP}{esc(card.task)}: {esc(card.word)}"
    if not card.is_final:
        return f"{head}, as of {esc(card.as_of_text)}"
    tries = f" after {len(card.attempts)} attempts" if card.status in words.FAILURES and len(card.attempts) > 1 else ""
    if not card.lasted:
        return head + tries
    return (
        f"{head}{tries}, {esc(card.lasted)}"
        if tries
        else f"{head} {'in' if card.status == 'COMPLETED' else 'after'} {esc(card.lasted)}"
    )


def _rows(card: RunCard) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if card.error is not None:
        rows += error_rows(card.error)
    elif card.reason:
        rows.append(("Why", _reason(card.reason)))
    version = next((fact for fact in card.facts if fact.startswith("version ")), "")
    rows.append(("Run", ", ".join([code(card.run_id), esc(card.attempt)] + ([esc(version)] if version else []))))
    if card.error is not None and card.error.note:
        rows.append(("Attempts", esc(card.error.note)))
    rows.append(("When", esc(card.when)))
    rows.append(("Payload", code(card.payload) if card.payload not in ("", "{}") else ""))
    if card.output is not None:
        rows.append(("Output", _output(card)))
    if card.job is not None:
        rows += _job_rows(card.job)
    rows.append(("Files", _files(card)))
    rows += [(f"Stream {esc(one.name)}, {one.count}", f"<pre>{esc(one.text)}</pre>") for one in card.streams]
    rows.append(("Progress", esc("; ".join(_bar(bar.label, bar.done, bar.total) for bar in card.bars))))
    rows.append(("Metadata", _metadata(card)))
    rows.append(("Queue, tags" if card.tags else "Queue", _queue(card)))
    if card.logs and (card.error is not None or not card.is_final):
        lines = "\n".join(f"{row.time} {row.level:<5}  {row.text}" for row in card.logs)
        rows.append(("Last lines", f"<pre>{esc(lines)}</pre>"))
    if not card.is_final:
        rows.append(("Look again", code(f'kk.runs.retrieve("{card.run_id}")')))
    return rows


def error_rows(error: ErrorView) -> list[tuple[str, str]]:
    """The error, and where in the reader's own code it came up."""
    message = f"{error.name}: {error.message}" if error.message else error.name
    places = [
        f"{esc(_place(frame.place, frame.function, frame.line))}: {code(frame.source.strip())}"
        for frame in error.frames
    ]
    return [("Error", code(message)), ("Where", "<br>".join(places))]


def _place(place: str, function: str, line: int) -> str:
    return f"{place} {function}, line {line}" if function else f"{place}, line {line}"


def _reason(bits: tuple[Bit, ...]) -> str:
    """A countdown becomes the moment it counts to."""
    parts = []
    for bit in bits:
        match bit.kind:
            case "countdown":
                parts.append(f"at {esc(bit.text)}")
            case "mono":
                parts.append(code(bit.text))
            case "strong":
                parts.append(f"<strong>{esc(bit.text)}</strong>")
            case _:
                parts.append(esc(bit.text))
    return "".join(parts)


def _output(card: RunCard) -> str:
    output = card.output
    assert output is not None
    if "\n" not in output.text and not output.is_cut:
        return code(output.text)
    whole = f'kk.runs.retrieve("{card.run_id}").output'
    more = f"Cut for show, {esc(output.size)} in all: {code(whole)}"
    return f"<pre>{esc(output.text)}</pre>" + (more if output.is_cut else "")


def _files(card: RunCard) -> str:
    """Name, size and where it lies; the link works in a page that is itself a file, the place everywhere."""
    lines = [
        f'<a href="{esc(Path(file.path).as_uri())}">{esc(file.name)}</a>, {esc(file.size)}: {_breakable(file.path)}'
        for file in card.files
    ]
    return "<br>".join(lines) + (f"<br>and {words.number(card.more_files)} more" if card.more_files else "")


def _breakable(path: str) -> str:
    """A path as code that may go on in the next line after each of its folders; as text it stays what it is."""
    return f"<code>{'/<wbr>'.join(map(esc, path.split('/')))}</code>"


def _job_rows(job: JobView) -> list[tuple[str, str]]:
    """Where a notebook job is, or how far it came, and what it was given."""
    told = f"{job.counted} ended" + (f", {job.told}" if job.told else "")
    given = "<br>".join(f"{esc(each.name)} = {code(each.value)}" for each in job.parameters)
    more = f"<br>and {words.number(job.more_parameters)} more" if job.more_parameters else ""
    return [
        ("Notebook", esc(", ".join(part for part in (job.file, f"kernel {job.kernel}" * bool(job.kernel)) if part))),
        ("Cells", esc(told)),
        (f"Cell {job.cell}", f"<pre>{esc(job.source)}</pre>" if job.source else ""),
        ("Last shown", code(job.output) if job.output else ""),
        ("Parameters", given + more),
    ]


def _bar(label: str, done: float, total: float | None) -> str:
    return f"{label} {words.number(done)}" + (f" of {words.number(total)}" if total is not None else "")


def _metadata(card: RunCard) -> str:
    pairs = "; ".join(f"{esc(pair.key)} = {code(pair.value)}" for pair in card.metadata)
    return pairs + (f"; {card.more_metadata} more" if card.more_metadata else "")


def _queue(card: RunCard) -> str:
    tags = ", ".join(card.tags) + (f", +{card.more_tags}" if card.more_tags else "")
    return esc(f"{card.queue}; {tags}" if tags else card.queue)
