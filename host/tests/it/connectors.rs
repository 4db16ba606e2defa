//! Sources and sinks as library users see them: reading from stored positions, and own
//! implementations in a run.

use std::fs;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

use stream_processor::connectors::{
    FileSource, Position, Sink, SinkRows, Source, SourceRead, StreamSource,
};
use stream_processor::schema::OutputSchema;
use stream_processor::spec::PipelineSpec;
use stream_processor::{Error, Input, Io, Output, Pipeline, Settings};
use tempfile::{TempDir, tempdir};

/// Returns the next text of `source` in a room of `room_bytes`, or `None` at its end. An input
/// start is `[name]`.
fn next(source: &mut dyn Source, room_bytes: usize) -> Option<String> {
    let mut room = vec![0; room_bytes];
    match source.read(&mut room).unwrap() {
        SourceRead::InputStart(name) => Some(format!("[{}]", name.rsplit('/').next().unwrap())),
        SourceRead::Text(bytes) => Some(String::from_utf8(room[..bytes].to_vec()).unwrap()),
        SourceRead::End => None,
        other => panic!("{other:?}"),
    }
}

/// Returns everything that is left in `source`.
fn rest(source: &mut dyn Source) -> String {
    std::iter::from_fn(|| next(source, 5)).collect()
}

/// Stores a position as text and loads it again.
fn stored(position: &Position) -> Position {
    serde_json::from_str(&serde_json::to_string(position).unwrap()).unwrap()
}

/// Creates a plain, a gzip and a zstd file.
fn files() -> (TempDir, Vec<PathBuf>) {
    let folder = tempdir().unwrap();
    let mut gzip = flate2::read::GzEncoder::new(&b"second file"[..], flate2::Compression::fast());
    let mut gzipped = Vec::new();
    gzip.read_to_end(&mut gzipped).unwrap();
    let zstd = zstd::stream::encode_all(&b"third file"[..], 1).unwrap();
    let files = [("1", b"first file".to_vec()), ("2.gz", gzipped), ("3.zst", zstd)];
    let paths = files.map(|(name, bytes)| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    });
    (folder, paths.to_vec())
}

const WHOLE: &str = "[1]first file[2.gz]second file[3.zst]third file";

#[test]
fn files_are_read_from_every_stored_position_to_their_end() {
    let (_folder, paths) = files();
    let mut source = FileSource::new(paths.clone()).unwrap();
    assert_eq!(source.position(), Position::START);
    let mut text = String::new();
    loop {
        let position = stored(&source.position());
        let mut resumed = FileSource::new(paths.clone()).unwrap();
        resumed.resume(&position).unwrap();
        assert_eq!(stored(&resumed.position()), position);
        let found = rest(&mut resumed);
        // A resumed source starts its input again.
        let Position::Text { input, offset_bytes } = position else { panic!("{position:?}") };
        let start = WHOLE.match_indices('[').nth(input).map_or(WHOLE.len(), |(at, _)| at);
        let name_len = WHOLE[start..].find(']').map_or(0, |end| end + 1);
        let (name, after) = WHOLE[start..].split_at(name_len);
        assert_eq!(found, name.to_owned() + &after[offset_bytes as usize..], "{position:?}");
        match next(&mut source, 3) {
            Some(more) => text += &more,
            None => break,
        }
    }
    assert_eq!(text, WHOLE);
}

#[test]
fn regular_file_fills_the_room() {
    let (_folder, paths) = files();
    let mut source = FileSource::new(paths.clone()).unwrap();
    let reads: Vec<_> = std::iter::from_fn(|| next(&mut source, 8)).collect();
    let expected =
        ["[1]", "first fi", "le", "[2.gz]", "second f", "ile", "[3.zst]", "third fi", "le"];
    assert_eq!(reads, expected);
    let len_bytes = paths.iter().map(|path| fs::metadata(path).unwrap().len());
    assert_eq!(source.bytes_read(), len_bytes.sum::<u64>(), "before decompression");
    assert_eq!(source.position(), Position::Text { input: 3, offset_bytes: 0 });
}

