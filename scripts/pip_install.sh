#!/usr/bin/env bash
# Run `$1 -m pip install` with the other arguments. It takes a minute or two, so it says what it is at; all that pip
# said is shown where it failed.
set -euo pipefail

python=${1:?usage: pip_install.sh PYTHON ARGUMENTS}
shift

log=$(mktemp)
trap 'rm -f "$log"' EXIT

progress() {
    sed -nuE \
        -e 's/^Collecting ([A-Za-z0-9._-]+).*/  found \1/p' \
        -e 's/^Processing .*\/([A-Za-z0-9._]+)-[^/]*\.whl.*/  found \1/p' \
        -e 's/^ *Building (editable|wheel) for ([^ ]+).*started.*/  building \2/p' \
        -e 's/^Installing collected packages:.*/  unpacking all of them/p'
}

PYTHONUNBUFFERED=1 "$python" -m pip install --disable-pip-version-check --no-input --progress-bar off "$@" \
    </dev/null 2>&1 | tee "$log" | progress || { printf '  pip failed:\n'; cat "$log"; exit 1; }
