"""The protobuf modules are what protoc makes of the .proto files beside them."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

from google.protobuf.descriptor import Descriptor
from grpc_tools import protoc
from tritonclient.grpc import service_pb2 as oip

from sidecar.decode.proto import kserve_pb2

ROOT = Path(__file__).parent.parent.parent
PROTO = ROOT / "sidecar" / "decode" / "proto"


def test_the_generated_modules_are_those_of_the_proto_files(tmp_path: Path) -> None:
    files = sorted(str(path.relative_to(ROOT)) for path in PROTO.glob("*.proto"))
    assert (
        protoc.main(["protoc", f"-I{ROOT}", f"--python_out={tmp_path}", f"--pyi_out={tmp_path}", *files]) == 0
    )
    made = {path.name: path.read_text() for path in tmp_path.rglob("*_pb2.py*")}
    assert made == {path.name: path.read_text() for path in PROTO.glob("*_pb2.py*")}
    assert len(made) == 2 * len(files)


def test_the_floor_of_protobuf_is_what_made_them() -> None:
    floor = re.search(r'"protobuf>=([0-9.]+)"', (ROOT / "pyproject.toml").read_text())
    assert floor is not None
    for path in PROTO.glob("*_pb2.py"):
        made = re.search(r"Protobuf Python Version: ([0-9.]+)", path.read_text())
        assert made is not None
        numbers = [tuple(map(int, each.split("."))) for each in (made[1], floor[1], version("protobuf"))]
        assert numbers == sorted(numbers)


def test_field_numbers_are_the_public_ones() -> None:
    def numbers(descriptor: Descriptor) -> dict[str, int]:
        return {field.name: field.number for field in descriptor.fields}

    public: dict[str, Descriptor] = oip.DESCRIPTOR.message_types_by_name
    theirs = {
        "Parameter": public["InferParameter"],
        "Tensor": public["ModelInferRequest"].nested_types_by_name["InferInputTensor"],
        "RequestedOutput": public["ModelInferRequest"].nested_types_by_name["InferRequestedOutputTensor"],
        "Contents": public["InferTensorContents"],
        "UnpackedContents": public["InferTensorContents"],
        "UnpackedTensor": public["ModelInferResponse"].nested_types_by_name["InferOutputTensor"],
    }
    for name, ours in kserve_pb2.DESCRIPTOR.message_types_by_name.items():
        assert numbers(ours).items() <= numbers(theirs.get(name) or public[name]).items(), name
