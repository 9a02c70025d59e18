#!/usr/bin/env bash
# Builds the environments of `make test-integrations`: libraries that call a judge, at their present releases, beside the
# client and a server with the scripted engine. lighteval wants torch and has a venv of its own.
#
#   tests/integrations/make_venv.sh [VENV_DIR]        default: .venv-integrations; the other is VENV_DIR-torch
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
venv="${1:-$root/.venv-integrations}"
python="${PYTHON:-python3}"
ours=(grpcio googleapis-common-protos grpcio-health-checking grpcio-reflection prometheus-client pydantic
    starlette uvicorn jinja2 pytest pytest-asyncio pytest-timeout
    httpx "trafilatura>=2,<3" lxml-html-clean "pypdf>=7.1,<8" rapidfuzz rich "markdown-it-py>=3,<5" "libtmux<1") # the agent

make() { # VENV REQUIREMENT...
    local venv="$1" stamp
    shift
    stamp="$venv/.$(printf '%s ' "$@" "${ours[@]}" | cat - "$root/pyproject.toml" | cksum | cut -d' ' -f1)"
    if [ ! -e "$stamp" ]; then
        [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
        local pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet)
        if [ "$1" = torch==2.13.0 ]; then # first and alone, so that TORCH_PIP_ARGS can name an index of CPU wheels
            # shellcheck disable=SC2086  # TORCH_PIP_ARGS holds several words on purpose
            "${pip[@]}" ${TORCH_PIP_ARGS:-} torch==2.13.0
        fi
        "${pip[@]}" "$@" "${ours[@]}"
        "${pip[@]}" --no-deps -e "$root" # the entry point and the plug-in's module are found by name
        touch "$stamp"
    fi
    echo "$venv is ready"
}

# OpenRLHF and AReaL want CUDA and much else; their reward calls need almost nothing. So their code lies beside the rest,
# without what it requires. slime is on no index: tests/integrations/vendored.
parts() { # REQUIREMENT...
    local stamp
    stamp="$venv/.parts-$(printf '%s ' "$@" | cksum | cut -d' ' -f1)"
    [ -e "$stamp" ] && return
    rm -rf "$venv/parts"
    "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps --target "$venv/parts" \
        --only-binary=:all: --python-version 3.11 --platform manylinux1_x86_64 "$@"
    touch "$stamp"
}

make "$venv" inspect-ai==0.3.285 verifiers==0.4.0 skyrl-gym==0.4.0 lm-eval==0.4.13 deepeval==4.3.1 ragas==0.4.3 \
    "langchain-community<0.4" ray==2.60.0 datasets aiohttp colorlog
parts openrlhf==0.11.2 areal==1.0.4
make "$venv-torch" torch==2.13.0 lighteval==0.13.0
