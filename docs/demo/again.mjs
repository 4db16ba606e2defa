// Runs a pipeline over a file of NDJSON through the npm package and prints its rows, as the program does.
import { readFileSync } from "node:fs";

import { init, StreamProcessor } from "stream-processor";

const [pipeline, input] = process.argv.slice(2);
await init();
const processor = new StreamProcessor(JSON.parse(readFileSync(pipeline, "utf8")));
processor.pushNdjson(readFileSync(input));
processor.finish();
process.stdout.write(processor.drainNdjson());
