//! Write a feature once, as a plain Rust function; run it offline and online.
//!
//! A *transform* computes features from the columns of rows. Its author writes a function and two structs, and compiles
//! them to a WebAssembly component. The Tandem runtime runs that one component in batch, over historical
//! Parquet, and for a request, so the two cannot disagree. Names, types and docs are read from the component: they are written once, in
//! the code.
//!
//! # Example
//!
//! ```
//! use tandem_sdk::prelude::*;
//!
//! /// One card transaction.
//! #[derive(Input)]
//! pub struct Transaction<'a> {
//!     /// Amount in the account's currency.
//!     pub amount: f64,
//!     /// Merchant as printed on the statement.
//!     pub merchant: Option<&'a str>,
//!     /// The instant for which the value is asked.
//!     pub as_of: Timestamp,
//! }
//!
//! /// Risk signals of one transaction.
//! #[derive(Output)]
//! pub struct Features {
//!     /// Natural logarithm of 1 + amount.
//!     pub log_amount: f64,
//!     /// Characters of the merchant's name.
//!     pub merchant_length: Option<i64>,
//!     /// Whether it was made between midnight and five (UTC).
//!     pub at_night: bool,
//! }
//!
//! /// Risk signals of one card transaction.
//! #[transform]
//! fn features(row: Transaction<'_>) -> Result<Features, RowError> {
//!     if row.amount < 0.0 {
//!         return Err(RowError::field("amount", "must not be negative"));
//!     }
//!     Ok(Features {
//!         log_amount: row.amount.ln_1p(),
//!         merchant_length: row.merchant.map(|merchant| merchant.chars().count() as i64),
//!         at_night: row.as_of.hour_of_day() < 5,
//!     })
//! }
//!
//! # fn main() -> Result<(), RowError> {
//! // It stays a plain function:
//! let noon = Timestamp::from_seconds(1_709_208_000);
//! let features = features(Transaction { amount: 0.0, merchant: Some("Café"), as_of: noon })?;
//! assert_eq!((features.log_amount, features.merchant_length, features.at_night), (0.0, Some(4), false));
//! # Ok(())
//! # }
//! ```
//!
//! The manifest needs nothing but this crate:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"] # the component, and the library that tests link
//!
//! [dependencies]
//! tandem-sdk = "0.1"
//!
//! [profile.release]
//! opt-level = 3
//! lto = true
//! codegen-units = 1
//! panic = "abort"
//! strip = "symbols"
//! ```
//!
//! Built for `wasm32-unknown-unknown` with `-Ctarget-feature=+simd128`, the crate exports the transform and imports nothing. One
//! crate holds one transform, as a component has one.
//!
//! # Rows
//!
//! The fields of the input struct are the columns that the transform takes, in their order; those of the output struct are
//! the features that it gives. A field is named as its column: lower-case letters, digits and underscores. `r#type` is `type`,
//! and `#[tandem(name = "...")]` gives a field another name. Doc comments become the docs of columns and features, that of the
//! function the doc of the transform; lines of a paragraph are joined.
//!
//! An input named `as_of` is bound by the runtime to the instant for which a value is asked. It is a [`Timestamp`], never null.
//! There is no other clock. An output may not be called `as_of`, `event_time`, `created_time`, `published_time`, `sequence`, `corrected_time`,
//! `retracted_time`, `superseded_time` or `superseded_published_time`: the runtime has columns of these names beside the features.
//!
//! A wrong type, a missing derive or a reserved name is a compile error at the field, with what to write instead. A field may also
//! have a type of your own that implements [`InputType`](input::InputType) or [`OutputType`](output::OutputType).
//!
//! | Rust, input                          | Rust, output                              | contract (WIT)       | Arrow                          |
//! | ------------------------------------ | ----------------------------------------- | -------------------- | ------------------------------ |
//! | `bool`                               | `bool`                                    | `boolean`            | `Boolean`                      |
//! | `i64`                                | `i64`                                     | `int64`              | `Int64`                        |
//! | `f64`                                | `f64`                                     | `float64`            | `Float64`                      |
//! | [`Timestamp`]                        | [`Timestamp`]                             | `timestamp`          | `Timestamp(Microsecond, UTC)`  |
//! | `&str`, `String`                     | `&str`, `String`                          | `string`             | `Utf8`                         |
//! | `&[u8]`, `Vec<u8>`                   | `&[u8]`, `Vec<u8>`                        | `binary`             | `Binary`                       |
//! | `&[f32; N]`, `[f32; N]`              | `&[f32; N]`, `[f32; N]`                   | `float32-vector(N)`  | `FixedSizeList(Float32, N)`    |
//! | `&[i64]`, `Vec<i64>`                 | `&[i64]`, `Vec<i64>`                      | `sequence(int64)`    | `List(Int64)`                  |
//! | `&[f64]`, `Vec<f64>`                 | `&[f64]`, `Vec<f64>`                      | `sequence(float64)`  | `List(Float64)`                |
//! | [`Strings`](views::Strings), `Vec<&str>`, `Vec<String>` | `Strings`, `Vec<&str>`, `Vec<String>` | `sequence(string)` | `List(Utf8)`      |
//! | `Option` of one of these             | `Option` of one of these                  | nullable             | nullable                       |
//!
//! Prefer what borrows (`&'a str`, `&'a [f64]`): nothing is copied then. An output may borrow from the row too.
//!
//! # Nulls
//!
//! A field that is not an `Option` is never null: the runtime refuses a null in such a column, on the way in and on the way
//! out. What to do about a missing value is thus decided in the function and seen in its types:
//!
//! ```
//! # use tandem_sdk::prelude::*;
//! #[derive(Input)]
//! struct Basket {
//!     price: f64,
//!     discount: Option<f64>,
//! }
//!
//! #[derive(Output)]
//! struct Price {
//!     /// What was paid; a basket without a discount was paid in full.
//!     paid: f64,
//!     /// Share of the discount; null if there was none, or if there was nothing to pay.
//!     share: Option<f64>,
//! }
//!
//! #[transform]
//! fn price(row: Basket) -> Price {
//!     Price {
//!         paid: row.price - row.discount.unwrap_or(0.0),
//!         share: row.discount.filter(|_| row.price > 0.0).map(|discount| discount / row.price),
//!     }
//! }
//! ```
//!
//! NaN is a value and not a null. It reaches the transform in its canonical form, and whatever NaN comes out is made canonical.
//!
//! # Errors
//!
//! A row for which there is no value returns an error: [`RowError`] carries a message and may name the input at fault. The row
//! is reported as failed, its neighbours are not touched, and no value stands in for it. `?` converts the errors of the standard
//! library, [`InField`] adds the name of the input, and `map_err(RowError::new)` takes any error that can be shown. Messages are
//! cut after [`MESSAGE_BYTES_MAX`] bytes.
//!
//! ```
//! # use tandem_sdk::prelude::*;
//! #[derive(Input)]
//! struct Form<'a> {
//!     income: &'a str,
//!     dependents: i64,
//! }
//!
//! #[derive(Output)]
//! struct Burden {
//!     income_per_head: f64,
//! }
//!
//! #[transform]
//! fn burden(row: Form<'_>) -> Result<Burden, RowError> {
//!     let income: f64 = row.income.trim().parse().in_field("income")?;
//!     let heads = row.dependents.checked_add(1).filter(|&heads| heads > 0);
//!     let heads = heads.ok_or_else(|| RowError::field("dependents", format!("{} makes no sense", row.dependents)))?;
//!     Ok(Burden { income_per_head: income / heads as f64 })
//! }
//!
//! # fn main() {
//! let error = burden(Form { income: "12k", dependents: 1 }).err().map(|error| error.to_string());
//! assert_eq!(error.as_deref(), Some("income: invalid float literal"));
//! # }
//! ```
//!
//! A panic is a trap: the instance is dead, and its message is lost. The runtime then divides the rows and calls again until
//! the row at fault stands alone, so a panic costs far more than an error and says far less.
//!
//! # Parameters
//!
//! What a view's definition sets for the transform (a threshold, bucket edges, a vocabulary) comes as a second argument. A
//! parameter that is unknown, missing, given twice or of the wrong type is refused with its name, what was expected and what was
//! given, when the view is registered.
//!
//! ```
//! use tandem_sdk::{prelude::*, testing::Call};
//!
//! #[derive(Parameters)]
//! struct Settings {
//!     /// Amount from which a purchase is large.
//!     large_amount: f64,
//!     /// Countries in which the card is at home.
//!     countries: Vec<String>,
//!     /// Highest amount that is looked at; without it, all are.
//!     limit: Option<f64>,
//! }
//!
//! #[derive(Input)]
//! struct Purchase<'a> {
//!     amount: f64,
//!     country: &'a str,
//! }
//!
//! #[derive(Output)]
//! struct Flags {
//!     large: bool,
//!     abroad: bool,
//! }
//!
//! #[transform]
//! fn flags(row: Purchase<'_>, settings: &Settings) -> Flags {
//!     let amount = row.amount.min(settings.limit.unwrap_or(f64::INFINITY));
//!     Flags {
//!         large: amount >= settings.large_amount,
//!         abroad: !settings.countries.iter().any(|country| country == row.country),
//!     }
//! }
//!
//! # fn main() -> Result<(), CallError> {
//! let call = Call::<flags>::new().parameter("large_amount", 500).parameter("countries", vec!["CH", "AT"]);
//! let results = call.clone().input("amount", [500.0]).input("country", ["DE"]).apply()?;
//! assert_eq!(results.output::<bool>("large"), [Some(true)]);
//!
//! let error = call.parameter("large_amont", 1).signature().unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "unknown parameter `large_amont`: the parameters are large_amount, countries, limit"
//! );
//! # Ok(())
//! # }
//! ```
//!
//! A parameter is a `bool`, `i64`, `f64`, `String`, `Vec<i64>`, `Vec<f64>`, `Vec<Timestamp>` or `Vec<String>`, or an `Option` of
//! one of these. An integer is taken for an `f64` if it is one exactly; an empty list is a list of any type. Parameters are
//! read anew in every call, so keep what is large sorted in the definition rather than building an index of it.
//!
//! # Columns, for speed
//!
//! Data crosses the boundary as whole columns. The everyday form reads row by row, so the compiler sees one row at a time; a loop
//! over `&[f64]` is compiled to SIMD instructions, for which Cranelift, which makes the machine code, would never look. For
//! arithmetic over many rows that is worth writing. `#[derive(Input)]` on `Transaction` also gives `TransactionColumns<'a>`, and
//! `#[derive(Output)]` on `Features` gives `FeaturesColumns`, with the same fields, names and docs:
//!
//! ```
//! use tandem_sdk::{prelude::*, testing::Call};
//!
//! #[derive(Input)]
//! struct Transaction<'a> {
//!     amount: f64,
//!     limit: f64,
//!     discount: Option<f64>,
//!     merchant: &'a str,
//! }
//!
//! #[derive(Output)]
//! struct Features {
//!     usage: f64,
//!     net: Option<f64>,
//!     merchant: String,
//! }
//!
//! #[transform(columns)]
//! fn features(rows: usize, input: TransactionColumns<'_>) -> Result<(FeaturesColumns, FailedRows), CallError> {
//!     let mut failed = FailedRows::new();
//!     for row in 0..rows {
//!         if input.limit[row] < 0.0 {
//!             failed.push(row, RowError::field("limit", "must not be negative"));
//!         }
//!     }
//!     // Under a null lies a zero: compute over all values, and say afterwards which of them count.
//!     let net = input.amount.iter().zip(input.discount.values).map(|(amount, discount)| amount - discount).collect();
//!     let columns = FeaturesColumns {
//!         usage: input.amount.iter().zip(input.limit).map(|(amount, limit)| amount / (limit + 1.0)).collect(),
//!         net: NullableColumn::from_values(net, input.discount.validity.into()),
//!         merchant: input.merchant.iter().map(str::to_lowercase).collect(),
//!     };
//!     Ok((columns, failed))
//! }
//!
//! # fn main() -> Result<(), CallError> {
//! let results = Call::<features>::new()
//!     .input("amount", [50.0, 20.0])
//!     .input("limit", [99.0, -1.0])
//!     .input("discount", [Some(5.0), None])
//!     .input("merchant", ["ACME", "Zoë"])
//!     .apply()?;
//! assert_eq!(results.output::<f64>("net"), [Some(45.0), None]);
//! assert_eq!(results.failures(), [(1, "limit: must not be negative")]);
//! # Ok(())
//! # }
//! ```
//!
//! | field                       | column of the input                                     | column of the output                                |
//! | --------------------------- | ------------------------------------------------------- | --------------------------------------------------- |
//! | `i64`, `f64`                | `&[i64]`, `&[f64]`                                      | `Vec<i64>`, `Vec<f64>`                              |
//! | `bool`, `Timestamp`         | [`Booleans`](views::Booleans), [`Timestamps`](views::Timestamps) | `Vec<bool>`, `Vec<Timestamp>`              |
//! | `[f32; N]`                  | `&[[f32; N]]`                                           | `Vec<[f32; N]>`                                     |
//! | strings, bytes              | [`Strings`](views::Strings), [`Binaries`](views::Binaries) | [`StringColumn`](columns::StringColumn), [`BinaryColumn`](columns::BinaryColumn) |
//! | sequences                   | [`Sequences<T>`](views::Sequences), [`StringSequences`](views::StringSequences) | [`SequenceColumn<T>`](columns::SequenceColumn), [`StringSequenceColumn`](columns::StringSequenceColumn) |
//! | `Option` of one of these    | [`Nullable<V>`](views::Nullable): `values`, `validity`  | [`NullableColumn<C>`](columns::NullableColumn)      |
//!
//! The function may return the columns alone, or with [`FailedRows`], or a `Result` of either; a [`CallError`] fails the whole
//! call. It must still compute each row from that row alone.
//!
//! # Aggregates
//!
//! A view of aggregates computes what happened in a window of time: counts, sums, quantiles. What the runtime has no function for is written as a type that
//! is kept of events, and an implementation of [`Aggregate`]:
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use tandem_sdk::{prelude::*, testing::Events};
//!
//! #[derive(Parameters)]
//! struct Settings {
//!     /// Amounts from this one on are large, in cents.
//!     large: i64,
//! }
//!
//! #[derive(Input)]
//! struct Payment<'a> {
//!     cents: i64,
//!     shop: &'a str,
//! }
//!
//! /// What was spent in each shop.
//! #[derive(State)]
//! struct Shops {
//!     cents: BTreeMap<String, i64>,
//! }
//!
//! /// Shops in which the payments together were large.
//! #[aggregate]
//! impl Aggregate for Shops {
//!     type Event<'a> = Payment<'a>;
//!     type Value = i64;
//!     type Parameters = Settings;
//!
//!     fn empty(_: &Settings) -> Self {
//!         Shops { cents: BTreeMap::new() }
//!     }
//!
//!     fn add(&mut self, event: Payment<'_>, _: &Settings) {
//!         *self.cents.entry(event.shop.to_owned()).or_default() += event.cents;
//!     }
//!
//!     fn merge(&mut self, other: Self, _: &Settings) {
//!         for (shop, cents) in other.cents {
//!             *self.cents.entry(shop).or_default() += cents;
//!         }
//!     }
//!
//!     fn finish(&self, _: Timestamp, settings: &Settings) -> i64 {
//!         self.cents.values().filter(|cents| **cents >= settings.large).count() as i64
//!     }
//! }
//!
//! # fn main() -> Result<(), CallError> {
//! let large = Events::<Shops>::new()
//!     .parameter("large", 100)
//!     .input("cents", [60, 50, 90])
//!     .input("shop", ["baker", "baker", "smith"])
//!     .value::<i64>(Timestamp::from_micros(0))?;
//! assert_eq!(large, Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! The state is kept as bytes on disk, by stretches of time, and merged; so it must be the same bytes for the same events, whatever their order and however they were
//! divided. [`testing::Events`] tries some divisions, `tandem verify` many. That rules out adding up floating-point numbers one after another (`0.1 + 0.2 + 0.3` depends on the
//! order): count in integers, as cents are. A state should stay small: `state_bytes_max` limits it.
//!
//! # Testing
//!
//! Tests run natively, with `cargo test`: call the function. [`testing`] calls it through the contract, to check names, docs and
//! parameters as well.
//!
//! # Determinism
//!
//! The runtime may split, reorder, join and repeat calls, so a row's result must depend on that row and on the parameters
//! alone. Most ways out are closed: a component has no clock, no randomness, no environment, no files and no network, and its
//! instances do not live on. What remains is up to the author:
//!
//! - No state in statics, thread locals or caches: a later row must not see an earlier one.
//! - Do not let the order of a `HashMap` or `HashSet` reach a value (in a sum of floats, or by taking the first). In the
//!   component, each map that is made has another order than the one before, so it depends on how many rows came before;
//!   natively it is random. Use a `BTreeMap`, or sort.
//! - Do not look at the bits of a NaN, or at addresses.
//! - `std::time`, `std::thread` and `std::env` compile for `wasm32-unknown-unknown` and panic, or give nothing, when they are called.
//! - Crates that ask the host for time or randomness do not link, or make the component import something; the runtime refuses it.
//!
//! # Not supported
//!
//! - Outputs or inputs that depend on the parameters: the structs are the signature.
//! - `i32`, `u64`, `f32` and other numbers: convert, and decide what happens beyond the range.
//! - Sequences with null items, nested sequences, sequences of vectors, structs in columns.
//! - Vectors whose width is known at run time only.
//! - A transform over several rows: that is an [aggregate](#aggregates).
//! - Two transforms, or two aggregates, in one crate.

// The macros' code says `::tandem_sdk`, also in this crate's own tests.
extern crate self as tandem_sdk;

mod aggregate;
#[doc(hidden)]
#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
mod allocator;
pub mod bindings;
mod call;
pub mod columns;
pub mod contract;
mod data_type;
mod error;
mod failed_rows;
pub mod input;
pub mod output;
pub mod parameters;
pub mod prelude;
mod state;
pub mod testing;
mod timestamp;

pub mod views;

pub use aggregate::Aggregate;
pub use call::{ColumnsResult, RowResult, Transform};
pub use error::{CallError, InField, MESSAGE_BYTES_MAX, RowError};
pub use failed_rows::FailedRows;
pub use input::Input;
pub use output::Output;
pub use parameters::Parameters;
pub use state::State;
pub use tandem_sdk_macros::{Input, Output, Parameters, State, aggregate, transform};
pub use timestamp::{Date, Timestamp};

/// What the macros' code calls; no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        call::{Apply, Describe, columns, rows},
        input::{self, Columns},
        output,
        parameters::Given,
    };
}
