/** Helpers for DOM elements. */

/** Returns the element with this id; throws if it is missing or of another class. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no ${type.name} with the id ${id}`);
}

/** Creates an element that contains text. */
export function element(name: string, text = "", className = ""): HTMLElement {
  const made = document.createElement(name);
  made.textContent = text;
  if (className !== "") made.className = className;
  return made;
}

/** Returns the nodes of `text`; text between backticks becomes `code` elements. */
export function withCode(text: string): Node[] {
  return text.split("`").map((part, place) => (place % 2 === 1 ? element("code", part) : new Text(part)));
}
