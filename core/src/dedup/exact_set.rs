//! Remembers identities exactly.

use super::entry_log::{Entry, EntryLog};
use super::identity_index::{IdentityIndex, LineAddress, Tag};
use super::{Verdict, is_expired, verdict_without_lookup};
use crate::data::batch::{Identity, NO_IDENTITY};

/// Identities looked up together, so that their cache misses overlap.
const PREFETCH_BATCH: usize = 64;

/// Remembers identities exactly, each for the ttl, up to a maximum number.
///
/// An identity takes 24 bytes in the log and 11 to 15 in the index.
#[derive(Debug)]
pub(crate) struct ExactSet {
    index: IdentityIndex,
    log: EntryLog,
    /// The time for which an identity is remembered, microseconds; `None` never expires.
    ttl_us: Option<i64>,
    refresh: bool,
    max_entries: usize,
    evicted: u64,
}

impl ExactSet {
    pub(crate) fn new(ttl_us: Option<i64>, refresh: bool, max_entries: u32, seed: u64) -> Self {
        Self {
            index: IdentityIndex::new(seed),
            log: EntryLog::new(ttl_us.is_some()),
            ttl_us,
            refresh,
            max_entries: max_entries as usize,
            evicted: 0,
        }
    }

    /// Returns the number of identities.
    pub(crate) fn len(&self) -> usize {
        self.log.len()
    }

    /// Returns the number of identities evicted by a limit.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Returns the latest start that has expired at `time`; `None` if nothing has expired.
    #[inline]
    fn horizon(&self, time: i64) -> Option<i64> {
        time.checked_sub(self.ttl_us?)
    }

    /// Returns the position and the entry of `identity`.
    #[inline]
    fn find(&self, identity: Identity, tag: Tag) -> Option<(u32, Entry)> {
        let mut found = None;
        let position = self.index.find(tag, |position| {
            found = self.log.get(position).filter(|entry| entry.identity == identity);
            found.is_some()
        })?;
        found.map(|entry| (position, entry))
    }

    /// Looks up and records `identities` in order, and reports the verdict on each.
    ///
    /// `times_of` gives the time and the watermark of each identity.
    pub(crate) fn check_all(
        &mut self,
        identities: &[Identity],
        times_of: impl Fn(usize) -> (i64, i64),
        mut report: impl FnMut(usize, Verdict),
    ) {
        let mut tags = [Tag::default(); PREFETCH_BATCH];
        for (group, identities) in identities.chunks(PREFETCH_BATCH).enumerate() {
            self.prefetch(identities, &mut tags);
            for (at, (tag, identity)) in (group * PREFETCH_BATCH..).zip(tags.iter().zip(identities))
            {
                if let Some(verdict) = verdict_without_lookup(*identity) {
                    report(at, verdict);
                    continue;
                }
                let (time, watermark) = times_of(at);
                report(at, self.check(*identity, *tag, time, watermark));
            }
        }
    }

    /// Reads the memory that the look-ups of `identities` read first, so that the misses overlap.
    fn prefetch(&self, identities: &[Identity], tags: &mut [Tag; PREFETCH_BATCH]) {
        let mut addresses = [LineAddress::default(); PREFETCH_BATCH];
        self.index.locate(identities, tags, &mut addresses);
        let mut read = self.index.prefetch(&addresses);
        // A slot with a matching tag is most likely the identity's, so its log entry is read as
        // well.
        for (tag, address) in tags.iter().zip(addresses).take(identities.len()) {
            if let Some(entry) = self
                .index
                .first_candidate(*tag, address)
                .and_then(|position| self.log.get(position))
            {
                read |= entry.since.cast_unsigned();
            }
        }
        core::hint::black_box(read);
    }

