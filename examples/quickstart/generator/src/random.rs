//! Random numbers that are the same everywhere.

/// SplitMix64: G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, with
/// the constants of Sebastiano Vigna's <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug, Clone)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        SplitMix64(seed)
    }

    /// A stream of its own for each `index` of a seed.
    pub(crate) fn stream(seed: u64, index: u64) -> Self {
        let mut of_seed = SplitMix64::new(seed);
        let mut of_index = SplitMix64::new(of_seed.next() ^ index);
        SplitMix64::new(of_index.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Uniform in [0, 1), with 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `0..bound`; the bias of the multiplication is below bound / 2^64.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// True this often.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// About normal, mean 0 and deviation 1: the sum of twelve uniform numbers less six (Irwin and Hall), which needs
    /// no logarithm; its tails end at ±6.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).fold(-6.0, |sum, _| sum + self.unit())
    }
}

/// e^x, to about x² / 2^17 of its value, from multiplications alone: (1 + x / 2^16)^(2^16).
pub(crate) fn exp(x: f64) -> f64 {
    (0..16).fold(1.0 + x / 65_536.0, |power, _| power * power)
}

/// Draws an index with a probability proportional to its weight.
#[derive(Debug, Clone)]
pub(crate) struct Weighted {
    cumulative: Vec<f64>,
}

impl Weighted {
    /// Weights are not negative, and one at least is positive.
    pub(crate) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let mut sum = 0.0;
        let cumulative = weights.into_iter().map(|weight| {
            sum += weight;
            sum
        });
        Weighted { cumulative: cumulative.collect() }
    }

    /// Zipf's law with exponent 1 over `count` ranks: rank r is drawn in proportion to 1 / r.
    pub(crate) fn zipf(count: u32) -> Self {
        Weighted::new((1..=count).map(|rank| 1.0 / f64::from(rank)))
    }

    pub(crate) fn draw(&self, random: &mut SplitMix64) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let point = random.unit() * total;
        self.cumulative.partition_point(|sum| *sum <= point).min(self.cumulative.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference() {
        // The first outputs of splitmix64.c for the seed 1234567.
        let mut random = SplitMix64::new(1_234_567);
        let first = [random.next(), random.next(), random.next()];
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut random = SplitMix64::new(1);
        let normal: Vec<f64> = (0..20_000).map(|_| random.normal()).collect();
        let mean = normal.iter().sum::<f64>() / 20_000.0;
        let variance = normal.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        assert!((0..1_000).all(|_| random.below(7) < 7));
    }

    #[test]
    fn low_ranks_come_often() {
        let (zipf, mut random) = (Weighted::zipf(100), SplitMix64::new(1));
        let mut counts = [0; 100];
        (0..100_000).for_each(|_| counts[zipf.draw(&mut random)] += 1);
        // 1 / (1 + 1/2 + … + 1/100) is 0.193.
        assert!((18_500..20_100).contains(&counts[0]), "{}", counts[0]);
        assert!(counts[99] > 0 && counts[99] < 400, "{}", counts[99]);
    }

    #[test]
    fn the_exponential_is_close() {
        for x in [-3.0_f64, 0.0, 0.5, 4.0, 8.0] {
            let relative = exp(x) / x.exp() - 1.0;
            assert!(relative.abs() <= x * x / 131_072.0 + 1e-9, "{x}: {relative}");
        }
    }
}
