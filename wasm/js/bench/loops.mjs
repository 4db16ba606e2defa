// Loops written by hand, for events in order of time.
const SIZE = 10_000;

function rowOf(service, start, count, sum, min, max) {
  return { service, window_start: start, window_end: start + SIZE, count, sum, avg: sum / count, min, max };
}

/** A Map from keys to objects with the sums of the current window. */
export function mapLoop(events) {
  const rows = [];
  let states = new Map();
  let start = Number.NEGATIVE_INFINITY;
  const fire = () => {
    for (const [service, { count, sum, min, max }] of states) rows.push(rowOf(service, start, count, sum, min, max));
    states = new Map();
  };
  for (const { ts, service, latency } of events) {
    if (ts >= start + SIZE) {
      fire();
      start = Math.floor(ts / SIZE) * SIZE;
    }
    const state = states.get(service);
    if (state === undefined) {
      states.set(service, { count: 1, sum: latency, min: latency, max: latency });
    } else {
      state.count += 1;
      state.sum += latency;
      if (latency < state.min) state.min = latency;
      if (latency > state.max) state.max = latency;
    }
  }
  fire();
  return rows;
}

/** Typed arrays with the sums of the current window, indexed by the number of the key. */
export function typedArrayLoop(events) {
  const rows = [];
  const ids = new Map();
  const names = [];
  const capacity = 1 << 16;
  const counts = new Uint32Array(capacity);
  const [sums, mins, maxs] = [new Float64Array(capacity), new Float64Array(capacity), new Float64Array(capacity)];
  let start = Number.NEGATIVE_INFINITY;
  const fire = () => {
    for (let id = 0; id < names.length; id += 1) {
      if (counts[id] > 0) rows.push(rowOf(names[id], start, counts[id], sums[id], mins[id], maxs[id]));
    }
    counts.fill(0);
  };
  for (const { ts, service, latency } of events) {
    if (ts >= start + SIZE) {
      fire();
      start = Math.floor(ts / SIZE) * SIZE;
    }
    let id = ids.get(service);
    if (id === undefined) {
      id = names.length;
      ids.set(service, id);
      names.push(service);
    }
    if (counts[id] === 0) {
      counts[id] = 1;
      sums[id] = mins[id] = maxs[id] = latency;
    } else {
      counts[id] += 1;
      sums[id] += latency;
      if (latency < mins[id]) mins[id] = latency;
      if (latency > maxs[id]) maxs[id] = latency;
    }
  }
  fire();
  return rows;
}
