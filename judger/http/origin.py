"""Which pages may ask: our own. Browsers lend their user's place on the network to any page that is open.

Two ways in are closed. A stranger's page that sends requests here is named by the browser in `Origin`: that must be
ours, exactly. A stranger's name that is made to resolve to this address (DNS rebinding) makes the page the stranger's
own, with no `Origin` on what it reads: where something is to be read, `Host` must be one of our names. Programs send no
`Origin`, and may use the doors under any name.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["OwnPages"]

DEFAULT_PORTS = {"http": 80, "https": 443}
GUARDED = ("/run",)
"""Paths below which `Host` is looked at, too: they give out what was judged, and take people's verdicts."""


class OwnPages:
    """An application that other people's pages can't ask.

    Args:
        origin: how a browser names this server where a proxy or a name stands before it, such as
            `https://judge.internal`. Loopback's names, or the address that was connected to, are known without.
    """

    def __init__(self, app: ASGIApp, origin: str | None = None) -> None:
        self.app = app
        self.origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (fault := self._fault(scope)):
            response = JSONResponse({"code": "permission_denied", "message": fault}, status_code=403)
            response.headers["connection"] = "close"
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _fault(self, scope: Scope) -> str:
        own = self._own(scope)
        origins = [value for name, value in scope["headers"] if name == b"origin"]
        if origins and (len(origins) > 1 or origins[0].decode("latin-1") not in own):
            return "origin: this page is of another server; --origin names the address that a browser has for this one"
        path = scope["path"]
        if any(path == start or path.startswith(start + "/") for start in GUARDED):
            hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
            if len(hosts) != 1 or hosts[0] not in {urlsplit(known).netloc for known in own}:
                return "host: is no name of this server; --origin names the address that a browser has for it"
        return ""

    def _own(self, scope: Scope) -> set[str]:
        scheme = scope["scheme"]
        address, port = scope["server"]
        names = [f"[{address}]" if ":" in address else address]
        if ipaddress.ip_address(address).is_loopback:
            names = ["127.0.0.1", "localhost", "[::1]"]
        end = "" if port == DEFAULT_PORTS.get(scheme) else f":{port}"
        return {f"{scheme}://{name}{end}" for name in names} | ({self.origin} if self.origin else set())
