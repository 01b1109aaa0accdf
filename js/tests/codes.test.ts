/** When to come back: PROTOCOL.md's table of close codes, read from there, and the back-off. */

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";

import { afterClose, backoff, FIRST, LONGEST, type Next } from "../src/codes.js";

const protocol = readFileSync(new URL("../../PROTOCOL.md", import.meta.url), "utf8");
const table = protocol.slice(protocol.indexOf("## Close codes"), protocol.indexOf("## Seed connections"));
const rows = [...table.matchAll(/^\| `(\d{4})` \|.*\| ([^|]+) \|$/gm)].map(([, code, does]) => [+code!, does!.trim()] as const);

const MEANT: Record<string, Next> = {
  "stays away": "stay",
  "backs off": "later",
  "comes back": "now",
  "comes back, after `goaway`'s delay": "now",
  "comes back with its next request": "request",
};

test("the table was found", () => expect(rows.length).toBeGreaterThan(12));

test.each(rows)("%d: %s", (code, does) => {
  expect(MEANT).toHaveProperty([does]);
  expect(afterClose(code)).toBe(MEANT[does]);
});

// "Take 1001 and 1012 as 4200, 1006 and 1013 as 4100, 1009 as 4000."
test.each([[1001, 4200], [1012, 4200], [1006, 4100], [1013, 4100], [1009, 4000]])("%d is taken as %d", (code, as) => {
  expect(table).toMatch(new RegExp(`${code}\\D[^.]*as ${as}`));
  expect(afterClose(code)).toBe(afterClose(as));
});

test("of a project's own codes, the hundreds tell", () => {
  const hundreds = [["stay", 4000], ["later", 4100], ["now", 4200]] as const;
  fc.assert(
    fc.property(fc.constantFrom(...hundreds), fc.integer({ min: 0, max: 99 }), ([next, from], code) => {
      fc.pre(from + code !== 4011);
      expect(afterClose(from + code)).toBe(next);
    }),
  );
});

test("a code that nobody knows is no reason to stay away, nor to hurry", () => {
  for (const code of [1000, 1005, 1011, 1014, 1015, 3000, 4300, 4999]) expect(afterClose(code)).toBe("later");
});

test("the back-off is anything up to a limit that doubles, and no longer than the longest", () => {
  fc.assert(
    fc.property(fc.nat(2000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, random) => {
      const delay = backoff(failures, () => random);
      const limit = backoff(failures, () => 1);
      expect(delay).toBeGreaterThanOrEqual(0);
      expect(delay).toBeLessThanOrEqual(limit);
      expect(limit).toBe(Math.min(LONGEST, FIRST * 2 ** failures));
    }),
  );
});

test("clients that went together don't come back together", () => {
  const delays = Array.from({ length: 1000 }, () => backoff(20));
  const quarters = [0, 0, 0, 0];
  for (const delay of delays) quarters[Math.floor((4 * delay) / LONGEST)]!++;
  // 250 each; fewer than 150 comes once in 10^14 runs.
  for (const count of quarters) expect(count).toBeGreaterThan(150);
});
