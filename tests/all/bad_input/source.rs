//! Sources: columns, files and partitions that are not what they should be.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use misbehaving_guest::mode;

use super::project::{DAYS, Project, rows, with_column};
use crate::harness::program::{tandem, without_dev_note};
use crate::harness::transcript::Transcript;

const BATCH: [&str; 2] = ["batch", "doubles"];

/// Rows of the second day.
fn second() -> RecordBatch {
    rows(DAYS[1], &[(1, 300), (3, 400)])
}

#[test]
fn columns() {
    let project = Project::new();
    let mut said = Transcript::new(project.root());
    let amount = Arc::clone(second().column(2));

    said.note("a column is missing on the second day");
    project.day(DAYS[1], &with_column(&second(), "amount", "amuont", amount));
    said.run(&BATCH, 1);
    said.note("the same file as sample rows");
    said.run(&["test", "doubles.wasm", "--rows", "data/events/date=2024-03-02/a.parquet"], 1);
    project.day(DAYS[1], &second());

    for (what, from, to, code) in [
        ("an input is mapped to a column that is not there", "mode = \"amount\"", "mode = \"total\"", 1),
        ("an input is mapped that the component does not have", "mode = \"amount\"", "mod = \"amount\"", 2),
        (
            "a key is mapped to a column that is not there",
            "inputs = {",
            "key_columns = { user_id = \"userid\" }\ninputs = {",
            1,
        ),
        ("the event time is not there", "event_time = \"at\"", "event_time = \"happened_at\"", 1),
    ] {
        said.note(what);
        project.define(&[(from, to)]);
        said.run(&BATCH, code);
    }
    project.define(&[]);
    assert_eq!(project.published(), [], "columns are looked at before anything is computed");

    let texts: ArrayRef = Arc::new(StringArray::from(vec!["300", "400"]));
    let halves: ArrayRef = Arc::new(Float64Array::from(vec![300.0, 0.5]));
    let times = TimestampMicrosecondArray::from_iter_values([0, 1].map(|hour| 1_709_337_600_000_000 + hour));
    for (what, name, column) in [
        ("numbers are strings on the second day", "amount", texts),
        ("an amount has a fraction", "amount", halves),
        ("times have no zone", "at", Arc::new(times)),
    ] {
        said.note(what);
        project.day(DAYS[1], &with_column(&second(), name, name, column));
        said.run(&BATCH, 1);
        let published: Vec<String> = project.published().into_iter().map(|(name, _)| name).collect();
        assert_eq!(published, ["doubles/v1/date=2024-03-01/part-0.parquet"], "{what}: the first day alone, and whole");
    }
    project.day(DAYS[1], &second());
    let (data, _) = project.told(&BATCH, 0);
    assert!(data.starts_with("4 rows in, 4 rows out, 2 partitions"), "{data}");
    said.assert("bad_input/columns");
}

#[test]
fn damaged_files() {
    let project = Project::new();
    project.told(&BATCH, 0);
    let before = project.published();
    let whole = fs::read(project.file(DAYS[1])).unwrap();
    let mut said = Transcript::new(project.root());
    for (what, bytes) in [
        ("the file was cut in the middle", &whole[..whole.len() / 2]),
        ("its last byte is missing", &whole[..whole.len() - 1]),
        ("it is empty", b""),
        ("it is a text", b"user_id,amount\n1,300\n"),
    ] {
        said.note(what);
        fs::write(project.file(DAYS[1]), bytes).unwrap();
        said.run(&BATCH, 1);
        said.run(&["test", "doubles.wasm", "--rows", "data/events/date=2024-03-02/a.parquet"], 1);
        assert!(project.published() == before, "{what}: what was published stays as it was");
    }
    let damage = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[4..24].fill(0xff);
        bytes
    };
    said.note("its first page is damaged, and its footer is whole");
    fs::write(project.file(DAYS[1]), damage(&whole)).unwrap();
    said.run(&BATCH, 1);
    assert!(project.published() == before, "what was published stays as it was");
    fs::write(project.file(DAYS[1]), &whole).unwrap();

    said.note("so is a published file, which labels look for");
    let published = project.root().join("data/features/doubles/v1/date=2024-03-02/part-0.parquet");
    let bytes = fs::read(&published).unwrap();
    fs::write(&published, damage(&bytes)).unwrap();
    fs::write(project.root().join("labels.csv"), "user_id,event_time\n10,2024-03-09T00:00:00Z\n").unwrap();
    said.run(&["training-set", "--labels", "labels.csv", "--features", "doubles", "--out", "train.parquet"], 1);
    let left = fs::read_dir(project.root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.contains("train.parquet")).count(), 0, "nothing half-written is left");

    said.note("a published file was cut");
    fs::write(&published, &bytes[..bytes.len() / 2]).unwrap();
    said.run(&["materialize", "doubles"], 1);
    said.note("and was put there by somebody else");
    fs::copy(project.file(DAYS[1]), &published).unwrap();
    said.run(&["materialize", "doubles"], 1);
    fs::write(&published, bytes).unwrap();
    project.told(&["materialize", "doubles"], 0);
    said.assert("bad_input/files");
}

