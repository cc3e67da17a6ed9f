//! `tandem.toml`: how a project runs. Nothing in it is part of a view's definition hash; what features are stands in the feature files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::reader::{Place, Table, Value};
use crate::suggest;
use crate::time::Duration;

/// Folder of feature files where `tandem.toml` names none.
pub(super) const FEATURES_DEFAULT: &str = "features";

/// Everything in `tandem.toml`. Paths are joined to the folder that the parser was given as the project's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `project.name`: the project's name: letters, digits, `-`, `_` and `.`, at most 128 bytes. Required.
    pub name: String,
    /// `project.features`: folder whose `*.toml` files are the feature files. Default `features`.
    pub features: PathBuf,
    /// `project.max_future`: rows and events whose event time lies further in the future than this are set aside and counted, on every way in: a
    /// wrong clock must not hide true values for a year. Default 5 minutes.
    pub max_future: Duration,
    /// `[storage]`: where data is kept.
    pub storage: StorageSettings,
    /// `[server]`: the HTTP server and its limits.
    pub server: ServerSettings,
    /// `[engine]`: the WebAssembly engine and its limits.
    pub engine: EngineSettings,
    /// `[batch]`: runs over partitions and their limits.
    pub batch: BatchSettings,
    /// `[push]`: rows that are pushed, on their way into the offline history.
    pub push: PushSettings,
    /// `[expiry]`: rows that are older than their view's ttl, in the online store.
    pub expiry: ExpirySettings,
    /// `[feature_log]`: what was served, on its way into files.
    pub feature_log: FeatureLogSettings,
}

/// `[storage]`: where data is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSettings {
    /// `offline`: folder of the published partitions. Default `data/features`.
    pub offline: PathBuf,
    /// `online`: folder of the LMDB environment. Default `data/online`.
    pub online: PathBuf,
    /// `registry`: folder of the registry: what was applied. Default `registry`.
    pub registry: PathBuf,
    /// `log`: folder of the feature log. Default `data/log`.
    pub log: PathBuf,
    /// `cache`: folder of compiled code; whoever may write there may run code as this program. Default `.tandem/cache`.
    pub cache: PathBuf,
    /// `fsync`: what a commit to the online store waits for. Default `always`.
    pub fsync: Fsync,
}

/// What a commit to the online store waits for before what it wrote is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fsync {
    /// Until data and root are on disk: what is acknowledged survives a power cut.
    #[default]
    Always,
    /// Until the data is on disk; the root that names it follows with the next commit. A power cut may undo the last commit, never damages the store,
    /// and the end of the process undoes nothing.
    Data,
}

impl Fsync {
    /// Every variant.
    pub const ALL: [Fsync; 2] = [Fsync::Always, Fsync::Data];

    /// Its word in `tandem.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Fsync::Always => "always",
            Fsync::Data => "data",
        }
    }
}

/// `[push]`: when the rows that were pushed into a view leave the log of the online store for files of the view's offline history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushSettings {
    /// `roll_seconds`: age of the oldest row of the log at which it is rolled into files, in seconds. Default 60.
    pub roll_seconds: u64,
    /// `roll_rows`: rows of the log at which it is rolled before that, and rows of one file at most. Default 1,000,000.
    pub roll_rows: u64,
    /// `roll_bytes`: bytes of the log at which it is rolled before that, and about the bytes of rows in one file at most. Default 64 MiB.
    pub roll_bytes: u64,
}

impl Default for PushSettings {
    fn default() -> Self {
        PushSettings { roll_seconds: 60, roll_rows: 1_000_000, roll_bytes: 64 << 20 }
    }
}

/// `[expiry]`: how a server removes the values of rows that are older than their view's ttl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpirySettings {
    /// `pass_seconds`: from the end of a pass over all rows of views with a ttl to the next, in seconds. Default 600.
    pub pass_seconds: u64,
    /// `pause_millis`: from one piece of a pass to the next, in milliseconds. Default 100.
    pub pause_millis: u64,
    /// `looked_rows_max`: rows of a piece: they are looked at in one read transaction. Default 16,384.
    pub looked_rows_max: usize,
    /// `removed_rows_max`: rows whose values are removed in one write transaction. Default 1,024.
    pub removed_rows_max: usize,
}

