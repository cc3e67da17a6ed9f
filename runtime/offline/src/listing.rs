//! Folders to explicit lists of files. No other module lists a directory, so that a table format or a manifest can take its place.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use datafusion::error::DataFusionError;
use tandem_core::hash::Digest;
use tandem_core::model::{GRID_PARTITION, Source};
use tandem_core::time::{Day, DayRange};

use crate::error::OfflineError;

/// Folders that may lie inside one another below a source.
pub const FOLDER_DEPTH_MAX: usize = 32;

/// What Hive writes for a null partition value.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The folder of a partition, relative to its source or output: `date=2026-01-01`, `region=eu/date=2026-01-01`; empty for files that lie in
/// the source's folder itself. Always `/` between folders, never `..`, not percent-decoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PartitionId(String);

impl PartitionId {
    /// The relative folder; empty for the source's folder itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition of this folder below another one.
    pub(crate) fn below(folder: &str, partition: &PartitionId) -> PartitionId {
        PartitionId(if partition.0.is_empty() { folder.to_owned() } else { format!("{folder}/{}", partition.0) })
    }

    /// The partition of a day on a grid.
    pub(crate) fn of_day(day: Day) -> PartitionId {
        PartitionId(format!("{GRID_PARTITION}={day}"))
    }

    /// Whether its rows were pushed, and are of no partition of the source.
    pub fn is_pushed(&self) -> bool {
        crate::pushed::is_pushed(self)
    }

    /// The folder of this partition below `root`.
    pub fn folder(&self, root: &Path) -> PathBuf {
        if self.0.is_empty() { root.to_owned() } else { root.join(&self.0) }
    }
}

/// The relative folder, `.` for the source's folder itself.
impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

/// A file as it was when it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Absolute path.
    pub path: PathBuf,
    /// Path relative to the listed folder, `/` between folders.
    pub relative: String,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last modification.
    pub modified: SystemTime,
}

impl FileEntry {
    /// Whether the file on disk still has the size and time of the listing.
    pub(crate) fn is_unchanged(&self) -> bool {
        fs::metadata(&self.path).is_ok_and(|found| {
            found.len() == self.size && found.modified().is_ok_and(|modified| modified == self.modified)
        })
    }

    /// The error of a file that cannot be read past `row`; where it is another one by now, or none, that is why.
    pub(crate) fn unreadable(&self, row: u64, source: DataFusionError) -> OfflineError {
        match fs::metadata(&self.path) {
            Err(gone) if gone.kind() == ErrorKind::NotFound => {
                OfflineError::Vanished { path: self.path.clone(), source: gone }
            }
            _ if !self.is_unchanged() => OfflineError::SourceChanged { file: self.path.clone() },
            _ => OfflineError::Read { file: self.path.clone(), row, source },
        }
    }
}

/// The files of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionFiles {
    /// Its folder.
    pub id: PartitionId,
    /// Names and values of its hive folders, percent-decoded, outermost first; None is Hive's null.
    pub hive: Vec<(String, Option<String>)>,
    /// The day in the source's partition column, where it has one.
    pub day: Option<Day>,
    /// The files, sorted by path; at least one.
    pub files: Vec<FileEntry>,
}

impl PartitionFiles {
    /// Names this list of files: SHA-256 over relative path, size and time of modification of each.
    pub fn snapshot(&self) -> Digest {
        snapshot(&self.files)
    }
}

/// What was found under a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The partitions with at least one file, sorted by id.
    pub partitions: Vec<PartitionFiles>,
}

impl Listing {
    /// Names the whole list of files, like [`PartitionFiles::snapshot`].
    pub fn snapshot(&self) -> Digest {
        snapshot(self.partitions.iter().flat_map(|partition| &partition.files))
    }
}

/// Lists the Parquet files of `source`, cut to the days of `range` through the source's partition column.
///
/// Blocking. Names that begin with `_` or `.` and files without the ending `.parquet` are passed over. Links are followed. Refused: a
/// range where the source has no partition column, a file outside the partition column's folders, a partition that is not a day.
pub fn list(source: &Source, range: Option<&DayRange>) -> Result<Listing, OfflineError> {
    if range.is_some() && source.partition.is_none() {
        return Err(OfflineError::RangeWithoutPartition { source_name: source.name.clone() });
    }
    match list_folder(&source.path, source.partition.as_deref(), range) {
        Err(OfflineError::Io { path, source: error, .. }) if error.kind() == ErrorKind::NotFound => {
            Err(OfflineError::NoSource { source_name: source.name.clone(), path })
        }
        listed => listed,
    }
}

