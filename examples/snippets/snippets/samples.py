"""The snippets that `seed` makes. Two belong to somebody else, so that a 403 can be seen."""

from __future__ import annotations

from typing import NamedTuple


class Sample(NamedTuple):
    """One snippet to be."""

    owner: str
    language: str
    minutes_ago: int
    title: str
    code: str


SAMPLES = [
    Sample(
        "demo",
        "python",
        2,
        "A message is a request",
        '''\
"""Run one WebSocket message through Django, from a plain script or a test."""

import django

django.setup()

from wsrequest import WebSocketRequest

message = {
    "method": "GET",
    "url": "/api/snippets/?search=socket",
}
response = WebSocketRequest(message).get_response()

assert response.status_code == 200
print(response.content.decode())
''',
    ),
    Sample(
        "demo",
        "javascript",
        14,
        "Full-jitter back-off",
        """\
// How long to wait before the next try: anywhere up to a ceiling that
// doubles. So clients that lost one server don't come back as one.
export function backOff(attempt, { base = 500, ceiling = 30_000 } = {}) {
  return Math.random() * Math.min(ceiling, base * 2 ** attempt);
}

for (let attempt = 0; attempt < 5; attempt++) {
  console.log(`try ${attempt + 1}: wait ${Math.round(backOff(attempt))} ms`);
}
""",
    ),
    Sample(
        "ada",
        "sql",
        55,
        "The newest row of each group",
        """\
-- One row for each language: the snippet that was changed last.
SELECT language, title, updated
FROM (
    SELECT
        language,
        title,
        updated,
        row_number() OVER (PARTITION BY language ORDER BY updated DESC) AS place
    FROM snippets_snippet
) AS ranked
WHERE place = 1
ORDER BY updated DESC;
""",
    ),
    Sample(
        "demo",
        "rust",
        180,
        "Word count, in one pass",
        """\
use std::collections::HashMap;

/// Count the words of a text, whatever their case.
fn word_count(text: &str) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        if !word.is_empty() {
            *counts.entry(word.to_lowercase()).or_insert(0) += 1;
        }
    }
    counts
}

fn main() {
    let counts = word_count("Push, pull. Pull, push!");
    assert_eq!(counts["push"], 2);
}
""",
    ),
    Sample(
        "demo",
        "bash",
        1_500,
        "Wait until a port answers",
        """\
#!/usr/bin/env bash
# usage: wait_for HOST PORT [SECONDS]
set -euo pipefail

wait_for() {
    local host=$1 port=$2 seconds=${3:-30}
    until (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null; do
        ((seconds-- > 0)) || { echo "no answer from $host:$port" >&2; return 1; }
        sleep 1
    done
}

wait_for 127.0.0.1 8000 && echo "it is up"
""",
    ),
    Sample(
        "ada",
        "css",
        4_400,
        "Two themes, one rule",
        """\
/* light-dark() takes the first colour or the second, as color-scheme says. */
:root {
  color-scheme: light dark;
  --paper: light-dark(#fbfbf9, #121615);
  --ink: light-dark(#191c1b, #e8ecea);
  --accent: light-dark(#0b6b4b, #5fd6a5);
}

body {
  background: var(--paper);
  color: var(--ink);
}

a:hover {
  color: var(--accent);
}
""",
    ),
    Sample(
        "demo",
        "go",
        11_600,
        "Fan in two channels",
        """\
package main

import "fmt"

// fanIn merges two channels into one, in whatever order their values arrive.
func fanIn(a, b <-chan string) <-chan string {
	out := make(chan string)
	forward := func(in <-chan string) {
		for value := range in {
			out <- value
		}
	}
	go forward(a)
	go forward(b)
	return out
}

func main() {
	ping, pong := make(chan string), make(chan string)
	go func() { ping <- "ping" }()
	go func() { pong <- "pong" }()
	merged := fanIn(ping, pong)
	fmt.Println(<-merged, <-merged)
}
""",
    ),
]
