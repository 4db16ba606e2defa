// pondjs: fixed windows, grouped by key, that emit when they are discarded.
import pondjs from "pondjs";

const { EventOut, Pipeline, Stream, TimeEvent } = pondjs;
const SIZE = 10_000;

export function pond(events) {
  const rows = [];
  const stream = new Stream();
  const of = (field, reduce) => ({ [field]: reduce });
  Pipeline()
    .from(stream)
    .groupBy("service")
    .windowBy("10s")
    .emitOn("discard")
    .aggregate({
      service: of("service", pondjs.keep()),
      count: of("latency", pondjs.count()),
      sum: of("latency", pondjs.sum()),
      avg: of("latency", pondjs.avg()),
      min: of("latency", pondjs.min()),
      max: of("latency", pondjs.max()),
    })
    .asTimeRangeEvents()
    .to(EventOut, {}, (event) => {
      const start = Math.floor(event.begin().getTime() / SIZE) * SIZE;
      rows.push({ ...event.data().toJSON(), window_start: start, window_end: start + SIZE });
    });
  for (const { ts, service, latency } of events) stream.addEvent(new TimeEvent(ts, { service, latency }));
  stream.stop();
  return rows;
}
