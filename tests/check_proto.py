"""Is the generated code that of the proto, and does the proto still read what v1 clients write?

`make proto` writes the generated code; `python tests/check_proto.py --accept` makes today's proto the one that later
ones are held against, after a change that breaks nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).parents[1]
BASELINE = ROOT / "proto/judger/v1/baseline.binpb"


def compiled() -> descriptor_pb2.FileDescriptorProto:
    """The proto as it stands, through protoc."""
    import google.rpc
    from grpc_tools import protoc

    includes = Path(next(iter(google.rpc.__path__))).parents[1]
    builtin = Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "judger.binpb"
        arguments = [f"-I{ROOT / 'proto'}", f"-I{includes}", f"-I{builtin}", f"--descriptor_set_out={out}"]
        if protoc.main(["protoc", *arguments, "judger/v1/judger.proto"]):
            raise SystemExit("protoc failed")
        (file,) = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    return file


def generated() -> descriptor_pb2.FileDescriptorProto:
    """The proto as the committed code has it."""
    from judger.v1 import judger_pb2

    file = descriptor_pb2.FileDescriptorProto()
    judger_pb2.DESCRIPTOR.CopyToProto(file)
    return file


def without_json_names(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """protoc fills in `json_name`, generated code leaves it out."""
    copy = descriptor_pb2.FileDescriptorProto()
    copy.CopyFrom(file)
    for message in copy.message_type:
        for field in message.field:
            field.ClearField("json_name")
    return copy


def stubs_fault() -> str | None:
    """Says whether the committed stubs name every message, field and method."""
    file = generated()
    typed = (ROOT / "judger/v1/judger_pb2.pyi").read_text()
    served = (ROOT / "judger/v1/judger_pb2_grpc.py").read_text()
    for message in file.message_type:
        for field in message.field:
            if f"class {message.name}(" not in typed or f"    {field.name}: " not in typed:
                return f"judger_pb2.pyi lacks {message.name}.{field.name}"
    for method in file.service[0].method:
        if f"/{file.package}.{file.service[0].name}/{method.name}'" not in served:
            return f"judger_pb2_grpc.py lacks {method.name}"
    return None


def breaking(old: descriptor_pb2.FileDescriptorProto, new: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    """What a client built on `old` would miss or misread."""
    messages = {message.name: message for message in new.message_type}
    for message in old.message_type:
        if message.name not in messages:
            yield f"message {message.name} is gone"
            continue
        fields = {field.number: field for field in messages[message.name].field}
        for field in message.field:
            now = fields.get(field.number)
            place = f"{message.name}.{field.name} = {field.number}"
            if now is None:
                yield f"{place} is gone"
            elif (now.name, now.type, now.label, now.type_name, now.proto3_optional) != (
                field.name,
                field.type,
                field.label,
                field.type_name,
                field.proto3_optional,
            ):
                yield f"{place} has another name, type or presence"
        enums = {
            enum.name: {value.name: value.number for value in enum.value} for enum in messages[message.name].enum_type
        }
        for enum in message.enum_type:
            for value in enum.value:
                if enums.get(enum.name, {}).get(value.name) != value.number:
                    yield f"{message.name}.{enum.name}.{value.name} = {value.number} is gone"
    methods = {method.name: method for service in new.service for method in service.method}
    for service in old.service:
        for method in service.method:
            if methods.get(method.name) != method:
                yield f"rpc {method.name} is gone or has another shape"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accept", action="store_true", help="make today's proto the baseline")
    accept = parser.parse_args().accept
    now = without_json_names(compiled())
    if now != without_json_names(generated()):
        print("the generated code in judger/v1 is stale: run `make proto`", file=sys.stderr)
        return 1
    if fault := stubs_fault():
        print(f"{fault}: run `make proto`", file=sys.stderr)
        return 1
    faults = (
        list(breaking(descriptor_pb2.FileDescriptorProto.FromString(BASELINE.read_bytes()), now))
        if BASELINE.exists()
        else []
    )
    for fault in faults:
        print(f"breaking change: {fault}", file=sys.stderr)
    if faults:
        return 1
    if accept:
        BASELINE.write_bytes(now.SerializeToString())
    return 0


if __name__ == "__main__":
    sys.exit(main())
