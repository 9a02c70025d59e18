#!/usr/bin/env bash
# Builds the environment of `make test-verl`: verl pins transformers below the project's own, so it lives in a venv of its
# own. verl's CUDA extras (vLLM, flash-attn) are left out: its configuration, loaders and workers run without them.
#
#   tests/verl_recipe/make_venv.sh [VENV_DIR]        default: .venv-verl
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
venv="${1:-$root/.venv-verl}"
python="${PYTHON:-python3}"
verl_version=0.9.1
stamp="$venv/.verl-$verl_version"

if [ -e "$stamp" ]; then
    echo "$venv is ready"
    exit 0
fi

"$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet)
# torch comes first and alone, so that TORCH_PIP_ARGS can name an index that holds the CPU wheels.
# shellcheck disable=SC2086  # TORCH_PIP_ARGS holds several words on purpose
"${pip[@]}" ${TORCH_PIP_ARGS:-} torch==2.13.0
"${pip[@]}" "verl==$verl_version" torch==2.13.0
# The project's own needs beside verl's: the agent, the client, and a server with the scripted engine.
"${pip[@]}" "openai>=2,<4" httpx "trafilatura>=2,<3" lxml-html-clean pypdf rapidfuzz rich "markdown-it-py>=3,<5" \
    "libtmux<1" "mcp>=2,<3" grpcio googleapis-common-protos grpcio-health-checking grpcio-reflection \
    prometheus-client cachetools fastapi pytest pytest-asyncio pytest-timeout
touch "$stamp"
echo "$venv is ready"
