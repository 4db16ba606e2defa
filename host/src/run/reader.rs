//! The reader thread: reads the input in blocks, ahead of the parser.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::input_block::InputBlock;
use super::tick_timer::TickTimer;
use crate::error::Error;
use crate::io::{Source, SourceRead};

/// Blocks that may wait for the parser.
const BLOCKS_AHEAD: usize = 4;

/// A message to the parser.
pub(super) enum ParserMessage {
    /// The next bytes of the current input.
    Block(InputBlock),
    /// The next input begins, with its name. The input before has ended.
    InputStart(String),
    /// All inputs have ended.
    EndOfInput,
    /// The current input cannot be read further.
    Failed(Error),
    /// From a shard: the time of the next tick has changed.
    TickChanged,
    /// From a [`StopHandle`](super::stop::StopHandle): no more input is needed.
    Stop,
    /// From the writer: it has ended, so no more input is needed.
    WriterEnded,
}

/// The parser's handle to the reader thread.
pub(super) struct InputReader {
    messages: Receiver<ParserMessage>,
    recycled: Sender<InputBlock>,
    /// Sends messages that do not come from the reader thread.
    to_parser: SyncSender<ParserMessage>,
}

/// The reason why the reader thread ends before the end of input.
enum ReadStop {
    /// The parser no longer receives.
    ParserEnded,
    Failed(Error),
}

impl From<Error> for ReadStop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl InputReader {
    /// Starts a thread that reads `source` and stores the bytes read in `bytes_read`.
    ///
    /// The thread ends with its input, or when this handle is dropped. It is never joined, because
    /// a read from a terminal or a pipe can block for any time.
    pub(super) fn start(
        mut source: Box<dyn Source>,
        bytes_read: Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        let (send, messages) = sync_channel(BLOCKS_AHEAD);
        let (recycled, reusable) = channel();
        let to_parser = send.clone();
        let thread = move || {
            let reading = || read_all(&mut *source, &bytes_read, &send, &reusable);
            let last = match catch_unwind(AssertUnwindSafe(reading)) {
                Ok(Ok(())) => ParserMessage::EndOfInput,
                Ok(Err(ReadStop::Failed(error))) => ParserMessage::Failed(error),
                Ok(Err(ReadStop::ParserEnded)) => return,
                // The parser waits for a message, so a panic must be one.
                Err(_) => ParserMessage::Failed(Error::Thread("reader")),
            };
            // The parser may have ended already.
            let _ = send.send(last);
        };
        thread::Builder::new()
            .name("reader".into())
            .spawn(thread)
            .map_err(|source| Error::ThreadStart { name: "reader", source })?;
        Ok(Self { messages, recycled, to_parser })
    }

    /// Returns the next message if there is one already.
    pub(super) fn try_next(&self) -> Option<ParserMessage> {
        self.messages.try_recv().ok()
    }

    /// Waits for the next message.
    pub(super) fn next(&self) -> ParserMessage {
        self.messages.recv().unwrap_or(ParserMessage::WriterEnded)
    }

    /// Waits for the next message for at most `timeout`; returns `None` if none arrived.
    pub(super) fn next_within(&self, timeout: Duration) -> Option<ParserMessage> {
        match self.messages.recv_timeout(timeout) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(ParserMessage::WriterEnded),
        }
    }

    /// Returns a timer that wakes the parser when the time of the next tick changes.
    pub(super) fn tick_timer(&self) -> TickTimer {
        let to_parser = self.to_parser.clone();
        // If the channel is full, the parser is not waiting and will read the time by itself.
        TickTimer::new(move || drop(to_parser.try_send(ParserMessage::TickChanged)))
    }

    /// Returns a function that wakes the parser when the run is stopped.
    pub(super) fn stop_waker(&self) -> impl Fn() + Send + use<> {
        let to_parser = self.to_parser.clone();
        // If the channel is full, the parser is not waiting and will see the request by itself.
        move || drop(to_parser.try_send(ParserMessage::Stop))
    }

    /// Returns a block to the reader thread, to be filled again.
    pub(super) fn recycle(&self, block: InputBlock) {
        // If the thread has ended, the block is dropped.
        let _ = self.recycled.send(block);
    }

    /// Returns a function that wakes the parser when the writer ends.
    pub(super) fn writer_ended_waker(&self) -> impl FnOnce() + Send + use<> {
        let to_parser = self.to_parser.clone();
        move || {
            // If the channel is full, the parser is not waiting. Its next send to the writer fails.
            let _ = to_parser.try_send(ParserMessage::WriterEnded);
        }
    }
}

/// Reads the whole source and sends its blocks to the parser.
fn read_all(
    source: &mut dyn Source,
    bytes_read: &AtomicU64,
    send: &SyncSender<ParserMessage>,
    reusable: &Receiver<InputBlock>,
) -> Result<(), ReadStop> {
    let deliver = |message| send.send(message).map_err(|_| ReadStop::ParserEnded);
    loop {
        let mut block = reusable.try_recv().unwrap_or_default();
        block.reset();
        let read = source.read(block.room());
        bytes_read.store(source.bytes_read(), Ordering::Relaxed);
        match read? {
            SourceRead::InputStart(name) => deliver(ParserMessage::InputStart(name))?,
            SourceRead::Text(bytes) => {
                block.add_filled(bytes);
                deliver(ParserMessage::Block(block))?;
            }
            SourceRead::End => return Ok(()),
        }
    }
}
