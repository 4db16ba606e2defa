//! A contiguous queue, so that loops run over one slice.

use core::ops::{Deref, DerefMut};

/// A list with removal at the front. Removed entries leave a gap, which is closed before the list
/// grows.
#[derive(Debug)]
pub(super) struct FrontQueue<T> {
    list: Vec<T>,
    /// Entries before this index have been removed.
    start: usize,
}

impl<T> Default for FrontQueue<T> {
    fn default() -> Self {
        Self { list: Vec::new(), start: 0 }
    }
}

impl<T: Copy> FrontQueue<T> {
    pub(super) fn push(&mut self, entry: T) {
        self.make_room(1);
        self.list.push(entry);
    }

    pub(super) fn extend_from_slice(&mut self, entries: &[T]) {
        self.make_room(entries.len());
        self.list.extend_from_slice(entries);
    }

    /// Inserts `entry` before the entry at `at`.
    pub(super) fn insert(&mut self, at: usize, entry: T) {
        self.make_room(1);
        self.list.insert(self.start + at, entry);
    }

    /// Removes and returns the first entry.
    pub(super) fn pop(&mut self) -> Option<T> {
        let first = self.first().copied();
        self.drop_front(1);
        first
    }

    /// Removes and returns the last entry.
    pub(super) fn pop_last(&mut self) -> Option<T> {
        let last = self.last().copied();
        self.list.truncate(self.list.len() - usize::from(last.is_some()));
        last
    }

    /// Removes the first `count` entries.
    pub(super) fn drop_front(&mut self, count: usize) {
        self.start += count.min(self.len());
        if self.start == self.list.len() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.start = 0;
    }

    /// Closes the gap if the list would grow otherwise and the gap is at least half of it.
    fn make_room(&mut self, more: usize) {
        let free = self.list.capacity() - self.list.len();
        if more > free && self.start > 0 && self.start >= self.list.len() / 2 {
            self.list.drain(..self.start);
            self.start = 0;
        }
    }
}

impl<T> FromIterator<T> for FrontQueue<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self { list: entries.into_iter().collect(), start: 0 }
    }
}

impl<T> Deref for FrontQueue<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.list.get(self.start..).unwrap_or_default()
    }
}

impl<T> DerefMut for FrontQueue<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.list.get_mut(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_leave_in_order_and_space_is_reused() {
        let (mut queue, mut next) = (FrontQueue::default(), 0);
        for round in 0..1000 {
            for entry in 3 * round..3 * round + 3 {
                queue.push(entry);
            }
            assert_eq!(queue.len(), 3);
            assert_eq!(queue.pop(), Some(next));
            queue.drop_front(2);
            next += 3;
        }
        queue.extend_from_slice(&[1, 2, 3]);
        queue.insert(1, 9);
        assert_eq!(*queue, [1, 9, 2, 3]);
        assert_eq!(queue.pop_last(), Some(3));
        queue.push(3);
        for round in 0..1000 {
            queue.push(round);
            queue.pop();
        }
        assert_eq!(queue.len(), 4);
        assert!(queue.list.capacity() <= 16, "{}", queue.list.capacity());
        queue.drop_front(9);
        assert!(queue.is_empty() && queue.pop().is_none());
    }
}
