"""Why an address can't be listened on: gRPC says no more than that it can't."""

from __future__ import annotations

import errno
import socket

from judger.errors import InvalidRequest

__all__ = ["bind_fault"]


def bind_fault(host: str, port: int) -> InvalidRequest:
    """The error for an address on which gRPC could not listen, with the operating system's own reason."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        return InvalidRequest("host", f"{host} is no address of this machine: {error}")
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        field = "host" if error.errno == errno.EADDRNOTAVAIL else "port"
        words = "it is taken" if error.errno == errno.EADDRINUSE else error.strerror
        return InvalidRequest(field, f"{host}:{port} can't be listened on: {words}")
    return InvalidRequest("port", f"{host}:{port} could not be listened on, and now is free: try again")
