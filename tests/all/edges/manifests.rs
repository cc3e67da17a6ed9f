//! Who depends on whom, from the manifests.

use super::places::Breaches;
use super::source::{Source, read};

/// A package, the packages of this workspace that it may use, and crates beside them that only few may use.
struct Rule {
    path: &'static str,
    workspace: &'static [&'static str],
    guarded: &'static [&'static str],
}

/// Every package of runtime and SDK.
const RULES: [Rule; 9] = [
    Rule {
        path: "runtime/core/Cargo.toml",
        workspace: &[],
        guarded: &["arrow-array", "arrow-buffer", "arrow-schema", "jiff"],
    },
    Rule {
        path: "runtime/engine/Cargo.toml",
        workspace: &["tandem-core"],
        guarded: &[
            "arrow-array",
            "arrow-buffer",
            "arrow-cast",
            "arrow-ipc",
            "arrow-schema",
            "arrow-select",
            "futures",
            "wasmtime",
        ],
    },
    Rule {
        path: "runtime/build/Cargo.toml",
        workspace: &[],
        guarded: &["wasm-compose", "wit-component", "wit-parser"],
    },
    Rule {
        path: "runtime/offline/Cargo.toml",
        workspace: &["tandem-core", "tandem-engine"],
        guarded: &[
            "arrow-array",
            "arrow-buffer",
            "arrow-cast",
            "arrow-ipc",
            "arrow-schema",
            "arrow-select",
            "datafusion",
            "futures",
            "object_store",
            "parquet",
            "tokio",
        ],
    },
    Rule {
        path: "runtime/online/Cargo.toml",
        workspace: &["tandem-core"],
        guarded: &["arrow-array", "lmdb-rkv", "lmdb-rkv-sys"],
    },
    Rule { path: "runtime/registry/Cargo.toml", workspace: &["tandem-core"], guarded: &[] },
    Rule {
        path: "runtime/tandem/Cargo.toml",
        workspace: &[
            "tandem-core",
            "tandem-engine",
            "tandem-build",
            "tandem-offline",
            "tandem-online",
            "tandem-registry",
        ],
        guarded: &[
            "arrow-array",
            "arrow-buffer",
            "arrow-cast",
            "arrow-ipc",
            "arrow-schema",
            "arrow-select",
            "axum",
            "clap",
            "futures",
            "hyper",
            "hyper-util",
            "indicatif",
            "jiff",
            "prometheus-client",
            "tokio",
            "tokio-rustls",
            "ureq",
        ],
    },
    Rule { path: "guest-sdk/rust/Cargo.toml", workspace: &["tandem-sdk-macros"], guarded: &["wit-bindgen"] },
    Rule { path: "guest-sdk/rust/macros/Cargo.toml", workspace: &[], guarded: &[] },
];

/// Beginnings of the names of crates that a rule must name.
const GUARDED: [&str; 22] = [
    "arrow",
    "axum",
    "clap",
    "cranelift",
    "datafusion",
    "futures",
    "heed",
    "hyper",
    "indicatif",
    "jiff",
    "lmdb",
    "object_store",
    "parquet",
    "prometheus",
    "reqwest",
    "rustls",
    "tokio",
    "tower",
    "ureq",
    "wasmtime",
    "wit-",
    "http",
];

fn breaches(manifests: &[Source]) -> Breaches {
    let mut breaches = Vec::new();
    for manifest in manifests {
        let Some(rule) = RULES.iter().find(|rule| rule.path == manifest.path) else {
            breaches.push(format!("{}: no rule for this package", manifest.path));
            continue;
        };
        for name in dependencies(&manifest.text) {
            let allowed = if name.starts_with("tandem") {
                rule.workspace.contains(&name.as_str())
            } else {
                !GUARDED.iter().any(|guarded| name.starts_with(guarded)) || rule.guarded.contains(&name.as_str())
            };
            if !allowed {
                breaches.push(format!("{}: {name}", manifest.path));
            }
        }
    }
    breaches
}

/// Names of the packages that a manifest depends on in any way, renamed ones by their own name.
fn dependencies(text: &str) -> Vec<String> {
    fn collect(table: &toml::Table, names: &mut Vec<String>) {
        for (key, value) in table {
            let Some(inner) = value.as_table() else { continue };
            if key.ends_with("dependencies") {
                let name = |(name, spec): (&String, &toml::Value)| {
                    let package = spec.get("package").and_then(|package| package.as_str());
                    package.unwrap_or(name).to_owned()
                };
                names.extend(inner.iter().map(name));
            } else if key != "package" {
                collect(inner, names); // [target.'cfg(…)'.dependencies]
            }
        }
    }
    let mut names = Vec::new();
    collect(&text.parse().expect("a manifest"), &mut names);
    names
}

#[test]
fn packages_use_only_what_they_may() {
    let manifests = read(&["runtime", "guest-sdk"], "Cargo.toml");
    assert_eq!(breaches(&manifests), Breaches::new());
    assert_eq!(manifests.len(), RULES.len(), "a rule without a package");
}

/// An author's crate depends on the SDK, and on nothing of the runtime.
#[test]
fn transforms_know_the_sdk_alone() {
    for manifest in read(&["examples", "tests/guests"], "Cargo.toml") {
        let generator = manifest.path == "examples/quickstart/generator/Cargo.toml";
        for name in dependencies(&manifest.text) {
            assert!(name == "tandem-sdk" || generator && !name.starts_with("tandem"), "{}: {name}", manifest.path);
        }
    }
}

#[test]
fn the_rules_find_what_breaks_them() {
    let manifest = |path: &str, text: &str| [Source { path: path.to_owned(), text: text.to_owned() }];
    let core = "runtime/core/Cargo.toml";
    for text in [
        "[dependencies]\ntandem-engine.workspace = true",
        "[dev-dependencies]\narrow-select = \"59\"",
        "[target.'cfg(unix)'.dependencies]\ntokio = { version = \"1\" }",
        "[build-dependencies]\nrenamed = { package = \"wasmtime\", version = \"48\" }",
    ] {
        assert_eq!(breaches(&manifest(core, text)).len(), 1, "{text}");
    }
    assert!(breaches(&manifest(core, "[dependencies]\narrow-array = \"59\"\nserde_json = \"1\"")).is_empty());
    assert_eq!(breaches(&manifest("runtime/offline/Cargo.toml", "[dependencies]\ntandem-online = \"1\"")).len(), 1);
    assert_eq!(breaches(&manifest("guest-sdk/rust/Cargo.toml", "[dependencies]\ntandem-core = \"1\"")).len(), 1);
    assert_eq!(breaches(&manifest("runtime/new/Cargo.toml", "")), ["runtime/new/Cargo.toml: no rule for this package"]);
}
