//! The exact memory of identities.

use super::index::{Index, Spot, Tag};
use super::log::{Entry, Log};
use super::{Seen, is_forgotten};
use crate::data::batch::{Identity, NO_IDENTITY};

/// Identities that are looked up together.
const AHEAD: usize = 64;

/// Remembers identities exactly, each for its time, up to a number of them.
///
/// An identity takes 24 bytes in the log, and 11 to 15 in the index.
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
        self.log.len()
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

    /// Takes note of `identities` in order, each at its time and under its watermark, and hands what it finds to `seen`.
    pub(crate) fn see_all(
        &mut self,
        identities: &[Identity],
        moments: impl Fn(usize) -> (i64, i64),
        mut seen: impl FnMut(usize, Seen),
    ) {
        let mut tags = [Tag::default(); AHEAD];
        for (group, identities) in identities.chunks(AHEAD).enumerate() {
            self.fetch(identities, &mut tags);
            for (at, (tag, identity)) in (group * AHEAD..).zip(tags.iter().zip(identities)) {
                if *identity == NO_IDENTITY {
                    seen(at, Seen::Unidentified);
                    continue;
                }
                let (time, watermark) = moments(at);
                seen(at, self.see(*identity, *tag, time, watermark));
            }
        }
    }

    /// Reads what the look-ups of `identities` will read first: each by itself would wait for memory.
    fn fetch(&self, identities: &[Identity], tags: &mut [Tag; AHEAD]) {
        let mut spots = [Spot::default(); AHEAD];
        self.index.spots(identities, tags, &mut spots);
        let mut fetched = self.index.touch(&spots);
        // A slot that looks like the identity's most likely is: its entry is read as well.
        for (tag, spot) in tags.iter().zip(spots).take(identities.len()) {
            if let Some(entry) = self.index.guess(*tag, spot).and_then(|place| self.log.get(place))
            {
                fetched |= entry.since.cast_unsigned();
            }
        }
        core::hint::black_box(fetched);
    }

    /// Takes note of `identity`, whose tag is `tag`, at `time`, when the watermark is `watermark`. One that cannot be judged
    /// is not remembered: it would be forgotten at once.
    #[inline]
    fn see(&mut self, identity: Identity, tag: Tag, time: i64, watermark: i64) -> Seen {
        let Some((place, entry)) = self.find(identity, tag) else {
            if is_forgotten(self.ttl_us, time, watermark) {
                return Seen::Unjudged;
            }
            self.put(identity, tag, time, watermark);
            return Seen::First;
        };
        if is_forgotten(self.ttl_us, entry.since, time.max(watermark)) {
            if is_forgotten(self.ttl_us, time, watermark) {
                return Seen::Unjudged;
            }
            self.renew(identity, tag, place, time, watermark);
            return Seen::First;
        }
        if self.refresh {
            self.renew(identity, tag, place, time.max(entry.since), watermark);
        }
        Seen::Before
    }

    /// Puts the identity at `place` behind all others.
    #[cold]
    fn renew(&mut self, identity: Identity, tag: Tag, place: u32, since: i64, watermark: i64) {
        self.log.remove(place);
        if self.log.len() >= self.max_entries {
            self.make_room(watermark);
        }
        let to = self.log.push(Entry { identity, since });
        self.index.replace(tag, place, to);
    }

    #[inline]
    fn put(&mut self, identity: Identity, tag: Tag, since: i64, watermark: i64) {
        if self.log.len() >= self.max_entries {
            self.make_room(watermark);
        }
        self.append(identity, tag, since);
    }

    #[inline]
    fn append(&mut self, identity: Identity, tag: Tag, since: i64) {
        let Self { index, log, .. } = self;
        let place = log.push(Entry { identity, since });
        index.insert(tag, place, log.front(), |place| log.is_gone(place));
    }

    #[cold]
    fn make_room(&mut self, watermark: i64) {
        self.expire(watermark);
        while self.log.len() >= self.max_entries && self.evict() {}
    }

    /// Pushes out the identity that was touched before all others; false: there is none.
    pub(super) fn evict(&mut self) -> bool {
        let Some(oldest) = self.log.oldest() else { return false };
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
        if let Some((place, _)) = self.find(identity, self.index.tag(identity)) {
            self.log.remove(place);
        }
    }

    /// Forgets what is over when the watermark is `watermark`.
    #[inline]
    pub(crate) fn expire(&mut self, watermark: i64) {
        if let Some(horizon) = self.horizon(watermark)
            && self.log.reaches(horizon)
        {
            self.log.expire(horizon);
        }
    }

    /// Gives back memory that is not needed any more.
    pub(crate) fn tidy(&mut self) {
        if self.log.is_sparse() {
            let Self { index, log, .. } = self;
            index.clear();
            log.restart(|identity, place| index.insert(index.tag(identity), place, 0, |_| false));
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
