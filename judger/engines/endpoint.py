"""The client for a model behind an endpoint: the official one, within bounds of its own.

Its HTTP library bounds the wait for each next piece of an answer, and neither its length nor how long all of it may
take: an endpoint that sends a space every second would be listened to for ever.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["MOST_BYTES", "endpoint_client", "told"]

MOST_BYTES = 16 * 2**20
"""Of one answer. The longest that are asked for, reasons with the log-probabilities of each token, are under 2 MiB."""

OF_THE_WIRE = ("content-encoding", "content-length", "transfer-encoding")


def endpoint_client(base_url: str, api_key: str, *, max_retries: int, timeout: float) -> AsyncOpenAI:
    """The client. `timeout`: seconds for one attempt, from its first byte sent to the last one received."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    # httpx, or what later releases of the client have instead.
    name = next(kind.__module__ for kind in DefaultAsyncHttpxClient.__mro__ if kind.__name__ == "AsyncClient")
    http: Any = import_module(name.partition(".")[0])

    class Bounded(DefaultAsyncHttpxClient):
        async def send(self, request: Any, *, stream: bool = False, **more: Any) -> Any:
            try:
                async with asyncio.timeout(timeout):
                    return await self._whole(await super().send(request, stream=True, **more))
            except TimeoutError as error:
                raise http.ReadTimeout(f"no whole answer within {timeout:g} s", request=request) from error

        async def _whole(self, response: Any) -> Any:
            request = response.request
            try:
                pieces, size = [], 0
                async for piece in response.aiter_bytes():  # unpacked
                    size += len(piece)
                    if size > MOST_BYTES:
                        raise http.ReadError(f"the answer has more than {MOST_BYTES:,} bytes", request=request)
                    pieces.append(piece)
            finally:
                await response.aclose()
            headers = [one for one in response.headers.multi_items() if one[0] not in OF_THE_WIRE]
            return http.Response(response.status_code, headers=headers, content=b"".join(pieces), request=request)

    return AsyncOpenAI(
        base_url=base_url,
        api_key=api_key,
        max_retries=max_retries,
        timeout=timeout,
        http_client=Bounded(timeout=timeout),
    )


def told(error: BaseException) -> str:
    """An error in a line: the official client's "Connection error." has what happened behind it."""
    cause = error.__cause__
    return f"{type(error).__name__}: {error}" + (f" ({cause})" if cause is not None and str(cause) else "")
