//! What waits, end to end in memory, so that loops run over all of it.

use core::ops::{Deref, DerefMut};

/// A list that is taken from at its beginning. What is taken leaves a gap, which is closed instead of growing.
#[derive(Debug)]
pub(super) struct Queue<T> {
    list: Vec<T>,
    /// Entries before that are gone.
    start: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { list: Vec::new(), start: 0 }
    }
}

impl<T: Copy> Queue<T> {
    pub(super) fn push(&mut self, entry: T) {
        self.make_room(1);
        self.list.push(entry);
    }

    pub(super) fn extend_from_slice(&mut self, entries: &[T]) {
        self.make_room(entries.len());
        self.list.extend_from_slice(entries);
    }

    /// Puts `entry` before the one at `at`.
    pub(super) fn insert(&mut self, at: usize, entry: T) {
        self.make_room(1);
        self.list.insert(self.start + at, entry);
    }

    /// Takes out the first.
    pub(super) fn pop(&mut self) -> Option<T> {
        let first = self.first().copied();
        self.take(1);
        first
    }

    /// Takes out the last.
    pub(super) fn pop_last(&mut self) -> Option<T> {
        let last = self.last().copied();
        self.list.truncate(self.list.len() - usize::from(last.is_some()));
        last
    }

    /// Takes out the first `count`.
    pub(super) fn take(&mut self, count: usize) {
        self.start += count.min(self.len());
        if self.start == self.list.len() {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.start = 0;
    }

    /// Closes the gap where the list would grow otherwise, if that frees enough to be worth it.
    fn make_room(&mut self, more: usize) {
        let free = self.list.capacity() - self.list.len();
        if more > free && self.start > 0 && self.start >= self.list.len() / 2 {
            self.list.drain(..self.start);
            self.start = 0;
        }
    }
}

impl<T> FromIterator<T> for Queue<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self { list: entries.into_iter().collect(), start: 0 }
    }
}

impl<T> Deref for Queue<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.list.get(self.start..).unwrap_or_default()
    }
}

impl<T> DerefMut for Queue<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.list.get_mut(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_out_in_order_and_room_is_used_again() {
        let (mut queue, mut next) = (Queue::default(), 0);
        for round in 0..1000 {
            for entry in 3 * round..3 * round + 3 {
                queue.push(entry);
            }
            assert_eq!(queue.len(), 3);
            assert_eq!(queue.pop(), Some(next));
            queue.take(2);
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
        queue.take(9);
        assert!(queue.is_empty() && queue.pop().is_none());
    }
}
