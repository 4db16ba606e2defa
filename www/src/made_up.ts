/** A generated stream with the difficulties of real ones: disorder, late events, invalid lines. */

const EVENTS = 200_000;
const SERVICES = 40;
const START_MS = Date.UTC(2025, 0, 1, 9);
/** Average time between events; the stream covers two hours. */
const STEP_MS = 36;

/** Returns requests to services as NDJSON; the result is the same in every call. */
export function requests(): Uint8Array {
  const random = generator(7);
  const lines: string[] = [];
  let now = START_MS;
  for (let event = 0; event < EVENTS; event += 1) {
    now += random() * 2 * STEP_MS;
    const service = Math.floor(SERVICES * random() ** 3);
    const delay = random() < 0.002 ? 60_000 * random() : 2_000 * random();
    const wave = 1 + 0.5 * Math.sin(event / 9_000 + service);
    const latency = (20 + 8 * service) * wave * (0.6 + random()) * (random() < 0.01 ? 8 : 1);
    const line = { ts: Math.floor(now - delay), service: `service-${service + 1}`, latency: Math.round(latency * 10) / 10 };
    lines.push(random() < 0.0001 ? '{"ts": 17' : JSON.stringify(line));
  }
  return new TextEncoder().encode(`${lines.join("\n")}\n`);
}

/** Returns a generator of pseudo-random numbers from 0 to 1 (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
