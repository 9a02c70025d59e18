"""What the environments' tests share: a world to search, tasks, and an endpoint that says what a script says."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from policy.index.build import build

SEARCH = '<tool_call>\n{"name": "search", "arguments": {"queries": ["apple"]}}\n</tool_call>'
REPORT = "# Fruit\n\nThe orchard grows an apple."
CRITERIA = [{"text": "apple", "weight": 3}, {"text": "pear", "weight": 1}, {"text": "plum", "weight": -1}]

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")


def block(language: str, word: str) -> str:
    """The one block of the page about environments that has the word in it."""
    (text,) = [b for b in re.findall(rf"^```{language}.*\n((?:(?!```).*\n)*)```$", PAGE, re.M) if word in b]
    return text


def write_world(folder: Path, *, more: str = "") -> Path:
    """The agent's settings file, an index and tasks beside it."""
    documents = folder / "documents"
    documents.mkdir()
    (documents / "orchard.md").write_text("# The orchard\n\nAn apple tree stands in the orchard.\n", encoding="utf-8")
    build(folder / "index.sqlite", documents)
    settings = folder / "agent.toml"
    search = f'[search]\ndense = false\nindex = "{folder / "index.sqlite"}"\n'
    settings.write_text(f"{more}\n{search}", encoding="utf-8")
    line = {"id": "orchard", "query": "What grows in the orchard?", "criteria": CRITERIA}
    (folder / "tasks.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    return settings


def calls(name: str, **arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": "call_0", "type": "function", "function": function}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def says(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


@contextmanager
def endpoint(replies: Sequence[dict[str, Any] | int]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An OpenAI-compatible endpoint that gives one reply after the other (a number is a status), and what it was
    asked."""
    asked: list[dict[str, Any]] = []
    script = iter(replies)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            message = next(script)
            status = message if isinstance(message, int) else 200
            if status == 200:
                finish = "tool_calls" if "tool_calls" in message else "stop"
                body: dict[str, Any] = {
                    "id": "r", "object": "chat.completion", "created": 0, "model": "policy",
                    "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
                }  # fmt: skip
            else:
                body = {"error": {"message": "broken", "code": status}}
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 1024  # with the library's five, a burst waits for seconds while this process is busy

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
