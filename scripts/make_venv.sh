#!/usr/bin/env bash
# Make a virtual environment at $1 with a Python of at least 3.11 (or with $2, when given).
#
# Debian and Ubuntu ship python3 without `ensurepip`; so where the venv module does not work this asks
# apt-get for it when it may, and else takes virtualenv by way of pip, into a folder of the project's own.
set -euo pipefail

target=${1:?usage: make_venv.sh FOLDER [PYTHON]}
wanted=${2:-}
here=$(cd "$(dirname "$0")/.." && pwd)

say() { printf '  %s\n' "$*"; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# The oldest supported version comes first: what works there works on the newer ones, which `make matrix` shows.
find_python() {
    local name
    for name in ${wanted:-python3.11 python3.12 python3.13 python3.14 python3}; do
        if is_new_enough "$name"; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

apt_install() {
    # shellcheck source=scripts/apt_install.sh
    "$here/scripts/apt_install.sh" "$@"
}

if ! python=$(find_python); then
    say "no Python 3.11 or newer is on the PATH: asking apt-get for one"
    apt_install python3 python3-venv || true
    python=$(find_python) || { apt_install python3.11 python3.11-venv && python=$(find_python); } || {
        say "Please install Python 3.11 or newer (Debian 12+, Ubuntu 24.04+: 'apt-get install python3 python3-venv')."
        exit 1
    }
fi

rm -rf "$target"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
say "Python $version ($python) -> $target"

if ! has_venv "$python"; then
    say "this Python has no ensurepip: asking apt-get for python3-venv"
    apt_install "python$version-venv" || apt_install python3-venv || true
fi

if has_venv "$python"; then
    "$python" -m venv "$target"
elif "$python" -m pip --version >/dev/null 2>&1; then
    say "taking virtualenv by way of pip instead"
    tools=$here/build/virtualenv-$version
    "$python" -m pip install -qq --disable-pip-version-check --upgrade --target "$tools" virtualenv
    PYTHONPATH=$tools "$python" -m virtualenv --quiet "$target"
else
    say "Neither the venv module nor pip works here. Please run, as root: apt-get install python3-venv"
    exit 1
fi
