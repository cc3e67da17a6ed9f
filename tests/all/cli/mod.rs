//! What the program says: transcripts beside this file. `TANDEM_UPDATE_TRANSCRIPTS=1` writes them anew.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use tandem_core::time::Timestamp;

use crate::harness::guests::{Guest, workspace};
use crate::harness::transcript::Transcript;

const FEATURES: &str = r#"[[entity]]
name = "user"
join_keys = [{ name = "user_id", type = "int64" }]

[[source]]
name = "spendings"
path = "data/spendings"
kind = "events"
event_time = "at"
partition = "date"

[[feature_view]]
name = "spend"
version = 1
source = "spendings"
entities = ["user"]
component = "columnar.wasm"
ttl = "30d"
as_of = "before"
on_error = "quarantine"
"#;

/// A project over two days of spendings; one has a limit that its transform refuses.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("features")).unwrap();
    fs::write(root.join("tandem.toml"), "[project]\nname = \"spendings\"\n").unwrap();
    fs::write(root.join("features/spend.toml"), FEATURES).unwrap();
    fs::copy(Guest::Columnar.path(), root.join("columnar.wasm")).unwrap();
    spendings(root, "2024-02-29", &[(1, 8, 50.0, 99.0, Some(5.0), "ACME"), (2, 9, 20.0, -1.0, None, "Zoë")]);
    spendings(root, "2024-03-01", &[(1, 7, 0.3, 2.0, None, "ÇA \"va\""), (3, 10, f64::NAN, 0.0, Some(-0.0), "")]);
    folder
}

/// User, hour, amount, limit, discount, merchant.
type Spending<'a> = (i64, i64, f64, f64, Option<f64>, &'a str);

fn spendings(root: &Path, day: &str, rows: &[Spending<'_>]) {
    let midnight = Timestamp::parse(day).unwrap().0;
    let real =
        |value: fn(&Spending<'_>) -> Option<f64>| Arc::new(Float64Array::from_iter(rows.iter().map(value))) as ArrayRef;
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| midnight + row.1 * 3_600_000_000));
    let batch = RecordBatch::try_from_iter([
        ("user_id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))) as ArrayRef),
        ("at", Arc::new(times.with_timezone("UTC"))),
        ("amount", real(|row| Some(row.2))),
        ("limit", real(|row| Some(row.3))),
        ("discount", real(|row| row.4)),
        ("merchant", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.5)))),
    ])
    .unwrap();
    let folder = root.join(format!("data/spendings/date={day}"));
    fs::create_dir_all(&folder).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(folder.join("a.parquet")).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn from_component_to_value() {
    let project = project();
    let mut transcript = Transcript::new(project.path());
    transcript.run(&["describe", "columnar.wasm"], 0);
    transcript.run(&["describe", "columnar.wasm", "--json"], 0);
    transcript.run(&["check"], 0);
    transcript.run(&["batch", "spend", "--from", "2024-02-29", "--to", "2024-03-02"], 0);
    transcript.run(&["materialize", "spend"], 0);
    transcript.run(&["materialize", "spend"], 0);
    transcript.run(&["get", "spend", "user_id=1", "user_id=2", "user_id=3", "--as-of", "2024-03-10T00:00:00Z"], 0);
    transcript.run(&["get", "spend", "user_id=3", "--as-of", "2024-03-10T00:00:00Z", "--json"], 0);
    transcript.run(&["get", "spend", "user_id=1", "--as-of", "2024-05-01T00:00:00Z"], 0);
    transcript.assert("cli/from_component_to_value");
}

#[test]
fn what_goes_wrong_is_told() {
    let project = project();
    let mut transcript = Transcript::new(project.path());
    transcript.run(&["batch", "spnd"], 2);
    transcript.run(&["batch", "spend@7"], 2);
    transcript.run(&["batch", "spend", "--from", "2024-03-02", "--to", "2024-03-02"], 2);
    transcript.run(&["batch", "spend", "--from", "2025-01-01", "--to", "2025-02-01"], 1);
    transcript.run(&["materialize", "spend"], 1);
    transcript.run(&["get", "spend", "user=1"], 2);
    transcript.run(&["describe", "tandem.toml"], 1);
    // A gigabyte that takes no room on the disk, and is not read.
    File::create(project.path().join("large.wasm")).unwrap().set_len(1 << 30).unwrap();
    transcript.run(&["describe", "large.wasm"], 1);
    fs::write(project.path().join("features/spend.toml"), FEATURES.replace("ttl = \"30d\"", "tll = \"30d\"")).unwrap();
    transcript.run(&["check"], 2);
    transcript.assert("cli/what_goes_wrong_is_told");
}

/// Three views, of which two feed on the first: one on its rows, one on its features.
const FEEDING: &str = r#"
[[feature_view]]
name = "usage"
version = 1
source = { view = "spend@1" }
entities = ["user"]
component = "columnar.wasm"
as_of = "at_or_before"
on_error = "quarantine"
inputs = { amount = "usage", limit = "net", discount = "discount_slot" }

[[feature_view]]
name = "checkout"
version = 1
component = "columnar.wasm"
inputs = { discount = { view = "spend@1", feature = "net" } }

[[alias]]
view = "spend"
name = "champion"
version = 1
"#;

