//! Rows that are pushed into a running server: served at once, and part of the history that training sets and explain read.
//!
//! - `rows`: what is taken and what is refused, in JSON and Arrow
//! - `history`: from the log into files, and what reads them
//! - `killed`: everything that writes, killed at any moment
//! - `feast`: the same under the names of Feast's server

mod feast;
mod history;
mod killed;
mod rows;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::guests::Guest;
use crate::harness::program::{Serving, agent, defined, tandem, told};
use crate::harness::server::JSON;

/// `account`, of columns of `accounts`; `usual`, computed of `spendings`; `recent`, over what is published of `account`'s source as a query.
pub(crate) struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    pub(crate) fn new() -> Shop {
        Shop { folder: defined("shop", &definitions()) }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> (String, String) {
        told(tandem(self.root(), arguments), 0)
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let (data, notes) = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&data).unwrap_or_else(|_| panic!("{data}{notes}"))
    }

    pub(crate) fn serve(&self) -> Client {
        Client { server: Serving::start(self.root(), &[]) }
    }

    /// Writes a text into the project's folder.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.root().join(name), text).expect("a file");
    }
}

/// Somebody who pushes and asks.
pub(crate) struct Client {
    server: Serving,
}

impl Client {
    /// Where its server is.
    pub(crate) fn url(&self) -> &str {
        self.server.url()
    }

    pub(crate) fn send(&self, route: &str, media_type: &str, body: &[u8]) -> (u16, Vec<u8>, Option<String>) {
        let agent = agent();
        let url = format!("{}{route}", self.server.url());
        let mut response = agent.post(url).header("content-type", media_type).send(body).expect("an answer");
        let bytes = response.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body");
        let quarantined = response.headers().get("tandem-quarantined").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), bytes, quarantined)
    }

    /// Status and JSON of an answer.
    pub(crate) fn post(&self, route: &str, body: &Value) -> (u16, Value) {
        let (status, bytes, _) = self.send(route, JSON, body.to_string().as_bytes());
        let text = String::from_utf8(bytes).expect("UTF-8");
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status} {text}")))
    }

    /// The JSON of a success.
    pub(crate) fn ok(&self, route: &str, body: &Value) -> Value {
        let (status, answer) = self.post(route, body);
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The end of the problem's type, and the problem.
    fn problem(&self, route: &str, body: &Value) -> (String, Value) {
        let (_, answer) = self.post(route, body);
        let kind = answer["type"].as_str().unwrap_or_else(|| panic!("{answer}"));
        (kind.replace("urn:tandem:problem:", ""), answer)
    }

    /// Values and statuses of one user's feature.
    fn served(&self, feature: &str, user: i64) -> (Value, String) {
        let answer = self.ok("/v1/features", &json!({"features": [feature], "rows": [{"user_id": user}]}));
        let name = feature.split(':').next_back().expect("a name");
        let found = &answer["rows"][0];
        (
            found["values"][name].clone(),
            found["statuses"][name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned(),
        )
    }
}

fn definitions() -> String {
    let reference = Guest::Reference.path();
    format!(
        r#"[[entity]]
name = "user"
join_keys = [{{ name = "user_id", type = "int64" }}]

[[source]]
name = "accounts"
path = "data/accounts"
kind = "state"
event_time = "changed_at"
created_time = "known_at"
timezone = "UTC"
partition = "date"

[[source]]
name = "spendings"
path = "data/spendings"
kind = "events"
event_time = "at"
timezone = "UTC"
partition = "date"

[[source]]
name = "joined"
query = "SELECT customer AS user_id, changed_at, limit_eur FROM accounts"
tables = {{ accounts = "data/accounts" }}
kind = "state"
event_time = "changed_at"
timezone = "UTC"

[[feature_view]]
name = "account"
version = 1
source = "accounts"
entities = ["user"]
ttl = "3650d"
key_columns = {{ user_id = "customer" }}
features = [
    {{ name = "credit", column = "limit_eur", type = "float64" }},
    {{ name = "country", type = "string" }},
]

[[feature_view]]
name = "usual"
version = 1
source = "spendings"
entities = ["user"]
component = {reference:?}
as_of = "at_or_before"
known_by = "published"

[[feature_view]]
name = "joined"
version = 1
source = "joined"
entities = ["user"]
features = [{{ name = "limit", column = "limit_eur", type = "float64" }}]

[[feature_service]]
name = "all"
features = ["account@1", "usual@1"]
"#
    )
}
