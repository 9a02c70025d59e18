"""A port to listen on, for what can't be told to take a free one and say which."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
