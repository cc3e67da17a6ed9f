//! What is in a store, view by view; copies of it, and back from them.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use tandem_core::time::Timestamp;

use super::{PutReport, PutRow, Store};
use crate::environment::{Access, Environment, Fault, Table};
use crate::error::OnlineError;
use crate::key::entity_key;
use crate::options::StoreOptions;
use crate::record::Stored;
use crate::view::{View, ViewId, ViewIdentity};
use crate::writer::Row;

/// Ages, in seconds, between which rows are counted: a minute, an hour, a day, a week, 30 days, 365 days.
pub const AGE_BOUNDS_SECONDS: [u64; 6] = [60, 3_600, 86_400, 604_800, 2_592_000, 31_536_000];

/// Keys that are looked at in one read transaction.
const PIECE_KEYS: usize = 16_384;

/// Bytes that are copied in one write transaction.
const PIECE_BYTES: usize = 16 << 20;

/// What a store has of a view's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewStats {
    /// The version.
    pub view: View,
    /// Its rows.
    pub entries: u64,
    /// Their keys and values, in bytes.
    pub bytes: u64,
    /// Of them, rows that cannot be read.
    pub corrupt: u64,
    /// Rows by the age of their event: below each of [`AGE_BOUNDS_SECONDS`] and not below the one before; at the end those that are older. Rows of the
    /// future are the youngest.
    pub ages: [u64; AGE_BOUNDS_SECONDS.len() + 1],
}

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Feature rows.
    pub entries: u64,
    /// Rows of the push log.
    pub logged: u64,
    /// Keys and values, in bytes.
    pub bytes: u64,
    /// Feature rows that cannot be read; they are copied as they are.
    pub corrupt: u64,
}

/// A piece of the rows of a view.
#[derive(Debug, Clone, Default)]
struct Piece {
    rows: Vec<Row>,
    corrupt: u64,
    keys: u64,
    bytes: u64,
    /// The key from which the next piece goes on; None at the end.
    next: Option<Vec<u8>>,
}

