/** Tests of the built page in Chromium. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { launch, openPage } from "./browser.mjs";
import { serve } from "./serve.mjs";

const www = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const FULL_SPEED = "11";
const DARK_PHONE = { viewport: { width: 390, height: 844 }, colorScheme: "dark" };

let server;
let browser;

before(async () => {
  server = await serve(www("dist"));
  browser = await launch();
});

after(async () => {
  await browser?.close();
  server?.close();
});

/** Runs `steps` in a new page; any error in the page fails the test. */
async function inPage(steps, options) {
  const { page, errors } = await openPage(browser, server.address, options);
  await state(page, "playing");
  await steps(page);
  assert.deepEqual(errors, []);
  await page.context().close();
}

const state = (page, name) => page.locator(`body[data-state=${name}]`).waitFor();
const counter = (page, name) => page.locator(`#count-${name}`).textContent();
const playToTheEnd = async (page) => {
  await page.getByRole("slider", { name: "Speed" }).fill(FULL_SPEED);
  await state(page, "finished");
};
const textbox = (page) => page.getByRole("textbox", { name: "Pipeline" });
const edit = (page, pipeline) =>
  textbox(page).fill(typeof pipeline === "string" ? pipeline : JSON.stringify(pipeline));
const apply = (page) => page.getByRole("button", { name: "Apply" }).click();

async function savedRows(page) {
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Save all rows" }).click(),
  ]);
  return readFile(await download.path(), "utf8");
}

test("the earthquakes give the same rows as in every runtime", () =>
  inPage(async (page) => {
    const vector = JSON.parse(await readFile(www("../tests/vectors/earthquakes.json"), "utf8"));
    await page.getByLabel("Last line first").uncheck();
    await edit(page, vector.spec);
    await apply(page);
    await playToTheEnd(page);
    assert.equal(await savedRows(page), vector.expected.rows);
    assert.equal(await counter(page, "events"), "1,707");
  }));

test("windows appear in the chart and in the table while the stream plays", () =>
  inPage(async (page) => {
    await page.locator("#rows tbody tr").nth(11).waitFor();
    await page.locator("#chart canvas").waitFor();
    assert.equal(await page.locator("body").getAttribute("data-state"), "playing");
    assert.match(await counter(page, "watermark"), /^2018-0\d-\d\d \d\d:\d\d/);
    await page.getByRole("button", { name: "Pause" }).click();
    await state(page, "paused");
    await page.getByRole("button", { name: "Play" }).click();
    await playToTheEnd(page);
    assert.equal(await page.locator("#chart .u-series").count(), 7);
    assert.deepEqual(countsOf(await savedRows(page)), await earthquakesPerSixHours());
    await page.screenshot({ path: www("screenshot.png"), fullPage: true });
  }));

function countsOf(rows) {
  const found = rows.trim().split("\n").map((line) => JSON.parse(line));
  return Object.fromEntries(found.map(({ key, window_start, count }) => [`${key} ${window_start}`, count]));
}

/** Counts independently of the page: the batches of its frames must not change the result. */
async function earthquakesPerSixHours() {
  const counts = {};
  for (const line of (await readFile(www("../tests/data/usgs/earthquakes_week.ndjson"), "utf8")).trim().split("\n")) {
    const { key, ts } = JSON.parse(line);
    const start = new Date(ts - (ts % 21_600_000)).toISOString().replace(".000Z", "Z");
    counts[`${key} ${start}`] = (counts[`${key} ${start}`] ?? 0) + 1;
  }
  return counts;
}

test("an invalid pipeline shows the error's place and the allowed values", () =>
  inPage(async (page) => {
    const stage = { type: "window", window: "tumbling", size: "1d" };
    const message = page.locator("#pipeline-message");
    await edit(page, { stages: [{ ...stage, agregations: ["count"] }] });
    assert.match(await message.textContent(), /stages\[0\]\.agregations.*did you mean aggregations/);
    assert.equal(await textbox(page).getAttribute("aria-invalid"), "true");
    assert.ok(await page.getByRole("button", { name: "Apply" }).isDisabled());
    await edit(page, '{"stages": [');
    assert.match(await message.textContent(), /^Not JSON yet/);
    await edit(page, { stages: [{ ...stage, aggregations: ["count"] }] });
    assert.match(await message.textContent(), /^Valid/);
    assert.equal(await textbox(page).getAttribute("aria-invalid"), "false");
  }));

