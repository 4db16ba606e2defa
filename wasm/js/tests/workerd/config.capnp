using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "worker", worker = (
      compatibilityDate = "2024-09-23",
      modules = [
        (name = "worker.js", esModule = embed "bundle/worker.js"),
        (name = "stream_processor.wasm", wasm = embed "bundle/stream_processor.wasm"),
      ],
    )),
    (name = "first_use", worker = (
      compatibilityDate = "2024-09-23",
      modules = [
        (name = "first_use.js", esModule = embed "bundle/first_use.js"),
        (name = "stream_processor.wasm", wasm = embed "bundle/stream_processor.wasm"),
      ],
    )),
  ],
);