impl Default for ExpirySettings {
    fn default() -> Self {
        ExpirySettings { pass_seconds: 600, pause_millis: 100, looked_rows_max: 16_384, removed_rows_max: 1_024 }
    }
}

/// `[feature_log]`: when what was served becomes a file of the feature log, and how much may wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureLogSettings {
    /// `file_seconds`: age of the oldest row at which a file is written, in seconds. Default 60.
    pub file_seconds: u64,
    /// `file_rows`: rows of a service at which a file is written before that. Default 100,000.
    pub file_rows: u64,
    /// `waiting_values_max`: values (rows times their columns) that may wait to be written, over all services; answers beyond them are not
    /// logged, and counted. Default 10,000,000.
    pub waiting_values_max: u64,
}

impl Default for FeatureLogSettings {
    fn default() -> Self {
        FeatureLogSettings { file_seconds: 60, file_rows: 100_000, waiting_values_max: 10_000_000 }
    }
}

/// `[server]`: the HTTP server and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// `listen`: IP address and port. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// `allow_replay`: whether callers may give `as_of` themselves. Default false.
    pub allow_replay: bool,
    /// `tokens`: file of the tokens that clients need. Default: none, and clients need no token.
    pub tokens: Option<PathBuf>,
    /// `allow_unauthenticated`: whether other machines than this one may connect though clients need no token. Default false.
    pub allow_unauthenticated: bool,
    /// `[server.tls]`: certificate and key. Default: none, and connections are not encrypted.
    pub tls: Option<TlsSettings>,
    /// `body_bytes_max`: body of one request, in bytes. Default 16 MiB.
    pub body_bytes_max: u64,
    /// `rows_max`: rows in one request. Default 100,000.
    pub rows_max: usize,
    /// `entities_max`: entities whose features one request asks for. Default 10,000.
    pub entities_max: usize,
    /// `features_max`: features that one request asks for. Default 2,000.
    pub features_max: usize,
    /// `values_max`: entities times features of one request. Default 2,000,000.
    pub values_max: usize,
    /// `request_seconds_max`: time from a request's head to its answer, in seconds. Default 30.
    pub request_seconds_max: u64,
    /// `shutdown_seconds_max`: how long a shutdown waits for requests that are under way, in seconds. Default 30.
    pub shutdown_seconds_max: u64,
    /// `shutdown_notice_seconds`: how long it goes on accepting requests after it was told to end, while `/ready` says no, in seconds. Default 0.
    pub shutdown_notice_seconds: u64,
    /// `disk_free_bytes_min`: with less room on the disk of the online store, in bytes, `/ready` says no. Default 256 MiB.
    pub disk_free_bytes_min: u64,
    /// `queue_requests_max`: requests that wait for a call of one view, and look-ups that wait for a worker; more are refused with 503. Default 256.
    pub queue_requests_max: usize,
    /// `late_millis_max`: for how long a request may wait until a thread comes to it, or until a worker does, in milliseconds; one that waited longer is refused with 503.
    /// Default 100.
    pub late_millis_max: u64,
    /// `concurrent_requests_max`: requests under way at once; more are refused with 503. Default 1,024.
    pub concurrent_requests_max: usize,
    /// `breaker_failures`: calls of a view that fail one after the other until it is left alone. Default 20.
    pub breaker_failures: u32,
    /// `breaker_seconds`: how long it is left alone then, in seconds. Default 5.
    pub breaker_seconds: u64,
}

/// `[server.tls]`: with what connections are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// `certificate`: PEM file of the certificate and those that lead to its authority.
    pub certificate: PathBuf,
    /// `key`: PEM file of its private key.
    pub key: PathBuf,
}

