#!/usr/bin/env bash
# Builds the environment of `make test-ray`: Ray and simpy, beside what is in .venv already (torch, the judge, the tests).
#
#   tests/cluster/make_venv.sh [VENV_DIR]        default: .venv-ray
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
venv="${1:-$root/.venv-ray}"
ray_version=2.60.0
stamp="$venv/.ray-$ray_version"

if [ -e "$stamp" ]; then
    echo "$venv is ready"
    exit 0
fi

"$root/.venv/bin/python" -m venv "$venv"
site="$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')"
"$root/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' >"$site/judge.pth"
"$venv/bin/python" -m pip --disable-pip-version-check install --quiet "ray[serve,data]==$ray_version" "simpy>=4.1,<5" \
    "kubernetes-validate==1.37.0"
# For the schema of compose files that is in it alone.
"$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps docker-compose==1.29.2
touch "$stamp"
echo "$venv is ready"
