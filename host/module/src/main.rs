//! `stream-processor-module IN.wasm OUT.cwasm`: compiles the module ahead of time, for the
//! processor of the machine that builds the host.

use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        eprintln!("usage: stream-processor-module IN.wasm OUT.cwasm");
        return ExitCode::from(2);
    };
    match precompile(input, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn precompile(input: &str, output: &str) -> Result<(), String> {
    let wasm = fs::read(input).map_err(|error| format!("cannot read {input}: {error}"))?;
    let precompiled = stream_processor_module::engine()
        .and_then(|engine| stream_processor_module::precompile(&engine, &wasm))
        .map_err(|error| format!("cannot compile {input}: {error:#}"))?;
    fs::write(output, precompiled).map_err(|error| format!("cannot write {output}: {error}"))
}
