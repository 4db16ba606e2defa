//! The pipelines of `tests/vectors`, with their input.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stream_processor_core::{Engine, Options, PipelineSpec};

/// Maximum bytes of input that a seed or a check uses: a few hundred events.
const INPUT_BYTES: usize = 8_000;

/// A pipeline and text for it.
pub struct Pipeline {
    pub name: String,
    pub spec: PipelineSpec,
    pub is_csv: bool,
    /// Whole lines of the vector's input.
    pub input: Vec<u8>,
}

impl Pipeline {
    /// Returns the options of the engines that can run the pipeline.
    pub fn roles(&self) -> Vec<Options> {
        let edge = Options { emits_partials: true, ..Options::default() };
        let roles = [Options::default(), edge].into_iter();
        roles.filter(|options| Engine::open(&self.spec, *options).is_ok()).collect()
    }
}

/// Returns the first lines of `text`, of about `length` bytes.
pub fn lines(text: &[u8], length: usize) -> &[u8] {
    let end = text.iter().skip(length).position(|byte| *byte == b'\n');
    &text[..end.map_or(text.len(), |end| length + end + 1)]
}

/// Returns the pipelines of all vectors: first as they are, then with small limits that evict.
pub fn all() -> Vec<Pipeline> {
    let vectors = vectors();
    let as_they_are = vectors.iter().map(|(name, vector)| pipeline(name, vector, &Value::Null));
    let limits = json!({
        "max_keys": 3, "on_max_keys": "evict",
        "max_windows_per_key": 6, "on_max_windows_per_key": "evict",
        "max_state_bytes": 20_000, "on_max_state_bytes": "evict",
        "max_result_rows": 2, "max_fill_points": 100,
    });
    let limited = vectors.iter().map(|(name, vector)| pipeline(name, vector, &limits));
    as_they_are.chain(limited).flatten().collect()
}

/// Returns the vectors in the order of their names.
fn vectors() -> Vec<(String, Value)> {
    let folder = tests().join("vectors");
    let files = std::fs::read_dir(&folder).expect("tests/vectors").flatten();
    let mut files: Vec<_> = files.map(|file| file.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "json"));
    files.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read(path).expect("a vector");
        (name, serde_json::from_slice(&text).expect("a vector is JSON"))
    };
    files.iter().map(read).collect()
}

/// Returns the pipeline of `vector` with `limits`; `None` if it cannot have them.
fn pipeline(name: &str, vector: &Value, limits: &Value) -> Option<Pipeline> {
    let mut spec = vector["spec"].clone();
    for (option, value) in limits.as_object().into_iter().flatten() {
        spec["limits"][option] = value.clone();
    }
    let input = match vector["input"]["file"].as_str() {
        Some(file) => std::fs::read(tests().join(file)).expect("the input of a vector"),
        None => vector["input"]["text"].as_str().unwrap_or_default().into(),
    };
    let line_ends = input.iter().take(INPUT_BYTES).rposition(|byte| *byte == b'\n');
    let input = input[..line_ends.map_or(0, |end| end + 1)].to_vec();
    let is_csv = spec["source"]["format"] == "csv";
    let spec = PipelineSpec::from_value(spec).ok()?;
    Some(Pipeline { name: name.to_owned(), spec, is_csv, input })
}

/// Returns the folder `tests` of the repository.
fn tests() -> PathBuf {
    let above =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("tests"));
    above.into_iter().find(|tests| tests.join("vectors").is_dir()).expect("tests/vectors")
}
