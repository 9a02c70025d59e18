"""A port to listen on, for what can't be told to take a free one and say which."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence

PORTS = range(20_000, 30_000)
"""Beneath those that the kernel gives to whoever asks for any port (Linux from 32,768 on, others from 49,152): it could
give away one of these to another process before the one that it was found for listens."""


def free_port(ports: Sequence[int] = PORTS) -> int:
    """A port that nobody listens on, which nobody else is given by this function until this process has ended.

    Raises OSError where there is none.
    """
    for port in random.SystemRandom().sample(ports, len(ports)):  # a test may have seeded the other one
        kept = socket.socket(type=socket.SOCK_DGRAM)  # a mark for other processes: TCP's ports are apart
        try:
            kept.bind(("127.0.0.1", port))
            with socket.socket() as tried:
                tried.bind(("", port))
        except OSError:
            kept.close()
            continue
        kept.detach()  # held to the end
        return port
    raise OSError("no port is free")
