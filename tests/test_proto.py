"""The generated code is that of the proto, and a change that breaks a v1 client is seen."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

from google.protobuf import descriptor_pb2

from tests.check_proto import BASELINE, breaking, compiled, generated, stubs_fault, without_json_names

ROOT = Path(__file__).parents[1]


def test_the_generated_code_is_that_of_the_proto_and_nothing_breaks_a_v1_client() -> None:
    checked = subprocess.run([sys.executable, "-P", ROOT / "tests/check_proto.py"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_a_proto_that_was_edited_without_generating_is_stale() -> None:
    edited = copy.deepcopy(without_json_names(compiled()))
    edited.message_type[0].field.add(name="extra", number=99)
    assert edited != without_json_names(generated())
    assert stubs_fault() is None


def test_removing_renaming_or_retyping_a_field_is_a_breaking_change() -> None:
    old = descriptor_pb2.FileDescriptorProto.FromString(BASELINE.read_bytes())
    assert list(breaking(old, old)) == []
    removed, renamed, retyped, enum, method = (copy.deepcopy(old) for _ in range(5))
    del removed.message_type[0].field[0]
    renamed.message_type[0].field[0].name = "other"
    retyped.message_type[0].field[0].type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    enum.message_type[0].enum_type[0].value[1].number = 77
    method.service[0].method[0].server_streaming = True
    for new in (removed, renamed, retyped, enum, method):
        assert len(list(breaking(old, new))) == 1


def test_adding_a_field_breaks_nothing() -> None:
    old = descriptor_pb2.FileDescriptorProto.FromString(BASELINE.read_bytes())
    new = copy.deepcopy(old)
    new.message_type[0].field.add(name="extra", number=99)
    assert list(breaking(old, new)) == []