impl Store {
    /// Sizes and ages of all views, by name and version. Reads every row, a few thousand in a transaction.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn view_stats(&self, now: Timestamp) -> Result<Vec<ViewStats>, OnlineError> {
        let mut all = Vec::new();
        for view in self.views()? {
            let id = view.id;
            let mut stats = ViewStats { view, entries: 0, bytes: 0, corrupt: 0, ages: Default::default() };
            self.pieces(id, |piece| {
                stats.entries += piece.keys;
                stats.bytes += piece.bytes;
                stats.corrupt += piece.corrupt;
                for row in piece.rows {
                    let seconds = now.0.saturating_sub(row.record.event_time.0).max(0) as u64 / 1_000_000;
                    let place = AGE_BOUNDS_SECONDS.partition_point(|bound| *bound <= seconds);
                    stats.ages[place] += 1;
                }
                Ok(())
            })?;
            all.push(stats);
        }
        Ok(all)
    }

    /// Copies the store, as it is at one moment, into a folder that does not exist yet. Readers and writers go on; what they replace meanwhile is not used
    /// again before the copy is done.
    ///
    /// # Errors
    /// The folder exists; no room. Nothing is left then.
    pub fn backup(&self, target: &Path) -> Result<CopyReport, OnlineError> {
        let io = |operation, path: &Path, source| OnlineError::Io { operation, path: path.to_owned(), source };
        if target.exists() {
            let source = std::io::ErrorKind::AlreadyExists.into();
            return Err(io("make", target, source));
        }
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".unfinished");
        let unfinished = target.with_file_name(name);
        let copied = self.environment().read(|snapshot| {
            let clear = || match fs::remove_dir_all(&unfinished) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", &unfinished, error)),
                _ => Ok(()),
            };
            clear()?;
            let copy = Environment::open(&unfinished, Access::ReadWrite, &StoreOptions::default())?;
            let mut report = CopyReport::default();
            for table in [Table::Meta, Table::Views, Table::State, Table::Records, Table::Log] {
                let mut waiting: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
                let mut bytes = 0;
                let write = |waiting: &mut Vec<(Vec<u8>, Vec<u8>)>| {
                    copy.write(|txn| waiting.iter().try_for_each(|(key, value)| txn.put(table, key, value)))?;
                    waiting.clear();
                    Ok::<_, Fault>(())
                };
                snapshot.scan(table, &[], |key, value| {
                    match table {
                        Table::Records => {
                            report.entries += 1;
                            report.corrupt += u64::from(Stored::decode(value).is_err());
                        }
                        Table::Log => report.logged += 1,
                        _ => {}
                    }
                    report.bytes += (key.len() + value.len()) as u64;
                    bytes += key.len() + value.len();
                    waiting.push((key.to_vec(), value.to_vec()));
                    if bytes > PIECE_BYTES {
                        write(&mut waiting)?;
                        bytes = 0;
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
                write(&mut waiting)?;
            }
            Ok(report)
        });
        let finished = copied.and_then(|report| {
            fs::rename(&unfinished, target).map_err(|error| io("make", target, error))?;
            let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let sync = fs::File::open(parent).and_then(|folder| folder.sync_all());
            sync.map_err(|error| io("sync", parent, error)).map(|()| report)
        });
        if finished.is_err() {
            let _ = fs::remove_dir_all(&unfinished); // the error that is told is the first one
        }
        finished
    }

    /// Writes the feature rows of a copy into this store, where they are newer than what it has; beside readers and writers. What the store has is never
    /// moved back. Rows that cannot be read are left out. Gives what came of each version of a view, and the rows that were left out.
    ///
    /// # Errors
    /// A version that this store has under another definition; what was written before stays.
    pub fn restore(&self, copy: &Store) -> Result<(Vec<(View, PutReport)>, u64), OnlineError> {
        let (mut restored, mut corrupt) = (Vec::new(), 0);
        for view in copy.views()? {
            let identity = ViewIdentity {
                name: &view.name,
                version: view.version,
                definition_hash: view.definition_hash,
                digest: view.digest,
                schema_fingerprint: view.schema_fingerprint,
            };
            let id = self.view(&identity)?;
            let mut report = PutReport::default();
            copy.pieces(view.id, |piece| {
                corrupt += piece.corrupt;
                let mut rest = &piece.rows[..];
                while !rest.is_empty() {
                    let mut bytes = 0;
                    let fits = rest.iter().take(self.options().batch_rows_max).take_while(|row| {
                        bytes += row.key.len() + row.record.row.len();
                        bytes <= self.options().batch_bytes_max
                    });
                    let (now, later) = rest.split_at(fits.count().max(1));
                    let rows: Vec<PutRow<'_>> =
                        now.iter().map(|row| PutRow { key: &row.key, record: row.record.borrow() }).collect();
                    let put = self.put_if_newer(id, &rows)?;
                    report.written += put.written;
                    report.kept += put.kept;
                    report.repaired += put.repaired;
                    rest = later;
                }
                Ok(())
            })?;
            restored.push((view, report));
        }
        Ok((restored, corrupt))
    }

    /// Gives the rows of a view to `visit`, piece by piece, each in a transaction of its own.
    fn pieces(&self, view: ViewId, mut visit: impl FnMut(Piece) -> Result<(), OnlineError>) -> Result<(), OnlineError> {
        let mut from = Some(view.get().to_be_bytes().to_vec());
        while let Some(key) = from {
            let mut piece = self.piece(view, &key)?;
            from = piece.next.take();
            visit(piece)?;
        }
        Ok(())
    }

    fn piece(&self, view: ViewId, from: &[u8]) -> Result<Piece, OnlineError> {
        let prefix = view.get().to_be_bytes();
        self.environment().read(|snapshot| {
            let mut piece = Piece::default();
            snapshot.scan(Table::Records, from, |key, value| {
                if !key.starts_with(&prefix) {
                    return Ok(ControlFlow::Break(()));
                }
                if piece.keys as usize >= PIECE_KEYS || piece.bytes as usize > PIECE_BYTES {
                    piece.next = Some(key.to_vec());
                    return Ok(ControlFlow::Break(()));
                }
                piece.keys += 1;
                piece.bytes += (key.len() + value.len()) as u64;
                let stored = Stored::decode(value).ok();
                let row = stored.and_then(|stored| {
                    let key = entity_key(key, stored.full_key)?;
                    Some(Row { key: key.to_vec(), record: stored.record.to_owned() })
                });
                match row {
                    Some(row) => piece.rows.push(row),
                    None => piece.corrupt += 1,
                }
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(piece)
        })
    }
}
