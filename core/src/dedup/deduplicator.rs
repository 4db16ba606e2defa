//! Deduplication in two phases, for callers whose own work may fail: an identity is pending until
//! it is confirmed or released.

use super::exact_set::ExactSet;
use crate::data::batch::{Identity, NO_IDENTITY};
use crate::spec::SpecError;

/// Maximum of `max_entries`.
const MAX_ENTRIES: u32 = 1 << 31;

/// Options of a [`Deduplicator`].
/// ```
/// use stream_processor_core::dedup::DeduplicatorOptions;
/// let options = DeduplicatorOptions { ttl_us: Some(3_600_000_000), ..DeduplicatorOptions::default() };
/// # assert_eq!(options.ttl_us, Some(3_600_000_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeduplicatorOptions {
    /// Time after the first check during which an identity is a duplicate, microseconds. `None`
    /// never expires.
    pub ttl_us: Option<i64>,
    /// Time an identity stays pending without [`Deduplicator::confirm`] or
    /// [`Deduplicator::release`], microseconds. It bounds how long a crashed caller blocks an
    /// identity.
    pub pending_timeout_us: i64,
    /// Maximum number of identities, pending ones included. At the limit the identity that was
    /// confirmed first is evicted; pending ones are never evicted.
    pub max_entries: u32,
    /// Seed of the hash table, against chosen collisions. It does not affect results.
    pub seed: u64,
}

impl Default for DeduplicatorOptions {
    /// No expiry, one minute to confirm, ten million identities.
    fn default() -> Self {
        Self { ttl_us: None, pending_timeout_us: 60_000_000, max_entries: 10_000_000, seed: 0 }
    }
}

/// Result of [`Deduplicator::check`].
/// ```
/// use stream_processor_core::dedup::{Check, Deduplicator, DeduplicatorOptions};
/// let mut seen = Deduplicator::new(DeduplicatorOptions::default())?;
/// assert!(matches!(seen.check([17, 4], 0), Check::New(_)));
/// assert_eq!(seen.check([17, 4], 1), Check::Pending);
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Check {
    /// New, and pending from now on. Pass the token to [`Deduplicator::confirm`] or
    /// [`Deduplicator::release`].
    New(Token),
    /// Confirmed before.
    Duplicate,
    /// Another caller holds its token and has not confirmed or released it yet.
    Pending,
    /// New, but all entries are pending ones. Nothing was recorded.
    Full,
    /// The identity is [`NO_IDENTITY`]. Nothing was recorded.
    Unidentified,
}

/// The right to confirm or release an identity, once.
/// ```
/// use stream_processor_core::dedup::{Check, Deduplicator, DeduplicatorOptions};
/// let mut seen = Deduplicator::new(DeduplicatorOptions::default())?;
/// let Check::New(token) = seen.check([17, 4], 0) else { panic!("nothing came before") };
/// assert_eq!(token.identity(), [17, 4]);
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an identity is pending until its token is given back, or its time is over"]
pub struct Token {
    identity: Identity,
    /// Time of the first check. Together with the identity it distinguishes tokens. Time does not
    /// decrease, and an identity becomes pending again at the same time only if its token was given
    /// back.
    since: i64,
}

impl Token {
    /// Returns the identity of the token.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }
}

/// Counters of a [`Deduplicator`].
/// ```
/// use stream_processor_core::dedup::{Check, Deduplicator, DeduplicatorOptions};
/// let mut seen = Deduplicator::new(DeduplicatorOptions::default())?;
/// let _ = seen.check([17, 4], 0);
/// assert_eq!(seen.stats().pending, 1);
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeduplicatorStats {
    /// Number of confirmed identities.
    pub confirmed: u64,
    /// Number of pending identities.
    pub pending: u64,
    /// Checks that found a duplicate.
    pub duplicates: u64,
    /// Pending identities that timed out.
    pub timed_out: u64,
    /// Confirmed identities evicted because of `max_entries`.
    pub evicted: u64,
    /// Checks that found all entries pending.
    pub full: u64,
}

/// Deduplicates events for callers that pass them on to something that may fail.
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
/// // Storing it failed: release it, as if it had never been checked.
/// seen.release(token);
///
/// let Check::New(token) = seen.check(order, 2) else { panic!("it was released") };
/// assert!(seen.confirm(token, 3));
/// assert_eq!(seen.check(order, 4), Check::Duplicate);
/// // It expires an hour after the first check.
/// assert!(matches!(seen.check(order, hour + 2), Check::New(_)));
/// # Ok::<(), stream_processor_core::SpecError>(())
/// ```
///
/// Times are microseconds. A time earlier than a previous one counts as the previous one.
#[derive(Debug)]
pub struct Deduplicator {
    pub(super) options: DeduplicatorOptions,
    pub(super) confirmed: ExactSet,
    pub(super) pending: ExactSet,
    max_entries: usize,
    pub(super) now: i64,
    pub(super) duplicates: u64,
    pub(super) timed_out: u64,
    pub(super) full: u64,
}

impl Deduplicator {
    /// Makes an empty deduplicator.
    ///
    /// # Errors
    /// Returns an error if an option is out of range.
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
            confirmed: ExactSet::new(ttl_us, false, max_entries, seed),
            pending: ExactSet::new(Some(pending_timeout_us), false, max_entries, seed),
            max_entries: max_entries as usize,
            now: i64::MIN,
            duplicates: 0,
            timed_out: 0,
            full: 0,
        })
    }

    /// Looks up `identity` at `now`, microseconds. A new identity becomes pending.
    pub fn check(&mut self, identity: Identity, now: i64) -> Check {
        self.advance(now);
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

    /// Confirms an identity: it is a duplicate until the ttl has passed since its first check.
    ///
    /// A token that has timed out still confirms, if the identity was not checked since and there
    /// is room. Returns false if nothing changed; the event may then have been passed on twice.
    pub fn confirm(&mut self, token: Token, now: i64) -> bool {
        self.advance(now);
        let Token { identity, since } = token;
        let held = self.pending.since(identity);
        if held == Some(since) {
            self.pending.remove(identity);
        } else if held.is_some() || self.confirmed.since(identity).is_some() || !self.make_room() {
            return false;
        }
        self.confirmed.restore(identity, since);
        self.expire();
        true
    }

    /// Releases an identity, as if it had never been checked. Does nothing if the token has timed
    /// out.
    pub fn release(&mut self, token: Token) {
        if self.pending.since(token.identity) == Some(token.since) {
            self.pending.remove(token.identity);
        }
    }

    /// Returns the counters as of the latest time given.
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

    /// Advances time to `now`, which may be earlier than a previous time, and expires entries.
    fn advance(&mut self, now: i64) {
        self.now = self.now.max(now);
        self.expire();
    }

    /// Removes entries that have expired or timed out.
    fn expire(&mut self) {
        let pending = self.pending.len();
        self.pending.expire(self.now);
        self.timed_out += (pending - self.pending.len()) as u64;
        self.confirmed.expire(self.now);
        self.pending.compact();
        self.confirmed.compact();
    }

    /// Makes room for one entry. Returns false if all entries are pending.
    fn make_room(&mut self) -> bool {
        self.confirmed.len() + self.pending.len() < self.max_entries || self.confirmed.evict()
    }
}
