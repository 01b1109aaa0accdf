#!/usr/bin/env bash
# Run the tests in two halves side by side: those that mostly wait for servers and browsers, and all the others.
# Usage: run_tests.sh COMMAND..., which is what runs pytest. Where it names tests itself, there are no halves.
#
# Both halves keep all cores busy, on machines that may have other things to do. So a few tests that fail are run once
# more, by themselves, as CPython's own test runner does; what passes then is shown as unsteady, which is a bug as well.
set -euo pipefail
cd "$(dirname "$0")/.."

waiting=(
    tests/browser tests/demo tests/deploy tests/development tests/faults tests/js tests/live/oracle tests/once
    tests/presence tests/push tests/shutdown
)
nothing_selected=5 # pytest's own; with -k, say, the tests may all be in the other half

for word in "$@"; do
    case $word in tests/*) exec "$@" ;; esac
done

tests_failed=1 # pytest's own, too
few=8

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

run_half() { # NAME COMMAND...
    local known=$state/$1 status=0 failed
    shift
    "$@" -o "cache_dir=$known" || status=$?
    if ((status == tests_failed)); then
        failed=$(grep -c '": true' "$known/v/cache/lastfailed" || true)
        if ((failed > 0 && failed <= few)); then
            say "Once more, what failed ($failed)"
            status=0
            "$@" -o "cache_dir=$known" --last-failed -v || status=$?
            ((status)) || say "UNSTEADY: passed the second time only"
        fi
    fi
    return "$status"
}

state=$(mktemp -d)
log=$state/log
set -m # or what runs beside could not be interrupted, nor could what its tests start
run_half waiting "$@" "${waiting[@]}" >"$log" 2>&1 </dev/null &
half=$!
set +m
trap 'kill -- "-$half" 2>/dev/null || true; rm -rf "$state"' EXIT

first=0 second=0
run_half others "$@" "${waiting[@]/#/--ignore=}" || first=$?
wait "$half" || second=$?
cat "$log"

for status in "$first" "$second"; do
    if ((status && status != nothing_selected)); then exit "$status"; fi
done
((first == 0 || second == 0)) # all of nothing is a mistake
