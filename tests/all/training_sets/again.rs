//! A training set again, of its manifest.

use std::fs;

use arrow_ipc::reader::StreamReader;
use arrow_select::concat::concat_batches;
use serde_json::Value;

use super::{Checkouts, labels};
use crate::harness::program::{tandem, told};

const SET: [&str; 7] =
    ["training-set", "--labels", "labels.csv", "--service", "checkout", "--column", "user_id=customer"];

fn made() -> Checkouts {
    let project = Checkouts::new();
    fs::write(project.path("labels.csv"), labels()).expect("a file");
    project.run(&[&SET[..], &["--out", "train.parquet"]].concat(), 0);
    project
}

const AGAIN: [&str; 5] = ["training-set", "--from-manifest", "train.parquet.manifest.json", "--out", "again.parquet"];

#[test]
fn a_manifest_gives_the_same_bytes_whatever_came_since() {
    let project = made();
    let first = fs::read(project.path("train.parquet")).expect("the set");
    // Another day is published: the set was made without it.
    fs::write(
        project.path("more.csv"),
        "user_id,at,known_at,amount,country\n1,2026-01-05T00:00:00Z,2026-01-05T00:00:00Z,1,DE\n",
    )
    .expect("a file");
    project.run(&["import", "spendings", "more.csv"], 0);
    project.run(&["batch", "usual"], 0);
    project.run(&AGAIN, 0);
    assert!(fs::read(project.path("again.parquet")).expect("the set") == first, "the bytes differ");
    let [then, now] = ["train", "again"]
        .map(|name| fs::read_to_string(project.path(&format!("{name}.parquet.manifest.json"))).expect("a manifest"));
    assert_eq!(then, now);
    // And made anew it is another.
    project.run(&[&SET[..], &["--out", "anew.parquet"]].concat(), 0);
    assert!(fs::read(project.path("anew.parquet")).expect("the set") != first);

    // Inside of the file is the same manifest, but for the file itself.
    let rows = project.read("train.parquet");
    let mut manifest: Value = serde_json::from_str(&then).expect("JSON");
    assert_eq!(manifest["output"]["bytes"], first.len());
    manifest.as_object_mut().expect("an object").remove("output");
    let file = fs::File::open(project.path("train.parquet")).expect("the set");
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    let metadata = reader.metadata().file_metadata().key_value_metadata().expect("it has metadata");
    let inside =
        metadata.iter().find(|entry| entry.key == "tandem.training_set").and_then(|entry| entry.value.as_deref());
    assert_eq!(serde_json::from_str::<Value>(inside.expect("a manifest")).expect("JSON"), manifest);
    assert_eq!(manifest["rows"], rows.num_rows());
}

#[test]
fn what_is_missing_or_another_is_named() {
    let project = made();
    let refused = |project: &Checkouts| {
        let (data, notes) = project.run(&AGAIN, 3);
        assert_eq!(data, "");
        assert!(!project.path("again.parquet").exists());
        notes
    };
    let published = project.path("data/features/usual/v1/date=2026-01-02/part-0.parquet");
    let bytes = fs::read(&published).expect("a file");
    fs::remove_file(&published).expect("removed");
    let notes = refused(&project);
    assert!(notes.contains("usual/v1/date=2026-01-02/part-0.parquet is missing"), "{notes}");

    fs::copy(project.path("data/features/usual/v1/date=2026-01-03/part-0.parquet"), &published).expect("copied");
    let notes = refused(&project);
    assert!(notes.contains("usual/v1/date=2026-01-02/part-0.parquet changed: it had"), "{notes}");
    fs::write(&published, &bytes).expect("a file");

    let text = labels();
    fs::write(project.path("labels.csv"), text.replacen("true", "false", 1)).expect("a file");
    let notes = refused(&project);
    assert!(notes.contains("labels labels.csv: they were sha256:"), "{notes}");
    fs::write(project.path("labels.csv"), &text).expect("a file");

    let definitions = fs::read_to_string(project.path("features/all.toml")).expect("a file");
    fs::write(project.path("features/all.toml"), definitions.replace("ttl = \"3d\"", "ttl = \"4d\"")).expect("a file");
    let notes = refused(&project);
    assert!(notes.contains("feature view `usual@1` was sha256:"), "{notes}");
    fs::write(project.path("features/all.toml"), &definitions).expect("a file");

    let manifest = fs::read_to_string(project.path("train.parquet.manifest.json")).expect("a manifest");
    fs::write(
        project.path("train.parquet.manifest.json"),
        manifest.replace("\"version\": 1,\n  \"tool\"", "\"version\": 2,\n  \"tool\""),
    )
    .expect("a file");
    let (_, notes) = project.run(&AGAIN, 1);
    assert!(notes.contains("its version is 2, and this program reads up to 1"), "{notes}");
    fs::write(project.path("train.parquet.manifest.json"), manifest).expect("a file");
    project.run(&AGAIN, 0);
}

#[test]
fn a_stream_on_stdout_has_the_rows_of_the_file() {
    let project = made();
    let output = tandem(project.root(), &[&SET[..], &["--out", "-"]].concat()).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let reader = StreamReader::try_new(&output.stdout[..], None).expect("an Arrow stream");
    let schema = reader.schema();
    let batches: Vec<_> = reader.collect::<Result<_, _>>().expect("rows");
    let streamed = concat_batches(&schema, &batches).expect("batches of one schema");
    let file = project.read("train.parquet");
    assert_eq!(streamed.columns(), file.columns());
    assert_eq!(streamed.schema().fields(), file.schema().fields());
}

/// Killed at any moment, a run leaves what was there, or the new set, and a later run cleans up.
#[test]
fn a_killed_run_leaves_the_old_set_or_the_new_one() {
    let project = made();
    let first = fs::read(project.path("train.parquet")).expect("the set");
    let without_status = [&SET[..], &["--out", "train.parquet", "--no-status"]].concat();
    project.run(&[&SET[..], &["--out", "other.parquet", "--no-status"]].concat(), 0);
    let second = fs::read(project.path("other.parquet")).expect("the set");
    for millis in [0, 5, 15, 30, 45, 60, 80, 100, 130, 160] {
        let mut child = tandem(project.root(), &without_status)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the program runs");
        std::thread::sleep(std::time::Duration::from_millis(millis));
        let _ = child.kill(); // it may have ended
        child.wait().expect("it ended");
        let found = fs::read(project.path("train.parquet")).expect("the set");
        assert!(found == first || found == second, "a set that was never made, after {millis} ms");
    }
    told(tandem(project.root(), &without_status), 0);
    assert!(fs::read(project.path("train.parquet")).expect("the set") == second);
    let left: Vec<_> = fs::read_dir(project.root())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".staged"))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}
