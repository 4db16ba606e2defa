//! Where the rows of several keys stand among each other: by time, and at one time by key.

/// Consecutive rows of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Piece {
    pub(super) series: u32,
    pub(super) key: u32,
    /// The time of the first.
    pub(super) from: i64,
    pub(super) interval: i64,
    pub(super) count: usize,
}

impl Piece {
    pub(super) fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let (from, interval) = (self.from, self.interval);
        let last = i64::try_from(self.count).unwrap_or(i64::MAX);
        (0..last).map(move |at| from.saturating_add(at.saturating_mul(interval)))
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

/// Shortens `pieces`, which stand in the order of their keys, to their first rows: at least one, and at most `room`.
pub(super) fn cut(pieces: &mut Vec<Piece>, room: usize) {
    let rows = |pieces: &[Piece], until| -> usize {
        pieces.iter().map(|piece| piece.count_until(until)).fold(0, usize::saturating_add)
    };
    let Some(first) = pieces.iter().map(|piece| piece.from).min() else { return };
    if rows(pieces, i64::MAX) > room {
        // The greatest time until which all rows have room.
        let (mut fits, mut exceeds) = (first.saturating_sub(1), i64::MAX);
        while exceeds.abs_diff(fits) > 1 {
            let middle = fits.midpoint(exceeds);
            if rows(pieces, middle) <= room { fits = middle } else { exceeds = middle }
        }
        let only_first = fits < first;
        for piece in pieces.iter_mut() {
            piece.count = piece.count_until(fits.max(first));
        }
        pieces.retain(|piece| piece.count > 0);
        if only_first {
            pieces.truncate(room);
        }
    }
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
    /// Lays out `pieces`, which stand in the order of their keys.
    pub(super) fn lay_out(&mut self, pieces: &[Piece]) {
        self.places.clear();
        let total: usize = pieces.iter().map(|piece| piece.count).sum();
        let Some(first) = pieces.iter().map(|piece| piece.from).min() else { return };
        let interval = pieces.first().map_or(1, |piece| piece.interval);
        let step_of = |piece: &Piece| {
            let since = piece.from.saturating_sub(first);
            let step = (piece.interval == interval && since % interval == 0)
                .then_some(since / interval)?;
            usize::try_from(step).ok().filter(|step| *step <= total.saturating_mul(4))
        };
        match pieces.iter().map(step_of).collect::<Option<Vec<usize>>>() {
            Some(steps) => self.by_counting(pieces, &steps),
            None => self.by_sorting(pieces),
        }
    }

    /// For pieces on one grid that are near each other: counts the rows of each time.
    fn by_counting(&mut self, pieces: &[Piece], steps: &[usize]) {
        let ends = pieces.iter().zip(steps).map(|(piece, step)| step + piece.count);
        let length = ends.max().unwrap_or(0) + 1;
        self.next.clear();
        self.next.resize(length, 0);
        for (piece, step) in pieces.iter().zip(steps) {
            if let Some(count) = self.next.get_mut(*step) {
                *count = count.wrapping_add(1);
            }
            if let Some(count) = self.next.get_mut(step + piece.count) {
                *count = count.wrapping_sub(1);
            }
        }
        let (mut active, mut before) = (0_u32, 0_u32);
        for entry in &mut self.next {
            active = active.wrapping_add(*entry);
            *entry = before;
            before = before.wrapping_add(active);
        }
        for (piece, step) in pieces.iter().zip(steps) {
            let next = self.next.get_mut(*step..step + piece.count).unwrap_or_default();
            self.places.extend(next.iter().copied());
            next.iter_mut().for_each(|next| *next += 1);
        }
    }

    fn by_sorting(&mut self, pieces: &[Piece]) {
        self.order.clear();
        let times = pieces.iter().flat_map(Piece::times);
        self.order.extend(times.zip(0..));
        self.order.sort_unstable();
        self.places.resize(self.order.len(), 0);
        for (place, (_, row)) in (0..).zip(&self.order) {
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
        Piece { series: key, key, from, interval, count }
    }

    /// Time and key of each row, as they are laid out.
    fn rows(pieces: &[Piece]) -> Vec<(i64, u32)> {
        let mut layout = Layout::default();
        layout.lay_out(pieces);
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
    fn what_has_no_room_is_cut_off_behind() {
        let all = vec![piece(0, 10, 5, 3), piece(1, 0, 5, 4), piece(2, 10, 5, 1)];
        let due = rows(&all);
        for room in 1..10 {
            let mut pieces = all.clone();
            cut(&mut pieces, room);
            let rows = rows(&pieces);
            assert!(!rows.is_empty() && rows.len() <= room);
            assert_eq!(rows, due[..rows.len()]);
        }
    }
}
