"""The tutorial on an agent, executed as it stands: its workers are killed in the middle."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import nbformat
import pytest

from tests.journeys.tutorial import NOTEBOOKS, Tutorial, executed

pytestmark = pytest.mark.timeout(240)

SAID = (
    "Let me see what was measured. The question is about alcohol. I take its mean in each cultivar. Cultivar 0 leads "
    "with 13.745, before cultivar 2 with 13.154. Could that be chance? Hardly. I would like to write that down. "
    "[asks a person] "
)
FOUND = "Cultivar 0 has the most alcohol: 13.745 on average, before cultivar 2 with 13.154 (p = 3e-08)."


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MODEL_")}
    with executed("agent.ipynb", tmp_path_factory.mktemp("agent"), env) as done:
        yield done


def test_what_the_agent_says_is_heard_while_it_says_it(tutorial: Tutorial) -> None:
    assert tutorial.output("async for word in said.read(run)") == SAID


def test_the_agent_survives_its_worker_and_does_nothing_twice(tutorial: Tutorial) -> None:
    assert tutorial.output("import signal").strip() == "killed: True | the run is WAITING"
    assert eval(tutorial.output("kk.tokens.complete(run")) == {"answer": FOUND, "turns": 5}  # our notebook
    told = tutorial.output("ended = run.refresh()").splitlines()
    assert told == ["turns of the model: 5", "tool calls: 6 | attempts: 1", SAID + FOUND]
    assert tutorial.output("print((FOLDER").strip() == FOUND
    assert tutorial.output("run.tree()").count("mean-of") >= 1


class Provider(BaseHTTPRequestHandler):
    """An endpoint as providers have them, which says one thing and wants one call."""

    asked: ClassVar[list[dict[str, Any]]] = []
    PIECES: ClassVar[list[dict[str, Any]]] = [
        {"content": "Let me "},
        {"content": "look."},
        {"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "mean_of", "arguments": '{"measure'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": 'ment": "ash"}'}}]},
    ]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append({**json.loads(body), "key": self.headers["Authorization"], "path": self.path})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for piece in self.PIECES:
            self.wfile.write(f"data: {json.dumps({'choices': [{'delta': piece}]})}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_real_provider_takes_the_place_of_the_stand_in() -> None:
    cells = nbformat.read(NOTEBOOKS / "agent.ipynb", as_version=4).cells  # type: ignore[no-untyped-call]
    (source,) = [cell.source for cell in cells if "class ChatModel" in cell.source]
    names: dict[str, Any] = {}
    exec(source, names)  # our notebook
    server = HTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        model = names["ChatModel"](f"http://127.0.0.1:{server.server_port}/v1", "small", "secret")

        async def talk() -> list[Any]:
            return [piece async for piece in model.reply([{"role": "user", "content": "?"}], [])]

        *words, call = asyncio.run(talk())
    finally:
        server.shutdown()
        server.server_close()

    assert words == ["Let me ", "look."]
    assert call == {
        "id": "call_1",
        "type": "function",
        "function": {"name": "mean_of", "arguments": '{"measurement": "ash"}'},
    }
    (asked,) = Provider.asked
    assert (asked["path"], asked["model"], asked["key"]) == ("/v1/chat/completions", "small", "Bearer secret")
