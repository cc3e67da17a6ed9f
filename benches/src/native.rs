//! The functions of the guests, compiled natively, over the same Arrow arrays: loops over slices in, Arrow arrays out.

use std::iter::zip;

use arrow_array::builder::{Float64Builder, Int64Builder, StringBuilder};
use arrow_array::{Array, Float64Array, Int64Array, StringArray};
use functions::{Libm, haversine_km};

/// The `libm` crate: the library that `compiler_builtins` gives to components, as a crate.
pub(crate) struct LibmCrate;

impl Libm for LibmCrate {
    fn sin(x: f64) -> f64 {
        libm::sin(x)
    }

    fn cos(x: f64) -> f64 {
        libm::cos(x)
    }

    fn asin(x: f64) -> f64 {
        libm::asin(x)
    }
}

#[inline(never)]
pub(crate) fn arithmetic(a: &Float64Array, b: &Float64Array, c: &Float64Array) -> Float64Array {
    let values: Vec<f64> =
        zip(zip(a.values(), b.values()), c.values()).map(|((a, b), c)| functions::arithmetic(*a, *b, *c)).collect();
    values.into()
}

#[inline(never)]
pub(crate) fn haversine<M: Libm>(columns: &[Float64Array; 4]) -> Float64Array {
    let [from_latitude, from_longitude, to_latitude, to_longitude] = columns.each_ref().map(|column| column.values());
    let values: Vec<f64> = zip(zip(from_latitude, from_longitude), zip(to_latitude, to_longitude))
        .map(|((from_latitude, from_longitude), (to_latitude, to_longitude))| {
            haversine_km::<M>((*from_latitude, *from_longitude), (*to_latitude, *to_longitude))
        })
        .collect();
    values.into()
}

#[inline(never)]
pub(crate) fn parsing(lines: &StringArray) -> (StringArray, Int64Array, Float64Array) {
    let rows = lines.len();
    let mut skus = StringBuilder::with_capacity(rows, lines.value_data().len());
    let (mut quantities, mut prices) = (Int64Builder::with_capacity(rows), Float64Builder::with_capacity(rows));
    for row in 0..rows {
        let line = functions::parse(lines.value(row));
        skus.append_value(line.sku);
        quantities.append_option(line.quantity);
        prices.append_option(line.price);
    }
    (skus.finish(), quantities.finish(), prices.finish())
}
