"""An MCP server that goes wrong in the way its argument names, spoken to over standard input and output."""

from __future__ import annotations

import json
import os
import sys
import time

mode, state = sys.argv[1:3]


def answer(method: str, asked: dict) -> dict:
    match method:
        case "initialize":
            version = asked["params"]["protocolVersion"]
            info = {"name": "odd", "version": "1"}
            return {"result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}}
        case "tools/list":
            tool = {"name": "go", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
            more = {"endless": {"nextCursor": "again"}, "empty": {"nextCursor": ""}}.get(mode, {})
            return {"result": {"tools": [tool], **more}}
        case "tools/call":
            with open(state, "a") as file:
                file.write("x")
            if mode == "dies" or (mode == "dies once" and os.path.getsize(state) == 1):
                os._exit(1)
            if mode == "half":
                print("a line that is meant for people", flush=True)
                return {"result": {"content": [{"type": "text", "text": "cut \ud83d"}]}}
            if mode == "wrong":
                return {"result": {"content": [{"type": "text", "text": None}]}}
            return {"result": {"content": [{"type": "text", "text": "went"}]}}
    return {"error": {"code": -32601, "message": "no such method"}}


if mode == "exits":
    sys.exit(3)
if mode == "silent":
    time.sleep(600)
for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked:
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer(asked["method"], asked)}), flush=True)
