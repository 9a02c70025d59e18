"""A stand-in for an OpenAI-compatible endpoint: a real HTTP server on a loopback port, with scripted answers."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Any]
"""Status, and a body: bytes go out as they are, an iterator's one by one until the caller leaves, else JSON."""


class Endpoint:
    """A scripted endpoint: `answer(request)` gives status and body; it counts what is in flight."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, Any]], Reply] = lambda request: completion("fully")
        self.content_type = "application/json"
        self.requests: list[dict[str, Any]] = []
        self.most_in_flight = 0
        self._in_flight = 0
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with endpoint._lock:
                    endpoint.requests.append({"path": self.path, **request})
                    endpoint._in_flight += 1
                    endpoint.most_in_flight = max(endpoint.most_in_flight, endpoint._in_flight)
                status, body = endpoint.answer(request)
                with endpoint._lock:
                    endpoint._in_flight -= 1
                if isinstance(body, Iterator):
                    self.send_response(status)
                    self.end_headers()
                    with suppress(OSError):
                        for piece in body:
                            self.wfile.write(piece)
                            self.wfile.flush()
                    return
                payload = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", endpoint.content_type)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            # With the library's five, a burst of connections finds no place while this process is busy with other
            # things, and the kernel lets the rest of them wait until they give up.
            request_queue_size = 1024

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"


def completion(text: str, tokens: list[tuple[str, dict[str, float]]] | None = None, **usage: Any) -> Reply:
    """A chat completion; `tokens` are (token, {candidate: probability}) of its log-probabilities."""
    content = None
    if tokens is not None:
        content = [
            {
                "token": token,
                "logprob": math.log(candidates[token]),
                "bytes": None,
                "top_logprobs": [
                    {"token": candidate, "logprob": math.log(p), "bytes": None} for candidate, p in candidates.items()
                ],
            }
            for token, candidates in tokens
        ]
    return 200, {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "teacher",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
                "logprobs": None if content is None else {"content": content, "refusal": None},
            }
        ],
        "usage": {"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 102, **usage},
    }


def failure(status: int, message: str) -> Reply:
    return status, {"error": {"message": message, "type": "error", "code": None}}


@contextmanager
def serving() -> Iterator[Endpoint]:
    """An endpoint that answers while the context lasts."""
    made = Endpoint()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()
