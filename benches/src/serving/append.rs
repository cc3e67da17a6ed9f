//! The least that a materialization could do: the newest row of each user, appended to LMDB in the order of keys, in one durable transaction.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use lmdb::{Environment, Transaction as _, WriteFlags};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::FEATURES;
use crate::Failure;

/// Address space of the environment.
const MAP_BYTES: usize = 64 << 30;

/// Bytes of a stored value before its features, and of a feature: as many as Tandem's record of the same row has.
const HEAD_BYTES: usize = 84;
const FEATURE_BYTES: usize = 9;
const VALUE_BYTES: usize = HEAD_BYTES + FEATURE_BYTES * FEATURES;

/// Bytes of a key before the user's number, likewise.
const PREFIX: [u8; 5] = [0, 0, 0, 1, 0];

pub(crate) fn run(project: &Path) -> Result<(), Failure> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(project.join("users.parquet"))?)?;
    let mut newest: HashMap<i64, (i64, [f64; FEATURES])> = HashMap::new();
    for batch in reader.with_batch_size(16_384).build()? {
        let batch = batch?;
        let keys = batch.column(0).as_primitive::<Int64Type>();
        let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        let values: Vec<_> = (0..FEATURES).map(|at| batch.column(2 + at).as_primitive::<Float64Type>()).collect();
        for row in 0..batch.num_rows() {
            let time = times.value(row);
            let slot = newest.entry(keys.value(row)).or_insert((i64::MIN, [0.0; FEATURES]));
            if time > slot.0 {
                *slot = (time, std::array::from_fn(|at| values[at].value(row)));
            }
        }
    }
    let mut keys: Vec<i64> = newest.keys().copied().collect();
    keys.sort_unstable();
    let folder = project.join("appended");
    fs::create_dir_all(&folder)?;
    let environment = Environment::new().set_map_size(MAP_BYTES).open(&folder)?;
    let table = environment.open_db(None)?;
    let mut transaction = environment.begin_rw_txn()?;
    let mut value = [0_u8; VALUE_BYTES];
    for key in keys {
        let (time, features) = &newest[&key];
        value[..8].copy_from_slice(&time.to_le_bytes());
        for (at, feature) in features.iter().enumerate() {
            let from = HEAD_BYTES + FEATURE_BYTES * at + 1;
            value[from..from + 8].copy_from_slice(&feature.to_le_bytes());
        }
        // Big-endian, so that the order of bytes is that of keys.
        let key = [&PREFIX[..], &key.to_be_bytes()].concat();
        transaction.put(table, &key, &value, WriteFlags::APPEND)?;
    }
    Ok(transaction.commit()?)
}
