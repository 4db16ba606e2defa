//! Keys in the order of their last events, for eviction of the least recently used one.

use crate::error::SnapshotError;
use crate::snapshot::Codec;

/// A doubly linked list indexed by key id, so that every change takes constant time.
#[derive(Default)]
pub(crate) struct LruList {
    /// The list nodes by key id.
    links: Vec<Link>,
    oldest: Option<u32>,
    newest: Option<u32>,
}

/// The neighbours of a key in the list.
#[derive(Clone, Copy)]
struct Link {
    older: Option<u32>,
    newer: Option<u32>,
    listed: bool,
}

const UNLISTED: Link = Link { older: None, newer: None, listed: false };

impl LruList {
    /// Returns the least recently used key.
    pub(crate) fn oldest(&self) -> Option<u32> {
        self.oldest
    }

    /// Returns all keys, the least recently used first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u32> {
        core::iter::successors(self.oldest, |key| self.link(*key).newer)
    }

    /// Makes `key` the most recently used one.
    pub(crate) fn touch(&mut self, key: u32) {
        if self.newest == Some(key) {
            return;
        }
        self.remove(key);
        let place = key as usize;
        if self.links.len() <= place {
            self.links.resize(place + 1, UNLISTED);
        }
        let before = self.newest.replace(key);
        self.set(key, Link { older: before, newer: None, listed: true });
        match before.and_then(|before| self.links.get_mut(before as usize)) {
            Some(link) => link.newer = Some(key),
            None => self.oldest = Some(key),
        }
    }

    /// Removes `key`, if it is listed.
    pub(crate) fn remove(&mut self, key: u32) {
        let Link { older, newer, listed } = self.link(key);
        if !listed {
            return;
        }
        match older.and_then(|older| self.links.get_mut(older as usize)) {
            Some(link) => link.newer = newer,
            None => self.oldest = newer,
        }
        match newer.and_then(|newer| self.links.get_mut(newer as usize)) {
            Some(link) => link.older = older,
            None => self.newest = older,
        }
        self.set(key, UNLISTED);
    }

    /// Writes or reads all keys, the least recently used first.
    pub(crate) fn fields(&mut self, codec: &mut dyn Codec) -> Result<(), SnapshotError> {
        let mut keys: Vec<u32> = self.keys().collect();
        codec.rows(&mut keys)?.key(|key| key)?;
        if codec.reads() {
            *self = Self::default();
            for key in keys {
                if self.link(key).listed {
                    return Err(SnapshotError::Damaged("the order of use lists a key twice"));
                }
                self.touch(key);
            }
        }
        Ok(())
    }

    /// Checks that each key in the list has state.
    pub(crate) fn check_keys(&self, has_state: impl Fn(u32) -> bool) -> Result<(), SnapshotError> {
        match self.keys().all(has_state) {
            true => Ok(()),
            false => Err(SnapshotError::Damaged("the order of use lists a key without state")),
        }
    }

    fn link(&self, key: u32) -> Link {
        self.links.get(key as usize).copied().unwrap_or(UNLISTED)
    }

    fn set(&mut self, key: u32, link: Link) {
        if let Some(known) = self.links.get_mut(key as usize) {
            *known = link;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_listed_by_their_last_event() {
        let (mut lru, mut expected) = (LruList::default(), Vec::new());
        for round in 0..5_000_u32 {
            let key = round.wrapping_mul(2_654_435_761) >> 27;
            expected.retain(|known| *known != key);
            if round % 5 == 0 {
                lru.remove(key);
            } else {
                lru.touch(key);
                expected.push(key);
            }
            assert_eq!(lru.keys().collect::<Vec<_>>(), expected);
            assert_eq!(lru.oldest(), expected.first().copied());
        }
    }
}
