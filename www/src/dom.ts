/** Small helpers over the page's elements. */

/** The element with this id, of this class. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no ${type.name} with the id ${id}`);
}

/** A new element with text in it. */
export function element(name: string, text = "", className = ""): HTMLElement {
  const made = document.createElement(name);
  made.textContent = text;
  if (className !== "") made.className = className;
  return made;
}

/** `text`, in which what stands between backticks becomes code. */
export function withCode(text: string): Node[] {
  return text.split("`").map((part, place) => (place % 2 === 1 ? element("code", part) : new Text(part)));
}
