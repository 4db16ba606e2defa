//! Prints the JSON Schema of the pipeline description.

fn main() {
    println!("{:#}", stream_processor_core::PipelineSpec::json_schema());
}
