//! `tandem serve` as a process, asked for features: services and lists, in JSON and Arrow, in time and too late.
//!
//! - `feast`: Feast's SDK as a client
//! - `forms`: the same values, however they are asked for
//! - `logged`: the feature log
//! - `stale`: values past their freshness objective
//! - `openapi`: requests that are generated of the document
//! - `late`: deadlines, required features, views that are slow or keep failing

mod feast;
mod forms;
mod late;
mod logged;
mod openapi;
mod stale;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::guests::Guest;
use crate::harness::program::{Serving, defined, tandem, told};
use crate::harness::server::JSON;

/// Users with stored features, from 0 on; each third one has no country.
const USERS: i64 = 12;

/// Stored `usual`; on demand `ratio` over it and the request, and `slow`, which does what the request's `mode` says.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Shop {
        let shop = Shop { folder: defined("shop", &definitions()) };
        let root = shop.root();
        let mut text = "user_id,at,known_at,amount,country\n".to_owned();
        for user in 0..USERS {
            let country = if user % 3 == 0 { "" } else { "DE" };
            writeln!(text, "{user},2026-01-02T0{}:00:00Z,2026-01-02T12:00:00Z,{}.5,{country}", user % 10, user * 10)
                .expect("memory");
        }
        fs::write(root.join("spendings.csv"), text).expect("a file");
        shop.run(&["import", "spendings", "spendings.csv"]);
        for view in ["usual", "aged"] {
            shop.run(&["batch", view]);
            shop.run(&["materialize", view]);
        }
        shop
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) -> (String, String) {
        told(tandem(self.root(), arguments), 0)
    }

    fn serve(&self) -> Client {
        Client { server: Serving::start(self.root(), &["--allow-replay"]) }
    }
}

/// Somebody who asks.
struct Client {
    server: Serving,
}

/// An answer.
struct Answer {
    status: u16,
    headers: ureq::http::HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.bytes)))
    }

    /// The body of a success.
    fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// The end of the problem's type.
    fn problem(&self) -> String {
        let kind = self.json()["type"].as_str().map(|kind| kind.replace("urn:tandem:problem:", ""));
        kind.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&self.bytes)))
    }
}

impl Client {
    fn send(&self, route: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let config = ureq::Agent::config_builder().http_status_as_error(false).accept_encoding("identity");
        let agent: ureq::Agent = config.build().into();
        let mut request = agent.post(format!("{}{route}", self.server.url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).expect("an answer");
        let bytes = response.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body");
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), bytes }
    }

    fn post(&self, route: &str, body: &Value) -> Answer {
        self.send(route, &[("content-type", JSON)], body.to_string().as_bytes())
    }

    fn post_within(&self, millis: u32, route: &str, body: &Value) -> Answer {
        let millis = millis.to_string();
        self.send(route, &[("content-type", JSON), ("tandem-timeout-ms", &millis)], body.to_string().as_bytes())
    }
}

fn definitions() -> String {
    let [reference, ratio, misbehaving] = [Guest::Reference, Guest::Ratio, Guest::Misbehaving].map(Guest::path);
    format!(
        r#"[[entity]]
name = "user"
join_keys = [{{ name = "user_id", type = "int64" }}]

[[source]]
name = "spendings"
path = "data/spendings"
kind = "state"
event_time = "at"
created_time = "known_at"
timezone = "UTC"
partition = "date"

# What clients of Feast write.
[[source]]
name = "ceilings"
path = "data/ceilings"
kind = "state"
event_time = "event_timestamp"
created_time = "created"
timezone = "UTC"

[[feature_view]]
name = "ceiling"
version = 1
source = "ceilings"
entities = ["user"]
features = [{{ name = "ceiling", type = "float64" }}]

[[feature_view]]
name = "usual"
version = 1
source = "spendings"
entities = ["user"]
component = {reference:?}

# Its rows are older than a day whenever they are asked for.
[[feature_view]]
name = "aged"
version = 1
source = "spendings"
entities = ["user"]
component = {reference:?}
ttl = "1d"
freshness = "6h"

[[feature_view]]
name = "ratio"
version = 1
component = {ratio:?}
[feature_view.inputs]
usual = {{ view = "usual@1", feature = "risk" }}
last_seen = {{ view = "usual@1", event_time = true }}

[[feature_view]]
name = "aged_ratio"
version = 1
component = {ratio:?}
[feature_view.inputs]
usual = {{ view = "aged@1", feature = "risk" }}
last_seen = {{ view = "aged@1", event_time = true }}

# It ends an endless loop after two seconds, not by fuel.
[[feature_view]]
name = "slow"
version = 1
component = {misbehaving:?}
[feature_view.limits]
fuel_base = 1_000_000_000_000
call_seconds_max = 2

[[feature_service]]
name = "checkout"
features = ["usual@1", "ratio@1"]

[[feature_service]]
name = "lenient"
features = ["usual@1:risk", "ratio@1", "slow@1:value"]

[[feature_service]]
name = "strict"
features = ["usual@1:risk", "slow@1:value"]
required = ["value"]
deadline = "300ms"
"#
    )
}
