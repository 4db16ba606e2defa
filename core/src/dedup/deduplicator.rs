//! Deduplication for callers whose own work may fail: an identity is pending until that is known.

use super::exact::Exact;
use crate::data::batch::{Identity, NO_IDENTITY};
use crate::spec::SpecError;

/// Identities that a [`Deduplicator`] may hold at most, whatever its options say.
const MAX_ENTRIES: u32 = 1 << 31;

/// What a [`Deduplicator`] is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeduplicatorOptions {
    /// How long after it was first seen an identity is a duplicate, microseconds; `None`: for good.
    pub ttl_us: Option<i64>,
    /// How long an identity waits for [`Deduplicator::confirm`] or [`Deduplicator::release`], microseconds: a caller that
    /// crashed holds it no longer than that.
    pub pending_timeout_us: i64,
    /// Identities at most, pending ones among them. Where there would be more, the one that was confirmed before all others
    /// goes; pending ones stay.
    pub max_entries: u32,
    /// What the table is mixed with, so that nobody can choose identities that collide. It never shows in results.
    pub seed: u64,
}

impl Default for DeduplicatorOptions {
    /// For good, one minute to confirm, ten million identities.
    fn default() -> Self {
        Self { ttl_us: None, pending_timeout_us: 60_000_000, max_entries: 10_000_000, seed: 0 }
    }
}

/// What [`Deduplicator::check`] says of an identity.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Check {
    /// It is new, and pending from now on: give the token to [`Deduplicator::confirm`] or [`Deduplicator::release`].
    New(Token),
    /// It was confirmed before.
    Duplicate,
    /// Somebody else has its token, and has not said yet how it went.
    Pending,
    /// It is new, but the table is full of pending ones. Nothing was noted.
    Full,
    /// It is [`NO_IDENTITY`]. Nothing was noted.
    Unidentified,
}

/// The right to say how it went with an identity, once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an identity is pending until its token is given back, or its time is over"]
pub struct Token {
    identity: Identity,
    /// When it was first seen. With the identity this tells tokens apart: time only goes on, and an identity is not pending
    /// twice within its time but for those who gave the token back.
    since: i64,
}

impl Token {
    /// The identity it is for.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

/// What happened in a [`Deduplicator`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeduplicatorStats {
    /// Identities that are confirmed.
    pub confirmed: u64,
    /// Identities that are pending.
    pub pending: u64,
    /// Checks that found a duplicate.
    pub duplicates: u64,
    /// Identities whose time to be confirmed was over.
    pub timed_out: u64,
    /// Confirmed identities that went because of `max_entries`.
    pub evicted: u64,
    /// Checks that found the table full of pending identities.
    pub full: u64,
}

/// Tells whether an event came before, for callers that pass it on to something that may fail.
///
/// ```
/// use stream_processor_core::dedup::{Check, Deduplicator, DeduplicatorOptions};
///
/// let hour = 3_600_000_000;
/// let options = DeduplicatorOptions { ttl_us: Some(hour), ..DeduplicatorOptions::default() };
/// let mut seen = Deduplicator::new(options)?;
/// let order = [17, 4];
///
/// let Check::New(token) = seen.check(order, 0) else { panic!("nothing came before") };
/// assert_eq!(seen.check(order, 1), Check::Pending);
/// // It could not be stored: as if it had never come.
/// seen.release(token);
///
/// let Check::New(token) = seen.check(order, 2) else { panic!("it was released") };
/// assert!(seen.confirm(token, 3));
/// assert_eq!(seen.check(order, 4), Check::Duplicate);
/// // An hour after it was first seen it is forgotten.
/// assert!(matches!(seen.check(order, hour + 2), Check::New(_)));
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
///
/// Times are microseconds. A time before an earlier one counts as that one.
#[derive(Debug)]
pub struct Deduplicator {
    pub(super) options: DeduplicatorOptions,
    pub(super) confirmed: Exact,
    pub(super) pending: Exact,
    max_entries: usize,
    pub(super) now: i64,
    pub(super) duplicates: u64,
    pub(super) timed_out: u64,
    pub(super) full: u64,
}