/// [`list`] for any folder (or single file) and partition column.
pub(crate) fn list_folder(
    path: &Path,
    partition_column: Option<&str>,
    range: Option<&DayRange>,
) -> Result<Listing, OfflineError> {
    let root = std::path::absolute(path).map_err(OfflineError::io("resolve", path))?;
    let metadata = fs::metadata(&root).map_err(OfflineError::io("read", &root))?;
    let mut walk = Walk { partition_column, range, partitions: Vec::new() };
    if metadata.is_dir() {
        walk.folder(&root, &Place::default(), 0)?;
    } else {
        let name = utf8_name(&root)?;
        walk.take(&root, &Place::default(), vec![entry(&root, name, &metadata)?])?;
    }
    walk.partitions.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(Listing { partitions: walk.partitions })
}

/// Files below `root` that an earlier run staged and did not publish, hidden folders included.
pub(crate) fn staged_files(root: &Path, is_staged: fn(&str) -> bool) -> Result<Vec<PathBuf>, OfflineError> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for (path, name) in children(&folder)? {
            // Links are not followed: what lies behind them is not ours to delete.
            let kind = fs::symlink_metadata(&path).map_err(OfflineError::io("read", &path))?.file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && is_staged(&name) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Where the walk is.
#[derive(Debug, Clone, Default)]
struct Place {
    relative: String,
    hive: Vec<(String, Option<String>)>,
    day: Option<Day>,
}

struct Walk<'a> {
    partition_column: Option<&'a str>,
    range: Option<&'a DayRange>,
    partitions: Vec<PartitionFiles>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, place: &Place, depth: usize) -> Result<(), OfflineError> {
        if depth > FOLDER_DEPTH_MAX {
            return Err(OfflineError::FoldersTooDeep { path: folder.to_owned(), depth_max: FOLDER_DEPTH_MAX });
        }
        let mut files = Vec::new();
        for (path, name) in children(folder)? {
            if name.starts_with(['_', '.']) {
                continue;
            }
            let metadata = fs::metadata(&path).map_err(OfflineError::listed("read", &path))?;
            let relative = if place.relative.is_empty() { name.clone() } else { format!("{}/{name}", place.relative) };
            if metadata.is_dir() {
                let inner = self.enter(&path, place, &name, relative)?;
                let outside = inner.day.is_some_and(|day| self.range.is_some_and(|range| !range.contains(day)));
                if !outside {
                    self.folder(&path, &inner, depth + 1)?;
                }
            } else if name.ends_with(".parquet") {
                files.push(entry(&path, relative, &metadata)?);
            }
        }
        self.take(folder, place, files)
    }

    fn enter(&self, path: &Path, place: &Place, name: &str, relative: String) -> Result<Place, OfflineError> {
        let mut inner = Place { relative, ..place.clone() };
        if let Some((key, value)) = name.split_once('=').filter(|(key, _)| !key.is_empty()) {
            let value = (value != HIVE_NULL).then(|| percent_decoded(value));
            let key = percent_decoded(key);
            if self.partition_column == Some(&key) {
                let text = value.as_deref().unwrap_or(HIVE_NULL);
                inner.day = Some(Day::parse(text).map_err(|reason| OfflineError::PartitionDay {
                    path: path.to_owned(),
                    column: key.clone(),
                    value: text.to_owned(),
                    reason: reason.to_string(),
                })?);
            }
            inner.hive.push((key, value));
        }
        Ok(inner)
    }

    fn take(&mut self, folder: &Path, place: &Place, mut files: Vec<FileEntry>) -> Result<(), OfflineError> {
        let Some(first) = files.first() else { return Ok(()) };
        if let (Some(column), None) = (self.partition_column, place.day) {
            let path = if folder.is_dir() { first.path.clone() } else { folder.to_owned() };
            return Err(OfflineError::PartitionMissing { path, column: column.to_owned() });
        }
        files.sort_by(|a, b| a.relative.cmp(&b.relative));
        let id = PartitionId(place.relative.clone());
        self.partitions.push(PartitionFiles { id, hive: place.hive.clone(), day: place.day, files });
        Ok(())
    }
}

fn children(folder: &Path) -> Result<Vec<(PathBuf, String)>, OfflineError> {
    let entries = fs::read_dir(folder).map_err(OfflineError::listed("list", folder))?;
    let mut children = Vec::new();
    for child in entries {
        let path = child.map_err(OfflineError::io("list", folder))?.path();
        let name = utf8_name(&path)?;
        children.push((path, name));
    }
    children.sort();
    Ok(children)
}

fn utf8_name(path: &Path) -> Result<String, OfflineError> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| OfflineError::PathNotUtf8 { path: path.to_owned() })
}

fn entry(path: &Path, relative: String, metadata: &fs::Metadata) -> Result<FileEntry, OfflineError> {
    let modified = metadata.modified().map_err(OfflineError::io("read the time of", path))?;
    Ok(FileEntry { path: path.to_owned(), relative, size: metadata.len(), modified })
}

/// `%2F` to `/` and so on, as Hive and Spark escape values; a `%` that begins no escape, or an escape that leaves UTF-8, stays as it is.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let byte = escape
            .filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

