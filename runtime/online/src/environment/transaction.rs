//! What can be done inside a transaction.

use std::ops::ControlFlow;

use lmdb::{RoTransaction, RwTransaction};

use super::*;

/// A read transaction: one moment of all tables.
pub(crate) struct Snapshot<'a> {
    environment: &'a Environment,
    txn: &'a RoTransaction<'a>,
    tables: &'a Tables,
}

impl<'a> Snapshot<'a> {
    pub(super) fn new(environment: &'a Environment, txn: &'a RoTransaction<'a>, tables: &'a Tables) -> Self {
        Snapshot { environment, txn, tables }
    }

    /// The value of a key.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>, Fault> {
        get(self.environment, self.txn, self.tables, table, key)
    }

    /// Number of keys in a table.
    pub(crate) fn len(&self, table: Table) -> Result<usize, Fault> {
        len(self.environment, self.txn, self.tables, table)
    }

    /// Gives every key and value of a table to `visit`, in the order of keys.
    pub(crate) fn for_each(
        &self,
        table: Table,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.scan(table, &[], |key, value| visit(key, value).map(ControlFlow::Continue))
    }

    /// The first key of a table at `from` or later.
    pub(crate) fn first(&self, table: Table, from: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        first(self.environment, self.txn, self.tables, table, from)
    }

    /// Gives the keys from `from` on, and their values, to `visit`, in the order of keys, until it breaks.
    pub(crate) fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<(), Fault> {
        scan(self.environment, self.txn, self.tables, table, from, visit)
    }
}

/// A write transaction, committed by [`Environment::write`]. After an error it can only be given up.
pub(crate) struct WriteTransaction<'a, 'env> {
    environment: &'a Environment,
    txn: &'a mut RwTransaction<'env>,
    tables: &'a Tables,
}

impl<'a, 'env> WriteTransaction<'a, 'env> {
    pub(super) fn new(environment: &'a Environment, txn: &'a mut RwTransaction<'env>, tables: &'a Tables) -> Self {
        WriteTransaction { environment, txn, tables }
    }

    /// The value of a key.
    pub(crate) fn get(&self, table: Table, key: &[u8]) -> Result<Option<&[u8]>, Fault> {
        get(self.environment, self.txn, self.tables, table, key)
    }

    /// Number of keys in a table.
    pub(crate) fn len(&self, table: Table) -> Result<usize, Fault> {
        len(self.environment, self.txn, self.tables, table)
    }

