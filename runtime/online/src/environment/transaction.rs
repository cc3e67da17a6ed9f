//! What can be done inside a transaction.

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
        get(self.environment, self.txn, self.tables[table as usize], key)
    }

    /// Number of keys in a table.
    pub(crate) fn len(&self, table: Table) -> Result<usize, Fault> {
        let stat = self.txn.stat(self.tables[table as usize]);
        Ok(stat.map_err(|error| self.environment.fault("count", error))?.entries())
    }

    /// Gives every key and value of a table to `visit`, in the order of keys.
    pub(crate) fn for_each(
        &self,
        table: Table,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let fault = |error| self.environment.fault("scan", error);
        // The cursor has a name because an iterator of lmdb-rkv does not keep its cursor alive.
        let mut cursor = self.txn.open_ro_cursor(self.tables[table as usize]).map_err(fault)?;
        for item in cursor.iter_start() {
            let (key, value) = item.map_err(fault)?;
            visit(key, value)?;
        }
        drop(cursor);
        Ok(())
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
        get(self.environment, self.txn, self.tables[table as usize], key)
    }

    /// Number of keys in a table.
    pub(crate) fn len(&self, table: Table) -> Result<usize, Fault> {
        let stat = self.txn.stat(self.tables[table as usize]);
        Ok(stat.map_err(|error| self.environment.fault("count", error))?.entries())
    }

    /// Sets the value of a key.
    pub(crate) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let put = self.txn.put(self.tables[table as usize], &key, &value, WriteFlags::empty());
        put.map_err(|error| self.environment.fault("put", error))
    }

    /// Removes a key that is there.
    pub(crate) fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), Fault> {
        let deleted = self.txn.del(self.tables[table as usize], &key, None);
        deleted.map_err(|error| self.environment.fault("delete", error))
    }
}

fn get<'a>(
    environment: &Environment,
    txn: &'a impl lmdb::Transaction,
    database: Database,
    key: &[u8],
) -> Result<Option<&'a [u8]>, Fault> {
    match txn.get(database, &key) {
        Ok(value) => Ok(Some(value)),
        Err(lmdb::Error::NotFound) => Ok(None),
        Err(error) => Err(environment.fault("get", error)),
    }
}
