//! Synthetic data of known distributions, identical on every machine.

/// The names of the distributions.
pub const DISTRIBUTIONS: [&str; 8] =
    ["uniform", "lognormal", "bimodal", "sorted", "constant", "negative", "mixed", "wide"];

/// Marsaglia's xorshift generator: numbers from 0 to 1.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a skewed number near 10: a product of many factors, so log-normal, without a
    /// logarithm.
    fn lognormal(&mut self) -> f64 {
        (0..24).fold(10.0, |product, _| product * (0.6 + self.next() * 0.9))
    }

    /// Returns a number around `mean`, at most six steps away.
    fn normal(&mut self, mean: f64, step: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.next()).sum();
        mean + (sum - 6.0) * step
    }
}

/// Returns `count` values of the distribution `name`.
pub fn values_of(name: &str, count: usize, seed: u64) -> Vec<f64> {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut draw = |name: &str| match name {
        "uniform" | "sorted" => random.next() * 1000.0,
        "lognormal" => random.lognormal(),
        "bimodal" if random.next() < 0.3 => random.normal(400.0, 30.0),
        "bimodal" => random.normal(20.0, 2.0),
        "constant" => 42.1,
        "negative" => -random.lognormal(),
        "mixed" => random.normal(0.0, 50.0),
        _ => (0..20).fold(1.0, |product, _| product * (0.05 + random.next() * 4.0)),
    };
    let mut values: Vec<f64> = (0..count).map(|_| draw(name)).collect();
    if name == "sorted" {
        values.sort_by(f64::total_cmp);
    }
    values
}
