"""The contract's methods, as gRPC handlers over bytes: the service reads its messages itself.

gRPC would read them on the event loop, where a large one holds up everybody, and end a whole stream over a message
that is none.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import methodcaller
from typing import Any

import grpc

from judger.v1 import judger_pb2 as pb

__all__ = ["SERVICE", "handlers"]

WRITE = methodcaller("SerializeToString")
SERVICE: str = pb.DESCRIPTOR.services_by_name["Judger"].full_name


def handlers(service: Any, write: Callable[[Any], bytes] = WRITE) -> Any:
    """What a server takes. `service` has a method of the contract's name for each.

    Args:
        write: an answer's bytes.
    """
    methods = {
        "Judge": grpc.unary_unary_rpc_method_handler(service.Judge, response_serializer=write),
        "JudgeGroup": grpc.unary_stream_rpc_method_handler(service.JudgeGroup, response_serializer=write),
        "JudgeStream": grpc.stream_stream_rpc_method_handler(service.JudgeStream, response_serializer=write),
        "Compare": grpc.unary_unary_rpc_method_handler(service.Compare, response_serializer=write),
        "GetJudge": grpc.unary_unary_rpc_method_handler(service.GetJudge, response_serializer=write),
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)
