#!/usr/bin/env bash
# Install Debian packages when this account may (root, or sudo without a password); else say so and fail.
set -euo pipefail

command -v apt-get >/dev/null || { printf '  there is no apt-get on this system\n'; exit 1; }

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        as_root=(sudo -n)
    else
        printf '  this needs root (or sudo without a password): apt-get install %s\n' "$*"
        exit 1
    fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" >>"$log" 2>&1 </dev/null; }

# A list of packages may be old or absent, so it is fetched when the first try fails.
run install --yes --no-install-recommends "$@" && exit 0
run update && run install --yes --no-install-recommends "$@" && exit 0
printf '  apt-get could not install %s:\n' "$*"
tail -n 5 "$log" | sed 's/^/    /'
exit 1
