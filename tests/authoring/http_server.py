"""An HTTP server on loopback whose answers a test scripts."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None  # any JSON value
    drops: bool = False  # the connection is closed without an answer
    hangs: bool = False  # no answer comes before the server ends


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Answers by the number of the request for a path, from 1; the last answer of a script stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.ending = threading.Event()
        self.scripts: dict[str, list[Answer | Callable[[], Answer]]] = {}
        self.url = ""

    def script(self, path: str, *answers: Answer | Callable[[], Answer]) -> str:
        """The address that answers so."""
        self.scripts[path] = list(answers)
        return f"{self.url}{path}"

    def retry_counts(self, path: str) -> list[str]:
        return [one.headers.get("x-retry-count", "") for one in self.asked if one.path == path]

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        script = self.scripts[asked.path]
        number = sum(1 for one in self.asked if one.path == asked.path)
        chosen = script[min(number, len(script)) - 1]
        return chosen if isinstance(chosen, Answer) else chosen()


@contextmanager
def http_server() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = server.answer(Asked(self.command, self.path, headers, body))
            self.close_connection = True
            if answer.hangs:
                server.ending.wait(30)
                return
            if answer.drops:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            text = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"content-type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _serve

        def log_message(self, format: str, *args: object) -> None:
            return

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{listening.server_address[1]}"
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.ending.set()
        listening.shutdown()
        listening.server_close()
        thread.join()


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])
