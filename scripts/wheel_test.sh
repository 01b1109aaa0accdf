#!/usr/bin/env bash
# Build the wheel, install it in an environment of its own, and run the tests against what is installed.
# The tests that need a browser are left out: they say nothing about packaging, and `make test` runs them.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-.venv/bin/python}
folder=build/wheel
venv=$folder/venv

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

say "Building the wheel"
rm -rf "$folder"/*.whl
mkdir -p "$folder"
"$python" -m hatchling build -t wheel -d "$folder" >"$folder/build.log" 2>&1 || { cat "$folder/build.log"; exit 1; }
wheel=$(ls "$folder"/*.whl)
printf '  %s\n' "$wheel"

say "Installing it in a clean environment"
scripts/make_venv.sh "$venv" "$(readlink -f "$python")"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input "${wheel}[test]"

say "Running the tests against it"
WSREQUEST_EXPECT_WHEEL=1 "$venv/bin/python" -X dev -m pytest -q -m "not browser" "$@"
