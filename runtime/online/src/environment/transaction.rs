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

    /// Removes a key; gives whether it was there.
    pub(crate) fn delete(&mut self, table: Table, key: &[u8]) -> Result<bool, Fault> {
        match self.txn.del(self.table(table), &key, None) {
            Ok(()) => Ok(true),
            Err(lmdb::Error::NotFound) => Ok(false),
            Err(error) => Err(self.environment.fault("delete", error)),
        }
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
