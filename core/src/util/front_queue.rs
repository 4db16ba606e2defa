//! A sorted queue of contiguous chunks. While entries come nearly in order, it is one chunk, so
//! that loops run over one slice.

use std::collections::VecDeque;

/// An entry that is inserted at most this far from the end of its chunk moves the entries after it.
/// One further away first breaks the chunk into pieces.
const MAX_MOVED: usize = 256;

/// The length of the pieces of a broken chunk.
const PIECE: usize = 128;

/// A list with removal at the front and insertion anywhere. Removed entries leave a gap, which is
/// closed before the list grows.
///
/// An insertion moves at most [`MAX_MOVED`] entries, however many there are. Each entry is in a
/// chunk that breaks at most once for each time that entries were appended in order.
#[derive(Debug)]
pub(crate) struct FrontQueue<T> {
    /// The first chunk.
    list: Vec<T>,
    /// Entries of `list` before this index have been removed.
    start: usize,
    /// The further chunks, none of them empty. If there are any, the first chunk is not empty.
    later: VecDeque<Vec<T>>,
    /// The number of entries in `later`.
    later_len: usize,
}

/// The place of an entry: the index of its chunk, and its index in the chunk.
type Place = (usize, usize);

impl<T> Default for FrontQueue<T> {
    fn default() -> Self {
        Self { list: Vec::new(), start: 0, later: VecDeque::new(), later_len: 0 }
    }
}

impl<T> FrontQueue<T> {
    /// Returns the first entries, as far as they are contiguous: all, unless entries were inserted
    /// far from the end.
    pub(crate) fn front(&self) -> &[T] {
        self.list.get(self.start..).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len() - self.start + self.later_len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.front().first()
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.last_chunk().last()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.front().iter().chain(self.later.iter().flatten())
    }

    /// Returns the last entry that `is_before` holds for; it holds for all entries before that one.
    pub(crate) fn last_before(&self, is_before: impl Fn(&T) -> bool) -> Option<&T> {
        match self.place_after(is_before) {
            (0, at) => self.front().get(at.checked_sub(1)?),
            (1, 0) => self.front().last(),
            (chunk, 0) => self.later.get(chunk - 2)?.last(),
            (chunk, at) => self.later.get(chunk - 1)?.get(at - 1),
        }
    }

    fn last_chunk(&self) -> &[T] {
        self.later.back().map_or_else(|| self.front(), Vec::as_slice)
    }

    /// Returns the place after the last entry that `is_before` holds for.
    fn place_after(&self, is_before: impl Fn(&T) -> bool) -> Place {
        if self.last().is_none_or(&is_before) {
            return (self.later.len(), self.last_chunk().len());
        }
        let front = self.front();
        if front.last().is_some_and(|last| !is_before(last)) {
            return (0, front.partition_point(is_before));
        }
        let chunk = self.later.partition_point(|chunk| chunk.last().is_some_and(&is_before));
        (chunk + 1, self.later.get(chunk).map_or(0, |chunk| chunk.partition_point(is_before)))
    }
}

impl<T: Copy> FrontQueue<T> {
    pub(crate) fn push(&mut self, entry: T) {
        match self.later.back_mut() {
            None => {
                self.make_room(1);
                self.list.push(entry);
            }
            Some(last) => {
                last.push(entry);
                self.later_len += 1;
            }
        }
    }

    pub(crate) fn extend_from_slice(&mut self, entries: &[T]) {
        match self.later.back_mut() {
            None => {
                self.make_room(entries.len());
                self.list.extend_from_slice(entries);
            }
            Some(last) => {
                last.extend_from_slice(entries);
                self.later_len += entries.len();
            }
        }
    }

    /// Inserts `entry` after the last entry that `is_before` holds for, unless `merge` merges it
    /// into that one and returns true. Returns true if the entry was inserted.
    pub(crate) fn insert(
        &mut self,
        entry: T,
        is_before: impl Fn(&T) -> bool,
        merge: impl FnOnce(&mut T) -> bool,
    ) -> bool {
        if self.later.is_empty() && self.last().is_none_or(&is_before) {
            if self.list.get_mut(self.start..).and_then(<[T]>::last_mut).is_some_and(merge) {
                return false;
            }
            self.push(entry);
            return true;
        }
        self.insert_behind(entry, is_before, merge)
    }

    /// Does the same for an entry that may not be the last one.
    fn insert_behind(
        &mut self,
        entry: T,
        is_before: impl Fn(&T) -> bool,
        merge: impl FnOnce(&mut T) -> bool,
    ) -> bool {
        let place = self.place_after(is_before);
        if self.entry_before(place).is_some_and(merge) {
            return false;
        }
        let (chunk, at) = self.make_short(place);
        match chunk.checked_sub(1).and_then(|chunk| self.later.get_mut(chunk)) {
            None => {
                self.make_room(1);
                self.list.insert(self.start + at, entry);
            }
            Some(chunk) => {
                chunk.insert(at, entry);
                self.later_len += 1;
            }
        }
        true
    }

    /// Returns the entry before `place`.
    fn entry_before(&mut self, place: Place) -> Option<&mut T> {
        let (chunk, at) = match place {
            (0, at) => (0, at),
            (1, 0) => (0, self.list.len() - self.start),
            (chunk, 0) => (chunk - 1, self.later.get(chunk - 2)?.len()),
            place => place,
        };
        match chunk.checked_sub(1) {
            None => self.list.get_mut(self.start..)?.get_mut(at.checked_sub(1)?),
            Some(chunk) => self.later.get_mut(chunk)?.get_mut(at.checked_sub(1)?),
        }
    }

