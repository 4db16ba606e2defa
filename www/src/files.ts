/** Input files: dropped anywhere on the page, or chosen in a dialog. */
import { byId } from "./dom.js";

/** The maximum size: a file is held in memory during its replay. */
const MAX_FILE_BYTES = 2 ** 30;

export interface OpenFile {
  name: string;
  bytes: Uint8Array;
}

/** Calls `onFile` with each file of the user, or `onError` if it cannot be read. */
export function acceptFiles(onFile: (file: OpenFile) => void, onError: (error: unknown) => void): void {
  const open = (file: File | undefined) => {
    if (file !== undefined) read(file).then(onFile).catch(onError);
  };
  const input = byId("file", HTMLInputElement);
  input.addEventListener("change", () => {
    open(input.files?.[0]);
    input.value = "";
  });
  const { body } = document;
  const mark = (over: boolean) => body.classList.toggle("dropping", over);
  body.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  body.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) mark(false);
  });
  body.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    open(event.dataTransfer?.files[0]);
  });
}

async function read(file: File): Promise<OpenFile> {
  if (file.size > MAX_FILE_BYTES) throw new Error(`${file.name} is larger than 1 GiB, which is what a tab should hold`);
  return { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) };
}
