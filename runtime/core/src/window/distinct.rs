//! Distinct values: their hashes as long as they are few, then HyperLogLog.
//!
//! Both depend on the set of hashes alone, so neither order nor grouping matters. The estimate is Ertl's (*New cardinality estimation algorithms for
//! HyperLogLog sketches*, 2017, section 4), which needs no table of corrections and no logarithm: only operations that are the same on every machine.

use std::collections::BTreeSet;

/// Bits of a hash that choose a register: 4,096 of them, for a standard error of 1.04 / 64, which is 1.6 %.
const PRECISION: u32 = 12;

/// Registers.
const REGISTERS: usize = 1 << PRECISION;

/// Greatest value of a register.
const RANK_MAX: usize = 64 - PRECISION as usize + 1;

/// Distinct values of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Distinct {
    /// Hashes of all of them.
    Exact(BTreeSet<u64>),
    /// One register for each of 2^12 parts of the hashes.
    Sketch(Box<[u8; REGISTERS]>),
}

impl Distinct {
    pub(super) fn new() -> Self {
        Distinct::Exact(BTreeSet::new())
    }

    /// Adds a value by its hash; beyond `exact_max` of them there is a sketch.
    pub(super) fn add(&mut self, hash: u64, exact_max: usize) {
        match self {
            Distinct::Exact(hashes) => {
                hashes.insert(hash);
                self.limit(exact_max);
            }
            Distinct::Sketch(registers) => register(registers, hash),
        }
    }

    pub(super) fn merge(&mut self, other: &Distinct, exact_max: usize) {
        match (&mut *self, other) {
            (Distinct::Exact(mine), Distinct::Exact(theirs)) => {
                mine.extend(theirs);
                self.limit(exact_max);
            }
            (Distinct::Sketch(registers), Distinct::Exact(theirs)) => {
                theirs.iter().for_each(|hash| register(registers, *hash));
            }
            (Distinct::Exact(mine), Distinct::Sketch(theirs)) => {
                let mut registers = theirs.clone();
                mine.iter().for_each(|hash| register(&mut registers, *hash));
                *self = Distinct::Sketch(registers);
            }
            (Distinct::Sketch(mine), Distinct::Sketch(theirs)) => {
                mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
            }
        }
    }

    /// How many there are, or about how many.
    pub(super) fn count(&self) -> i64 {
        match self {
            Distinct::Exact(hashes) => hashes.len() as i64,
            Distinct::Sketch(registers) => estimate(registers),
        }
    }

    fn limit(&mut self, exact_max: usize) {
        if let Distinct::Exact(hashes) = self
            && hashes.len() > exact_max
        {
            let mut registers = Box::new([0; REGISTERS]);
            hashes.iter().for_each(|hash| register(&mut registers, *hash));
            *self = Distinct::Sketch(registers);
        }
    }

    /// 0, the number of hashes (4 bytes) and the hashes ascending; or 1 and the registers. Numbers are little-endian.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Distinct::Exact(hashes) => {
                out.push(0);
                out.extend((hashes.len() as u32).to_le_bytes());
                hashes.iter().for_each(|hash| out.extend(hash.to_le_bytes()));
            }
            Distinct::Sketch(registers) => {
                out.push(1);
                out.extend(registers.iter());
            }
        }
    }

    pub(super) fn decode(bytes: &mut &[u8], exact_max: usize) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        *bytes = rest;
        match tag {
            0 => {
                let count = super::bytes::length(bytes)?;
                if count > exact_max {
                    return None;
                }
                let mut hashes = BTreeSet::new();
                for _ in 0..count {
                    let hash = super::bytes::eight(bytes).map(u64::from_le_bytes)?;
                    if hashes.last().is_some_and(|last| *last >= hash) {
                        return None;
                    }
                    hashes.insert(hash);
                }
                Some(Distinct::Exact(hashes))
            }
            1 => {
                let (registers, rest) = bytes.split_at_checked(REGISTERS)?;
                *bytes = rest;
                let registers: [u8; REGISTERS] = registers.try_into().ok()?;
                registers
                    .iter()
                    .all(|rank| usize::from(*rank) <= RANK_MAX)
                    .then(|| Distinct::Sketch(Box::new(registers)))
            }
            _ => None,
        }
    }
}

fn register(registers: &mut [u8; REGISTERS], hash: u64) {
    let index = (hash >> (64 - PRECISION)) as usize;
    // A bit behind the last one, so that a hash of zeros has a rank.
    let rank = (hash << PRECISION | 1 << (PRECISION - 1)).leading_zeros() as u8 + 1;
    registers[index] = registers[index].max(rank);
}

fn estimate(registers: &[u8; REGISTERS]) -> i64 {
    /// 1 / (2 ln 2).
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let mut counts = [0_u32; RANK_MAX + 1];
    registers.iter().for_each(|rank| counts[usize::from(*rank)] += 1);
    let all = REGISTERS as f64;
    let mut sum = all * tau(1.0 - f64::from(counts[RANK_MAX]) / all);
    for count in counts[1..RANK_MAX].iter().rev() {
        sum = 0.5 * (sum + f64::from(*count));
    }
    sum += all * sigma(f64::from(counts[0]) / all);
    (ALPHA * all * all / sum).round_ties_even() as i64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_exact_and_many_are_estimated() {
        for count in [0_u64, 1, 1_024, 1_025, 5_000, 100_000, 1_000_000] {
            let mut distinct = Distinct::new();
            for value in 0..count {
                let hash = super::super::hash::xxh64(&value.to_le_bytes());
                distinct.add(hash, 1_024);
                distinct.add(hash, 1_024);
            }
            let found = distinct.count();
            let off = (found - count as i64).unsigned_abs() as f64 / (count as f64).max(1.0);
            // Three standard errors.
            assert!(if count <= 1_024 { off == 0.0 } else { off < 0.05 }, "{count}: {found}");
        }
    }

    #[test]
    fn the_estimate_is_fixed() {
        let mut distinct = Distinct::new();
        for value in 0..50_000_u64 {
            distinct.add(super::super::hash::xxh64(&value.to_le_bytes()), 0);
        }
        assert_eq!(distinct.count(), GOLDEN);
    }

    /// Stored sketches must never be read as another number.
    const GOLDEN: i64 = 50_975;
}