pub(crate) fn snapshot<'a>(files: impl IntoIterator<Item = &'a FileEntry>) -> Digest {
    // Lengths before contents, so that no two lists share an encoding.
    let mut bytes = b"tandem snapshot 1\n".to_vec();
    for file in files {
        let nanos = match file.modified.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        bytes.extend((file.relative.len() as u64).to_le_bytes());
        bytes.extend(file.relative.as_bytes());
        bytes.extend(file.size.to_le_bytes());
        bytes.extend(nanos.to_le_bytes());
    }
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, relative: &str) {
        let path = root.join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"x").unwrap();
    }

    fn ids(listing: &Listing) -> Vec<&str> {
        listing.partitions.iter().map(|partition| partition.id.as_str()).collect()
    }

    fn days(from: &str, to: &str) -> DayRange {
        DayRange { from: Day::parse(from).unwrap(), to: Day::parse(to).unwrap() }
    }

    #[test]
    fn partitions_are_pruned_sorted_and_free_of_hidden_names() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "region=eu/date=2026-01-02/b.parquet",
            "region=eu/date=2026-01-02/a.parquet",
            "region=eu/date=2026-01-02/_SUCCESS",
            "region=eu/date=2026-01-02/.a.parquet.crc",
            "region=eu/date=2026-01-02/_tmp/a.parquet",
            "region=eu/date=2026-01-01/a.parquet",
            "region=eu/date=2026-01-03/a.parquet",
            "region=us%2Fwest/date=2026-01-01/a.parquet",
            "region=__HIVE_DEFAULT_PARTITION__/date=2026-01-01/a.parquet",
            "region=eu/date=2026-01-04/readme.txt",
        ] {
            touch(root.path(), file);
        }
        let listing = list_folder(root.path(), Some("date"), Some(&days("2026-01-01", "2026-01-03"))).unwrap();
        assert_eq!(
            ids(&listing),
            [
                "region=__HIVE_DEFAULT_PARTITION__/date=2026-01-01",
                "region=eu/date=2026-01-01",
                "region=eu/date=2026-01-02",
                "region=us%2Fwest/date=2026-01-01",
            ]
        );
        let [null, _, eu, west] = &listing.partitions[..] else { panic!("four partitions") };
        assert_eq!(null.hive[0], ("region".to_owned(), None));
        assert_eq!(west.hive[0], ("region".to_owned(), Some("us/west".to_owned())));
        assert_eq!(eu.day, Some(Day::parse("2026-01-02").unwrap()));
        let files: Vec<_> = eu.files.iter().map(|file| file.relative.as_str()).collect();
        assert_eq!(files, ["region=eu/date=2026-01-02/a.parquet", "region=eu/date=2026-01-02/b.parquet"]);
    }

    #[test]
    fn a_partition_that_is_no_day_and_a_file_outside_are_named() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), "date=2026-02-30/a.parquet");
        let error = list_folder(root.path(), Some("date"), None).unwrap_err();
        assert!(matches!(&error, OfflineError::PartitionDay { path, value, .. }
            if path.ends_with("date=2026-02-30") && value == "2026-02-30"));
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), "stray.parquet");
        let error = list_folder(root.path(), Some("date"), None).unwrap_err();
        assert!(matches!(&error, OfflineError::PartitionMissing { path, .. } if path.ends_with("stray.parquet")));
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_single_file_and_a_flat_folder_are_one_partition() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), "a.parquet");
        for path in [root.path().to_owned(), root.path().join("a.parquet")] {
            let listing = list_folder(&path, None, None).unwrap();
            assert_eq!(ids(&listing), [""]);
            assert_eq!(listing.partitions[0].files[0].relative, "a.parquet");
            assert_eq!(listing.partitions[0].id.to_string(), ".");
        }
        assert!(matches!(list_folder(&root.path().join("none"), None, None), Err(OfflineError::Io { .. })));
    }

    #[test]
    fn the_snapshot_follows_names_sizes_and_times() {
        let root = tempfile::tempdir().unwrap();
        touch(root.path(), "date=2026-01-01/a.parquet");
        let snapshot = || list_folder(root.path(), None, None).unwrap().snapshot();
        let first = snapshot();
        assert_eq!(first, snapshot());
        let file = fs::File::options().append(true).open(root.path().join("date=2026-01-01/a.parquet")).unwrap();
        file.set_modified(UNIX_EPOCH).unwrap();
        let second = snapshot();
        assert_ne!(first, second);
        touch(root.path(), "date=2026-01-01/b.parquet");
        assert_ne!(second, snapshot());
    }

    #[test]
    fn hive_values_are_percent_decoded() {
        for (text, decoded) in
            [("a%2Fb", "a/b"), ("100%", "100%"), ("%zz", "%zz"), ("%C3%A9", "é"), ("%FF", "%FF"), ("é%3d", "é=")]
        {
            assert_eq!(percent_decoded(text), decoded, "{text}");
        }
    }
}
