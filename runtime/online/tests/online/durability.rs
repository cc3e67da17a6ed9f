//! What is acknowledged survives the death of the process, whenever it comes.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use super::*;
use crate::children::{self, said, say};
use tandem_online::Writer;

const ROUNDS: u64 = 20;
const CALLERS: usize = 3;
/// Rows of one batch, one for each entity of its caller.
const ENTITIES: usize = 5;

fn keys(caller: usize) -> Vec<String> {
    (0..ENTITIES).map(|entity| format!("caller {caller}, entity {entity}")).collect()
}

#[test]
fn acknowledged_rows_survive_a_killed_process() {
    if let Some(folder) = children::folder() {
        return write_until_killed(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = [-1; CALLERS];
    let mut delay = 7;
    for round in 0..ROUNDS {
        let mut child = children::start("durability::acknowledged_rows_survive_a_killed_process", folder.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // From the first acknowledgement on, up to 20 ms: anywhere in a commit.
        let mut first = None;
        let mut heard = 0;
        delay = (delay * 1_103_515_245 + 12_345) % 20_000;
        let mut killed = false;
        while let Some(Ok(line)) = lines.next() {
            let Some((caller, time)) = said(&line).and_then(|said| said.split_once(' ')) else { continue };
            let (caller, time): (usize, i64) = (caller.parse().unwrap(), time.parse().unwrap());
            assert!(acknowledged[caller] < time, "acknowledgements go forward");
            acknowledged[caller] = time;
            heard += 1;
            let first = *first.get_or_insert_with(Instant::now);
            // What was said before the signal is still in the pipe and is read to its end.
            if !killed && first.elapsed() >= Duration::from_micros(delay) {
                child.kill().unwrap();
                killed = true;
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(heard > 0, "round {round} heard nothing");

        let (store, view) = open(folder.path());
        for (caller, acknowledged) in acknowledged.iter_mut().enumerate() {
            let lookups = store.get_many(view, &keys(caller)).unwrap();
            if *acknowledged < 0 && lookups.iter().all(|lookup| *lookup == Lookup::NotFound) {
                continue;
            }
            let times: Vec<_> = lookups.iter().map(event_time).collect();
            assert!(
                times[0] >= *acknowledged,
                "round {round}: {} is stored, {acknowledged} was acknowledged",
                times[0]
            );
            assert_eq!(times, [times[0]; ENTITIES], "round {round}: a batch is there whole or not at all");
            *acknowledged = times[0];
        }
    }
    assert!(acknowledged.iter().all(|time| *time > 0), "{acknowledged:?}");
}

/// The child: callers that write batch after batch through one writer, and say what was acknowledged.
fn write_until_killed(folder: &Path) {
    let (store, view) = open(folder);
    let writer = Writer::start(store.clone()).unwrap();
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (store, writer) = (&store, &writer);
            scope.spawn(move || {
                let newest = match &store.get_many(view, &keys(caller)).unwrap()[0] {
                    Lookup::Found(record) => record.event_time.0,
                    _ => -1,
                };
                for time in newest + 1.. {
                    let rows = keys(caller).into_iter().map(|key| row(key, time, vec![caller as u8; 300])).collect();
                    let report = writer.put(view, rows).unwrap();
                    assert_eq!(report.written, ENTITIES);
                    say(&format!("{caller} {time}"));
                }
            });
        }
    });
}