    /// Sets the value of a key.
    pub(crate) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let put = self.txn.put(self.table(table), &key, &value, WriteFlags::empty());
        put.map_err(|error| self.environment.fault("put", error))
    }

    /// Sets the value of a key that is not there; gives whether it was not.
    pub(crate) fn put_new(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<bool, Fault> {
        match self.txn.put(self.table(table), &key, &value, WriteFlags::NO_OVERWRITE) {
            Ok(()) => Ok(true),
            Err(lmdb::Error::KeyExist) => Ok(false),
            Err(error) => Err(self.environment.fault("put", error)),
        }
    }

    /// Removes a key; gives whether it was there.
    pub(crate) fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool, Fault> {
        match self.txn.del(self.table(table), &key, None) {
            Ok(()) => Ok(true),
            Err(lmdb::Error::NotFound) => Ok(false),
            Err(error) => Err(self.environment.fault("delete", error)),
        }
    }

    /// The first key of a table at `from` or later.
    pub(crate) fn first(&self, table: Table, from: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        first(self.environment, self.txn, self.tables, table, from)
    }

    /// Gives the keys from `from` on, and their values, to `visit`, in the order of keys, until it breaks.
    pub(crate) fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<(), Fault> {
        scan(self.environment, self.txn, self.tables, table, from, visit)
    }

    /// Goes through `keys`, which ascend, and gives each to `value` with what is stored of it: whether something is put in its place is what that says, and
    /// what it is what it leaves in the buffer. Behind the table's last key values are appended, so that pages are filled and nothing is looked up; elsewhere it goes through
    /// `elsewhere_max` keys at most. Gives how many it went through.
    pub(crate) fn merge(
        &mut self,
        table: Table,
        keys: &[impl AsRef<[u8]>],
        elsewhere_max: usize,
        mut value: impl FnMut(usize, Option<&[u8]>, &mut Vec<u8>) -> Result<bool, Fault>,
    ) -> Result<usize, Fault> {
        debug_assert!(keys.is_sorted_by(|a, b| a.as_ref() < b.as_ref()), "keys ascend");
        let (environment, database) = (self.environment, self.table(table));
        let fault = |operation| move |error| environment.fault(operation, error);
        let mut cursor = self.txn.open_rw_cursor(database).map_err(fault("open a cursor"))?;
        // The first stored key that does not lie before the one that is looked at.
        let (mut next, mut is_known, mut is_end) = (Vec::new(), false, false);
        let (mut elsewhere, mut bytes) = (0, Vec::new());
        for (index, key) in keys.iter().enumerate() {
            let key = key.as_ref();
            let mut found = None;
            let is_absent = is_end || is_known && key < &next[..];
            if !is_absent {
                match cursor.get(Some(key), None, lmdb_sys::MDB_SET_RANGE) {
                    Ok((stored, value)) => {
                        let stored = stored.unwrap_or(key);
                        found = (stored == key).then_some(value);
                        next.clear();
                        next.extend_from_slice(stored);
                        is_known = true;
                    }
                    Err(lmdb::Error::NotFound) => is_end = true,
                    Err(error) => return Err(environment.fault("scan", error)),
                }
            }
            if !is_end && elsewhere == elsewhere_max {
                return Ok(index);
            }
            elsewhere += usize::from(!is_end);
            if value(index, found, &mut bytes)? {
                let flags = if is_end { WriteFlags::APPEND } else { WriteFlags::empty() };
                cursor.put(&key, &bytes, flags).map_err(fault("put"))?;
            }
        }
        Ok(keys.len())
    }

    fn table(&self, table: Table) -> Database {
        self.tables[table as usize].expect("an environment that is open for writing has every table")
    }
}

fn len(environment: &Environment, txn: &impl lmdb::Transaction, tables: &Tables, table: Table) -> Result<usize, Fault> {
    let Some(database) = tables[table as usize] else { return Ok(0) };
    Ok(txn.stat(database).map_err(|error| environment.fault("count", error))?.entries())
}

fn scan(
    environment: &Environment,
    txn: &impl lmdb::Transaction,
    tables: &Tables,
    table: Table,
    from: &[u8],
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Fault>,
) -> Result<(), Fault> {
    let Some(database) = tables[table as usize] else { return Ok(()) };
    let fault = |error| environment.fault("scan", error);
    // The cursor has a name because an iterator of lmdb-rkv does not keep its cursor alive.
    let mut cursor = txn.open_ro_cursor(database).map_err(fault)?;
    // LMDB takes no empty key.
    let items = if from.is_empty() { cursor.iter_start() } else { cursor.iter_from(from) };
    for item in items {
        let (key, value) = item.map_err(fault)?;
        if visit(key, value)?.is_break() {
            break;
        }
    }
    drop(cursor);
    Ok(())
}

fn first(
    environment: &Environment,
    txn: &impl lmdb::Transaction,
    tables: &Tables,
    table: Table,
    from: &[u8],
) -> Result<Option<Vec<u8>>, Fault> {
    let mut found = None;
    scan(environment, txn, tables, table, from, |key, _| {
        found = Some(key.to_vec());
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

fn get<'a>(
    environment: &Environment,
    txn: &'a impl lmdb::Transaction,
    tables: &Tables,
    table: Table,
    key: &[u8],
) -> Result<Option<&'a [u8]>, Fault> {
    let Some(database) = tables[table as usize] else { return Ok(None) };
    match txn.get(database, &key) {
        Ok(value) => Ok(Some(value)),
        Err(lmdb::Error::NotFound) => Ok(None),
        Err(error) => Err(environment.fault("get", error)),
    }
}