#[test]
fn partitions() {
    let project = Project::new();
    let mut said = Transcript::new(project.root());
    let (first, second) = (project.file(DAYS[0]), project.file(DAYS[1]));

    said.note("a file is a link that leads nowhere");
    let link = second.with_file_name("b.parquet");
    symlink("nowhere.parquet", &link).unwrap();
    said.run(&BATCH, 1);
    fs::remove_file(link).unwrap();
    assert_eq!(project.published(), []);

    said.note("a partition has no files");
    project.told(&BATCH, 0);
    let aside = project.root().join("aside.parquet");
    fs::rename(&second, &aside).unwrap();
    said.run(&BATCH, 0);

    said.note("no partition has files");
    fs::remove_file(&first).unwrap();
    let before = project.published();
    said.run(&BATCH, 1);

    said.note("the folder of a partition is not a day");
    fs::create_dir(project.root().join("data/events/date=March")).unwrap();
    fs::copy(&aside, project.root().join("data/events/date=March/a.parquet")).unwrap();
    said.run(&BATCH, 1);

    said.note("a file lies outside of all partitions");
    fs::remove_dir_all(project.root().join("data/events/date=March")).unwrap();
    fs::copy(&aside, project.root().join("data/events/a.parquet")).unwrap();
    said.run(&BATCH, 1);

    said.note("the source is not there");
    fs::remove_dir_all(project.root().join("data/events")).unwrap();
    said.run(&BATCH, 1);
    assert!(project.published() == before, "what was published stays as it was");
    said.assert("bad_input/partitions");
}

/// All footers are read before the first partition is begun, so the second one goes between its listing and its reading.
#[test]
fn a_partition_that_vanishes_during_the_run() {
    let project = Project::new();
    // The first day spins until its time is over.
    project.define(&[
        ("fuel_base = 50_000_000", "fuel_base = 1_000_000_000_000\ncall_seconds_max = 3"),
        ("on_error = \"fail\"", "on_error = \"quarantine\""),
    ]);
    project.day(DAYS[0], &rows(DAYS[0], &[(1, mode::SPIN)]));
    let mut command = tandem(project.root(), &BATCH);
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    let start = Instant::now();
    let is_staged = || project.published().iter().any(|(name, _)| name.ends_with(".staged"));
    while !is_staged() {
        assert!(start.elapsed() < Duration::from_secs(60), "the first partition is never begun");
        std::thread::sleep(Duration::from_millis(5));
    }
    fs::remove_dir_all(project.file(DAYS[1]).parent().unwrap()).unwrap();
    let output = run.wait_with_output().unwrap();
    let told = without_dev_note(&String::from_utf8(output.stderr).unwrap());
    let expected = "date=2024-03-02/a.parquet is gone: No such file or directory (os error 2)\n\
                    hint: something removes files, or it is a link that leads nowhere; run it again once the folder is at rest\n";
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{told}");
    assert!(told.starts_with("error: ") && told.ends_with(expected), "{told}");
    let names: Vec<String> = project.published().into_iter().map(|(name, _)| name).collect();
    let first = "doubles/v1/date=2024-03-01/part-0.parquet";
    assert_eq!(names, ["doubles/v1/_quarantine/date=2024-03-01/part-0.parquet", first], "the first day alone");
}