#[test]
fn views_feed_on_views() {
    let project = project();
    fs::write(project.path().join("features/feeding.toml"), FEEDING).unwrap();
    let mut transcript = Transcript::new(project.path());
    transcript.run(&["check"], 0);
    transcript.run(&["batch", "usage"], 1);
    transcript.run(&["batch", "spend@champion"], 0);
    transcript.run(&["batch", "usage"], 0);
    transcript.run(&["materialize", "usage"], 0);
    transcript.run(&["get", "usage", "user_id=1", "--as-of", "2024-03-10T00:00:00Z"], 0);
    transcript.run(&["batch", "checkout"], 2);
    transcript.run(&["materialize", "checkout"], 2);
    transcript.run(&["get", "checkout", "user_id=1"], 2);
    transcript.run(&["batch", "spend@challenger"], 2);
    transcript.assert("cli/views_feed_on_views");
}

#[test]
fn mistakes_that_only_components_and_data_tell_have_their_place() {
    let project = project();
    let root = project.path();
    let mut transcript = Transcript::new(root);
    let wrong = FEEDING
        .replace("limit = \"net\"", "limit = \"merchant\", fee = \"net\"")
        .replace("feature = \"net\"", "feature = \"nett\"");
    fs::write(root.join("features/feeding.toml"), wrong).unwrap();
    let absent = FEATURES[FEATURES.find("[[feature_view]]").unwrap()..]
        .replace("\"spend\"", "\"absent\"")
        .replace("columnar.wasm", "target/absent.wasm");
    fs::write(root.join("features/absent.toml"), &absent).unwrap();
    transcript.run(&["check"], 2);
    // One view alone is as exact.
    transcript.run(&["batch", "absent"], 2);

    fs::remove_file(root.join("features/feeding.toml")).unwrap();
    fs::remove_file(root.join("features/absent.toml")).unwrap();
    let wrong = FEATURES
        .replace("event_time = \"at\"", "event_time = \"merchant\"")
        .replace("\"int64\"", "\"string\"")
        .replace("ttl", "inputs = { limit = \"limits\" }\nttl");
    fs::write(root.join("features/spend.toml"), wrong).unwrap();
    transcript.run(&["check"], 2);
    // What the data tells stands beside what the components tell.
    fs::write(root.join("features/absent.toml"), &absent).unwrap();
    fs::write(root.join("features/spend.toml"), FEATURES.replace("\"at\"", "\"merchant\"")).unwrap();
    transcript.run(&["check"], 2);
    transcript.assert("cli/mistakes_that_only_components_and_data_tell_have_their_place");
}

#[test]
fn proofs() {
    let project = project();
    fs::copy(Guest::Cheating.path(), project.path().join("cheating.wasm")).unwrap();
    let cheat = |name: &str| format!("cheat={name:?}");
    let (honest, counter, age) = (cheat("none"), cheat("counter"), cheat("age"));
    let mut transcript = Transcript::new(project.path());
    transcript.run(&["verify", "--view", "spend"], 0);
    transcript.run(&["verify", "cheating.wasm", "--param", &counter], 1);
    transcript.run(&["verify", "cheating.wasm", "--param", &age], 1);
    transcript.run(&["verify", "cheating.wasm", "--param", &counter, "--no-interpreter", "--seed", "9", "--json"], 1);
    transcript.run(&["verify", "cheating.wasm", "--param", &honest, "--generate", "0"], 1);
    transcript.run(&["verify", "cheating.wasm", "--param", &honest, "--record", "golden"], 0);
    transcript.run(&["verify", "cheating.wasm", "--param", &honest, "--golden", "golden", "--json"], 0);
    transcript.run(&["verify", "cheating.wasm", "--param", &cheat("address"), "--golden", "golden"], 1);
    transcript.run(&["verify", "columnar.wasm", "--golden", "golden"], 1);
    transcript.run(&["verify", "--view", "spnd"], 2);
    transcript.run(&["verify"], 2);
    transcript.assert("cli/proofs");
}

#[test]
fn outside_of_a_project() {
    let folder = tempfile::tempdir().unwrap();
    let output = crate::harness::program::tandem(folder.path(), &["check"]).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{told}");
    assert!(
        told.starts_with("error: no tandem.toml in ") && told.contains("\nhint: run it in a project's folder"),
        "{told}"
    );
}

#[test]
fn a_crate_is_built_and_described() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("columnar.wasm");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("guests");
    let crate_dir = workspace().join("tests/guests/columnar");
    let arguments = [
        "build",
        crate_dir.to_str().unwrap(),
        "--output",
        output.to_str().unwrap(),
        "--target-dir",
        target.to_str().unwrap(),
    ];
    let done = crate::harness::program::tandem(folder.path(), &arguments).output().unwrap();
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(done.status.success(), "{told}{}", String::from_utf8_lossy(&done.stderr));
    let bytes = fs::read(&output).unwrap();
    assert_eq!(bytes, Guest::Columnar.bytes(), "the same sources give the same bytes");
    let digest = tandem_core::hash::Digest::of(&bytes).to_string();
    assert!(told.starts_with("component  columnar.wasm\nsize       ") && told.contains(&digest), "{told}");
    assert!(told.contains("\ninputs\n  amount    float64\n"), "{told}");
}
