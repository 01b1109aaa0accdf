/** JSON Patch: by the letter of RFC 6902, for any documents, and never in place. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { patched, type Operation } from "../src/patch.js";

/** Appendix A of RFC 6902, and what it leaves open. */
const FITS: [string, unknown, object[], unknown][] = [
  ["A.1 add a member", { foo: "bar" }, [{ op: "add", path: "/baz", value: "qux" }], { baz: "qux", foo: "bar" }],
  ["A.2 add an element", { foo: ["a", "c"] }, [{ op: "add", path: "/foo/1", value: "b" }], { foo: ["a", "b", "c"] }],
  ["A.3 remove a member", { baz: 1, foo: 2 }, [{ op: "remove", path: "/baz" }], { foo: 2 }],
  ["A.4 remove an element", { foo: [1, 2, 3] }, [{ op: "remove", path: "/foo/1" }], { foo: [1, 3] }],
  ["A.5 replace", { baz: 1, foo: 2 }, [{ op: "replace", path: "/baz", value: "boo" }], { baz: "boo", foo: 2 }],
  ["A.6 move", { a: { b: 1, c: 2 }, d: {} }, [{ op: "move", from: "/a/b", path: "/d/e" }], { a: { c: 2 }, d: { e: 1 } }],
  ["A.7 move an element", { a: [1, 2, 3, 4] }, [{ op: "move", from: "/a/1", path: "/a/3" }], { a: [1, 3, 4, 2] }],
  ["A.8 test", { a: [1, "x"] }, [{ op: "test", path: "/a/1", value: "x" }], { a: [1, "x"] }],
  ["A.10 add an object", { a: 1 }, [{ op: "add", path: "/b", value: { c: {} } }], { a: 1, b: { c: {} } }],
  ["A.11 fields that nobody knows", {}, [{ op: "add", path: "/a", value: 1, xyz: 2 }], { a: 1 }],
  ["A.14 escapes", { "/": 9, "~1": 10 }, [{ op: "test", path: "/~01", value: 10 }], { "/": 9, "~1": 10 }],
  ["A.16 the end of an array", [1], [{ op: "add", path: "/-", value: [2] }], [1, [2]]],
  ["the end, by its number", [1], [{ op: "add", path: "/1", value: 2 }], [1, 2]],
  ["add where there is one replaces", { a: 1 }, [{ op: "add", path: "/a", value: null }], { a: null }],
  ["the whole", { a: 1 }, [{ op: "replace", path: "", value: [1] }], [1]],
  ["the whole becomes its part", { a: { b: 1 } }, [{ op: "move", from: "/a", path: "" }], { b: 1 }],
  ["copy", { a: [1] }, [{ op: "copy", from: "/a", path: "/b" }], { a: [1], b: [1] }],
  ["an empty key", { "": 1 }, [{ op: "replace", path: "/", value: 2 }], { "": 2 }],
  ["keys like numbers in an object", { 0: "a" }, [{ op: "remove", path: "/0" }], {}],
  ["test: the order of keys", { a: { b: 1, c: 2 } }, [{ op: "test", path: "/a", value: { c: 2, b: 1 } }], { a: { b: 1, c: 2 } }],
];

test.each(FITS)("%s", (_name, state, operations, result) => {
  expect(patched(state, operations as Operation[])).toEqual(result);
});

const MISFITS: [string, unknown, object][] = [
  ["A.9 test of another value", { a: "b" }, { op: "test", path: "/a", value: "c" }],
  ["A.12 add below nothing", { a: 1 }, { op: "add", path: "/b/c", value: 1 }],
  ["A.15 a number is no string", { a: 10 }, { op: "test", path: "/a", value: "10" }],
  ["an array is no object", { a: [] }, { op: "test", path: "/a", value: {} }],
  ["null is no object", { a: null }, { op: "test", path: "/a", value: {} }],
  ["test with more", { a: { b: 1 } }, { op: "test", path: "/a", value: { b: 1, c: 2 } }],
  ["remove what is not there", { a: 1 }, { op: "remove", path: "/b" }],
  ["replace what is not there", { a: 1 }, { op: "replace", path: "/b", value: 1 }],
  ["remove behind the end", [1], { op: "remove", path: "/1" }],
  ["remove '-'", [1], { op: "remove", path: "/-" }],
  ["add past the end", [1], { op: "add", path: "/2", value: 1 }],
  ["a length is no element", [1], { op: "replace", path: "/length", value: 0 }],
  ["a name in an array", [1], { op: "add", path: "/x", value: 0 }],
  ["what every object inherits", {}, { op: "replace", path: "/toString", value: 0 }],
  ["below a text", { a: "text" }, { op: "add", path: "/a/0", value: 0 }],
  ["move from nowhere", {}, { op: "move", from: "/a", path: "/b" }],
  ["copy from nowhere", {}, { op: "copy", from: "/a", path: "/b" }],
];

