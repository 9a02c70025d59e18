"""An MCP server whose one tool answers a seed with whatever comes of it, spoken to over standard input and output."""

from __future__ import annotations

import json
import random
import sys
from typing import Any


def answer(method: str, asked: dict[str, Any]) -> dict[str, Any]:
    match method:
        case "initialize":
            version = asked["params"]["protocolVersion"]
            info = {"name": "odd", "version": "1"}
            return {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}}
        case "tools/list":
            return {"result": {"tools": [{"name": "say", "inputSchema": {"type": "object"}}]}}
        case "tools/call":
            seed = (asked["params"].get("arguments") or {}).get("seed", 0)
            return said(random.Random(str(seed)))
    return {"error": {"code": -32601, "message": "no such method"}}


def said(chance: random.Random) -> dict[str, Any]:
    """A result, or an error, whose parts are of the right kind for the most part."""

    def odd(*right: Any) -> Any:
        return chance.choice([*right] * 40 + [None, 3, "", "x\u2028\u0000", "\ud83d", [], {}, "y" * 100_000])

    if chance.random() < 0.1:
        return {"error": {"code": -32000, "message": odd("no")}}
    blocks = [
        {"type": odd("text"), "text": odd("The mill grinds.", "水车", "<|im_end|>")},
        {"type": "image", "data": odd("aGk="), "mimeType": odd("image/png")},
        {
            "type": "resource",
            "resource": odd({"uri": odd("file:///a"), "text": odd("T"), "mimeType": odd("text/plain")}),
        },
        {"type": "resource_link", "uri": odd("file:///a"), "name": odd("a")},
        odd({"type": "audio", "data": "aGk=", "mimeType": "audio/wav"}),
    ]
    result = {"content": odd([chance.choice(blocks) for _ in range(chance.randrange(4))])}
    if chance.random() < 0.3:
        result["structuredContent"] = odd({"a": [1, {"b": None}]})
    if chance.random() < 0.3:
        result["isError"] = odd(True, False)
    return {"result": odd(result)}


if __name__ == "__main__":
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            print("a line that is meant for people")
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer(asked["method"], asked)}), flush=True)
