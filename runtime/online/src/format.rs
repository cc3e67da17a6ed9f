//! The format of a whole store: a little-endian u32 under the key `format` of the table `meta`.
//!
//! It is raised when an older program could no longer read or, worse, would overwrite what a newer one wrote.

use crate::environment::{Environment, Fault, Table};
use crate::error::OnlineError;

/// The format that this program writes, and the newest that it reads.
///
/// - 1: tables `meta`, `views` and `records`.
/// - 2: beside them `log` and `state`, and flags of records that programs of format 1 take for damage.
/// - 3: generations of views, and rows whose values were removed; programs of format 2 would not find the first and take the second for damage.
/// - 4: events of tiled views that were folded; programs of format 3 would count them twice.
pub(crate) const STORE_FORMAT: u32 = 4;

const FORMAT_KEY: &[u8] = b"format";

/// Refuses a store of a newer format.
pub(crate) fn check(environment: &Environment) -> Result<(), OnlineError> {
    let found = environment.read(|snapshot| Ok(snapshot.get(Table::Meta, FORMAT_KEY)?.map(<[u8]>::to_vec)))?;
    match found {
        Some(bytes) => check_bytes(environment, &bytes),
        None => Err(OnlineError::NoStore { path: environment.path().to_owned() }),
    }
}

/// Writes the format into a new store or one of an older format, and refuses one of a newer format.
pub(crate) fn check_or_write(environment: &Environment) -> Result<(), OnlineError> {
    // Another process may make the same store at this moment, so that absence must be seen inside the write transaction.
    environment.write(|txn| {
        if let Some(bytes) = txn.get(Table::Meta, FORMAT_KEY)? {
            check_bytes(environment, bytes)?;
            if bytes == STORE_FORMAT.to_le_bytes() {
                return Ok(());
            }
            tracing::info!(path = %environment.path().display(), format = STORE_FORMAT, "online store raised to another format");
            return txn.put(Table::Meta, FORMAT_KEY, &STORE_FORMAT.to_le_bytes());
        }
        if txn.len(Table::Records)? > 0 {
            let reason = "its tables have no format".to_owned();
            return Err(Fault::Error(OnlineError::NotAStore { path: environment.path().to_owned(), reason }));
        }
        txn.put(Table::Meta, FORMAT_KEY, &STORE_FORMAT.to_le_bytes())
    })
}

fn check_bytes(environment: &Environment, bytes: &[u8]) -> Result<(), OnlineError> {
    let path = environment.path().to_owned();
    match bytes.try_into().map(u32::from_le_bytes) {
        Ok(1..=STORE_FORMAT) => Ok(()),
        Ok(found) if found > STORE_FORMAT => Err(OnlineError::FormatNewer { path, found, known: STORE_FORMAT }),
        _ => Err(OnlineError::NotAStore { path, reason: format!("its format is {} bytes {bytes:?}", bytes.len()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Access;
    use crate::options::StoreOptions;
    use crate::store::Store;

    fn write_format(folder: &std::path::Path, bytes: &[u8]) {
        let environment = Environment::open(folder, Access::ReadWrite, &StoreOptions::default()).unwrap();
        environment.write(|txn| txn.put(Table::Meta, FORMAT_KEY, bytes)).unwrap();
    }

    #[test]
    fn a_newer_store_is_refused_for_reading_and_writing() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), StoreOptions::default()).unwrap());
        write_format(folder.path(), &(STORE_FORMAT + 1).to_le_bytes());
        for open in [Store::open, Store::open_read_only] {
            let error = open(folder.path(), StoreOptions::default()).unwrap_err();
            assert!(matches!(error, OnlineError::FormatNewer { found: 5, known: STORE_FORMAT, .. }), "{error}");
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn a_store_of_the_format_before_is_read_and_raised() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::open(folder.path(), StoreOptions::default()).unwrap());
        write_format(folder.path(), &2_u32.to_le_bytes());
        drop(Store::open_read_only(folder.path(), StoreOptions::default()).unwrap());
        let format = || {
            let environment = Environment::open(folder.path(), Access::Read, &StoreOptions::default()).unwrap();
            environment.read(|snapshot| Ok(snapshot.get(Table::Meta, FORMAT_KEY)?.map(<[u8]>::to_vec))).unwrap()
        };
        assert_eq!(format(), Some(2_u32.to_le_bytes().to_vec()), "reading changes nothing");
        drop(Store::open(folder.path(), StoreOptions::default()).unwrap());
        assert_eq!(format(), Some(STORE_FORMAT.to_le_bytes().to_vec()));
    }

    #[test]
    fn a_damaged_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&b""[..], b"\x01", &[0; 4]] {
            write_format(folder.path(), bytes);
            let error = Store::open(folder.path(), StoreOptions::default()).unwrap_err();
            assert!(matches!(error, OnlineError::NotAStore { .. }), "{error}");
        }
    }

    #[test]
    fn a_store_whose_creation_was_cut_short_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        drop(Environment::open(folder.path(), Access::ReadWrite, &StoreOptions::default()).unwrap());
        let error = Store::open_read_only(folder.path(), StoreOptions::default()).unwrap_err();
        assert!(matches!(error, OnlineError::NoStore { .. }), "{error}");
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        assert_eq!(store.views().unwrap(), []);
    }
}