#[test]
fn stream_is_read_from_a_stored_position() {
    let stream = || StreamSource::new("events", Box::new(Cursor::new("some text")));
    let mut source = stream();
    assert_eq!(next(&mut source, 5).unwrap(), "[events]");
    assert_eq!(next(&mut source, 5).unwrap(), "some ");
    let position = stored(&source.position());
    assert_eq!(rest(&mut source), "text");
    let mut resumed = stream();
    resumed.resume(&position).unwrap();
    assert_eq!(resumed.position(), position);
    assert_eq!(rest(&mut resumed), "[events]text");
}

#[test]
fn position_that_does_not_exist_is_an_error() {
    let (_folder, paths) = files();
    for (input, message) in [
        (0, "it has 10 bytes of text, but the stored position is byte 99"),
        (1, "it has 11 bytes of text, but the stored position is byte 99"),
        (4, "the stored position is in input 4 (from 0), but there are 3 inputs"),
    ] {
        let mut source = FileSource::new(paths.clone()).unwrap();
        let resumed = source.resume(&Position::Text { input, offset_bytes: 99 });
        let error = resumed.and_then(|()| source.read(&mut [0; 8])).unwrap_err();
        assert_eq!(error.code(), "read_failed");
        assert!(error.to_string().ends_with(message), "{error}");
    }
    let mut stream = StreamSource::new("events", Box::new(Cursor::new("four")));
    stream.resume(&Position::Text { input: 0, offset_bytes: 5 }).unwrap();
    assert!(stream.read(&mut [0; 8]).is_err());
    assert!(stream.resume(&Position::Text { input: 1, offset_bytes: 0 }).is_err());
}

/// Returns the text in reads of the length of each piece, then fails if `fails`.
struct Pieces {
    pieces: Vec<&'static str>,
    next: usize,
    fails: bool,
}

impl Source for Pieces {
    fn read(&mut self, room: &mut [u8]) -> Result<SourceRead, Error> {
        self.next += 1;
        if self.next == 1 {
            return Ok(SourceRead::InputStart("pieces".into()));
        }
        let Some(piece) = self.pieces.get(self.next - 2) else {
            let source = std::io::ErrorKind::ConnectionReset.into();
            let error = Error::Read { name: "pieces".into(), source };
            return if self.fails { Err(error) } else { Ok(SourceRead::End) };
        };
        room[..piece.len()].copy_from_slice(piece.as_bytes());
        Ok(SourceRead::Text(piece.len()))
    }

    fn position(&self) -> Position {
        Position::START
    }

    fn resume(&mut self, _: &Position) -> Result<(), Error> {
        Ok(())
    }

    fn bytes_read(&self) -> u64 {
        self.pieces.iter().take(self.next.saturating_sub(1)).map(|piece| piece.len() as u64).sum()
    }
}

const EVENTS: [&str; 3] = ["{\"ts\": 0, \"v\"", ": 1}\n{\"ts\": 1000, ", "\"v\": 2}\n"];

/// A call that [`Collected`] receives.
#[derive(Debug, PartialEq)]
enum Received {
    Begin(usize),
    Rows(usize),
    Text(String),
    EndBatch,
    Flush,
}

struct Collected {
    send: Sender<Received>,
    ended: u64,
    durable: u64,
}

impl Collected {
    fn receive(&self, what: Received) -> Result<(), Error> {
        self.send.send(what).unwrap();
        Ok(())
    }
}

impl Sink for Collected {
    fn name(&self) -> &str {
        "collected"
    }

    fn begin(&mut self, schema: &OutputSchema) -> Result<(), Error> {
        self.receive(Received::Begin(schema.columns.len()))
    }

