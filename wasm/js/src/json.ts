/** JSON with integers of any size: what JSON.stringify gives, and BigInts as the integers that they are. */

/**
 * The JSON text of `value`; undefined where JSON.stringify gives that. Throws for what JSON cannot say, such as an object that
 * holds itself.
 */
export function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    // BigInts end it with this error, and so do circles.
    if (error instanceof TypeError) return written("", value, new Set());
    throw error;
  }
}

/** The JSON text of texts, numbers, BigInts and booleans, as an array. */
export function jsonOfScalars(values: readonly unknown[]): string {
  if (!values.some((value) => typeof value === "bigint")) return JSON.stringify(values);
  return `[${values.map(jsonOfScalar).join()}]`;
}

/** The JSON text of a text, a number, a BigInt or a boolean. */
export function jsonOfScalar(value: unknown): string {
  return typeof value === "bigint" ? String(value) : JSON.stringify(value);
}

/** The text of `value`, which stands under `name` in the objects of `path`. */
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
