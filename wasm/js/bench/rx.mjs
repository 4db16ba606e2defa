// rxjs: a group for each key and window, which a change of the window closes.
import { from, groupBy, mergeMap, reduce, Subject } from "rxjs";

const SIZE = 10_000;

export function rx(events) {
  const rows = [];
  const events$ = new Subject();
  const ended$ = new Subject();
  events$
    .pipe(
      groupBy(({ service }) => service, { duration: () => ended$ }),
      mergeMap((group) => group.pipe(reduce(add, undefined))),
    )
    .subscribe(({ service, start, count, sum, min, max }) => {
      rows.push({ service, window_start: start, window_end: start + SIZE, count, sum, avg: sum / count, min, max });
    });
  let start = Number.NEGATIVE_INFINITY;
  from(events).subscribe((event) => {
    if (event.ts >= start + SIZE) {
      ended$.next();
      start = Math.floor(event.ts / SIZE) * SIZE;
    }
    events$.next(event);
  });
  events$.complete();
  return rows;
}

function add(state, { ts, service, latency }) {
  if (state === undefined) {
    return { service, start: Math.floor(ts / SIZE) * SIZE, count: 1, sum: latency, min: latency, max: latency };
  }
  state.count += 1;
  state.sum += latency;
  state.min = Math.min(state.min, latency);
  state.max = Math.max(state.max, latency);
  return state;
}
