/** A small CSV parser (RFC 4180) to inspect the start of a file; the package reads whole files. */

/** Parses `text` to objects; the first record has the field names. */
export function csvEvents(text: string): { names: string[]; events: Record<string, unknown>[] } {
  const [names = [], ...rest] = records(text);
  const events = rest.map((record) => Object.fromEntries(names.map((name, place) => [name, scalar(record[place] ?? "")])));
  return { names, events };
}

function scalar(text: string): string | number | null {
  if (text.trim() === "") return null;
  const value = Number(text);
  return Number.isNaN(value) ? text : value;
}

/** Parses `text` to records, each an array of fields. */
function* records(text: string): Generator<string[]> {
  let record: string[] = [];
  for (const [, quoted, plain = "", end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    record.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    if (record.length > 1 || record[0] !== "") yield record;
    record = [];
  }
}
