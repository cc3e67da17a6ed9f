//! A Python module to its component: CPython for WebAssembly with the module imported, by componentize-py.

mod manifest;
mod said;
mod staged;

use std::path::Path;
use std::process::Command;

use crate::tools::{self, Tool};
use crate::{BuildError, Made, bytes, contract};

use manifest::Manifest;

pub(crate) use manifest::is_here;

const COMPONENTIZE: Tool = Tool {
    program: "componentize-py",
    version: "0.25.1",
    ask: &["--version"],
    beside: if cfg!(windows) { ".venv/Scripts" } else { ".venv/bin" },
    install: if cfg!(windows) {
        r"python -m venv .venv && .venv\Scripts\pip install componentize-py==0.25.1"
    } else {
        "python3 -m venv .venv && .venv/bin/pip install componentize-py==0.25.1"
    },
};

/// What componentize-py imports: it finds the author's module and the SDK.
const ENTRY: (&str, &str) = ("tandem_entry", include_str!("python/entry.py.in"));

/// The same for a function of aggregates.
const AGGREGATE_ENTRY: &str = include_str!("python/aggregate_entry.py.in");

/// Makes the component of the module in `folder`.
///
/// The module is imported once, here: what it computes on import is part of the component, and what it imports later is not there.
pub(crate) fn make(folder: &Path) -> Result<Made, BuildError> {
    let manifest = Manifest::read(folder)?;
    let source_file = manifest.source_file(folder)?;
    let program = COMPONENTIZE.find(folder)?;
    let scratch = tempfile::tempdir().map_err(|source| BuildError::Write { path: std::env::temp_dir(), source })?;
    let aggregates = is_aggregate(&source_file);
    let (wit, world, entry_text) = match aggregates {
        true => (contract::TEXT.to_owned(), contract::AGGREGATE_WORLD, AGGREGATE_ENTRY),
        false => (bytes::contract(), bytes::WORLD, ENTRY.1),
    };
    let wit = contract::write(scratch.path(), &wit)?;
    let app = scratch.path().join("app");
    let entry = app.join(format!("{}.py", ENTRY.0));
    let written = std::fs::create_dir(&app)
        .and_then(|()| std::fs::write(&entry, entry_text.replace("{{module}}", &manifest.module)));
    written.map_err(|source| BuildError::Write { path: entry, source })?;

    let output = scratch.path().join("transform.wasm");
    let mut command = Command::new(program);
    command.arg("--quiet").arg("--wit-path").arg(wit).args(["--world", world]);
    command.args(["componentize", "--stub-wasi", ENTRY.0]).arg("--output").arg(&output);
    command.arg("--python-path").arg(&app);
    for (index, from) in std::iter::once(folder).chain(manifest.path.iter().map(|path| &**path)).enumerate() {
        let place = scratch.path().join(format!("path-{index}"));
        staged::copy(from, &place)?;
        command.arg("--python-path").arg(place);
    }
    // Its packages are imported from, as Python itself does.
    let environment = folder.join(".venv");
    if environment.is_dir() {
        command.env("VIRTUAL_ENV", environment);
    }
    let said = tools::output(command.current_dir(scratch.path()))?;
    if !said.succeeded {
        let said_text = said::shorten(&said.text, &manifest.path);
        let program = COMPONENTIZE.program;
        return Err(BuildError::Tool { source_file, program, status: said.status, said: said_text });
    }
    let component = std::fs::read(&output).map_err(|source| BuildError::Read { path: output, source })?;
    // States are bytes as they are: there is nothing to be wrapped.
    let bytes = if aggregates { component } else { bytes::wrap(&component, scratch.path())? };
    Ok(Made { name: manifest.name, bytes })
}

/// Whether a module's file has a class marked with `@aggregate`, and so is no transform.
fn is_aggregate(source_file: &Path) -> bool {
    let marks = |line: &str| {
        let mark = line.strip_prefix('@').map(|mark| mark.strip_prefix("tandem_sdk.").unwrap_or(mark));
        mark.is_some_and(|mark| mark.split('#').next().is_some_and(|mark| mark.trim_end() == "aggregate"))
    };
    std::fs::read_to_string(source_file).is_ok_and(|text| text.lines().any(marks))
}