    fn write(&mut self, rows: SinkRows<'_>) -> Result<(), Error> {
        match rows {
            SinkRows::Rows { schema, rows } => {
                assert_eq!(schema.columns.len(), rows.columns.len());
                self.receive(Received::Rows(rows.len()))
            }
            SinkRows::Events(texts) => texts.iter().try_for_each(|text| {
                self.receive(Received::Text(String::from_utf8(text.to_vec()).unwrap()))
            }),
            _ => panic!("other rows"),
        }
    }

    fn end_batch(&mut self) -> Result<(), Error> {
        self.ended += 1;
        self.receive(Received::EndBatch)
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.durable = self.ended;
        self.receive(Received::Flush)
    }

    fn durable_batches(&self) -> u64 {
        self.durable
    }
}

/// Runs stages in TOML over `source`. Returns what the sink received, and the error's code.
fn run(stages: &str, source: Pieces) -> (Vec<Received>, Option<String>) {
    let (send, received) = channel();
    let io = Io {
        input: Input::Source(Box::new(source)),
        output: Output::Sink(Box::new(Collected { send, ended: 0, durable: 0 })),
        dead_letter: None,
        late: None,
    };
    let spec = PipelineSpec::from_toml(stages).unwrap();
    let ran = Pipeline::new(spec).unwrap().run(io, &Settings::default(), &mut ());
    (received.iter().collect(), ran.err().map(|failure| failure.error.code().to_owned()))
}

const WINDOW: &str = "[[stages]]\ntype = \"window\"\nwindow = \"tumbling\"\nsize = \"1s\"\naggregations = [\"count\"]\n";

fn pieces(fails: bool) -> Pieces {
    Pieces { pieces: EVENTS.to_vec(), next: 0, fails }
}

#[test]
fn run_reads_any_source_and_passes_rows_and_batches_to_any_sink() {
    let (received, error) = run(WINDOW, pieces(false));
    assert_eq!(error, None);
    assert_eq!(received[..2], [Received::Begin(3), Received::Flush]);
    let rows = received.iter().map(|what| if let Received::Rows(rows) = what { *rows } else { 0 });
    assert_eq!(rows.sum::<usize>(), 2);
    // A tick may flush at any time.
    let is_flush = |what: &&Received| **what == Received::Flush;
    let steps: Vec<&Received> = received.iter().filter(|what| !is_flush(what)).collect();
    assert_eq!(steps.last(), Some(&&Received::EndBatch));
    assert!(received.last().as_ref().is_some_and(is_flush));
}

#[test]
fn events_that_pass_reach_the_sink_as_text() {
    let filter =
        "[[stages]]\ntype = \"filter\"\nwhere = [{ field = \"v\", op = \">\", value = 1 }]\n";
    let (received, error) = run(filter, pieces(false));
    assert_eq!(error, None);
    let texts = received.iter().filter(|what| matches!(what, Received::Text(_)));
    let expected = Received::Text("{\"ts\": 1000, \"v\": 2}".into());
    assert_eq!(texts.collect::<Vec<_>>(), [&expected]);
}

#[test]
fn rows_before_a_failure_of_the_source_reach_the_sink() {
    let (received, error) = run(WINDOW, pieces(true));
    assert_eq!(error.as_deref(), Some("read_failed"));
    assert!(received.contains(&Received::Rows(1)), "the window before the last event fired");
    assert_eq!(received.last(), Some(&Received::Flush));
}

#[test]
fn sink_of_rows_takes_no_dead_letters() {
    let (send, _received) = channel();
    let io = Io {
        input: Input::Source(Box::new(pieces(false))),
        output: Output::Writer("rows".into(), Box::new(std::io::sink())),
        dead_letter: Some(Output::Sink(Box::new(Collected { send, ended: 0, durable: 0 }))),
        late: None,
    };
    let pipeline = Pipeline::new(PipelineSpec::from_toml(WINDOW).unwrap()).unwrap();
    let failure = pipeline.run(io, &Settings::default(), &mut ()).unwrap_err();
    assert_eq!(failure.error.code(), "write_failed");
    assert!(failure.to_string().starts_with("cannot write collected: this sink takes rows"));
}
