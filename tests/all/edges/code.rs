//! What is absent from code, and where it may be.

use super::places::{Breaches, ends, outside, starts};
use super::source::{Source, read};

/// The code of runtime, SDK and examples.
fn sources() -> Vec<Source> {
    read(&["runtime", "guest-sdk", "examples"], ".rs")
}

fn assert_none(breaches: Breaches, rule: &str) {
    assert!(breaches.is_empty(), "{rule}:\n{}", breaches.join("\n"));
}

/// Whether a file has tests alone.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// A crate's name, and the places that may say it.
const CRATES: [(&str, &[&str]); 18] = [
    ("wasmtime", &["runtime/engine/"]),
    ("lmdb", &["runtime/online/src/environment.rs", "runtime/online/src/environment/"]),
    ("lmdb_sys", &["runtime/online/src/environment.rs", "runtime/online/src/environment/"]),
    ("datafusion", &["runtime/offline/"]),
    ("axum", &["runtime/tandem/src/server.rs", "runtime/tandem/src/server/"]),
    ("hyper", &["runtime/tandem/src/server.rs", "runtime/tandem/src/server/"]),
    ("hyper_util", &["runtime/tandem/src/server.rs", "runtime/tandem/src/server/"]),
    ("tokio_rustls", &["runtime/tandem/src/server/tls.rs", "runtime/tandem/src/client.rs"]),
    ("prometheus_client", &["runtime/tandem/src/server/metrics.rs", "runtime/tandem/src/server/metrics/"]),
    (
        "clap",
        &[
            "runtime/tandem/src/cli.rs",
            "runtime/tandem/src/commands/",
            "runtime/tandem/src/parity/",
            "runtime/tandem/src/parity.rs",
            "examples/",
        ],
    ),
    ("indicatif", &["runtime/tandem/src/output.rs", "runtime/tandem/src/output/"]),
    // Runtime and SDK meet in wit/ alone, and build stands alone.
    ("tandem_sdk", &["guest-sdk/", "examples/"]),
    (
        "tandem_core",
        &[
            "runtime/core/",
            "runtime/engine/",
            "runtime/offline/",
            "runtime/online/",
            "runtime/registry/",
            "runtime/tandem/",
        ],
    ),
    ("tandem_engine", &["runtime/engine/", "runtime/offline/", "runtime/tandem/"]),
    ("tandem_offline", &["runtime/offline/", "runtime/tandem/"]),
    ("tandem_online", &["runtime/online/", "runtime/tandem/"]),
    ("tandem_registry", &["runtime/registry/", "runtime/tandem/"]),
    ("tandem_build", &["runtime/build/", "runtime/tandem/"]),
];

fn names(sources: &[Source], name: &str, places: &[&str]) -> Breaches {
    outside(sources, places, |_, token, _| token.text == name)
}

#[test]
fn each_crate_is_named_in_its_places() {
    let sources = sources();
    for (name, places) in CRATES {
        assert_none(names(&sources, name, places), &format!("`{name}` may be named only in {places:?}"));
    }
}

/// User code is called in one place.
#[test]
fn one_file_calls_components() {
    for name in ["call_apply", "call_describe"] {
        assert_none(
            names(&sources(), name, &["runtime/engine/src/instance.rs"]),
            "only an instance calls its component",
        );
    }
}

/// The semantics are pure: no files, no network, no clock, no threads.
#[test]
fn core_does_nothing_but_compute() {
    let mut core = read(&["runtime/core/src"], ".rs");
    core.retain(|source| !is_test(&source.path)); // tests read golden files
    for word in [
        "fs",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "thread",
        "process",
        "SystemTime",
        "Instant",
        "async",
        "await",
        "tokio",
        "futures",
        "tracing",
    ] {
        assert_none(names(&core, word, &[]), "core has no I/O, no clock, no async");
    }
}

const PRINTING: [&str; 3] =
    ["runtime/tandem/src/output.rs", "runtime/tandem/src/output/", "examples/quickstart/generator/"];

fn printing(sources: &[Source]) -> Breaches {
    let breaches = outside(sources, &PRINTING, |before, token, after| match token.text {
        "println" | "eprintln" | "print" | "eprint" | "dbg" => starts(after, "!"),
        // `.stdout(…)` is that of a child process.
        "stdout" | "stderr" => starts(after, "(") && !ends(before, "."),
        _ => false,
    });
    // Tests talk to children by stdout.
    breaches.into_iter().filter(|breach| !is_test(breach.split(':').next().unwrap_or_default())).collect()
}

