/** Formats numbers and times for display; times are UTC. */

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const PRECISE = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });

export const whole = (value: number): string => WHOLE.format(value);
export const precise = (value: number): string => PRECISE.format(value);
export const short = (value: number): string => SHORT.format(value);

/** Formats a time as `2018-01-31 18:00`; seconds and fractions only if they are not zero. */
export function moment(time: string): string {
  return time.replace("T", " ").replace(/(:00)?Z$/, "");
}

/** Formats milliseconds since the epoch in the same way. */
export function momentOfMs(ms: number): string {
  return moment(new Date(ms).toISOString().replace(".000Z", "Z"));
}

const DAY_S = 86_400;

/** Formats the labels of a time axis with ticks `step` seconds apart. */
export function ticks(seconds: readonly number[], step: number): string[] {
  return seconds.map((time) => {
    const [date = "", clock = ""] = new Date(time * 1_000).toISOString().split("T");
    if (step >= DAY_S || time % DAY_S === 0) return step >= 28 * DAY_S ? date.slice(0, 7) : date.slice(5);
    return clock.slice(0, step % 60 === 0 ? 5 : 8);
  });
}
