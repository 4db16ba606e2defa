/**
 * Builds and runs small programs with the packed package: `run.mjs PROJECT TARBALL [WORD...]`.
 * PROJECT is a folder where the package is installed. Reports like Node's test runner.
 */
import { CASES } from "./cases.mjs";
import { closeBrowser } from "./tools.mjs";

const [root, , ...words] = process.argv.slice(2);
const cases = CASES.filter(([name]) => words.every((word) => name.includes(word)));
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
