/** Text columns: the module receives a fingerprint, a distinct number, in place of each value. */
import { hasLoneSurrogate } from "./arguments.js";
import { StreamProcessorError } from "./error.js";
import { jsonOfScalars } from "./json.js";

/** Returns the fingerprint of each value of a JSON array. */
export type Fingerprints = (values: string) => Float64Array;

/** Returns true if the value is missing. */
export function missing(value: unknown): boolean {
  return value === undefined || value === null || Number.isNaN(value);
}

/** Returns true if the value is allowed in a text column. */
export function isTextValue(value: unknown): boolean {
  if (typeof value === "string") return !hasLoneSurrogate(value);
  return typeof value === "boolean" || typeof value === "bigint" || Number.isFinite(value);
}

/**
 * Returns the fingerprints of `values`; NaN for missing values. Every value must be a text value or
 * missing. Each distinct value is sent to the module once.
 */
export function columnOfTexts(values: readonly unknown[], fingerprints: Fingerprints): Float64Array {
  const places = new Map<unknown, number>();
  const ids = Int32Array.from(values, (value) => {
    if (missing(value)) return -1;
    const known = places.get(value);
    if (known !== undefined) return known;
    places.set(value, places.size);
    return places.size - 1;
  });
  const found = fingerprints(jsonOfScalars([...places.keys()]));
  return Float64Array.from(ids, (id) => (id < 0 ? Number.NaN : (found[id] as number)));
}

/** Checks the values of the column `name` of a batch, then returns their fingerprints. */
export function checkedTexts(values: ArrayLike<unknown>, name: string, fingerprints: Fingerprints): Float64Array {
  const list = Array.from(values);
  const index = list.findIndex((value) => !missing(value) && !isTextValue(value));
  if (index < 0) return columnOfTexts(list, fingerprints);
  const message = `event ${index}: the column "${name}" must have a text, a finite number or a boolean there, or nothing`;
  throw new StreamProcessorError("invalid_event", message, { field: name, index });
}