/// `[engine]`: the WebAssembly engine and its limits. Limits of one transform are part of its view, not of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// `workers`: threads that run transforms; 0 is one for each core. Default 0.
    pub workers: usize,
    /// `component_bytes_max`: size of a component, in bytes. Default 64 MiB.
    pub component_bytes_max: u64,
    /// `compile_seconds_max`: how long a component may take to compile, in seconds. Default 300.
    pub compile_seconds_max: u64,
    /// `compile_memory_bytes_max`: memory of the process that compiles a component, in bytes. Default 2 GiB.
    pub compile_memory_bytes_max: u64,
    /// `instances_max`: instances alive at once. Default 128.
    pub instances_max: usize,
    /// `keep_resident_bytes`: linear memory that a pooled instance slot keeps mapped between calls, in bytes. Default 8 MiB.
    pub keep_resident_bytes: u64,
    /// `stack_bytes_max`: WebAssembly stack of a call, in bytes. Default 1 MiB.
    pub stack_bytes_max: u64,
}

/// `[batch]`: runs over partitions and their limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSettings {
    /// `rows_per_call`: rows given to a transform in one call; changes no value. Default 65,536.
    pub rows_per_call: usize,
    /// `partitions_in_flight`: partitions computed at once; 0 is one for each core. Default 0.
    pub partitions_in_flight: usize,
    /// `row_group_rows`: rows in a row group of the Parquet files that are written. Default 131,072.
    pub row_group_rows: usize,
    /// `calls_in_flight`: calls that are computed or wait in order, for each partition; 0 is one more than there are workers. Default 0.
    pub calls_in_flight: usize,
}

impl StorageSettings {
    /// The defaults under a project's root.
    pub fn defaults(root: &Path) -> Self {
        StorageSettings {
            offline: root.join("data/features"),
            online: root.join("data/online"),
            registry: root.join("registry"),
            log: root.join("data/log"),
            cache: root.join(".tandem/cache"),
            fsync: Fsync::default(),
        }
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_replay: false,
            tokens: None,
            allow_unauthenticated: false,
            tls: None,
            body_bytes_max: 16 << 20,
            rows_max: 100_000,
            entities_max: 10_000,
            features_max: 2_000,
            values_max: 2_000_000,
            queue_requests_max: 256,
            request_seconds_max: 30,
            shutdown_seconds_max: 30,
            shutdown_notice_seconds: 0,
            disk_free_bytes_min: 256 << 20,
            breaker_failures: 20,
            breaker_seconds: 5,
            concurrent_requests_max: 1_024,
            late_millis_max: 100,
        }
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        EngineSettings {
            workers: 0,
            component_bytes_max: 64 << 20,
            compile_seconds_max: 300,
            compile_memory_bytes_max: 2 << 30,
            instances_max: 128,
            keep_resident_bytes: 8 << 20,
            stack_bytes_max: 1 << 20,
        }
    }
}

impl Default for BatchSettings {
    fn default() -> Self {
        BatchSettings { rows_per_call: 65_536, partitions_in_flight: 0, row_group_rows: 131_072, calls_in_flight: 0 }
    }
}

/// Tables of `tandem.toml`.
pub(super) const TABLES: &[&str] =
    &["project", "storage", "server", "engine", "batch", "push", "expiry", "feature_log"];
pub(super) const PROJECT_KEYS: &[&str] = &["name", "features", "max_future"];

/// `max_future` where `tandem.toml` names none.
const MAX_FUTURE_DEFAULT: Duration = Duration::from_micros(5 * 60 * 1_000_000);

pub(super) const STORAGE_KEYS: &[&str] = &["offline", "online", "registry", "log", "cache", "fsync"];
pub(super) const SERVER_KEYS: &[&str] = &[
    "listen",
    "allow_replay",
    "tokens",
    "allow_unauthenticated",
    "tls",
    "body_bytes_max",
    "rows_max",
    "entities_max",
    "features_max",
    "values_max",
    "queue_requests_max",
    "request_seconds_max",
    "shutdown_seconds_max",
    "shutdown_notice_seconds",
    "disk_free_bytes_min",
    "breaker_failures",
    "breaker_seconds",
    "concurrent_requests_max",
    "late_millis_max",
];
pub(super) const TLS_KEYS: &[&str] = &["certificate", "key"];
pub(super) const ENGINE_KEYS: &[&str] = &[
    "workers",
    "component_bytes_max",
    "compile_seconds_max",
    "compile_memory_bytes_max",
    "instances_max",
    "keep_resident_bytes",
    "stack_bytes_max",
];
pub(super) const BATCH_KEYS: &[&str] = &["rows_per_call", "partitions_in_flight", "row_group_rows", "calls_in_flight"];

