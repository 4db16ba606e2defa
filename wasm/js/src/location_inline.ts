/** The module as part of the script: gzip in base64. */
import { bytes } from "./bytes.js";
import type { Location } from "./source.js";

async function locate(): Promise<ArrayBuffer> {
  const compressed = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  const stream = new Blob([compressed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

export const location: Location = { locate };
