//! `GET /ready`: whether requests should be sent here. `/health` tells that the process lives; this, that it can do its work.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};
use tandem_online::Store;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::body::JSON;
use super::guard;
use super::problem::{Kind, Problem};
use super::state::Server;

/// `ready_seconds_max`: how long the online store may take to be looked at, in seconds. A disk that hangs is not ready.
pub const READY_SECONDS_MAX: u64 = 2;

/// What is kept between requests for it.
pub(super) struct Readiness {
    /// The server was told to end.
    draining: AtomicBool,
    /// One look at a time: where one hangs, others must not pile up behind it.
    looking: Arc<Semaphore>,
}

/// What a look at the store found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) entries: usize,
    /// Bytes that this user may still write to the store's file system.
    pub(super) disk_free_bytes: u64,
}

impl Readiness {
    pub(super) fn new() -> Readiness {
        Readiness { draining: AtomicBool::new(false), looking: Arc::new(Semaphore::new(1)) }
    }

    /// From now on it is not ready.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// What is in the way, or what was found.
    async fn check(&self, store: Option<Arc<Store>>, disk_free_bytes_min: u64) -> Result<Option<Look>, String> {
        if self.draining.load(Ordering::Relaxed) {
            return Err("the server is shutting down".to_owned());
        }
        let Some(store) = store else { return Ok(None) };
        let look = async {
            let slot = Arc::clone(&self.looking).acquire_owned().await.map_err(|closed| closed.to_string())?;
            let job = tokio::task::spawn_blocking(move || {
                let _slot = slot; // given back when the look is over, not when nobody waits for it any more
                look(&store)
            });
            job.await.map_err(|panic| panic.to_string())?
        };
        let looked = timeout(Duration::from_secs(READY_SECONDS_MAX), look).await;
        let looked = looked.map_err(|_| {
            format!("the online store did not answer within {READY_SECONDS_MAX} seconds (ready_seconds_max)")
        })??;
        let free = looked.disk_free_bytes;
        if free < disk_free_bytes_min {
            return Err(format!(
                "{free} bytes are free on the disk of the online store, less than disk_free_bytes_min, {disk_free_bytes_min}"
            ));
        }
        Ok(Some(looked))
    }
}

/// Blocking.
fn look(store: &Store) -> Result<Look, String> {
    let stats = store.stats().map_err(|error| format!("the online store cannot be read: {error}"))?;
    let disk_free_bytes = disk_free_bytes(store.path())
        .map_err(|error| format!("the file system of the online store does not tell its free space: {error}"))?;
    Ok(Look { entries: stats.entries, disk_free_bytes })
}

/// Bytes that a user without privileges may still write there. Blocking.
pub(super) fn disk_free_bytes(path: &Path) -> std::io::Result<u64> {
    let system = rustix::fs::statvfs(path)?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

pub(super) async fn ready(State(server): State<Arc<Server>>) -> Result<Response, Problem> {
    let min = server.settings.disk_free_bytes_min;
    match server.readiness.check(server.store.clone(), min).await {
        Ok(looked) => {
            let answer = json!({
                "status": "ready",
                "registration": server.live.served().registration,
                "online_entries": looked.as_ref().map(|looked| looked.entries),
                "disk_free_bytes": looked.as_ref().map(|looked| looked.disk_free_bytes),
            });
            Ok(guard::ok(answer.to_string().into_bytes(), JSON, 0))
        }
        Err(reason) => Err(Problem::new(Kind::NotReady, reason).with("registration", registration(&server))),
    }
}

fn registration(server: &Server) -> Value {
    server.live.served().registration.into()
}

#[cfg(test)]
mod tests {
    use tandem_online::StoreOptions;

    use super::*;

    fn store() -> (tempfile::TempDir, Arc<Store>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        (folder, Arc::new(store))
    }

    #[tokio::test]
    async fn a_store_and_room_are_needed() {
        let (_folder, store) = store();
        let readiness = Readiness::new();
        let looked = readiness.check(Some(Arc::clone(&store)), 1).await.unwrap().unwrap();
        assert_eq!(looked.entries, 0);
        assert!(looked.disk_free_bytes > 1);
        let reason = readiness.check(Some(store), u64::MAX).await.unwrap_err();
        assert!(reason.ends_with("less than disk_free_bytes_min, 18446744073709551615"), "{reason}");
        assert_eq!(readiness.check(None, u64::MAX).await, Ok(None), "no store, no need of it");
    }

    #[tokio::test]
    async fn who_drains_is_not_ready() {
        let (_folder, store) = store();
        let readiness = Readiness::new();
        readiness.drain();
        assert_eq!(readiness.check(Some(store), 0).await, Err("the server is shutting down".to_owned()));
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_an_answer() {
        let (_folder, store) = store();
        let readiness = Readiness::new();
        let hanging = Arc::clone(&readiness.looking).try_acquire_owned().unwrap();
        let reason = readiness.check(Some(Arc::clone(&store)), 0).await.unwrap_err();
        assert!(reason.contains("did not answer within 2 seconds"), "{reason}");
        drop(hanging);
    }
}
