//! Division of times by an interval without integer division or branches, for long loops.

/// Spans below this are divided exactly.
pub(super) const MAX_SPAN: i64 = 1 << 51;

/// 2^52: adding it to a smaller number rounds that to an integer, held in the low bits.
const ROUNDING: f64 = f64::from_bits((1023 + 52) << 52);
const INTEGER: u64 = (1 << 52) - 1;

/// Divides by a fixed interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct IntervalDivider {
    interval: f64,
    inverse: f64,
}

impl IntervalDivider {
    /// Returns `None` for intervals too long for exact arithmetic.
    pub(super) fn new(interval: i64) -> Option<Self> {
        let is_short = (1..MAX_SPAN / 2).contains(&interval);
        let interval = exact(interval.cast_unsigned());
        is_short.then_some(Self { interval, inverse: 1.0 / interval })
    }

    /// Returns `span / interval`. `span` must be below [`MAX_SPAN`].
    #[inline(always)]
    pub(super) fn quotient(&self, span: u64) -> u64 {
        integer(self.count(span))
    }

    /// Returns `span` rounded down to a multiple of the interval; `None` if `span` is too long.
    #[inline(always)]
    pub(super) fn whole_length(&self, span: u64) -> Option<u64> {
        let whole_length = integer(self.count(span) * self.interval);
        (span < MAX_SPAN.cast_unsigned()).then_some(whole_length)
    }

    #[inline(always)]
    fn count(&self, span: u64) -> f64 {
        let span = exact(span);
        // The nearest integer is the quotient or one more: the error of the product is below one
        // half.
        let nearest = (span * self.inverse + ROUNDING) - ROUNDING;
        // All operands are integers below 2^53.
        let is_next = nearest * self.interval > span;
        nearest - f64::from(u8::from(is_next))
    }
}

#[inline(always)]
fn exact(integer: u64) -> f64 {
    f64::from_bits((integer & INTEGER) | ROUNDING.to_bits()) - ROUNDING
}

#[inline(always)]
fn integer(number: f64) -> u64 {
    (number + ROUNDING).to_bits() & INTEGER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_is_exact() {
        let most = MAX_SPAN.cast_unsigned() - 1;
        let mut random = 9_u64;
        for interval in [1, 2, 3, 7, 10, 999, 1_000_000, 3_600_000_001, (1 << 50) - 1] {
            let divider = IntervalDivider::new(interval).unwrap();
            let interval = interval.cast_unsigned();
            for round in 0..20_000_u64 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let multiple = random % (most / interval + 1) * interval;
                let spans = [round, random % most, most - round, multiple, multiple.max(1) - 1];
                for span in spans {
                    assert_eq!(divider.quotient(span), span / interval, "{span} / {interval}");
                    assert_eq!(divider.whole_length(span), Some(span / interval * interval));
                }
            }
        }
        assert_eq!(IntervalDivider::new(5).unwrap().whole_length(most + 1), None);
        assert!(IntervalDivider::new(0).is_none() && IntervalDivider::new(i64::MAX).is_none());
    }
}
