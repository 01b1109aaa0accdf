#!/usr/bin/env bash
# Build the wheel, install it in an environment of its own, and run the tests against what is installed there.
# MEASURE=yes holds the coverage to its limit.
# The tests that need a browser or Node.js are left out: they say nothing about packaging, and `make test` runs them.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${1:?usage: wheel_test.sh PYTHON DJANGO [PYTEST ARGUMENTS], where DJANGO is a version such as 5.2, or "newest"}
django=${2:?}
shift 2

folder=build/wheel
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
venv=$folder/python$version-django-$django

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

say "Making a clean environment"
scripts/make_venv.sh "$venv" "$python"

say "Building the wheel"
rm -rf "$folder"/*.whl
"$venv/bin/python" -m pip wheel --disable-pip-version-check --no-deps --wheel-dir "$folder" . >"$folder/build.log" 2>&1 ||
    { cat "$folder/build.log"; exit 1; }
wheel=$(ls "$folder"/*.whl)
printf '  %s\n' "$wheel"

say "Installing it"
wanted=("${wheel}[test]")
[ "$django" = newest ] || wanted+=("Django~=$django.0")
scripts/pip_install.sh "$venv/bin/python" "${wanted[@]}"

say "Running the tests against it, on $("$venv/bin/python" -c \
    'import sys, django; print("Python %d.%d" % sys.version_info[:2], "and Django", django.__version__)')"
export WSREQUEST_EXPECT_WHEEL=1 PYTHONMALLOC=default
measured=()
if [ "${MEASURE:-}" = yes ]; then
    export COVERAGE_FILE=$folder/coverage/data
    rm -rf "$folder/coverage"
    mkdir "$folder/coverage"
    measured=(-m coverage run)
fi
scripts/run_tests.sh "$venv/bin/python" -X dev "${measured[@]}" -m pytest -q -m "not browser and not node" "$@"
if [ "${MEASURE:-}" = yes ]; then
    say "Coverage: at least 95 % of the package"
    "$venv/bin/python" -m coverage combine --quiet
    "$venv/bin/python" -m coverage report
fi
