/** Fields of event objects, by name or by path. */

/**
 * Returns the field `name` of an event. A member with that whole name comes first; otherwise a name
 * with dots is a path into objects, such as `payload.ms`.
 */
export function fieldOf(event: Readonly<Record<string, unknown>>, name: string): unknown {
  const value = event[name];
  if (value !== undefined || !name.includes(".")) return value;
  const names = name.split(".");
  if (names.includes("")) return undefined;
  let inner: unknown = event;
  for (const step of names) {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return undefined;
    inner = (inner as Record<string, unknown>)[step];
  }
  return inner;
}
