#!/usr/bin/env bash
# Builds the environment of `make bench-peers`: the libraries that judge by rubrics too, at their present releases.
#
#   tests/benchmarks/peers/make_venv.sh [VENV_DIR]        default: .venv-peers
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)"
venv="${1:-$root/.venv-peers}"
python="${PYTHON:-python3}"
stamp="$venv/.$(cksum < "$root/pyproject.toml" | cut -d' ' -f1)"

if [ ! -e "$stamp" ]; then
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    "$venv/bin/python" -m pip --disable-pip-version-check install --quiet "$root[peers]"
    touch "$stamp"
fi
echo "$venv is ready"
