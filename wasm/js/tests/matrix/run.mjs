/**
 * Builds and runs small programs with the packed package: `run.mjs PROJECT TARBALL [--all] [WORD...]`.
 * PROJECT is a folder where the package is installed. `--all` adds the cases whose tools are large.
 * Reports like Node's test runner.
 */
import { CASES } from "./cases.mjs";
import { closeBrowser } from "./tools.mjs";

const [root, , ...rest] = process.argv.slice(2);
const isWide = rest.includes("--all");
const words = rest.filter((word) => word !== "--all");
const wide = isWide ? [...(await import("./wide/cases.mjs")).WIDE_CASES, ...(await import("./next.mjs")).NEXT_CASES] : [];
const cases = [...CASES, ...wide].filter(([name]) => words.every((word) => name.includes(word)));
let failed = 0;
for (const [name, check] of cases) {
  const start = performance.now();
  try {
    await check(root);
    console.log(`ok - ${name} # ${Math.round(performance.now() - start)} ms`);
  } catch (error) {
    failed += 1;
    console.log(`not ok - ${name}\n${error instanceof Error ? (error.stack ?? error.message) : error}\n${error.stdout ?? ""}`);
  }
}
await closeBrowser();
console.log(`# pass ${cases.length - failed}\n# fail ${failed}`);
process.exitCode = failed > 0 || cases.length === 0 ? 1 : 0;
