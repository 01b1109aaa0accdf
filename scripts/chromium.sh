#!/usr/bin/env bash
# See to it that a Chromium is here, for the tests that drive the demo in a real browser.
set -euo pipefail

find_chromium() {
    local name
    for name in "${CHROMIUM:-}" chromium-headless-shell chromium chromium-browser google-chrome; do
        # Ubuntu's "chromium-browser" may be a stub that only names a snap: it counts when it starts.
        [ -n "$name" ] && "$name" --version >/dev/null 2>&1 && { command -v "$name"; return 0; }
    done
    return 1
}

find_chromium >/dev/null && exit 0
printf '  no Chromium is here: asking apt-get for it (about 100 MB, once)\n'
# Debian has one without a user interface, which takes a third of the time; Ubuntu, say, has not.
"$(dirname "$0")/apt_install.sh" chromium-headless-shell fonts-dejavu-core >/dev/null || true
find_chromium >/dev/null && exit 0
"$(dirname "$0")/apt_install.sh" chromium fonts-dejavu-core || true
find_chromium >/dev/null && exit 0
cat <<'TEXT'
  There is no Chromium, which the browser tests drive. Install it as root (apt-get install chromium),
  or point CHROMIUM at one, or run everything but these tests: make test BROWSER=no
TEXT
exit 1
