"""OpenTelemetry traces over OTLP, where an endpoint is set: the `[otel]` extra. Without one nothing of it is imported.

The contrib interceptor makes a span of every call and joins it to the caller's trace (`traceparent` in the metadata);
below it each case that is judged has a span of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from judger.errors import InvalidRequest
from judger.version import __version__

__all__ = ["NoTracing", "OtlpTracing", "Tracing", "build_tracing", "check_tracing"]

EXPORT_TIMEOUT = 5.0
"""Seconds: a collector that doesn't answer keeps no server from ending."""


class Tracing(Protocol):
    """What the service needs of traces."""

    interceptors: list[Any]
    """For the gRPC server, in front of all others."""

    def span(self, name: str, **attributes: str | int) -> AbstractContextManager[Any]: ...

    def ids(self) -> Mapping[str, str]: ...

    def close(self) -> None: ...


class NoTracing:
    """None at all."""

    def __init__(self) -> None:
        self.interceptors: list[Any] = []

    def span(self, name: str, **attributes: str | int) -> AbstractContextManager[Any]:
        return nullcontext()

    def ids(self) -> Mapping[str, str]:
        return {}

    def close(self) -> None:
        pass


class OtlpTracing:
    """Sends spans to a collector in batches, from a thread of the SDK's.

    Args:
        endpoint: `http://HOST:4317`, or `https://...` for an encrypted one.
        judge_id: of the resource, beside the service's name and version.
    """

    def __init__(self, endpoint: str, judge_id: str) -> None:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.grpc import aio_server_interceptor, filters
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        resource = Resource.create(
            {"service.name": "judger", "service.version": __version__, "judger.judge_id": judge_id}
        )
        self._provider = TracerProvider(resource=resource)
        insecure = not endpoint.startswith("https://")
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=insecure, timeout=EXPORT_TIMEOUT)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("judger", __version__)
        unless_health = filters.negate(filters.health_check())
        self.interceptors: list[Any] = [aio_server_interceptor(self._provider, filter_=unless_health)]

    def span(self, name: str, **attributes: str | int) -> AbstractContextManager[Any]:
        """A span below the current one."""
        named = {f"judger.{key}": value for key, value in attributes.items()}
        span: AbstractContextManager[Any] = self._tracer.start_as_current_span(name, attributes=named)
        return span

    def ids(self) -> Mapping[str, str]:
        """Of the current span, as they are written in traceparent."""
        from opentelemetry import trace

        context = trace.get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": trace.format_trace_id(context.trace_id), "span_id": trace.format_span_id(context.span_id)}

    def close(self) -> None:
        """Sends what is left. Blocking, for a few seconds at most where nobody takes it."""
        self._provider.shutdown()


def check_tracing(endpoint: str | None) -> None:
    """Raises InvalidRequest where traces can't be sent there, before an engine is loaded."""
    if endpoint is None:
        return
    if not endpoint.startswith(("http://", "https://")):
        raise InvalidRequest("otlp", f"{endpoint!r} is no http://HOST:PORT or https://HOST:PORT")
    try:
        import opentelemetry.exporter.otlp.proto.grpc.trace_exporter
        import opentelemetry.instrumentation.grpc  # noqa: F401
    except ModuleNotFoundError as error:
        raise InvalidRequest("otlp", f"{error.name} is not installed: pip install 'checklist-judger[otel]'") from error


def build_tracing(endpoint: str | None, judge_id: str) -> Tracing:
    """Traces to that endpoint; none without one."""
    return NoTracing() if endpoint is None else OtlpTracing(endpoint, judge_id)
