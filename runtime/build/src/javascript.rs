//! A JavaScript or TypeScript module to its component: bundled by esbuild, run once by QuickJS for WebAssembly, which is kept as it is then.

mod lines;
mod manifest;

use std::path::Path;
use std::process::Command;

use crate::npm::Package;
use crate::tools;
use crate::{BuildError, Made, bytes, contract};

use manifest::Manifest;

pub(crate) use manifest::is_here;

const ESBUILD: Package =
    Package { name: "esbuild", version: "0.28.2", install: "npm install --save-dev --save-exact esbuild@0.28.2" };

const COMPONENTIZE: Package = Package {
    name: "componentize-qjs",
    version: "0.4.5",
    install: "npm install --save-dev --save-exact componentize-qjs@0.4.5",
};

/// Makes the component of the module that the folder's manifest names.
///
/// The module is evaluated once, here: what it computes at its top level is part of the component.
pub(crate) fn make(folder: &Path) -> Result<Made, BuildError> {
    let manifest = Manifest::read(folder)?;
    let source_file = folder.join(&manifest.transform);
    let esbuild = ESBUILD.find(folder)?;
    let componentize = COMPONENTIZE.find(folder)?;
    let scratch = tempfile::tempdir().map_err(|source| BuildError::Write { path: std::env::temp_dir(), source })?;
    let scratch = scratch.path();
    let failed = |tool: Package, said: tools::Said| BuildError::Tool {
        source_file: source_file.clone(),
        program: tool.name,
        status: said.status,
        said: said.text,
    };

    let bundle = scratch.join("transform.js");
    let entry = format!(
        "import transform from {};\nimport {{ component }} from \"tandem-sdk/component\";\n\nexport const calls = component(transform);\n",
        serde_json::Value::from(format!("./{}", manifest.transform))
    );
    let mut command = Command::new(esbuild);
    command.current_dir(folder).args(["--bundle", "--format=esm", "--platform=neutral", "--main-fields=module,main"]);
    command.args(["--target=es2023", "--charset=utf8", "--keep-names", "--legal-comments=none", "--log-level=warning"]);
    command.args(["--sourcemap=external", "--sources-content=false", "--sourcefile=tandem_component.js"]);
    command.arg(format!("--outfile={}", bundle.display()));
    let said = tools::output_of_text(&mut command, &entry)?;
    if !said.succeeded {
        // Behind its own words, npm's launcher says where in Node.js it noticed.
        let text = said.text.split("\nnode:").next().unwrap_or_default().trim_end().to_owned();
        return Err(failed(ESBUILD, tools::Said { text, ..said }));
    }
    let table = lines::append_table(&bundle, folder)?;

    let wit = contract::write(scratch, &bytes::contract())?;
    let output = scratch.join("component.wasm");
    let mut command = Command::new(componentize);
    command.current_dir(scratch).arg("--wit").arg(wit).args(["--world", bytes::WORLD, "--js"]).arg(&bundle);
    command.args(["--sync", "--stub-wasi", "--output"]).arg(&output);
    let said = tools::output(&mut command)?;
    if !said.succeeded {
        let text = lines::shorten(&said.text, table.as_ref());
        return Err(failed(COMPONENTIZE, tools::Said { text, ..said }));
    }
    let component = std::fs::read(&output).map_err(|source| BuildError::Read { path: output, source })?;
    Ok(Made { name: manifest.name, bytes: bytes::wrap(&component, scratch)? })
}
