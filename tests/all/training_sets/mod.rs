//! Training sets by the program: against a server that is asked the same, against what was made before, and where they cannot be.
//!
//! - `replay`: a row is what the server answers at that instant
//! - `again`: the same bytes of a manifest, or what is missing
//! - `checked`: checks of views, over what labels got
//! - `compared`: against as-of joins of DuckDB and pandas
//! - `explained`: why a label got what it got
//! - `told`: what the program says

mod again;
mod checked;
mod compared;
mod explained;
mod replay;
mod told;

use std::fmt::Write;
use std::fs::{self, File};
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::harness::guests::Guest;
use crate::harness::program::{defined, tandem, told};

/// Users of the source; each third one has no country, so that a feature is null.
const USERS: i64 = 40;

/// Days of the source from 2026-01-01 on.
const DAYS: i64 = 4;

/// Stored `usual` of the source, `ratio` on demand over it, `verdict` over that.
pub(crate) struct Checkouts {
    folder: tempfile::TempDir,
}

impl Checkouts {
    /// Definitions and source.
    pub(crate) fn new() -> Checkouts {
        let project = Checkouts { folder: defined("checkouts", &definitions()) };
        let root = project.root();
        fs::write(root.join("spendings.csv"), spendings()).expect("a file");
        project.run(&["import", "spendings", "spendings.csv"], 0);
        project.run(&["batch", "usual"], 0);
        project.run(&["batch", "guess"], 0);
        project
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root().join(name)
    }

    pub(crate) fn run(&self, arguments: &[&str], code: i32) -> (String, String) {
        told(tandem(self.root(), arguments), code)
    }

    /// The rows of a Parquet file.
    fn read(&self, name: &str) -> RecordBatch {
        let file = File::open(self.path(name)).expect("the file is there");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("it is Parquet").build().expect("a reader");
        let batches: Vec<_> = reader.collect::<Result<_, _>>().expect("rows");
        concat_batches(&batches[0].schema(), &batches).expect("batches of one schema")
    }
}

fn definitions() -> String {
    let [reference, ratio, verdict] = [Guest::Reference, Guest::Ratio, Guest::Verdict].map(Guest::path);
    format!(
        r#"[[entity]]
name = "user"
join_keys = [{{ name = "user_id", type = "int64" }}]

[[source]]
name = "spendings"
path = "data/spendings"
kind = "events"
event_time = "at"
created_time = "known_at"
timezone = "UTC"
partition = "date"

[[feature_view]]
name = "usual"
version = 1
source = "spendings"
entities = ["user"]
component = {reference:?}
as_of = "before"
ttl = "3d"

[[feature_view]]
name = "guess"
version = 1
source = "spendings"
entities = ["user"]
component = {reference:?}
as_of = "before"
ttl = "3d"
defaults = {{ country_seen = false }}

[[feature_view]]
name = "ratio"
version = 1
component = {ratio:?}
[feature_view.inputs]
usual = {{ view = "usual@1", feature = "risk" }}
last_seen = {{ view = "usual@1", event_time = true }}

[[feature_view]]
name = "verdict"
version = 1
component = {verdict:?}
[feature_view.inputs]
ratio = {{ view = "ratio@1", feature = "ratio" }}
country_seen = {{ view = "usual@1", feature = "country_seen" }}

[[feature_service]]
name = "checkout"
features = ["verdict@1", "usual@1:country_seen", "ratio@1"]

[[feature_service]]
name = "guessed"
features = ["guess@1:country_seen", "ratio@1"]
"#
    )
}

/// Every user's last spending is on another day, some of the first days alone.
fn spendings() -> String {
    let mut text = "user_id,at,known_at,amount,country\n".to_owned();
    for day in 0..DAYS {
        for user in 0..USERS {
            if user % (day + 1) != 0 {
                continue;
            }
            let (hour, minute) = ((user * 7 + day) % 24, (user * 13) % 60);
            let at = format!("2026-01-{:02}T{hour:02}:{minute:02}:00Z", day + 1);
            let amount = (user + 1) as f64 * 1.7 + day as f64 / 3.0;
            let country = if user % 3 == 0 {
                ""
            } else if user % 3 == 1 {
                "DE"
            } else {
                "AT"
            };
            let _ = writeln!(text, "{user},{at},{at},{amount},{country}");
        }
    }
    text
}

/// Labels after all spendings: of users that there are, of one that there is not, and of nobody.
fn labels() -> String {
    let mut text = "customer,event_time,amount,is_fraud\n".to_owned();
    for index in 0..120_i64 {
        let user = match index % 11 {
            0 => String::new(),
            1 => "4711".to_owned(),
            _ => ((index * 17) % USERS).to_string(),
        };
        let (day, second) = (5 + index % 2, (index * 37) % 60);
        let amount = if index % 13 == 5 { 13.0 } else { index as f64 * 3.3 + 0.1 };
        let _ = writeln!(text, "{user},2026-01-{day:02}T{:02}:00:{second:02}Z,{amount},{}", index % 24, index % 2 == 0);
    }
    text
}
