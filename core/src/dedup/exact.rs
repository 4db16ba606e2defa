//! The exact memory of identities.

use super::Seen;
use super::index::{Index, Tag};
use super::log::{Entry, Log};
use crate::batch::{Identity, NO_IDENTITY};

/// Identities that are looked up together.
const AHEAD: usize = 32;

/// Remembers identities exactly, each for its time, up to a number of them.
///
/// An identity takes 24 bytes in the log, and 10 to 15 in the index.
#[derive(Debug)]
pub(crate) struct Exact {
    index: Index,
    log: Log,
    /// How long an identity is remembered, microseconds; `None`: for good.
    ttl_us: Option<i64>,
    refresh: bool,
    max_entries: usize,
    evicted: u64,
}

impl Exact {
    pub(crate) fn new(ttl_us: Option<i64>, refresh: bool, max_entries: u32, seed: u64) -> Self {
        Self {
            index: Index::new(seed),
            log: Log::new(ttl_us.is_some()),
            ttl_us,
            refresh,
            max_entries: max_entries as usize,
            evicted: 0,
        }
    }

    /// Identities in it.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Identities that a limit has pushed out.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The time up to which what began is over at `time`; `None`: nothing is.
    #[inline]
    fn horizon(&self, time: i64) -> Option<i64> {
        time.checked_sub(self.ttl_us?)
    }

    #[inline]
    fn find(&self, identity: Identity, tag: Tag) -> Option<(u32, Entry)> {
        let mut found = None;
        let place = self.index.find(tag, |place| {
            found = self.log.get(place).filter(|entry| entry.identity == identity);
            found.is_some()
        })?;
        found.map(|entry| (place, entry))
    }

    /// Takes note of `identities` in order, each at its time and under its watermark; `seen` is told whether each was there.
    pub(crate) fn see_all(
        &mut self,
        identities: &[Identity],
        moments: impl Fn(usize) -> (i64, i64),
        mut seen: impl FnMut(usize, Seen),
    ) {
        let mut tags = [Tag::default(); AHEAD];
        for (group, identities) in identities.chunks(AHEAD).enumerate() {
            // What will be looked up is fetched for all of them at once: each alone would wait for memory.
            let mut fetched = 0;
            for (tag, identity) in tags.iter_mut().zip(identities) {
                *tag = self.index.tag(*identity);
                fetched |= self.index.touch(*tag);
            }
            // A slot that has the tag is most likely the identity's: its entry is fetched as well.
            for tag in tags.iter().take(identities.len()) {
                let entry = self.index.find(*tag, |_| true).and_then(|place| self.log.get(place));
                fetched |= entry.map_or(0, |entry| entry.since.cast_unsigned());
            }
            core::hint::black_box(fetched);
            for (at, (tag, identity)) in (group * AHEAD..).zip(tags.iter().zip(identities)) {
                if *identity == NO_IDENTITY {
                    seen(at, Seen::Unidentified);
                    continue;
                }
                let (time, watermark) = moments(at);
                let there = self.see(*identity, *tag, time, watermark);
                seen(at, if there { Seen::Before } else { Seen::First });
            }
        }
    }

    /// Takes note of `identity`, whose tag is `tag`, at `time`, when the watermark is `watermark`: whether it was there.
    #[inline]
    fn see(&mut self, identity: Identity, tag: Tag, time: i64, watermark: i64) -> bool {
        if let Some((place, entry)) = self.find(identity, tag) {
            let horizon = self.horizon(time.max(watermark));
            let there = horizon.is_none_or(|horizon| entry.since > horizon);
            if there && !self.refresh {
                return true;
            }
            self.index.remove(tag, place);
            self.log.remove(place);
            let since = if there { time.max(entry.since) } else { time };
            self.put(identity, tag, since, watermark);
            return there;
        }
        self.put(identity, tag, time, watermark);
        false
    }

    #[inline]
    fn put(&mut self, identity: Identity, tag: Tag, since: i64, watermark: i64) {
        if self.index.len() >= self.max_entries {
            self.make_room(watermark);
        }
        let place = self.log.push(Entry { identity, since });
        self.index.insert(tag, place);
    }

    #[cold]
    fn make_room(&mut self, watermark: i64) {
        self.expire(watermark);
        while self.index.len() >= self.max_entries && self.evict() {}
    }

    /// Pushes out the identity that was touched before all others; false: there is none.
    pub(super) fn evict(&mut self) -> bool {
        let Some(oldest) = self.log.oldest() else { return false };
        if let Some(entry) = self.log.get(oldest) {
            self.index.remove(self.index.tag(entry.identity), oldest);
        }
        self.log.remove(oldest);
        self.evicted += 1;
        true
    }

    /// When the time of `identity` began; `None`: it is not there.
    pub(super) fn since(&self, identity: Identity) -> Option<i64> {
        self.find(identity, self.index.tag(identity)).map(|(_, entry)| entry.since)
    }

    /// Takes out `identity`.
    pub(super) fn forget(&mut self, identity: Identity) {
        let tag = self.index.tag(identity);
        if let Some((place, _)) = self.find(identity, tag) {
            self.index.remove(tag, place);
            self.log.remove(place);
        }
    }

    /// Forgets what is over when the watermark is `watermark`.
    #[inline]
    pub(crate) fn expire(&mut self, watermark: i64) {
        if let Some(horizon) = self.horizon(watermark)
            && self.log.reaches(horizon)
        {
            self.expire_to(horizon);
        }
    }

    #[inline(never)]
    fn expire_to(&mut self, horizon: i64) {
        let Self { index, log, .. } = self;
        log.expire(horizon, |identity, place| index.remove(index.tag(identity), place));
    }

    /// Gives back memory that is not needed any more.
    pub(crate) fn tidy(&mut self) {
        if self.log.is_sparse(self.index.len()) {
            let Self { index, log, .. } = self;
            index.clear();
            log.restart(|identity, place| index.insert(index.tag(identity), place));
        }
    }

    /// Up to `count` identities and when their time began, in the order in which they were touched, and where to go on.
    pub(crate) fn entries_from(
        &self,
        from: u32,
        count: usize,
    ) -> (Vec<(Identity, i64)>, Option<u32>) {
        let (entries, next) = self.log.entries_from(from, count);
        (entries.into_iter().map(|entry| (entry.identity, entry.since)).collect(), next)
    }

    /// Puts back what [`Exact::entries_from`] gave, in that order; false: it cannot have been in there.
    pub(crate) fn restore(&mut self, identity: Identity, since: i64) -> bool {
        let tag = self.index.tag(identity);
        let is_new = identity != NO_IDENTITY
            && self.index.len() < self.max_entries
            && self.find(identity, tag).is_none();
        if is_new {
            let place = self.log.push(Entry { identity, since });
            self.index.insert(tag, place);
        }
        is_new
    }

    pub(crate) fn restore_evicted(&mut self, evicted: u64) {
        self.evicted = evicted;
    }
}