    /// Looks up and records `identity` at `time` under `watermark`. One that cannot be judged is
    /// not recorded: it would expire at once.
    #[inline]
    fn check(&mut self, identity: Identity, tag: Tag, time: i64, watermark: i64) -> Verdict {
        let Some((position, entry)) = self.find(identity, tag) else {
            if is_expired(self.ttl_us, time, watermark) {
                return Verdict::Unjudged;
            }
            self.insert(identity, tag, time, watermark);
            return Verdict::New;
        };
        if is_expired(self.ttl_us, entry.since, time.max(watermark)) {
            if is_expired(self.ttl_us, time, watermark) {
                return Verdict::Unjudged;
            }
            self.move_to_end(identity, tag, position, time, watermark);
            return Verdict::New;
        }
        if self.refresh {
            self.move_to_end(identity, tag, position, time.max(entry.since), watermark);
        }
        Verdict::Duplicate
    }

    /// Moves the identity at `position` to the end of the log.
    #[cold]
    fn move_to_end(
        &mut self,
        identity: Identity,
        tag: Tag,
        position: u32,
        since: i64,
        watermark: i64,
    ) {
        self.log.remove(position);
        if self.log.len() >= self.max_entries {
            self.make_room(watermark);
        }
        let to = self.log.push(Entry { identity, since });
        self.index.replace(tag, position, to);
    }

    /// Inserts a new identity; evicts others if the set is full.
    #[inline]
    fn insert(&mut self, identity: Identity, tag: Tag, since: i64, watermark: i64) {
        if self.log.len() >= self.max_entries {
            self.make_room(watermark);
        }
        self.append(identity, tag, since);
    }

    /// Appends a new identity to the log and the index.
    #[inline]
    fn append(&mut self, identity: Identity, tag: Tag, since: i64) {
        let Self { index, log, .. } = self;
        let position = log.push(Entry { identity, since });
        index.insert(tag, position, log.front(), |position| log.is_removed(position));
    }

    /// Expires, then evicts, until there is room for one identity.
    #[cold]
    fn make_room(&mut self, watermark: i64) {
        self.expire(watermark);
        while self.log.len() >= self.max_entries && self.evict() {}
    }

    /// Evicts the least recently touched identity. Returns false if there is none.
    pub(super) fn evict(&mut self) -> bool {
        let Some(oldest) = self.log.oldest() else { return false };
        self.log.remove(oldest);
        self.evicted += 1;
        true
    }

    /// Returns when the time of `identity` began; `None` if it is not in the set.
    pub(super) fn since(&self, identity: Identity) -> Option<i64> {
        self.find(identity, self.index.tag(identity)).map(|(_, entry)| entry.since)
    }

    /// Removes `identity`.
    pub(super) fn remove(&mut self, identity: Identity) {
        if let Some((position, _)) = self.find(identity, self.index.tag(identity)) {
            self.log.remove(position);
        }
    }

    /// Removes what has expired at `watermark`.
    #[inline]
    pub(crate) fn expire(&mut self, watermark: i64) {
        if let Some(horizon) = self.horizon(watermark)
            && self.log.may_expire(horizon)
        {
            self.log.expire(horizon);
        }
    }

    /// Compacts the log if that frees enough memory.
    pub(crate) fn compact(&mut self) {
        if self.log.needs_compaction() {
            let Self { index, log, .. } = self;
            index.clear();
            log.compact(|identity, position| {
                index.insert(index.tag(identity), position, 0, |_| false)
            });
        }
    }

    /// Returns up to `count` identities with their start, in log order, and the position to
    /// continue at.
    pub(crate) fn entries_from(
        &self,
        from: u32,
        count: usize,
    ) -> (Vec<(Identity, i64)>, Option<u32>) {
        let (entries, next) = self.log.entries_from(from, count);
        (entries.into_iter().map(|entry| (entry.identity, entry.since)).collect(), next)
    }

    /// Restores an identity of [`ExactSet::entries_from`], in the same order. Returns false if it
    /// is not valid.
    pub(crate) fn restore(&mut self, identity: Identity, since: i64) -> bool {
        let tag = self.index.tag(identity);
        let is_new = identity != NO_IDENTITY
            && self.log.len() < self.max_entries
            && self.find(identity, tag).is_none();
        if is_new {
            self.append(identity, tag, since);
        }
        is_new
    }

    pub(crate) fn restore_evicted(&mut self, evicted: u64) {
        self.evicted = evicted;
    }
}