pub(super) const PUSH_KEYS: &[&str] = &["roll_seconds", "roll_rows", "roll_bytes"];
pub(super) const EXPIRY_KEYS: &[&str] = &["pass_seconds", "pause_millis", "looked_rows_max", "removed_rows_max"];

pub(super) const FEATURE_LOG_KEYS: &[&str] = &["file_seconds", "file_rows", "waiting_values_max"];

const THREADS_MAX: u32 = 4_096;
const SECONDS_MAX: u64 = 86_400;
const BYTES_MAX: u64 = 1 << 40;

/// Reads `tandem.toml`. None only where a required part is missing or wrong, which is then reported.
pub(super) fn read<'a>(place: Place<'a>, tree: &'a DeTable<'a>, root: &Path) -> Option<Settings> {
    refuse_unknown_tables(place, tree);
    let project = section(place, tree, "project", PROJECT_KEYS);
    let (name, features, max_future) = match &project {
        Some(project) => {
            let name = project.required("name", "`name = \"...\"`").and_then(|value| {
                let name = project.text("name", value)?;
                let fits = name.len() <= 128 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
                if !fits {
                    let hint = "a project's name has letters, digits, `-`, `_` and `.`, at most 128 bytes".to_owned();
                    project.error(value, format!("the project cannot be named `{name}`"), hint);
                }
                fits.then(|| name.to_owned())
            });
            let features = project.get("features").and_then(|value| project.path("features", value, root));
            let max_future = project.get("max_future").and_then(|value| project.duration("max_future", value));
            (name, features, max_future)
        }
        None if !tree.contains_key("project") => {
            let hint = "add `[project]` with `name = \"...\"`".to_owned();
            place.error(0..0, format!("{} has no `[project]`", place.file.name), hint);
            (None, None, None)
        }
        None => (None, None, None),
    };
    let settings = Settings {
        name: String::new(),
        features: features.unwrap_or_else(|| root.join(FEATURES_DEFAULT)),
        max_future: max_future.unwrap_or(MAX_FUTURE_DEFAULT),
        storage: section(place, tree, "storage", STORAGE_KEYS)
            .map_or_else(|| StorageSettings::defaults(root), |table| storage(&table, root)),
        server: section(place, tree, "server", SERVER_KEYS)
            .map_or_else(ServerSettings::default, |table| server(&table, root)),
        engine: section(place, tree, "engine", ENGINE_KEYS)
            .map_or_else(EngineSettings::default, |table| engine(&table)),
        batch: section(place, tree, "batch", BATCH_KEYS).map_or_else(BatchSettings::default, |table| batch(&table)),
        push: section(place, tree, "push", PUSH_KEYS).map_or_else(PushSettings::default, |table| push(&table)),
        expiry: section(place, tree, "expiry", EXPIRY_KEYS)
            .map_or_else(ExpirySettings::default, |table| expiry(&table)),
        feature_log: section(place, tree, "feature_log", FEATURE_LOG_KEYS)
            .map_or_else(FeatureLogSettings::default, |table| feature_log(&table)),
    };
    name.map(|name| Settings { name, ..settings })
}

fn refuse_unknown_tables(place: Place<'_>, tree: &DeTable<'_>) {
    for key in tree.keys().filter(|key| !TABLES.contains(&key.get_ref().as_ref())) {
        let name = key.get_ref();
        let hint = if super::project::FEATURE_FILE_KEYS.contains(&name.as_ref()) {
            format!("`[[{name}]]` belongs in a feature file, in the folder that `project.features` names")
        } else {
            suggest::hint(name, "tables", TABLES)
        };
        place.error(key.span(), format!("unknown table `{name}` in {}", place.file.name), hint);
    }
}

