//! The thread that reads the input in blocks, ahead of the parser.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::alarm::Alarm;
use super::block::Block;
use super::input::{Part, Stream};
use crate::error::Error;

/// Blocks that may wait for the parser.
const BLOCKS_AHEAD: usize = 4;

/// What the parser receives.
pub(super) enum Fetched {
    /// The next bytes of the input under way.
    Block(Block),
    /// An input begins, with its name; the one before has ended.
    Input(String),
    /// All inputs have ended.
    End,
    /// The input cannot be read on.
    Failed(Error),
    /// Not from the input: a tick is due at another time than before.
    Alarm,
    /// Not from the input: the far end of the run has stopped, so no more is wanted.
    Stopped,
}

/// The parser's end of the thread.
pub(super) struct Fetcher {
    fetched: Receiver<Fetched>,
    used: Sender<Block>,
    stopper: SyncSender<Fetched>,
}

impl Fetcher {
    /// Starts to read `parts`. The thread ends with its input or with this value; nothing waits for it, since it may
    /// be held up by a terminal or a pipe.
    pub(super) fn start(parts: Vec<Part>, taken: Arc<AtomicU64>) -> Result<Self, Error> {
        let (send, fetched) = sync_channel(BLOCKS_AHEAD);
        let (used, reusable) = channel();
        let stopper = send.clone();
        let thread = move || {
            let fetching = || fetch_all(parts, &taken, &send, &reusable);
            let last = match catch_unwind(AssertUnwindSafe(fetching)) {
                Ok(Ok(())) => Fetched::End,
                Ok(Err(Some(error))) => Fetched::Failed(error),
                Ok(Err(None)) => return,
                // The parser waits and must hear of it.
                Err(_) => Fetched::Failed(Error::Thread("source")),
            };
            // Where nobody listens any more, nobody needs to know.
            let _ = send.send(last);
        };
        thread::Builder::new()
            .name("source".into())
            .spawn(thread)
            .map_err(|error| Error::read("the input", error))?;
        Ok(Self { fetched, used, stopper })
    }

    /// What comes next, if it is there already.
    pub(super) fn try_next(&self) -> Option<Fetched> {
        self.fetched.try_recv().ok()
    }

    /// Waits for what comes next.
    pub(super) fn next(&self) -> Fetched {
        self.fetched.recv().unwrap_or(Fetched::Stopped)
    }

    /// Waits for what comes next, so long at most; `None`: nothing came.
    pub(super) fn next_within(&self, patience: Duration) -> Option<Fetched> {
        match self.fetched.recv_timeout(patience) {
            Ok(fetched) => Some(fetched),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Fetched::Stopped),
        }
    }

    /// Something that wakes the parser when a tick is due at another time.
    pub(super) fn alarm(&self) -> Alarm {
        let wake = self.stopper.clone();
        // As for the stopper: a full channel means that the parser is not waiting.
        Alarm::new(move || drop(wake.try_send(Fetched::Alarm)))
    }

    /// Gives a block back to be filled again.
    pub(super) fn recycle(&self, block: Block) {
        // The thread may have ended; then the block is just dropped.
        let _ = self.used.send(block);
    }

    /// Something that wakes the parser when the far end of the run stops.
    pub(super) fn stopper(&self) -> impl FnOnce() + Send + use<> {
        let stopper = self.stopper.clone();
        move || {
            // A full channel means that the parser is not waiting; it will find out by itself.
            let _ = stopper.try_send(Fetched::Stopped);
        }
    }
}

/// Reads everything; `Err(None)`: nobody listens any more.
fn fetch_all(
    parts: Vec<Part>,
    taken: &Arc<AtomicU64>,
    send: &SyncSender<Fetched>,
    reusable: &Receiver<Block>,
) -> Result<(), Option<Error>> {
    for part in parts {
        let mut stream = part.open(taken)?;
        send.send(Fetched::Input(stream.name.clone())).map_err(|_| None)?;
        loop {
            let mut block = reusable.try_recv().unwrap_or_default();
            block.reset();
            let filled = fill(&mut stream, &mut block);
            if !block.is_empty() {
                send.send(Fetched::Block(block)).map_err(|_| None)?;
            }
            if filled.map_err(|error| Error::read(stream.name.clone(), error))? {
                break;
            }
        }
    }
    Ok(())
}

/// Fills `block` with what is there, or wholly where the stream never pauses; says whether the stream has ended.
fn fill(stream: &mut Stream, block: &mut Block) -> io::Result<bool> {
    loop {
        match stream.reader.read(block.room()) {
            Ok(0) => return Ok(true),
            Ok(bytes) => block.filled(bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if !stream.whole_blocks || block.room().is_empty() {
            return Ok(false);
        }
    }
}
