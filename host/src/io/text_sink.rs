//! The sink of text: rows as NDJSON or CSV.

use stream_processor_core::OutputSchema;
use stream_processor_core::spec::Delimiter;
use stream_processor_core::text::{EventWriter, Format, write_csv_header, write_rows};

use super::sink::{Sink, SinkRows};
use super::text_output::TextOutput;
use crate::error::Error;

/// Writes rows as lines of text.
///
/// A batch is durable when the operating system has its rows. They outlive this process, but not a
/// loss of power.
pub(crate) struct TextSink {
    output: TextOutput,
    format: Format,
    /// Writes events that pass, and keeps the CSV header they are read by.
    events: EventWriter,
    /// The last CSV header of an input.
    header: Option<Vec<u8>>,
    ended_batches: u64,
    durable_batches: u64,
}

impl TextSink {
    /// Creates a sink that writes rows in the format `to`. Events that pass come in the format
    /// `from`, with `delimiter` if they are CSV.
    pub(crate) fn new(
        output: TextOutput,
        from: Format,
        to: Format,
        delimiter: Option<Delimiter>,
    ) -> Self {
        Self {
            output,
            format: to,
            events: EventWriter::new(from, to).delimited_by(delimiter),
            header: None,
            ended_batches: 0,
            durable_batches: 0,
        }
    }
}

impl Sink for TextSink {
    fn name(&self) -> &str {
        self.output.name()
    }

    /// Writes the CSV header of the schema. Events that pass have the header of their input.
    fn begin(&mut self, schema: &OutputSchema) -> Result<(), Error> {
        match self.format {
            Format::Csv if schema.passes_events => Ok(()),
            Format::Csv => self.output.append(|out| write_csv_header(schema, out)),
            Format::Ndjson => Ok(()),
        }
    }

    fn begin_input(&mut self, header: &[u8]) -> Result<(), Error> {
        let before = self.header.replace(header.to_vec());
        if self.format == Format::Csv && before.is_some_and(|before| before != header) {
            return Err(Error::Headers);
        }
        let Self { output, events, .. } = self;
        output.append(|out| events.begin(header, out))
    }

    fn write(&mut self, rows: SinkRows<'_>) -> Result<(), Error> {
        let Self { output, format, events, .. } = self;
        match rows {
            SinkRows::Rows { schema, rows } => {
                output.append(|out| write_rows(*format, schema, rows, out))
            }
            SinkRows::Events(texts) => {
                output.append(|out| texts.iter().for_each(|text| events.write(text, out)))
            }
        }
    }

    fn end_batch(&mut self) -> Result<(), Error> {
        self.ended_batches += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.output.flush()?;
        self.durable_batches = self.ended_batches;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.output.finish()
    }

    fn durable_batches(&self) -> u64 {
        self.durable_batches
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::*;
    use crate::io::Output;

    /// Accepts no bytes.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink(writer: Box<dyn Write + Send>) -> TextSink {
        let output = Output::Writer("rows".into(), writer).open().unwrap();
        TextSink::new(output, Format::Csv, Format::Ndjson, None)
    }

    #[test]
    fn batch_is_durable_after_a_flush() {
        let mut sink = sink(Box::new(io::sink()));
        sink.end_batch().unwrap();
        sink.end_batch().unwrap();
        assert_eq!(sink.durable_batches(), 0);
        sink.flush().unwrap();
        assert_eq!(sink.durable_batches(), 2);
        sink.end_batch().unwrap();
        assert_eq!(sink.durable_batches(), 2);
    }

    #[test]
    fn batch_is_not_durable_after_a_flush_that_failed() {
        let mut sink = sink(Box::new(Full));
        sink.output.append(|out| out.push(b'\n')).unwrap();
        sink.end_batch().unwrap();
        assert!(sink.flush().is_err());
        assert_eq!(sink.durable_batches(), 0);
    }
}
