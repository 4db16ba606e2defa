/** The script of the worker thread in browsers. The build writes it. */
export const source: string;