impl Deduplicator {
    /// Holds nothing yet.
    ///
    /// # Errors
    /// An option is out of its range.
    pub fn new(options: DeduplicatorOptions) -> Result<Self, SpecError> {
        let DeduplicatorOptions { ttl_us, pending_timeout_us, max_entries, seed } = options;
        if ttl_us.is_some_and(|ttl| ttl <= 0) {
            return Err(SpecError::new(
                "ttl_us",
                "must be longer than 0; `None` remembers for good",
            ));
        }
        if pending_timeout_us <= 0 {
            return Err(SpecError::new("pending_timeout_us", "must be longer than 0"));
        }
        if !(1..=MAX_ENTRIES).contains(&max_entries) {
            return Err(SpecError::new("max_entries", "must be 1 to 2147483648"));
        }
        Ok(Self {
            options,
            confirmed: Exact::new(ttl_us, false, max_entries, seed),
            pending: Exact::new(Some(pending_timeout_us), false, max_entries, seed),
            max_entries: max_entries as usize,
            now: i64::MIN,
            duplicates: 0,
            timed_out: 0,
            full: 0,
        })
    }

    /// What is known of `identity` at `now`. A new one is pending from then on.
    pub fn check(&mut self, identity: Identity, now: i64) -> Check {
        self.move_to(now);
        if identity == NO_IDENTITY {
            return Check::Unidentified;
        }
        if self.confirmed.since(identity).is_some() {
            self.duplicates += 1;
            return Check::Duplicate;
        }
        if self.pending.since(identity).is_some() {
            return Check::Pending;
        }
        if !self.make_room() {
            self.full += 1;
            return Check::Full;
        }
        self.pending.restore(identity, self.now);
        Check::New(Token { identity, since: self.now })
    }

    /// It went well: from now on the identity is a duplicate, until the ttl is over since it was first seen.
    ///
    /// A token whose time is over confirms as well, if nobody has checked the identity since and there is room. False: it
    /// changed nothing, and the event may have been passed on twice.
    pub fn confirm(&mut self, token: Token, now: i64) -> bool {
        self.move_to(now);
        let Token { identity, since } = token;
        let held = self.pending.since(identity);
        if held == Some(since) {
            self.pending.forget(identity);
        } else if held.is_some() || self.confirmed.since(identity).is_some() || !self.make_room() {
            return false;
        }
        self.confirmed.restore(identity, since);
        self.forget_what_is_over();
        true
    }

    /// It failed: as if the identity had never come. Does nothing if the token's time is over.
    pub fn release(&mut self, token: Token) {
        if self.pending.since(token.identity) == Some(token.since) {
            self.pending.forget(token.identity);
        }
    }

    /// What happened, as of the last time that was given.
    #[must_use]
    pub fn stats(&self) -> DeduplicatorStats {
        DeduplicatorStats {
            confirmed: self.confirmed.len() as u64,
            pending: self.pending.len() as u64,
            duplicates: self.duplicates,
            timed_out: self.timed_out,
            evicted: self.confirmed.evicted(),
            full: self.full,
        }
    }

    fn move_to(&mut self, now: i64) {
        self.now = self.now.max(now);
        self.forget_what_is_over();
    }

    fn forget_what_is_over(&mut self) {
        let pending = self.pending.len();
        self.pending.expire(self.now);
        self.timed_out += (pending - self.pending.len()) as u64;
        self.confirmed.expire(self.now);
        self.pending.tidy();
        self.confirmed.tidy();
    }

    /// Makes room for one more; false: all are pending.
    fn make_room(&mut self) -> bool {
        self.confirmed.len() + self.pending.len() < self.max_entries || self.confirmed.evict()
    }
}
