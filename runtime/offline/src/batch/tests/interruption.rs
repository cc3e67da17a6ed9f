//! Runs that are dropped, overtaken or watched.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};

use arrow_array::RecordBatch;
use tandem_engine::{EngineError, Outcome};

use super::*;
use crate::bind::RowSession;

/// Tells when it is called, then waits to be let go.
struct Gate {
    called: Sender<()>,
    go: Arc<Mutex<Receiver<()>>>,
}

impl RowFunction for Gate {
    fn session(&self) -> Box<dyn RowSession> {
        Box::new(Gate { called: self.called.clone(), go: Arc::clone(&self.go) })
    }
}

impl RowSession for Gate {
    fn apply(&mut self, inputs: &RecordBatch) -> Result<Outcome, EngineError> {
        self.called.send(()).unwrap();
        let _ = self.go.lock().unwrap().recv();
        Native.apply(inputs)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_run_leaves_nothing_and_holds_the_lock_while_it_lives() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let view = view(source.path());
    let ((called, was_called), (go, wait)) = (channel(), channel());
    let gate = Gate { called, go: Arc::new(Mutex::new(wait)) };
    let task = tokio::spawn({
        let (view, output) = (view.clone(), output.path().to_owned());
        async move { run_function(&view, &output, None, BatchOptions::default(), (gate, 1), &()).await }
    });
    tokio::task::spawn_blocking(move || was_called.recv().unwrap()).await.unwrap();
    let error = run(&view, output.path(), None).await.unwrap_err();
    assert!(matches!(error, OfflineError::Locked { pid: Some(pid), .. } if pid == std::process::id()));

    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    drop(go);
    // Jobs that had begun run to their end, then the lock is free.
    let deadline = Instant::now() + std::time::Duration::from_secs(20);
    let report = loop {
        match run(&view, output.path(), None).await {
            Err(OfflineError::Locked { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            ended => break ended.unwrap(),
        }
    };
    assert_eq!(report.rows().rows_out, 3_500);
    assert_eq!(names(output.path()), [DAY_ONE, DAY_TWO]);
}

/// Touches a source file while it is being computed.
struct Toucher(PathBuf);

impl RowFunction for Toucher {
    fn session(&self) -> Box<dyn RowSession> {
        Box::new(Toucher(self.0.clone()))
    }
}

impl RowSession for Toucher {
    fn apply(&mut self, inputs: &RecordBatch) -> Result<Outcome, EngineError> {
        fs::File::options().append(true).open(&self.0).unwrap().set_modified(UNIX_EPOCH).unwrap();
        Native.apply(inputs)
    }
}

#[tokio::test]
async fn a_source_that_changes_under_the_run_is_not_published() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    one_file(source.path(), &rows(NEW_YEAR, 3));
    let file = source.path().join("date=2026-01-01/a.parquet");
    let function = (Toucher(file.clone()), 1);
    let view = view(source.path());
    let run = run_function(&view, output.path(), None, BatchOptions::default(), function, &()).await;
    assert!(matches!(run.unwrap_err(), OfflineError::SourceChanged { file: changed } if changed == file));
    assert_eq!(names(output.path()), Vec::<String>::new());
}

#[derive(Default)]
struct Recorded(Mutex<(u64, u64, u64, Vec<String>)>);

impl Progress for Recorded {
    fn planned(&self, partitions: u64, rows: u64) {
        let mut inner = self.0.lock().unwrap();
        (inner.0, inner.1) = (partitions, rows);
    }

    fn rows_done(&self, rows: u64) {
        self.0.lock().unwrap().2 += rows;
    }

    fn partition_done(&self, report: &PartitionReport) {
        self.0.lock().unwrap().3.push(report.partition.to_string());
    }
}

#[tokio::test]
async fn progress_adds_up() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    two_days(source.path());
    let progress = Recorded::default();
    let options = BatchOptions { rows_per_call: 64, ..BatchOptions::default() };
    run_function(&view(source.path()), output.path(), None, options, (Native, 2), &progress).await.unwrap();
    let (partitions, planned, done, mut ended) = progress.0.into_inner().unwrap();
    ended.sort();
    assert_eq!((partitions, planned, done), (2, 3_500, 3_500));
    assert_eq!(ended, ["date=2026-01-01", "date=2026-01-02"]);
}

/// Counts the sessions that are alive.
struct Counted(Arc<Counts>);

#[derive(Default)]
struct Counts {
    alive: AtomicUsize,
    most: AtomicUsize,
}

impl RowFunction for Counted {
    fn session(&self) -> Box<dyn RowSession> {
        let alive = self.0.alive.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most.fetch_max(alive, Ordering::SeqCst);
        Box::new(CountedSession(Arc::clone(&self.0)))
    }
}

struct CountedSession(Arc<Counts>);

impl RowSession for CountedSession {
    fn apply(&mut self, inputs: &RecordBatch) -> Result<Outcome, EngineError> {
        Native.apply(inputs)
    }
}

impl Drop for CountedSession {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn instances_are_bounded_and_end_with_their_partition() {
    let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for day in 0..12 {
        let file = format!("date=2026-01-{:02}/a.parquet", day + 1);
        write(&source.path().join(file), &source_batch(&rows(NEW_YEAR + day * 86_400_000, 400)));
    }
    let counts = Arc::new(Counts::default());
    let options =
        BatchOptions { rows_per_call: 5, partitions_in_flight: 6, calls_in_flight: 9, ..BatchOptions::default() };
    let function = (Counted(Arc::clone(&counts)), 4);
    run_function(&view(source.path()), output.path(), None, options, function, &()).await.unwrap();
    let most = counts.most.load(Ordering::SeqCst);
    assert!((1..=2 * 4 + 6).contains(&most), "{most} sessions at a time");
    assert_eq!(counts.alive.load(Ordering::SeqCst), 0);
}
