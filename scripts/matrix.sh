#!/usr/bin/env bash
# Run the tests on the oldest and the newest pair of Python and Django; what this machine lacks is said aloud.
# Where .venv already is one of the pairs, `make test` has run it, and it is not run a second time under CI.
set -euo pipefail
cd "$(dirname "$0")/.."

pairs=("3.11 5.2" "3.13 6.1")

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

find_python() {
    local candidate
    for candidate in "$HOME"/.pyenv/versions/"$1".*/bin/python "$(command -v "python$1" || true)" python3; do
        if "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

versions_in() { "$1" -c "import sys, django; print('%d.%d' % sys.version_info[:2], '%d.%d' % django.VERSION[:2])" 2>/dev/null; }

ran=0
for pair in "${pairs[@]}"; do
    read -r python_version django_version <<<"$pair"
    say "Python $python_version with Django $django_version"
    if [ "${CI:-}" = true ] && [ "$(versions_in .venv/bin/python || true)" = "$pair" ]; then
        printf '  these are the versions in .venv: make test has run them\n'
        ran=$((ran + 1))
        continue
    fi
    if ! python=$(find_python "$python_version"); then
        printf '  SKIPPED: no Python %s on this machine\n' "$python_version"
        continue
    fi
    venv=build/matrix/python$python_version-django$django_version
    if [ pyproject.toml -nt "$venv/.installed" ]; then
        scripts/make_venv.sh "$venv" "$python"
        "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
            --editable '.[test]' "Django~=$django_version.0"
        touch "$venv/.installed"
    fi
    [ "$(versions_in "$venv/bin/python")" = "$pair" ] || { printf '  wrong versions in %s\n' "$venv"; exit 1; }
    "$venv/bin/python" -X dev -m pytest -q -m "not browser" "$@"
    ran=$((ran + 1))
done
printf '  %s of %s pairs were run\n' "$ran" "${#pairs[@]}"
