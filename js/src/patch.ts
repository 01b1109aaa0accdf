// JSON Patch (RFC 6902): what turns the state that a client holds into the new one.

export type Operation =
  | { op: "add" | "replace" | "test"; path: string; value: unknown }
  | { op: "remove"; path: string }
  | { op: "move" | "copy"; from: string; path: string };

/**
 * What the operations make of a state. The state itself stays as it is, and what no operation touches is shared with
 * the new one: whoever compares by identity, as React does, sees what has changed.
 *
 * Throws where a patch does not fit.
 */
export function patched(state: any, operations: readonly Operation[]): any {
  // The state hangs on the key "", with which every pointer begins: so the whole is a place as any other.
  let root: any = { "": state };
  for (const operation of operations) {
    const { op, path } = operation;
    const from = "from" in operation ? keysIn(operation.from) : [];
    const value = "from" in operation ? valueAt(root, from) : "value" in operation ? operation.value : undefined;
    if (op === "test" && !same(valueAt(root, keysIn(path)), value)) misfit(path);
    if (op === "move") root = edited(root, from, "remove");
    if (op !== "test") root = edited(root, keysIn(path), op === "remove" || op === "replace" ? op : "add", value);
  }
  return root[""];
}

const misfit = (where: string): never => {
  throw new Error(`No patch: ${where}`);
};

/** The keys in a JSON Pointer (RFC 6901), and before them "": "/a~1b/0" means ["", "a/b", "0"]. */
const keysIn = (pointer: string): string[] =>
  pointer.split("/").map((key) => key.replace(/~1/g, "/").replace(/~0/g, "~"));

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

const has = (parent: any, key: string): boolean =>
  isObject(parent) && Object.hasOwn(parent, key) && !(Array.isArray(parent) && key === "length");

const valueAt = (root: any, keys: string[]): any =>
  keys.reduce((parent, key) => (has(parent, key) ? parent[key] : misfit(key)), root);

/** A copy in which this is done at the place that the keys lead to. */
function edited(parent: any, [key, ...deeper]: string[], what: "add" | "replace" | "remove", value?: unknown): any {
  const list = Array.isArray(parent);
  const last = !deeper.length;
  const isNew = last && what === "add" && (list ? key === "-" || key === `${parent.length}` : isObject(parent));
  if (!isNew && !has(parent, key!)) misfit(key!);
  const copy = list ? [...parent] : { ...parent };
  const place = key === "-" && list ? parent.length : key!;
  if (list && last && what !== "replace") copy.splice(place, ...(what === "add" ? [0, value] : [1]));
  else if (last && what === "remove") delete copy[place];
  // (A plain assignment to "__proto__" would be something else.)
  else {
    if (!last) value = edited(parent[place], deeper, what, value);
    Object.defineProperty(copy, place, { value, writable: true, enumerable: true, configurable: true });
  }
  return copy;
}

/** Whether two JSON values are equal; the order of keys says nothing. */
const same = (one: any, other: any): boolean =>
  isObject(one) && isObject(other)
    ? Array.isArray(one) === Array.isArray(other) &&
      Object.keys(one).length === Object.keys(other).length &&
      Object.entries(one).every(([key, value]) => Object.hasOwn(other, key) && same(value, (other as any)[key]))
    : one === other;
