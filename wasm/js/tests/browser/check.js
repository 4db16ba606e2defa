/** Runs checks in order, shows them, and stores their outcomes in `window.finished`. */
export async function check(checks) {
  const outcomes = [];
  for (const [name, run] of checks) {
    let error;
    try {
      await run();
    } catch (thrown) {
      error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    }
    outcomes.push({ name, error });
    const item = document.createElement("li");
    item.textContent = error === undefined ? name : `${name}\n${error}`;
    item.className = error === undefined ? "passed" : "failed";
    document.getElementById("outcomes").append(item);
  }
  window.finished = outcomes;
}

/** Throws unless both values have the same JSON. */
export function same(found, expected) {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  if (left !== right) throw new Error(`found ${left}\nexpected ${right}`);
}
