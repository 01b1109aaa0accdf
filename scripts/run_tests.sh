#!/usr/bin/env bash
# Run the tests in two halves side by side: those that mostly wait for servers and browsers, and all the others.
# Usage: run_tests.sh COMMAND..., which is what runs pytest. Where it names tests itself, there are no halves.
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

log=$(mktemp)
set -m # or what runs beside could not be interrupted, nor could what its tests start
"$@" "${waiting[@]}" >"$log" 2>&1 </dev/null &
half=$!
set +m
trap 'kill -- "-$half" 2>/dev/null || true; rm -f "$log"' EXIT

first=0 second=0
"$@" "${waiting[@]/#/--ignore=}" || first=$?
wait "$half" || second=$?
cat "$log"

for status in "$first" "$second"; do
    if ((status && status != nothing_selected)); then exit "$status"; fi
done
((first == 0 || second == 0)) # all of nothing is a mistake
