//! The fast form: whole columns in, whole columns out.

use tandem_sdk::prelude::*;

#[derive(Input)]
pub struct Row<'a> {
    pub amount: f64,
    pub limit: f64,
    pub discount: Option<f64>,
    pub merchant: &'a str,
}

#[derive(Output)]
pub struct Features {
    /// `amount` / (`limit` + 1).
    pub usage: f64,
    /// `amount` - `discount`.
    pub net: Option<f64>,
    /// What lies in `discount`, under nulls too: zero there.
    pub discount_slot: f64,
    /// In lower case.
    pub merchant: String,
}

/// Whole columns; a negative limit fails its row.
#[transform(columns)]
pub fn features(rows: usize, input: RowColumns<'_>) -> (FeaturesColumns, FailedRows) {
    let mut failed = FailedRows::new();
    for row in 0..rows {
        if input.limit[row] < 0.0 {
            failed.push(row, RowError::field("limit", "must not be negative"));
        }
    }
    let net = input.amount.iter().zip(input.discount.values).map(|(amount, discount)| amount - discount).collect();
    let columns = FeaturesColumns {
        usage: input.amount.iter().zip(input.limit).map(|(amount, limit)| amount / (limit + 1.0)).collect(),
        net: NullableColumn::from_values(net, input.discount.validity.into()),
        discount_slot: input.discount.values.to_vec(),
        merchant: input.merchant.iter().map(str::to_lowercase).collect(),
    };
    (columns, failed)
}
