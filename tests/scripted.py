"""A language model that answers as a test wants."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[str], object]


class Scripted:
    """An endpoint that answers as `answer` says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Answer = lambda sentence: sentence
        self.asked: list[dict[str, object]] = []
        self.keys: list[str | None] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, b'{"data": []}')

            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                script.asked.append(content)
                script.keys.append(self.headers["Authorization"])
                found = script.answer(content["messages"][-1]["content"])
                if isinstance(found, int):
                    self._send(found, b"{}")
                elif isinstance(found, bytes):
                    self._send(200, found)
                else:
                    self._send(200, json.dumps({"choices": [{"message": {"content": found}}]}).encode())

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *told: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}/v1"