    /// Breaks the chunk of `place` into pieces if too many of its entries come after the place.
    /// Returns the place in its piece.
    fn make_short(&mut self, (chunk, at): Place) -> Place {
        let list = match chunk.checked_sub(1) {
            None => {
                if self.list.len() - self.start - at <= MAX_MOVED {
                    return (chunk, at);
                }
                self.close_gap();
                &mut self.list
            }
            Some(later) => match self.later.get_mut(later) {
                Some(list) if list.len() - at > MAX_MOVED => list,
                _ => return (chunk, at),
            },
        };
        let rest = list.split_off(PIECE);
        if chunk == 0 {
            self.later_len += rest.len();
        }
        let pieces: Vec<Vec<T>> = rest.chunks(PIECE).map(<[T]>::to_vec).collect();
        let after = self.later.split_off(chunk);
        self.later.extend(pieces);
        self.later.extend(after);
        (chunk + at / PIECE, at % PIECE)
    }

    /// Removes and returns the first entry.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let first = self.first().copied();
        self.drop_front(usize::from(first.is_some()));
        first
    }

    /// Removes and returns the last entry.
    pub(crate) fn pop_last(&mut self) -> Option<T> {
        let Some(last) = self.later.back_mut() else {
            let last = self.last().copied();
            self.list.truncate(self.list.len() - usize::from(last.is_some()));
            return last;
        };
        let entry = last.pop();
        self.later_len -= 1;
        if last.is_empty() {
            self.later.pop_back();
        }
        entry
    }

    /// Removes the first `count` entries.
    pub(crate) fn drop_front(&mut self, mut count: usize) {
        loop {
            let of_front = self.list.len() - self.start;
            if count < of_front {
                self.start += count;
                return;
            }
            count -= of_front;
            self.start = 0;
            match self.later.pop_front() {
                None => return self.list.clear(),
                Some(next) => self.list = next,
            }
            self.later_len -= self.list.len();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.start = 0;
        self.later.clear();
        self.later_len = 0;
    }

    /// Closes the gap if the first chunk would grow otherwise and the gap is at least half of it.
    fn make_room(&mut self, more: usize) {
        let free = self.list.capacity() - self.list.len();
        if more > free && self.start > 0 && self.start >= self.list.len() / 2 {
            self.close_gap();
        }
    }

    fn close_gap(&mut self) {
        self.list.drain(..self.start);
        self.start = 0;
    }
}

impl<T> FromIterator<T> for FrontQueue<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Self { list: entries.into_iter().collect(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Inserts `entry` unless the queue has it.
    fn insert(queue: &mut FrontQueue<u32>, entry: u32) -> bool {
        queue.insert(entry, |known| *known <= entry, |known| *known == entry)
    }

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
        queue.extend_from_slice(&[1, 2, 5]);
        assert!(insert(&mut queue, 4) && !insert(&mut queue, 4));
        assert_eq!(queue.front(), [1, 2, 4, 5]);
        assert_eq!(queue.pop_last(), Some(5));
        queue.push(5);
        for round in 0..1000 {
            queue.push(round);
            queue.pop();
        }
        assert_eq!(queue.len(), 4);
        assert!(queue.list.capacity() <= 16, "{}", queue.list.capacity());
        queue.drop_front(9);
        assert!(queue.is_empty() && queue.pop().is_none());
    }

    #[test]
    fn insertions_far_from_the_end_move_few_entries() {
        let mut queue: FrontQueue<u32> = (0..100_000).map(|entry| 2 * entry).collect();
        for entry in (0..100_000).rev() {
            insert(&mut queue, 2 * entry + 1);
            let longest = queue.later.iter().map(Vec::len).max();
            // The last chunk grows as long as entries are appended; nothing else does.
            assert!(entry % 1000 > 0 || longest.is_none_or(|longest| longest <= 2 * MAX_MOVED));
        }
        assert!(queue.iter().copied().eq(0..200_000));
        for entry in 0..200_000 {
            assert_eq!(queue.pop(), Some(entry));
        }
        assert!(queue.is_empty() && queue.later.is_empty());
    }

    proptest! {
        #[test]
        fn queue_equals_a_sorted_list(
            steps in prop::collection::vec((0..6_u8, 0..3000_u32, 1..700_u32), 1..40),
        ) {
            let (mut queue, mut list) = (FrontQueue::default(), Vec::<u32>::new());
            for (step, entry, count) in steps {
                match step {
                    0 => {
                        let from = list.last().map_or(0, |last| last + 1);
                        let entries: Vec<u32> = (from..from + count).collect();
                        queue.extend_from_slice(&entries);
                        list.extend(entries);
                    }
                    1 | 2 => for entry in (0..count).map(|nth| (entry + nth * 7919) % 20_000) {
                        let due = list.binary_search(&entry);
                        prop_assert_eq!(insert(&mut queue, entry), due.is_err());
                        let found = queue.last_before(|known| *known <= entry);
                        prop_assert_eq!(found, Some(&entry));
                        if let Err(at) = due {
                            list.insert(at, entry);
                        }
                    },
                    3 => {
                        queue.drop_front(count as usize);
                        list.drain(..list.len().min(count as usize));
                    }
                    4 => prop_assert_eq!(queue.pop_last(), list.pop()),
                    _ => {
                        let entry = list.last().map_or(entry, |last| last + entry);
                        queue.push(entry);
                        list.push(entry);
                    }
                }
                prop_assert!(queue.iter().eq(&list));
                prop_assert_eq!(queue.len(), list.len());
                prop_assert_eq!((queue.first(), queue.last()), (list.first(), list.last()));
                prop_assert!(list.starts_with(queue.front()));
                prop_assert_eq!(queue.front().is_empty(), list.is_empty());
            }
        }
    }
}
