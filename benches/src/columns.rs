//! Rows for the transforms, the same in every run.

use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, PrimitiveArray, StringArray,
};
use arrow_schema::{DataType, Field};

/// xorshift64*: S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016.
struct Random(u64);

impl Random {
    fn new(stream: u64) -> Random {
        Random(0x9e37_79b9_7f4a_7c15 ^ (stream + 1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Uniform in [low, high).
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.next() >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// `rows` numbers in [low, high).
pub(crate) fn floats(stream: u64, rows: usize, low: f64, high: f64) -> Float64Array {
    let mut random = Random::new(stream);
    (0..rows).map(|_| random.between(low, high)).collect::<Vec<_>>().into()
}

/// `rows` order lines `sku; quantity; price`, with spaces here and there and a few that do not parse.
pub(crate) fn lines(rows: usize) -> StringArray {
    let mut random = Random::new(100);
    StringArray::from_iter_values((0..rows).map(|_| {
        let sku = random.next() % 100_000;
        let quantity = random.next() % 500;
        let price = random.between(0.0, 1_000.0);
        match random.next() % 64 {
            0 => format!("AT-{sku:05};  n/a; {price:.2}"),
            1 => format!("AT-{sku:05}; {quantity}"),
            2..=20 => format!(" AT-{sku:05} ;{quantity}; {price:.2} "),
            _ => format!("AT-{sku:05}; {quantity}; {price:.2}"),
        }
    }))
}

/// `rows` truth values.
pub(crate) fn booleans(rows: usize) -> ArrayRef {
    let mut random = Random::new(200);
    Arc::new(BooleanArray::from((0..rows).map(|_| random.next().is_multiple_of(2)).collect::<Vec<_>>()))
}

/// `rows` vectors of `width` values.
pub(crate) fn vectors(rows: usize, width: usize) -> ArrayRef {
    let mut random = Random::new(300);
    let values: Float32Array =
        PrimitiveArray::<Float32Type>::from_iter_values((0..rows * width).map(|_| random.between(-1.0, 1.0) as f32));
    let item = Arc::new(Field::new("item", DataType::Float32, false));
    Arc::new(FixedSizeListArray::new(item, width as i32, Arc::new(values), None))
}
