//! The server on a port of its own, and a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use serde_json::Value;
use tandem::client::Client;
use tandem::project::{Opened, ViewTransform};
use tandem::server::{Live, ServedView, ServerState, serve};
use tandem_engine::{OnDemand, OnDemandOptions};
use tandem_online::Store;

use super::program::agent;
use super::project::{NOW, runtime};

pub(crate) const JSON: &str = "application/json";
pub(crate) const ARROW: &str = "application/vnd.apache.arrow.stream";

/// Serves until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `view`; callers may give `as_of`.
    pub(crate) fn start(opened: &Opened, view: &ViewTransform, store: Option<Store>) -> Server {
        let mut settings = opened.project.settings.server.clone();
        settings.allow_replay = true;
        let options = OnDemandOptions::default();
        let on_demand =
            view.transform.clone().map(|transform| OnDemand::new(transform, opened.workers.clone(), options));
        let state = ServerState {
            live: Live::new(
                None,
                vec![ServedView { bound: Arc::clone(&view.bound), on_demand, store_view: None }],
                &[],
                &[],
            ),
            store: store.map(Arc::new),
            feature_log: None,
            pusher: None,
            offline_root: None,
            settings,
            clock: || NOW,
            workers: opened.workers.clone(),
        };
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (told, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
                told.send(listener.local_addr().expect("an address")).expect("somebody waits");
                let shutdown = async {
                    let _ = stopped.await; // dropped, or told: both are the end
                };
                serve(listener, state, shutdown).await.expect("it serves");
            });
        });
        Server { address: address.recv().expect("the server starts"), stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// For what asks a server as a command does.
    pub(crate) fn client(&self) -> Client {
        Client::new("--url", &self.url(), None, None).expect("a URL")
    }

    /// Posts a body; gives the status and the answer's body.
    pub(crate) fn post(&self, route: &str, media_type: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let agent = agent();
        let url = format!("{}{route}", self.url());
        let mut response = agent.post(&url).header("content-type", media_type).send(body).expect("an answer");
        let bytes = response.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body");
        (response.status().as_u16(), bytes)
    }

    /// Posts JSON and reads JSON; anything but success is a failure of the test.
    pub(crate) fn ask(&self, route: &str, body: &Value) -> Value {
        let (status, answer) = self.post(route, JSON, body.to_string().as_bytes());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server panicked");
        }
    }
}