fn section<'a>(
    place: Place<'a>,
    tree: &'a DeTable<'a>,
    name: &'static str,
    keys: &'static [&'static str],
) -> Option<Table<'a>> {
    let value = tree.get(name)?;
    match value.get_ref() {
        DeValue::Table(entries) => Some(Table::open(place, format!("`[{name}]`"), value.span(), entries, keys)),
        _ => {
            let hint = format!("write `[{name}]` once, in single brackets");
            place.error(value.span(), format!("`{name}` must be one table"), hint);
            None
        }
    }
}

fn storage(table: &Table<'_>, root: &Path) -> StorageSettings {
    let defaults = StorageSettings::defaults(root);
    let path = |key, default| table.get(key).and_then(|value| table.path(key, value, root)).unwrap_or(default);
    StorageSettings {
        offline: path("offline", defaults.offline),
        online: path("online", defaults.online),
        registry: path("registry", defaults.registry),
        log: path("log", defaults.log),
        cache: path("cache", defaults.cache),
        fsync: table
            .get("fsync")
            .and_then(|value| table.choice("fsync", value, &Fsync::ALL, Fsync::as_str))
            .unwrap_or(defaults.fsync),
    }
}

fn push(table: &Table<'_>) -> PushSettings {
    let defaults = PushSettings::default();
    PushSettings {
        roll_seconds: table.integer_or("roll_seconds", defaults.roll_seconds, 1, SECONDS_MAX),
        roll_rows: table.integer_or("roll_rows", defaults.roll_rows, 1, 1 << 30),
        roll_bytes: table.integer_or("roll_bytes", defaults.roll_bytes, 1, BYTES_MAX),
    }
}

fn expiry(table: &Table<'_>) -> ExpirySettings {
    let defaults = ExpirySettings::default();
    ExpirySettings {
        pass_seconds: table.integer_or("pass_seconds", defaults.pass_seconds, 1, SECONDS_MAX),
        pause_millis: table.integer_or("pause_millis", defaults.pause_millis, 0, 60_000),
        looked_rows_max: table.count_or("looked_rows_max", defaults.looked_rows_max, 1, 1 << 20),
        removed_rows_max: table.count_or("removed_rows_max", defaults.removed_rows_max, 1, 1 << 16),
    }
}

fn feature_log(table: &Table<'_>) -> FeatureLogSettings {
    let defaults = FeatureLogSettings::default();
    FeatureLogSettings {
        file_seconds: table.integer_or("file_seconds", defaults.file_seconds, 1, SECONDS_MAX),
        file_rows: table.integer_or("file_rows", defaults.file_rows, 1, 1 << 30),
        waiting_values_max: table.integer_or("waiting_values_max", defaults.waiting_values_max, 1, 1 << 40),
    }
}

