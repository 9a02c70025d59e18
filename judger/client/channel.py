"""One channel a process, opened at its first use, and never shared with a forked child."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

import grpc

from judger.client.settings import Settings
from judger.errors import JudgerError, Unavailable
from judger.types import LIMITS
from judger.v1 import judger_pb2_grpc
from judger.wire.status import DETAILS_TRAILER, error_from_status

OPTIONS = (
    ("grpc.max_receive_message_length", LIMITS.message_bytes),
    ("grpc.max_send_message_length", LIMITS.message_bytes),
    # A forked child would find the parent's connections in the global pool.
    ("grpc.use_local_subchannel_pool", 1),
    # A judge that restarts is back within seconds, not two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A judge stands beside its trainer; a proxy for the outside world knows nothing of it.
    ("grpc.enable_http_proxy", 0),
)

_links: weakref.WeakSet[Link] = weakref.WeakSet()
_inherited: list[object] = []  # kept for good: destroying a parent's channel here could reach into its connections


class Closed(Unavailable):
    """This client was closed; unlike an unavailable server it does not come back."""

    def __init__(self) -> None:
        super().__init__("this client is closed; connect anew")


class Link:
    """The channel to one server, as this process sees it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._channel: Any = None
        self._stub: Any = None
        self._closed = False
        _links.add(self)

    @property
    def channel(self) -> Any:
        """The open channel. Raises Closed after `close`."""
        with self._lock:
            self._open()
            return self._channel

    @property
    def stub(self) -> Any:
        """The RPCs on it."""
        with self._lock:
            self._open()
            return self._stub

    def _open(self) -> None:
        if self._closed:
            raise Closed
        if self._channel is not None:
            return
        settings = self.settings
        if settings.is_encrypted:
            self._channel = grpc.secure_channel(settings.address, credentials(settings), options=OPTIONS)
        else:
            self._channel = grpc.insecure_channel(settings.address, options=OPTIONS)
        self._stub = judger_pb2_grpc.JudgerStub(self._channel)

    def close(self) -> None:
        """Ends what is in flight in this process. May be called twice."""
        with self._lock:
            channel, self._channel, self._stub, self._closed = self._channel, None, None, True
        if channel is not None:
            channel.close()

    def forget(self) -> None:
        """In a forked child: leave the parent's channel alone and open an own one at the next use."""
        _inherited.append((self._channel, self._stub))
        self._channel = self._stub = None
        self._lock = threading.Lock()  # the parent may have held the old one

    def error(self, call: Any) -> JudgerError:
        """What a failed call means, with what to do about it."""
        if self._closed:
            return Closed()
        code, message = call.code(), call.details() or ""
        details = next((value for key, value in call.trailing_metadata() or () if key == DETAILS_TRAILER), None)
        address = self.settings.address
        if details is None:  # not said by a judge, but by gRPC
            match code:
                case grpc.StatusCode.UNAVAILABLE:
                    message = f"{address} can't be reached ({message}); is it running? `judger serve` starts one"
                case grpc.StatusCode.CANCELLED:
                    message = f"{address} ended the call ({message})"
                case grpc.StatusCode.DEADLINE_EXCEEDED:
                    message = f"no answer from {address} in time ({message}); a larger timeout waits longer"
                case grpc.StatusCode.UNIMPLEMENTED:
                    message = f"{address} does not know this call ({message}); is it a judge, and of this version?"
                case grpc.StatusCode.UNAUTHENTICATED:
                    message = f"{address} refuses this caller ({message}); give the token that it expects"
        return error_from_status(code.name, message, details)


def credentials(settings: Settings) -> Any:
    """TLS as the settings say: whom to trust, and this client's own certificate where it has one."""
    return grpc.ssl_channel_credentials(settings.root_certificates, settings.private_key, settings.certificate)


def _after_fork_in_child() -> None:
    for link in list(_links):
        link.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
