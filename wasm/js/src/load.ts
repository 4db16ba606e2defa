/** Loads the module once; processors share an instance of it, or have one of their own. */
import { StreamProcessorError } from "./error.js";
import { ModuleInstance } from "./instance.js";
import { cannotLoad, compiled, type CompiledModule, type Location, type ModuleSource } from "./source.js";

/** Loads the module unless it is already loaded. The default source is the package's own file. */
export type Init = (source?: ModuleSource | Promise<ModuleSource>) => Promise<void>;

let loaded: { readonly module: CompiledModule; readonly shared: ModuleInstance } | undefined;
let loading: Promise<void> | undefined;

/** Returns an `init` function that finds the module at `location`. */
export function initWith(location: Location): Init {
  return (source) => {
    if (loaded === undefined && loading === undefined) {
      loading = load(location, source).finally(() => {
        loading = undefined;
      });
      return loading;
    }
    // The module is loaded or loading, so this source is unused: ignore its failure.
    Promise.resolve(source).catch(() => {});
    return loading ?? Promise.resolve();
  };
}

/** Loads the module synchronously, from a compiled module or from bytes. */
export function initSync(source: CompiledModule | ArrayBuffer | ArrayBufferView): void {
  if (loaded !== undefined) return;
  try {
    const module = source instanceof WebAssembly.Module ? source : new WebAssembly.Module(source as BufferSource);
    loaded = { module, shared: new ModuleInstance(module) };
  } catch (cause) {
    throw cannotLoad(cause);
  }
}

async function load(location: Location, source?: ModuleSource | Promise<ModuleSource>): Promise<void> {
  initSync(await compiled(location, source));
}

function module(): NonNullable<typeof loaded> {
  if (loaded !== undefined) return loaded;
  throw new StreamProcessorError("not_initialized", "the module is not loaded yet: `await init()` first");
}

/** Returns the instance that processors share. */
export function sharedInstance(): ModuleInstance {
  return module().shared;
}

/** Returns a new instance, for one processor. */
export function newInstance(): ModuleInstance {
  return new ModuleInstance(module().module);
}