#[test]
fn one_module_prints() {
    assert_none(printing(&sources()), "only the command line's output prints");
}

const UNSAFE: [&str; 5] = [
    "guest-sdk/rust/src/allocator.rs",
    "guest-sdk/rust/src/bindings.rs",
    "runtime/engine/src/cache.rs",
    "runtime/offline/src/training/trim.rs",
    "runtime/online/src/environment.rs",
];

fn unsafe_code(sources: &[Source]) -> Breaches {
    outside(sources, &UNSAFE, |_, token, _| ["unsafe", "unsafe_code"].contains(&token.text))
}

#[test]
fn unsafe_code_is_where_it_is_known_to_be() {
    let sources = sources();
    assert_none(unsafe_code(&sources), "unsafe code");
    for path in UNSAFE {
        let source = sources.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("{path} is gone"));
        let source = [Source { path: String::new(), text: source.text.clone() }];
        assert!(!unsafe_code(&source).is_empty(), "{path} needs no exception any more");
    }
}

/// Statics that are known: a component's allocator, the guard against opening one LMDB environment twice in a process, and numbers of staged
/// files.
const STATICS: [&str; 3] =
    ["guest-sdk/rust/src/allocator.rs", "runtime/build/src/publish.rs", "runtime/online/src/exclusive.rs"];

fn statics(sources: &[Source]) -> Breaches {
    outside(sources, &STATICS, |_, token, after| {
        token.text == "static"
            || (token.text == "thread_local" && starts(after, "!"))
            || ["LazyLock", "LazyCell"].contains(&token.text)
    })
}

#[test]
fn there_is_no_global_state() {
    let sources = sources();
    assert_none(statics(&sources), "statics");
    for path in STATICS {
        let source = sources.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("{path} is gone"));
        let source = [Source { path: String::new(), text: source.text.clone() }];
        assert_eq!(statics(&source).len(), 1, "{path} has one static");
    }
}

/// The contract has one home, and both sides read it there.
#[test]
fn the_contract_is_in_one_place() {
    let files = read(&["wit", "runtime", "guest-sdk", "examples", "tests"], ".wit");
    assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["wit/feature.wit"]);
    for path in ["runtime/engine/src/bindings.rs", "guest-sdk/rust/src/bindings.rs"] {
        let sources = sources();
        let bindings = sources.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("{path} is gone"));
        assert!(bindings.text.contains("path: \"../../wit\""), "{path}");
    }
}

#[test]
fn the_rules_find_what_breaks_them() {
    let source = |path: &str, text: &str| [Source { path: path.to_owned(), text: text.to_owned() }];
    let wrong = source("runtime/offline/src/scan.rs", "fn f() {\n    wasmtime::Engine::default();\n}");
    assert_eq!(names(&wrong, CRATES[0].0, CRATES[0].1), ["runtime/offline/src/scan.rs:2: wasmtime"]);
    let store = source("runtime/online/src/environment_of.rs", "use lmdb::Environment;");
    assert_eq!(names(&store, CRATES[1].0, CRATES[1].1).len(), 1, "a file is not its neighbours");
    let module = source("runtime/online/src/environment/map.rs", "use lmdb::Environment;");
    assert!(names(&module, CRATES[1].0, CRATES[1].1).is_empty());
    for text in ["println!(\"a\")", "std::io::stdout().lock()", "dbg!(1)", "eprint ! ()"] {
        assert_eq!(printing(&source("runtime/core/src/lib.rs", text)).len(), 1, "{text}");
        assert!(printing(&source("runtime/tandem/src/output/progress.rs", text)).is_empty());
    }
    for text in ["command.stdout(Stdio::piped())", "// println!()", "\"println!()\"", "output.stdout", "print(1)"] {
        assert!(printing(&source("runtime/core/src/lib.rs", text)).is_empty(), "{text}");
    }
    assert_eq!(unsafe_code(&source("runtime/core/src/lib.rs", "unsafe { f() }")).len(), 1);
    assert_eq!(statics(&source("runtime/core/src/lib.rs", "pub static A: &'static str = \"static\";")).len(), 1);
    assert_eq!(statics(&source("runtime/core/src/lib.rs", "thread_local! {}")).len(), 1);
    assert!(statics(&source("runtime/core/src/lib.rs", "fn f(a: &'static str) {}")).is_empty());
}
