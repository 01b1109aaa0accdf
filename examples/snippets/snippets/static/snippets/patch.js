// JSON Patch (RFC 6902): what turns the state that a client holds into the new one.
//
//   patched({ tasks: ["a"] }, [{ op: "add", path: "/tasks/-", value: "b" }])  // {"tasks": ["a", "b"]}
//
// The value that is given stays as it is. A patch that does not fit throws, and changes nothing.

const OPERATIONS = {
  add: (document, { path, value }) => put(document, path, structuredClone(value), { insert: true }),
  remove: (document, { path }) => take(document, path),
  replace: (document, { path, value }) => put(document, path, structuredClone(value), { insert: false }),
  move(document, { from, path }) {
    const value = valueAt(document, from);
    return put(take(document, from), path, value, { insert: true });
  },
  copy: (document, { from, path }) => put(document, path, structuredClone(valueAt(document, from)), { insert: true }),
  test(document, { path, value }) {
    if (!same(valueAt(document, path), value)) throw new Error(`The patch is for another value at ${path}.`);
    return document;
  },
};

/** Return what the operations make of the value. */
export function patched(value, operations) {
  let document = structuredClone(value);
  for (const operation of operations) {
    if (!Object.hasOwn(OPERATIONS, operation.op)) throw new Error(`There is no operation ${operation.op}.`);
    document = OPERATIONS[operation.op](document, operation);
  }
  return document;
}

/** The keys of a JSON Pointer (RFC 6901): "/a~1b/0" means ["a/b", "0"], and "" the whole. */
const keysOf = (pointer) =>
  pointer.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));

function child(parent, key) {
  const known = Array.isArray(parent) ? /^(0|[1-9]\d*)$/.test(key) && key < parent.length : isObject(parent) && Object.hasOwn(parent, key);
  if (!known) throw new Error(`There is nothing at ${key}.`);
  return parent[key];
}

const isObject = (value) => typeof value === "object" && value !== null;
const valueAt = (document, pointer) => keysOf(pointer).reduce(child, document);

function put(document, pointer, value, { insert }) {
  const keys = keysOf(pointer);
  if (!keys.length) return value;
  const key = keys.pop();
  const parent = keys.reduce(child, document);
  if (!insert) child(parent, key); // what is replaced is there
  if (Array.isArray(parent)) {
    const index = key === "-" ? parent.length : Number(key);
    if (!(/^(-|0|[1-9]\d*)$/.test(key) && index <= parent.length)) throw new Error(`There is no place ${key}.`);
    parent.splice(index, insert ? 0 : 1, value);
  } else if (isObject(parent)) {
    // A plain assignment to "__proto__" would be something else.
    Object.defineProperty(parent, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    throw new Error(`There can be nothing at ${pointer}.`);
  }
  return document;
}

function take(document, pointer) {
  const keys = keysOf(pointer);
  if (!keys.length) return undefined;
  const key = keys.pop();
  const parent = keys.reduce(child, document);
  child(parent, key); // what is removed is there
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return document;
}

/** Whether two JSON values are equal; the order of keys says nothing. */
function same(one, other) {
  if (!isObject(one) || !isObject(other)) return one === other;
  const keys = Object.keys(one);
  return (
    Array.isArray(one) === Array.isArray(other) &&
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && same(one[key], other[key]))
  );
}
