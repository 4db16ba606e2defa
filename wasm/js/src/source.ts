/** Compiles the module from its source: an address, a response, bytes or a compiled module. */
import { describe, messageOf, StreamProcessorError } from "./error.js";

/**
 * `WebAssembly.Module` if the program's type libraries declare it; those of Node.js alone do not.
 */
export type CompiledModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer M } } } ? M : object;

/** The source of the module: its URL, a response, its bytes, or a compiled module. */
export type ModuleSource = string | URL | Response | ArrayBuffer | ArrayBufferView | CompiledModule;

/** How an entry of the package finds the module if the program names no source. */
export interface Location {
  /** Returns the default source. */
  readonly locate: () => ModuleSource | Promise<ModuleSource>;
  /** Reads a `file:` address; absent where files cannot be read. */
  readonly readFile?: (url: URL) => Promise<Uint8Array>;
}

/** What to do if the module is not at its address. */
const HELP = 'import from "stream-processor/inline", which contains the module, or give its address: init("/stream_processor.wasm")';
const MAGIC = [0x00, 0x61, 0x73, 0x6d];

/** Compiles the module from `source`, or from the default source. Throws `module_not_loaded`. */
export async function compiled(location: Location, source?: ModuleSource | Promise<ModuleSource>): Promise<CompiledModule> {
  try {
    return await compile(await (source === undefined ? location.locate() : source), location.readFile);
  } catch (cause) {
    throw cannotLoad(cause);
  }
}

async function compile(source: ModuleSource, readFile: Location["readFile"]): Promise<CompiledModule> {
  if (typeof source === "string" || source instanceof URL) return compile(await read(source, readFile), readFile);
  adopt(source);
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return WebAssembly.compile(source as BufferSource);
  }
  if (typeof (source as Partial<Response> | null)?.arrayBuffer !== "function") {
    throw new TypeError(`expected an address, a Response, bytes or a WebAssembly.Module, but got ${describe(source)}`);
  }
  const from = source.url || "the response";
  if (!source.ok) throw new Error(`${from}: HTTP status ${source.status}; ${HELP}`);
  // compileStreaming requires this type; some servers send another one.
  if (source.headers.get("content-type") === "application/wasm") return WebAssembly.compileStreaming(source);
  const bytes = await source.arrayBuffer();
  checkMagic(bytes, from);
  return WebAssembly.compile(bytes);
}

/**
 * Makes a compiled module of another realm an instance of this realm's `WebAssembly.Module`. The edge
 * runtime of Next.js compiles modules outside of the realm of its handlers.
 */
function adopt(source: object): void {
  const isModule = Object.prototype.toString.call(source) === "[object WebAssembly.Module]";
  if (isModule && !(source instanceof WebAssembly.Module)) Object.setPrototypeOf(source, WebAssembly.Module.prototype);
}

/** Fetches an address, or reads it if it is a file. */
async function read(address: string | URL, readFile: Location["readFile"]): Promise<ModuleSource> {
  const url = String(address);
  if (url.startsWith("file:")) {
    if (readFile === undefined) throw new Error(`${url}: a file cannot be fetched here; ${HELP}`);
    return readFile(new URL(url));
  }
  try {
    return await fetch(url);
  } catch (cause) {
    throw new Error(`${url}: ${messageOf(cause)}; ${HELP}`, { cause });
  }
}

/** Throws unless the bytes begin as a module does; servers of applications often answer with HTML. */
function checkMagic(body: ArrayBuffer, from: string): void {
  const bytes = new Uint8Array(body);
  if (MAGIC.every((byte, index) => bytes[index] === byte)) return;
  const start = new TextDecoder().decode(bytes.subarray(0, 100)).trimStart();
  const found = bytes.length === 0 ? "nothing" : start.startsWith("<") ? "an HTML page" : describe(start.slice(0, 40));
  throw new Error(`${from}: ${found} instead of a module; ${HELP}`);
}

/** Returns the error of a module that cannot be loaded. */
export function cannotLoad(cause: unknown): StreamProcessorError {
  const why = messageOf(cause);
  const help = why.includes("unsafe-eval") ? "; add 'wasm-unsafe-eval' to script-src of the Content-Security-Policy" : "";
  return new StreamProcessorError("module_not_loaded", `cannot load stream_processor.wasm: ${why}${help}`, { cause });
}
