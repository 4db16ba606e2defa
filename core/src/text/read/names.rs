//! Lookup of the fields that the pipeline needs. It predicts that a line has the layout of the one
//! before.

use super::scan::Scanner;
use super::unescape::unescape;
use super::value::Kind;
use super::words::last_word;
use crate::util::names::NameTable;

/// The slot of fields that are not needed.
pub(in crate::text) const UNNEEDED: usize = usize::MAX;

/// Maximum number of members of a line that are predicted; later ones are looked up.
const MAX_GUESSES: usize = 64;

/// The names of the needed fields, and the layout of the preceding line.
pub(in crate::text) struct Names {
    /// The index of a name is its slot.
    needed: NameTable,
    guesses: Vec<Guess>,
}

impl Names {
    pub(in crate::text) fn new(needed: NameTable) -> Self {
        Self { needed, guesses: Vec::new() }
    }

    /// Returns the slot of the needed field `name`.
    pub(in crate::text) fn slot_of(&self, name: &[u8]) -> Option<usize> {
        self.needed.find_bytes(name)
    }

    /// Skips the name of the line's member number `member`, its colon and white space. Returns the
    /// slot of its value.
    #[inline]
    pub(in crate::text) fn read(
        &mut self,
        scanner: &mut Scanner<'_>,
        member: usize,
    ) -> Option<usize> {
        if let Some(guess) = self.guesses.get(member)
            && guess.take(scanner)
        {
            scanner.skip_space();
            return Some(guess.slot);
        }
        self.look_up(scanner, member)
    }

    #[cold]
    fn look_up(&mut self, scanner: &mut Scanner<'_>, member: usize) -> Option<usize> {
        let start = scanner.at;
        let (kind, end) = scanner.name()?;
        let text = scanner.bytes.get(start + 1..end).unwrap_or(&[]);
        let slot = if kind == Kind::EscapedString {
            let mut unescaped = Vec::with_capacity(text.len());
            unescape(text, &mut unescaped);
            self.slot(&unescaped)
        } else {
            self.slot(text)
        };
        // A colon that does not follow at once gives a guess that never matches.
        let text = scanner.bytes.get(start..end + 2).filter(|text| text.ends_with(b":"));
        let guess = Guess::new(text.unwrap_or_default(), slot);
        match self.guesses.get_mut(member) {
            Some(old) => *old = guess,
            // Members are read in order, so this one is the next.
            None if member < MAX_GUESSES => self.guesses.push(guess),
            None => {}
        }
        Some(slot)
    }

    fn slot(&self, name: &[u8]) -> usize {
        self.slot_of(name).unwrap_or(UNNEEDED)
    }
}

/// Expected text of a member, such as its name in quotes and the colon.
#[derive(Debug, Clone, Copy)]
pub(in crate::text) struct Guess {
    /// The bytes, padded with zeros.
    words: [u64; 4],
    /// Ones for the bytes that `words` contains.
    masks: [u64; 4],
    length: usize,
    slot: usize,
}

impl Guess {
    /// Creates a guess. Empty, too long or non-ASCII text gives one that never matches. A matching
    /// guess skips the scan, and with it the detection of non-ASCII bytes, whose UTF-8 must be
    /// checked.
    pub(in crate::text) fn new(text: &[u8], slot: usize) -> Self {
        let mut bytes = [0; 32];
        let mut mask = [0; 32];
        let fits = (1..=bytes.len()).contains(&text.len()) && text.is_ascii();
        if fits {
            bytes.iter_mut().zip(text).for_each(|(byte, text)| *byte = *text);
            mask.iter_mut().zip(text).for_each(|(mask, _)| *mask = 0xff);
        } else {
            // A masked byte is never 1, so this never matches.
            bytes = [1; 32];
        }
        Self { words: words_of(&bytes), masks: words_of(&mask), length: text.len(), slot }
    }

    /// Skips these bytes, and returns true, if they are at the scanner's position.
    #[inline]
    pub(in crate::text) fn take(&self, scanner: &mut Scanner<'_>) -> bool {
        let found = self.is_at(scanner.bytes, scanner.at);
        if found {
            scanner.at += self.length;
        }
        found
    }

    #[inline]
    fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        match bytes.get(at..).and_then(|rest| rest.first_chunk::<32>()) {
            Some(chunk) => self.matches(words_of(chunk)),
            None => self.is_near_end(bytes, at),
        }
    }

    #[inline(never)]
    fn is_near_end(&self, bytes: &[u8], at: usize) -> bool {
        self.matches([at, at + 8, at + 16, at + 24].map(|at| last_word(bytes, at)))
    }

    #[inline]
    fn matches(&self, found: [u64; 4]) -> bool {
        let pairs = found.into_iter().zip(self.words).zip(self.masks);
        pairs.fold(0, |differences, ((found, word), mask)| differences | ((found & mask) ^ word))
            == 0
    }
}

#[inline]
fn words_of(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    let (chunks, _) = bytes.as_chunks::<8>();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u64::from_le_bytes(*chunk);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(names: &mut Names, members: &[&str]) -> Vec<usize> {
        let mut slots = Vec::new();
        for (member, text) in members.iter().enumerate() {
            let text = format!("{text}1,{}", " ".repeat(40));
            slots.push(names.read(&mut Scanner::new(text.as_bytes(), 0), member).unwrap());
        }
        slots
    }

    #[test]
    fn names_are_found_in_any_order_and_spelling() {
        let long = "a_name_of_more_than_thirty_two_bytes";
        let mut names = Names::new(["ts", "svc", long].into_iter().collect());
        let long = format!("\"{long}\":");
        let orders: [[&str; 4]; 4] = [
            ["\"ts\":", "\"svc\":", &long, "\"other\":"],
            ["\"svc\":", "\"ts\":", "\"other\":", &long],
            ["\"\\u0074s\":", "\"svc\" :", "\"tss\":", "\"\":"],
            ["\"ts\": ", "\"t\":", "\"s\":", "\"svc\":"],
        ];
        let expected = [
            [0, 1, 2, UNNEEDED],
            [1, 0, UNNEEDED, 2],
            [0, 1, UNNEEDED, UNNEEDED],
            [0, UNNEEDED, UNNEEDED, 1],
        ];
        for (order, expected) in orders.iter().zip(expected).cycle().take(12) {
            assert_eq!(slots(&mut names, order), expected);
            assert_eq!(slots(&mut names, order), expected);
        }
    }

    #[test]
    fn guesses_are_bounded() {
        let mut names = Names::new(["ts"].into_iter().collect());
        assert_eq!(slots(&mut names, &["\"ts\":"; 1000]), [0; 1000]);
        assert_eq!(names.guesses.len(), MAX_GUESSES);
    }
}
