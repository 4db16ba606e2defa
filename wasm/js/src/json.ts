/** JSON with integers of any size: like JSON.stringify, but a BigInt becomes an integer literal. */

/**
 * Returns `value` as JSON; undefined if JSON.stringify returns undefined. Throws for values that
 * JSON cannot express, such as a circular object.
 */
export function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    // JSON.stringify throws a TypeError for BigInts and for circular objects.
    if (error instanceof TypeError) return written("", value, new Set());
    throw error;
  }
}

/** Returns a JSON array of texts, numbers, BigInts, booleans and nulls. */
export function jsonOfScalars(values: readonly unknown[]): string {
  if (!values.some((value) => typeof value === "bigint")) return JSON.stringify(values);
  return `[${values.map(jsonOfScalar).join()}]`;
}

/** Returns a text, a number, a BigInt, a boolean or null (also for undefined) as JSON. */
export function jsonOfScalar(value: unknown): string {
  return typeof value === "bigint" ? String(value) : JSON.stringify(value ?? null);
}

/** Returns the JSON of `value`, the field `name`; `path` has the objects that enclose it. */
function written(name: string, value: unknown, path: Set<object>): string | undefined {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (path.has(value)) throw new TypeError(`it holds itself, in the field "${name}"`);
  const { toJSON } = value as { toJSON?: unknown };
  path.add(value);
  const text = typeof toJSON === "function" ? written(name, toJSON.call(value, name), path) : writtenObject(value, path);
  path.delete(value);
  return text;
}

function writtenObject(value: object, path: Set<object>): string | undefined {
  if (Array.isArray(value)) {
    return `[${value.map((element, index) => written(String(index), element, path) ?? "null").join()}]`;
  }
  if (value instanceof Number || value instanceof String || value instanceof Boolean) return JSON.stringify(value);
  if (value instanceof BigInt) return String(value);
  const members = Object.entries(value).map(([name, member]) => {
    const text = written(name, member, path);
    return text === undefined ? [] : [`${JSON.stringify(name)}:${text}`];
  });
  return `{${members.flat().join()}}`;
}
