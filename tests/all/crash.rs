//! A batch that is killed at any moment leaves whole partitions and nothing else that a reader sees, and the next run cleans up.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::harness::program::tandem;
use crate::harness::project::{Event, FIRST_DAY, MICROS_PER_DAY, Project, files};
use crate::harness::rows::{Row, fixed_rows};

/// Runs that are killed.
const KILLS: u32 = 10;

const SIGKILL: i32 = 9;

/// A re-run replaces files by new ones: whoever has an old one open reads it to its end.
#[test]
fn a_rerun_writes_into_no_published_file() {
    let events: Vec<Event> = fixed_rows(30)
        .into_iter()
        .map(|row| {
            let event_time = FIRST_DAY * MICROS_PER_DAY;
            let fault = row.flag.then(|| "set aside".to_owned());
            Event { user: None, event_time, created_time: None, row: Row { fault, as_of: event_time, ..row } }
        })
        .collect();
    let project = Project::new(&events);
    let run =
        || assert!(tandem(project.root(), &["batch", "every"]).output().expect("the program runs").status.success());
    run();
    let published = project.root().join("data/features");
    let before = files(&published);
    let parquet: Vec<_> = before.iter().filter(|(name, _)| name.ends_with(".parquet")).collect();
    assert_eq!(parquet.len(), 2, "one partition and what was set aside");
    // Held open, so that no new file gets the number of an old one.
    let mut held: Vec<(&String, File)> =
        parquet.iter().map(|(name, _)| (name, File::open(published.join(name)).expect("a file"))).collect();
    // What the source's files are is among the metadata of what is published.
    for (name, _) in files(&project.root().join("data")).iter().filter(|(name, _)| !name.starts_with("features/")) {
        let source = File::options().append(true).open(project.root().join("data").join(name)).expect("a file");
        source.set_modified(std::time::UNIX_EPOCH).expect("a time");
    }
    run();
    for ((name, old), (_, bytes)) in std::iter::zip(&mut held, parquet) {
        let number = |metadata: std::io::Result<fs::Metadata>| metadata.expect("a file").ino();
        assert_ne!(number(old.metadata()), number(fs::metadata(published.join(name.as_str()))), "{name} was replaced");
        let mut read = Vec::new();
        old.read_to_end(&mut read).expect("it is still there");
        assert!(read == *bytes, "{name} has changed under its reader");
    }
    let parquet = || files(&published).into_iter().filter(|(name, _)| name.ends_with(".parquet")).collect::<Vec<_>>();
    let again = parquet();
    run();
    assert!(parquet() == again, "the same source once more");
    assert!(
        again
            .iter()
            .map(|(name, _)| name)
            .eq(before.iter().map(|(name, _)| name).filter(|name| name.ends_with(".parquet")))
    );
}

/// The rows of a published file, but for when each was published first.
fn rows(file: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).expect("a file")).expect("a whole file");
    let batches = reader.build().expect("a whole file").map(|batch| {
        let batch = batch.expect("a whole file");
        let columns = batch.schema().fields().len();
        let kept: Vec<usize> =
            (0..columns).filter(|column| batch.schema().field(*column).name() != "published_time").collect();
        batch.project(&kept).expect("its columns")
    });
    batches.collect()
}

#[test]
fn a_killed_batch_leaves_whole_partitions() {
    let events: Vec<Event> = fixed_rows(600)
        .into_iter()
        .enumerate()
        .map(|(index, row)| {
            let event_time = (FIRST_DAY + index as i64 % 12) * MICROS_PER_DAY + index as i64;
            let fault = (index % 50 == 7).then(|| "set aside".to_owned());
            Event {
                user: Some(index as i64),
                event_time,
                created_time: None,
                row: Row { fault, as_of: event_time, ..row },
            }
        })
        .collect();
    let project = Project::new(&events);
    // Small calls, so that a run lasts long enough to be killed in the middle of a partition.
    let run = || tandem(project.root(), &["batch", "every", "--rows-per-call", "1"]);
    let finish = || {
        let start = Instant::now();
        let output = run().output().expect("the program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        start.elapsed()
    };
    let published = project.root().join("data/features");
    finish(); // compiles the component
    fs::remove_dir_all(&published).unwrap();
    let whole_run = finish();
    let content = |name: &str| rows(&published.join(name));
    let names = || files(&published).into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".parquet"));
    let expected: BTreeMap<String, Vec<RecordBatch>> = names().map(|name| (name.clone(), content(&name))).collect();
    assert!(expected.len() > 12, "twelve days, and what was set aside");

    let (mut killed, mut incomplete, mut staged) = (0, 0, 0);
    for kill in 0..KILLS {
        fs::remove_dir_all(&published).unwrap();
        let mut child = run().stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs");
        // Spread over the run, at a moment that no two runs of this test share.
        let jitter = RandomState::new().hash_one(kill) % 1_000;
        std::thread::sleep(
            whole_run.mul_f64((f64::from(kill) + jitter as f64 / 1e3) / f64::from(KILLS)).max(Duration::from_millis(1)),
        );
        child.kill().expect("it can be killed");
        killed += u32::from(child.wait().expect("it ends").signal() == Some(SIGKILL));

        let left = if published.exists() {
            files(&published)
        } else {
            fs::create_dir_all(&published).map(|()| Vec::new()).unwrap()
        };
        let visible = left.iter().filter(|(name, _)| name.ends_with(".parquet"));
        for (name, _) in visible.clone() {
            assert!(expected.get(name) == Some(&content(name)), "{name} is not whole");
            // What was set aside for a partition is there before the partition.
            let quarantine = name.replacen("/v1/", "/v1/_quarantine/", 1);
            let there = |name: &String| left.iter().any(|(left, _)| left == name);
            assert!(
                name.contains("_quarantine") || !expected.contains_key(&quarantine) || there(&quarantine),
                "{name}"
            );
        }
        incomplete += u32::from(visible.count() < expected.len());
        staged += u32::from(left.iter().any(|(name, _)| name.ends_with(".staged")));

        finish();
        let after = files(&published);
        assert!(
            after.iter().all(|(name, _)| name.ends_with(".parquet") || name.ends_with("/.lock")),
            "nothing is left staged"
        );
        let after: BTreeMap<String, Vec<RecordBatch>> = names().map(|name| (name.clone(), content(&name))).collect();
        assert!(after == expected, "the next run makes the same rows");
    }
    assert!(
        killed > KILLS / 2 && incomplete > 2 && staged > 0,
        "{killed} killed, {incomplete} incomplete, {staged} with staged files"
    );
}
