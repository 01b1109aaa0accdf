#!/usr/bin/env bash
# Run the tests against the built wheel on the newest and the oldest pair of Python and Django; what this machine
# lacks is said aloud. CI=true runs only the first pair that can be: `make test` prefers the oldest Python itself. It
# runs what is slow, too, and the full number of random examples, which say next to nothing about a pair of versions.
# There it measures how many lines of the package are run, which Python can do at full speed since 3.13.
set -euo pipefail
cd "$(dirname "$0")/.."

pairs=("3.13 6.1" "3.11 5.2")
if [ "${CI:-}" = true ]; then
    export MEASURE=yes COVERAGE_BRANCH=false COVERAGE_CORE=sysmon
    set -- --hypothesis-profile=brief -m "not browser and not node and not slow" "$@"
fi

find_python() {
    local candidate
    for candidate in "$HOME"/.pyenv/versions/"$1".*/bin/python "$(command -v "python$1" || true)" python3; do
        if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

ran=0
for pair in "${pairs[@]}"; do
    read -r python_version django_version <<<"$pair"
    if [ "${CI:-}" = true ] && ((ran)); then
        printf '  Python %s with Django %s: left out, one pair is enough for CI\n' "$python_version" "$django_version"
        continue
    fi
    if ! python=$(find_python "$python_version"); then
        printf '  SKIPPED: no Python %s on this machine\n' "$python_version"
        continue
    fi
    scripts/wheel_test.sh "$python" "$django_version" "$@"
    ran=$((ran + 1))
done
printf '  %s of %s pairs were run\n' "$ran" "${#pairs[@]}"
((ran)) || { printf '  that is none: install Python 3.13 or 3.11\n'; exit 1; }
