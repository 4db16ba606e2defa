/** The page: connects the controls, the pipeline's editor and the views to a player. */
import { init, type PipelineSpec, type Row } from "stream-processor";

import "./style.css";
import { Chart } from "./chart.js";
import { Controls } from "./controls.js";
import { showCounters } from "./counters.js";
import { byId } from "./dom.js";
import { Editor } from "./editor.js";
import { acceptFiles } from "./files.js";
import { whole } from "./format.js";
import { guess } from "./guess.js";
import { fieldsOf } from "./pipeline.js";
import { Player } from "./player.js";
import { RowStore } from "./rows.js";
import { Run } from "./run.js";
import { STREAMS, type Stream } from "./streams.js";
import { Table } from "./table.js";

const chart = new Chart(byId("chart", HTMLElement));
const table = new Table(byId("rows", HTMLTableElement));
const column = byId("column", HTMLSelectElement);
const player = new Player({ onRows: show, onError: fail, onState: showState });
const editor = new Editor((next) => {
  pipeline = next;
  restart();
});
const controls = new Controls(STREAMS, {
  onStream: (stream) => void choose(stream).catch(fail),
  onSpeed: (eventsPerSecond) => (player.eventsPerSecond = eventsPerSecond),
  onToggle: () => (player.playing ? player.pause() : run?.active === true ? player.play() : restart()),
  onRestart: restart,
  onSave: () => run?.savedRows(),
});

let chosen: Stream | undefined;
let bytes: Uint8Array = new Uint8Array();
let pipeline: PipelineSpec = { stages: [] };
let run: Run | undefined;
let rows = new RowStore(fieldsOf(pipeline));
let failed = false;

/** Loads a stream and plays it through its own pipeline. */
async function choose(stream: Stream): Promise<void> {
  stop();
  chosen = stream;
  const [loaded] = await Promise.all([stream.bytes(), init()]);
  // The user may have selected another stream meanwhile.
  if (chosen !== stream) return;
  bytes = loaded;
  pipeline = stream.pipeline;
  editor.show(pipeline);
  controls.show(stream);
  restart();
}

/** Plays the stream from its start. */
function restart(): void {
  stop();
  rows = new RowStore(fieldsOf(pipeline));
  chart.clear();
  try {
    run = new Run(pipeline, bytes, { lastLineFirst: controls.lastLineFirst });
    player.start(run);
  } catch (error) {
    fail(error);
  }
  show([]);
}

function stop(): void {
  player.stop();
  run = undefined;
  failed = false;
}

function fail(error: unknown): void {
  failed = true;
  editor.showError(error);
  showState();
}

/** Shows the results of a frame. */
function show(fresh: Row[]): void {
  if (run === undefined) return;
  showCounters(run.stats(), run.eventsPerSecond);
  controls.showProgress(run.progress);
  if (fresh.length === 0 && rows.keys > 0 && run.active) return;
  rows.add(fresh);
  showColumns();
  table.show(rows);
  showChart();
}

function showChart(): void {
  const { times, lines } = rows.lines(column.value);
  if (times.length > 0) chart.show({ times, lines }, column.value);
  const empty = byId("empty", HTMLElement);
  empty.hidden = times.length > 0;
  empty.textContent = run?.active === false ? "There are no rows to draw." : "The first window has not closed yet.";
  byId("keys", HTMLElement).textContent =
    rows.keys > lines.length ? `busiest ${lines.length} of ${whole(rows.keys)}` : "";
}

/** Updates the choice of drawable columns; keeps the selected column if it still exists. */
function showColumns(): void {
  const names = rows.columns;
  const before = column.value;
  if ([...column.options].map(({ value }) => value).join() === names.join()) return;
  column.replaceChildren(...names.map((name) => new Option(name, name, false, name === before)));
}

function showState(): void {
  if (failed) controls.showState("failed", "Stopped: see the message at the pipeline.");
  else if (player.playing) controls.showState("playing", "Playing");
  else if (run?.active === true) controls.showState("paused", "Paused");
  else if (run !== undefined) controls.showState("finished", `Finished: ${whole(run.stats().rows)} rows`);
}

column.addEventListener("change", showChart);
acceptFiles((file) => {
  const stream = {
    name: file.name,
    about: "Your file. It stays in this tab. The pipeline is a guess from its first lines: make it yours.",
    pipeline: guess(file.bytes, file.name),
    lastLineFirst: false,
    eventsPerSecond: 1_000,
    bytes: () => Promise.resolve(file.bytes),
  };
  controls.add(stream);
  void choose(stream).catch(fail);
}, fail);
void choose(STREAMS[0] as Stream).catch(fail);