test.each(MISFITS)("does not fit: %s", (_name, state, operation) => {
  expect(() => patched(state, [operation as Operation])).toThrow(/No patch/);
});

describe("a key that JavaScript has an idea of", () => {
  test("is a key as any other", () => {
    const result = patched({}, [{ op: "add", path: "/__proto__", value: { admin: true } }]);
    expect(JSON.stringify(result)).toBe('{"__proto__":{"admin":true}}');
    expect(result.admin).toBeUndefined();
    expect(({} as any).admin).toBeUndefined();
  });
});

/** A difference as a server may write it: what has gone, what has come, and what is another. */
function difference(before: any, after: any, path = ""): Operation[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  const objects = [before, after].every((value) => value && typeof value === "object" && !Array.isArray(value));
  if (!objects) return [{ op: "replace", path, value: after }];
  const at = (key: string) => `${path}/${key.replace(/~/g, "~0").replace(/\//g, "~1")}`;
  return [
    ...Object.keys(before).filter((key) => !Object.hasOwn(after, key)).map((key) => ({ op: "remove" as const, path: at(key) })),
    ...Object.entries(after).flatMap(([key, value]): Operation[] =>
      Object.hasOwn(before, key) ? difference(before[key], value, at(key)) : [{ op: "add", path: at(key), value }],
    ),
  ];
}

const json = () => fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<any>;
const frozen = (value: any): any => {
  if (value && typeof value === "object") Object.values(Object.freeze(value)).forEach(frozen);
  return value;
};

describe("whatever the documents are", () => {
  test("a difference leads from one to the other, and the first stays as it was", () => {
    fc.assert(
      fc.property(json(), json(), (before, after) => {
        expect(patched(frozen(before), difference(before, after))).toEqual(after);
      }),
    );
  });

  test("a list is edited as splice() would", () => {
    const step = fc.record({ at: fc.nat(20), value: json(), op: fc.constantFrom("add", "remove", "replace") });
    fc.assert(
      fc.property(fc.array(json()), fc.array(step), (list, steps) => {
        const expected = [...list];
        const operations = steps.flatMap(({ at, value, op }): Operation[] => {
          const places = expected.length + (op === "add" ? 1 : 0);
          if (!places) return [];
          const index = at % places;
          expected.splice(index, op === "add" ? 0 : 1, ...(op === "remove" ? [] : [value]));
          return [{ op, path: `/list/${index}`, value } as Operation];
        });
        expect(patched({ list }, operations)).toEqual({ list: expected });
      }),
    );
  });

  test("what no operation touches is the same object as before", () => {
    fc.assert(
      fc.property(json(), json(), json(), (kept, before, after) => {
        const state = { kept, changed: { deep: before } };
        const result = patched(state, [{ op: "replace", path: "/changed/deep", value: after }]);
        expect(result.kept).toBe(kept);
        expect(result).not.toBe(state);
        expect(result.changed).not.toBe(state.changed);
      }),
    );
  });

  test("a patch either fits or throws, whatever it is", () => {
    const operation = fc.record({
      op: fc.constantFrom("add", "remove", "replace", "test", "move", "copy"),
      path: fc.string().map((text) => `/${text}`),
      from: fc.option(fc.string(), { nil: undefined }),
      value: json(),
    });
    fc.assert(
      fc.property(json(), fc.array(operation), (state, operations) => {
        const before = JSON.stringify(state);
        try {
          patched(state, operations as Operation[]);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
        expect(JSON.stringify(state)).toBe(before);
      }),
    );
  });
});
