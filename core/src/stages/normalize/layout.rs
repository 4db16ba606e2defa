//! Where the rows of several keys stand among each other: by time, and at one time by key.

/// Consecutive rows of one series that have become certain at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Piece {
    /// The watermark that they have waited for, and what orders those that have waited for the same.
    pub(super) firing: (i64, u64),
    pub(super) series: u32,
    pub(super) key: u32,
    /// The place of the key among all of them when rows are put in order.
    pub(super) rank: u32,
    /// The time of the first.
    pub(super) from: i64,
    pub(super) interval: i64,
    pub(super) count: usize,
}

impl Piece {
    pub(super) fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let (from, interval) = (self.from, self.interval);
        let last = i64::try_from(self.count).unwrap_or(i64::MAX);
        (0..last).map(move |at| from.wrapping_add(at.wrapping_mul(interval)))
    }

    /// The time after `rows` of its rows.
    pub(super) fn after(&self, rows: usize) -> i64 {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        self.from.saturating_add(self.interval.saturating_mul(rows))
    }

    /// Rows until `until`.
    fn count_until(&self, until: i64) -> usize {
        if until < self.from {
            return 0;
        }
        let steps = until.saturating_sub(self.from) / self.interval;
        usize::try_from(steps).map_or(self.count, |steps| self.count.min(steps.saturating_add(1)))
    }
}

/// How many rows of each of `pieces`, which stand in the order of their keys, are among the first of all: at least one, and
/// at most `room`, which is not enough for all.
pub(super) fn cut(pieces: &[Piece], room: usize) -> Vec<usize> {
    let rows = |until| -> usize {
        pieces.iter().map(|piece| piece.count_until(until)).fold(0, usize::saturating_add)
    };
    let first = pieces.iter().map(|piece| piece.from).min().unwrap_or(0);
    // The greatest time until which all rows have room.
    let (mut fits, mut exceeds) = (first.saturating_sub(1), i64::MAX);
    while exceeds.abs_diff(fits) > 1 {
        let middle = fits.midpoint(exceeds);
        if rows(middle) <= room { fits = middle } else { exceeds = middle }
    }
    if fits >= first {
        return pieces.iter().map(|piece| piece.count_until(fits)).collect();
    }
    let mut left = room;
    let counts = pieces.iter().map(|piece| {
        let count = piece.count_until(first).min(left);
        left -= count;
        count
    });
    counts.collect()
}

/// Finds places of rows, and keeps the room for it.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// For each time, the place of its next row.
    next: Vec<u32>,
    order: Vec<(i64, u32)>,
    /// The place of each row, one piece after another.
    pub(super) places: Vec<u32>,
}

impl Layout {
    /// Lays out `pieces`, which stand in the order of their keys, in rows from `start` on.
    pub(super) fn lay_out(&mut self, pieces: &[Piece], start: usize) {
        self.places.clear();
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let total: usize = pieces.iter().map(|piece| piece.count).sum();
        let first = pieces.iter().map(|piece| piece.from).min().unwrap_or(0);
        let interval = pieces.first().map_or(1, |piece| piece.interval);
        let most = i64::try_from(total.saturating_mul(4)).unwrap_or(i64::MAX);
        let is_near = |piece: &Piece| {
            let since = piece.from.saturating_sub(first);
            piece.interval == interval && since / interval <= most && since % interval == 0
        };
        if pieces.iter().all(is_near) {
            self.by_counting(pieces, first, start);
        } else {
            self.by_sorting(pieces, start);
        }
    }

    /// For pieces on one grid that are near each other: counts the rows of each time.
    fn by_counting(&mut self, pieces: &[Piece], first: i64, start: u32) {
        let step = |piece: &Piece| {
            let step = piece.from.saturating_sub(first) / piece.interval;
            usize::try_from(step).unwrap_or(0)
        };
        let ends = pieces.iter().map(|piece| step(piece) + piece.count);
        let length = ends.max().unwrap_or(0) + 1;
        self.next.clear();
        self.next.resize(length, 0);
        for piece in pieces {
            let step = step(piece);
            if let Some(count) = self.next.get_mut(step) {
                *count = count.wrapping_add(1);
            }
            if let Some(count) = self.next.get_mut(step + piece.count) {
                *count = count.wrapping_sub(1);
            }
        }
        let (mut active, mut before) = (0_u32, start);
        for entry in &mut self.next {
            active = active.wrapping_add(*entry);
            *entry = before;
            before = before.wrapping_add(active);
        }
        for piece in pieces {
            let step = step(piece);
            let next = self.next.get_mut(step..step + piece.count).unwrap_or_default();
            self.places.extend(next.iter().copied());
            next.iter_mut().for_each(|next| *next += 1);
        }
    }

    fn by_sorting(&mut self, pieces: &[Piece], start: u32) {
        self.order.clear();
        let times = pieces.iter().flat_map(Piece::times);
        self.order.extend(times.zip(0..));
        self.order.sort_unstable();
        self.places.resize(self.order.len(), 0);
        for (place, (_, row)) in (start..).zip(&self.order) {
            if let Some(entry) = self.places.get_mut(*row as usize) {
                *entry = place;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(key: u32, from: i64, interval: i64, count: usize) -> Piece {
        Piece { firing: (0, 0), series: key, key, rank: 0, from, interval, count }
    }

    /// Time and key of each row, as they are laid out.
    fn rows(pieces: &[Piece]) -> Vec<(i64, u32)> {
        let mut layout = Layout::default();
        layout.lay_out(pieces, 0);
        let all = pieces.iter().flat_map(|one| one.times().map(|time| (time, one.key)));
        let mut rows = vec![(0, 0); layout.places.len()];
        all.zip(&layout.places).for_each(|(row, place)| rows[*place as usize] = row);
        rows
    }

    #[test]
    fn rows_stand_by_time_and_then_by_key() {
        for pieces in [
            vec![piece(0, 10, 5, 3), piece(1, 0, 5, 4), piece(2, 20, 5, 1)],
            vec![piece(0, 0, 5, 2), piece(1, 1_000_000, 5, 2), piece(2, -1000, 5, 2)],
            vec![piece(0, 0, 2, 6), piece(1, 0, 3, 4), piece(2, 1, 7, 2)],
        ] {
            let rows = rows(&pieces);
            assert!(rows.is_sorted());
            assert_eq!(rows.len(), pieces.iter().map(|piece| piece.count).sum::<usize>());
        }
    }

    #[test]
    fn what_has_no_room_comes_later() {
        let all = vec![piece(0, 10, 5, 3), piece(1, 0, 5, 4), piece(2, 0, 5, 1)];
        let due = rows(&all);
        for room in 1..due.len() {
            let mut pieces = all.clone();
            for (piece, count) in pieces.iter_mut().zip(cut(&all, room)) {
                piece.count = count;
            }
            pieces.retain(|piece| piece.count > 0);
            let rows = rows(&pieces);
            assert!(!rows.is_empty() && rows.len() <= room);
            assert_eq!(rows, due[..rows.len()]);
        }
    }
}