fn server(table: &Table<'_>, root: &Path) -> ServerSettings {
    let defaults = ServerSettings::default();
    let listen = table.get("listen").and_then(|value| {
        let text = table.text("listen", value)?;
        let address = text.parse();
        if address.is_err() {
            let hint = "an address is written like \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned();
            table.error(value, format!("`listen` of `[server]` cannot be `{text}`: not an IP address and port"), hint);
        }
        address.ok()
    });
    ServerSettings {
        listen: listen.unwrap_or(defaults.listen),
        allow_replay: table.boolean_or("allow_replay", defaults.allow_replay),
        tokens: table.get("tokens").and_then(|value| table.path("tokens", value, root)),
        allow_unauthenticated: table.boolean_or("allow_unauthenticated", defaults.allow_unauthenticated),
        tls: table.get("tls").and_then(|value| tls(table, value, root)),
        body_bytes_max: table.integer_or("body_bytes_max", defaults.body_bytes_max, 1, BYTES_MAX),
        rows_max: table.count_or("rows_max", defaults.rows_max, 1, u32::MAX),
        entities_max: table.count_or("entities_max", defaults.entities_max, 1, u32::MAX),
        features_max: table.count_or("features_max", defaults.features_max, 1, u32::MAX),
        values_max: table.count_or("values_max", defaults.values_max, 1, u32::MAX),
        queue_requests_max: table.count_or("queue_requests_max", defaults.queue_requests_max, 1, 1 << 20),
        request_seconds_max: table.integer_or("request_seconds_max", defaults.request_seconds_max, 1, SECONDS_MAX),
        shutdown_seconds_max: table.integer_or("shutdown_seconds_max", defaults.shutdown_seconds_max, 0, SECONDS_MAX),
        shutdown_notice_seconds: table.integer_or(
            "shutdown_notice_seconds",
            defaults.shutdown_notice_seconds,
            0,
            SECONDS_MAX,
        ),
        disk_free_bytes_min: table.integer_or("disk_free_bytes_min", defaults.disk_free_bytes_min, 0, BYTES_MAX),
        breaker_failures: table.count_or("breaker_failures", defaults.breaker_failures as usize, 1, 1 << 20) as u32,
        breaker_seconds: table.integer_or("breaker_seconds", defaults.breaker_seconds, 1, SECONDS_MAX),
        late_millis_max: table.integer_or("late_millis_max", defaults.late_millis_max, 1, 3_600_000),
        concurrent_requests_max: table.count_or(
            "concurrent_requests_max",
            defaults.concurrent_requests_max,
            1,
            1 << 20,
        ),
    }
}

fn tls(server: &Table<'_>, value: &Value<'_>, root: &Path) -> Option<TlsSettings> {
    let DeValue::Table(entries) = value.get_ref() else {
        server.wrong_type("tls", value, "a table", "write `[server.tls]` with `certificate` and `key`".to_owned());
        return None;
    };
    let table = Table::open(server.place, "`[server.tls]`".to_owned(), value.span(), entries, TLS_KEYS);
    let file = |key: &'static str, hint: &str| table.path(key, table.required(key, hint)?, root);
    let (certificate, key) = (file("certificate", "`certificate = \"....pem\"`"), file("key", "`key = \"....pem\"`"));
    Some(TlsSettings { certificate: certificate?, key: key? })
}

fn engine(table: &Table<'_>) -> EngineSettings {
    let defaults = EngineSettings::default();
    EngineSettings {
        workers: table.count_or("workers", defaults.workers, 0, THREADS_MAX),
        component_bytes_max: table.integer_or("component_bytes_max", defaults.component_bytes_max, 1, BYTES_MAX),
        compile_seconds_max: table.integer_or("compile_seconds_max", defaults.compile_seconds_max, 1, SECONDS_MAX),
        // The compiler alone takes more than a hundred megabytes.
        compile_memory_bytes_max: table.integer_or(
            "compile_memory_bytes_max",
            defaults.compile_memory_bytes_max,
            256 << 20,
            BYTES_MAX,
        ),
        instances_max: table.count_or("instances_max", defaults.instances_max, 1, 1 << 16),
        keep_resident_bytes: table.integer_or("keep_resident_bytes", defaults.keep_resident_bytes, 0, BYTES_MAX),
        // Below 64 KiB hardly any guest gets into its first call; the stack of a worker has room for 8 MiB and the host's own frames.
        stack_bytes_max: table.integer_or("stack_bytes_max", defaults.stack_bytes_max, 64 << 10, 8 << 20),
    }
}

fn batch(table: &Table<'_>) -> BatchSettings {
    let defaults = BatchSettings::default();
    BatchSettings {
        rows_per_call: table.count_or("rows_per_call", defaults.rows_per_call, 1, 1 << 24),
        partitions_in_flight: table.count_or("partitions_in_flight", defaults.partitions_in_flight, 0, THREADS_MAX),
        row_group_rows: table.count_or("row_group_rows", defaults.row_group_rows, 1, 1 << 30),
        calls_in_flight: table.count_or("calls_in_flight", defaults.calls_in_flight, 0, 1_024),
    }
}
