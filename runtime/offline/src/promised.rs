//! Values of a source's column against what is promised of it, and in the types that are declared.

use std::collections::BTreeMap;

use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_select::concat::concat;
use tandem_core::contract::violations;
use tandem_core::model::ColumnContract;
use tandem_core::types::DataType;
use tandem_engine::convert::{ConvertError, to_declared};

/// The rows of a column that break what is promised of it, ascending, each with what it is instead; also those whose value does not convert to the promised type
/// without loss. `name` is the column's in messages; `timezone` that of timestamps without one.
///
/// # Errors
///
/// A column of a type that does not convert at all.
pub fn broken_rows(
    contract: &ColumnContract,
    name: &str,
    values: &ArrayRef,
    timezone: Option<&str>,
) -> Result<Vec<(usize, String)>, ConvertError> {
    let to = |array: &ArrayRef| to_declared(array, name, contract.data_type, timezone);
    let (values, lossy) = convert_values(values, name, contract.data_type, &to)?;
    let mut broken: BTreeMap<usize, String> = violations(contract, &values).into_iter().collect();
    // What does not convert is null in `values`, and told by what it is.
    broken.extend(lossy.into_iter().map(|(row, value, reason)| (row, format!("column `{name}`: {value} {reason}"))));
    Ok(broken.into_iter().collect())
}

/// A value that does not convert: its row, what it is, and why it is refused.
pub(crate) type Lossy = (usize, String, String);

/// The column in its declared type, null where a value does not convert; and those, ascending.
pub(crate) fn convert_values(
    array: &ArrayRef,
    name: &str,
    to: DataType,
    convert: &dyn Fn(&ArrayRef) -> Result<ArrayRef, ConvertError>,
) -> Result<(ArrayRef, Vec<Lossy>), ConvertError> {
    match convert(array) {
        Ok(converted) => return Ok((converted, Vec::new())),
        Err(ConvertError::Value { row: _, value, reason, .. }) if array.len() == 1 => {
            return Ok((new_null_array(&to.to_arrow(), 1), vec![(0, value, reason)]));
        }
        Err(ConvertError::Value { .. }) => {}
        Err(error) => return Err(error),
    }
    // Halves, so that many wrong values cost little more than one.
    let middle = array.len() / 2;
    let (first, mut lossy) = convert_values(&array.slice(0, middle), name, to, convert)?;
    let (second, behind) = convert_values(&array.slice(middle, array.len() - middle), name, to, convert)?;
    lossy.extend(behind.into_iter().map(|(row, value, reason)| (middle + row, value, reason)));
    let whole = concat(&[&first, &second]);
    let whole = whole.map_err(|error| ConvertError::Arrow { column: name.to_owned(), reason: error.to_string() })?;
    Ok((whole, lossy))
}
