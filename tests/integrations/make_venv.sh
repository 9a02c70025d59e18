#!/usr/bin/env bash
# Builds the environment of `make test-integrations`: libraries that call a judge, at their present releases, beside the
# client and a server with the scripted engine. No torch.
#
#   tests/integrations/make_venv.sh [VENV_DIR]        default: .venv-integrations
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
venv="${1:-$root/.venv-integrations}"
python="${PYTHON:-python3}"
inspect_version=0.3.285
stamp="$venv/.inspect-$inspect_version"

if [ -e "$stamp" ]; then
    echo "$venv is ready"
    exit 0
fi

"$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet)
"${pip[@]}" "inspect-ai==$inspect_version"
"${pip[@]}" grpcio googleapis-common-protos grpcio-health-checking grpcio-reflection prometheus-client pydantic \
    pytest pytest-asyncio pytest-timeout
touch "$stamp"
echo "$venv is ready"