test("the CSV stream plays through its own pipeline", () =>
  inPage(async (page) => {
    await page.getByRole("combobox", { name: "Stream" }).selectOption({ label: "CPU of a server, two weeks" });
    await page.locator("#about", { hasText: "CPU" }).waitFor();
    await playToTheEnd(page);
    assert.deepEqual([await counter(page, "events"), await counter(page, "rejected")], ["4,032", "0"]);
    const rows = (await savedRows(page)).trim().split("\n").map((line) => JSON.parse(line));
    assert.equal(rows.reduce((sum, row) => sum + row.count, 0), 4_032);
  }));

test("late events and invalid lines of the generated stream are counted", () =>
  inPage(async (page) => {
    await page.getByRole("combobox", { name: "Stream" }).selectOption({ index: 2 });
    await page.locator("#about", { hasText: "requests" }).waitFor();
    await playToTheEnd(page);
    const [events, late, rejected] = await Promise.all(
      ["events", "late", "rejected"].map(async (name) => Number((await counter(page, name)).replaceAll(",", ""))),
    );
    assert.equal(events + rejected, 200_000);
    assert.ok(late > 0 && rejected > 0);
    assert.equal(await page.locator("#note-rejected").textContent(), `invalid_json ${rejected}`);
  }));

test("a dropped NDJSON or CSV file gets a fitting pipeline", () =>
  inPage(async (page) => {
    const ndjson = '{"at": 1700000000, "city": "Bern", "kWh": 2.5}\n{"at": 1700000060, "city": "Bern", "kWh": 3.5}\n';
    await drop(page, "meters.ndjson", ndjson);
    await page.locator("#about", { hasText: "Your file" }).waitFor();
    await playToTheEnd(page);
    const row = (text) => ({ ...JSON.parse(text), window_start: null, window_end: null });
    const window = { window_start: null, window_end: null, count: 2, avg: 3, min: 2.5, max: 3.5 };
    assert.deepEqual(row(await savedRows(page)), { city: "Bern", ...window });
    await drop(page, "plain.csv", 'when it was,time,"k, W"\nhm,2023-11-14 22:13:20,2.5\nhm,2023-11-14 22:13:21,3.5\n');
    await page.locator("#stream option:checked", { hasText: "plain.csv" }).waitFor({ state: "attached" });
    await playToTheEnd(page);
    assert.deepEqual(row(await savedRows(page)), { "when it was": "hm", ...window });
  }));

async function drop(page, name, text) {
  const dataTransfer = await page.evaluateHandle(
    ([name, text]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], name));
      return transfer;
    },
    [name, text],
  );
  await page.dispatchEvent("body", "drop", { dataTransfer });
}

test("a file that the pipeline cannot read shows an error", () =>
  inPage(async (page) => {
    await page.locator("#file").setInputFiles({ name: "x.csv", mimeType: "text/csv", buffer: Buffer.from("ts,v\n1,2\n") });
    await state(page, "finished");
    await edit(page, {
      source: { format: "csv", value: "w" },
      stages: [{ type: "window", window: "tumbling", size: "1s", aggregations: ["sum"] }],
    });
    await apply(page);
    await state(page, "failed");
    assert.match(await page.locator("#pipeline-message").textContent(), /no column "w"; its columns are "ts", "v"/);
  }));

test("a narrow page in dark mode scrolls only vertically", () =>
  inPage(async (page) => {
    await page.locator("#chart canvas").waitFor();
    const [wide, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= width, `${wide} pixels of ${width}`);
  }, DARK_PHONE));
