//! What tests share that kill the program: how long they go on, commands that are killed, servers that are gone, and the history that is left.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use super::program::tandem_registered;
use super::project::files;

/// The rounds of a test: as `TANDEM_CRASH_ROUNDS` has them, or `usual`.
pub(crate) fn rounds(usual: u64) -> u64 {
    std::env::var("TANDEM_CRASH_ROUNDS").ok().map_or(usual, |rounds| rounds.parse().expect("a number"))
}

/// A command that will be killed; nobody hears what it says.
pub(crate) fn start(root: &Path, arguments: &[&str]) -> Child {
    tandem_registered(root, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs")
}

/// Kills it, if it has not ended.
pub(crate) fn kill(mut child: Child) {
    let _ = child.kill(); // it may have ended
    let _ = child.wait();
}

/// Posts JSON to a server; None where it is gone.
pub(crate) fn ask(url: &str, route: &str, body: &Value) -> Option<Value> {
    let config =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
    let agent: ureq::Agent = config.build().into();
    let request = agent.post(format!("{url}{route}")).header("content-type", "application/json");
    let mut answer = request.send(body.to_string()).ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    assert_eq!(answer.status().as_u16(), 200, "{text}");
    serde_json::from_str(&text).ok()
}

/// The rows of the files of the history, each batch with its file's name below `data/features`.
pub(crate) fn history(root: &Path) -> Vec<(String, RecordBatch)> {
    let folder = root.join("data/features");
    if !folder.exists() {
        return Vec::new();
    }
    let names = files(&folder).into_iter().map(|(name, _)| name).filter(|name| name.ends_with(".parquet"));
    let batches = names.flat_map(|name| {
        let file = File::open(folder.join(&name)).expect("a file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect(&name).build().expect(&name);
        reader.map(|batch| (name.clone(), batch.expect(&name))).collect::<Vec<_>>()
    });
    batches.collect()
}
