//! What lies in memory under a null, and which NaN a NaN is. The boundary shows nothing of either, so this cheat has nothing to cheat with.

use crate::{Answer, Rows};

pub fn answer(rows: &Rows<'_>) -> Answer {
    rows.numbers.iter().map(|number| Ok((number.to_bits() >> 12) as f64)).collect()
}
