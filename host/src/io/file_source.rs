//! A source that reads files one after another, decompressed.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compression::{self, Compression, CountingReader};
use super::source::{Position, Source, SourceRead};
use super::text_reader::{Fill, TextReader, too_short};
use crate::error::Error;

/// Reads files in order. Files that are compressed with gzip or zstd, by their name or their first
/// bytes, are decompressed.
///
/// [`Source::resume`] seeks in files that are not compressed. Compressed ones are decompressed up
/// to the position.
pub struct FileSource {
    paths: Vec<PathBuf>,
    /// The index of the open file, or of the next one while none is open.
    index: usize,
    /// The offset at which the next file is opened.
    start_bytes: u64,
    open: Option<TextReader>,
    bytes_read: Arc<AtomicU64>,
}

impl FileSource {
    /// Creates a source of `paths`. Opens no file.
    ///
    /// # Errors
    /// [`Error::Read`] if a file does not exist or is a folder.
    ///
    /// ```
    /// use stream_processor::connectors::{FileSource, Position, Source, SourceRead};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("events.ndjson");
    /// std::fs::write(&path, "{\"ts\": 1}\n{\"ts\": 2}\n")?;
    /// let mut source = FileSource::new(vec![path])?;
    /// source.resume(&Position::Text { input: 0, offset_bytes: 10 })?;
    /// let mut room = [0; 1024];
    /// assert!(matches!(source.read(&mut room)?, SourceRead::InputStart(_)));
    /// assert_eq!(source.read(&mut room)?, SourceRead::Text(10));
    /// assert_eq!(&room[..10], b"{\"ts\": 2}\n");
    /// assert_eq!(source.read(&mut room)?, SourceRead::End);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(paths: Vec<PathBuf>) -> Result<Self, Error> {
        for path in &paths {
            match fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => {
                    return Err(Error::read(name(path), io::ErrorKind::IsADirectory.into()));
                }
                Ok(_) => {}
                Err(error) => return Err(Error::read(name(path), error)),
            }
        }
        Ok(Self { paths, index: 0, start_bytes: 0, open: None, bytes_read: Arc::default() })
    }

    /// Ends the open file.
    fn next_file(&mut self) {
        self.open = None;
        self.index += 1;
        self.start_bytes = 0;
    }
}

impl Source for FileSource {
    fn read(&mut self, room: &mut [u8]) -> Result<SourceRead, Error> {
        while let Some(path) = self.paths.get(self.index) {
            let failed = |error| Error::read(name(path), error);
            let Some(open) = &mut self.open else {
                let opened = open(path, self.start_bytes, &self.bytes_read).map_err(failed)?;
                self.open = Some(opened);
                return Ok(SourceRead::InputStart(name(path)));
            };
            match open.read(room).map_err(failed)? {
                0 => self.next_file(),
                bytes => return Ok(SourceRead::Text(bytes)),
            }
        }
        Ok(SourceRead::End)
    }

    fn position(&self) -> Position {
        let open = self.open.as_ref();
        let offset_bytes = open.map_or(self.start_bytes, TextReader::offset_bytes);
        Position::Text { input: self.index, offset_bytes }
    }

    fn resume(&mut self, position: &Position) -> Result<(), Error> {
        let Position::Text { input, offset_bytes } = *position;
        // The position behind the last file is the end of the source.
        if input > self.paths.len() {
            return Err(Error::no_such_input("the files", input, self.paths.len()));
        }
        self.open = None;
        self.index = input;
        self.start_bytes = offset_bytes;
        Ok(())
    }

    fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

/// Returns the name of a file in messages.
fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Opens the file at `path` for text from `start_bytes` on. Reads add to `bytes_read`.
fn open(path: &Path, start_bytes: u64, bytes_read: &Arc<AtomicU64>) -> io::Result<TextReader> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let named = Compression::of_path(path);
    let compression = match named {
        Compression::None if metadata.is_file() => {
            let (compression, _) = compression::detected(&file)?;
            file.seek(SeekFrom::Start(0))?;
            compression
        }
        named => named,
    };
    let fill = if metadata.is_file() { Fill::WholeRoom } else { Fill::FirstBytes };
    let seeks = metadata.is_file() && compression == Compression::None && start_bytes > 0;
    if seeks {
        if metadata.len() < start_bytes {
            return Err(too_short(metadata.len(), start_bytes));
        }
        file.seek(SeekFrom::Start(start_bytes))?;
        bytes_read.fetch_add(start_bytes, Ordering::Relaxed);
    }
    let file = CountingReader { reader: file, bytes_read: Arc::clone(bytes_read) };
    let text = match compression {
        Compression::None if !metadata.is_file() => compression::decompressed_if_needed(file)?,
        compression => compression::decompressed(compression, file)?,
    };
    let mut reader = TextReader::new(text, fill, if seeks { start_bytes } else { 0 });
    reader.skip_to(start_bytes)?;
    Ok(reader)
}
