//! C sources to their component: compiled and linked by zig, with the C library that it carries.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{self, Tool};
use crate::{BuildError, BuildOptions, Made, component, options};

/// What makes a folder a transform in C; every other `.c` file beside it is compiled too.
pub(crate) const SOURCE: &str = "transform.c";

/// The SDK, from the transform's folder: a header, and the sources that are compiled with the author's.
const SDK: &str = "vendor/tandem-sdk";

const ZIG: Tool = Tool {
    program: "python-zig",
    version: "0.17.1",
    ask: &["version"],
    beside: if cfg!(windows) { ".venv/Scripts" } else { ".venv/bin" },
    install: if cfg!(windows) {
        r"python -m venv .venv && .venv\Scripts\pip install ziglang==0.17.1"
    } else {
        "python3 -m venv .venv && .venv/bin/pip install ziglang==0.17.1"
    },
};

/// A forgotten `return` or a misspelt function is a mistake, not a warning that nobody sees. Contraction would be a rounding that other
/// machines do not have. The stack lies below the data: an overflow is a trap instead of other values.
const FLAGS: [&str; 15] = [
    "-target",
    "wasm32-wasi",
    "-std=gnu11",
    "-O3",
    // zig leaves assertions out of optimised code.
    "-UNDEBUG",
    // What a failed one calls: the SDK's, which traps. The C library's would write to a stream, and is linked in whatever defines its name.
    "-D__assert_fail=tandem_assert_fail",
    "-s",
    "-msimd128",
    "-ffp-contract=off",
    "-fno-sanitize=all",
    "-mexec-model=reactor",
    // 1 MiB, as Rust has.
    "-Wl,-z,stack-size=1048576",
    "-Werror=return-type",
    "-Werror=incompatible-pointer-types",
    "-Werror=implicit-function-declaration",
];

/// Whether the folder has a transform in C.
pub(crate) fn is_here(folder: &Path) -> bool {
    folder.join(SOURCE).is_file()
}

/// Compiles the folder's sources. The component is called after the folder.
///
/// The first build on a machine also compiles zig's C library, once (about a quarter of a minute).
pub(crate) fn make(folder: &Path, options: &BuildOptions) -> Result<Made, BuildError> {
    let mut sources = sources(folder, Path::new(""))?;
    let sdk = sources_of_sdk(folder)?;
    let zig = ZIG.find(folder)?;
    sources.extend(sdk);
    let scratch = tempfile::tempdir().map_err(|source| BuildError::Write { path: std::env::temp_dir(), source })?;
    let module = scratch.path().join("transform.core.wasm");
    let mut command = Command::new(zig);
    // Paths from the folder: what messages and `__FILE__` say does not depend on where it lies.
    command.current_dir(folder).arg("cc").args(FLAGS).arg("-I").arg(SDK).args(&sources).arg("-o").arg(&module);
    if let Some(cache) = options.cache_dir.clone().or_else(options::default_cache_dir) {
        command.env("ZIG_GLOBAL_CACHE_DIR", cache.join("zig")).env("ZIG_LOCAL_CACHE_DIR", cache.join("zig"));
    }
    let said = tools::output(&mut command)?;
    if !said.succeeded {
        let (source_file, said_text) = (folder.join(SOURCE), said.text);
        return Err(BuildError::Tool { source_file, program: ZIG.program, status: said.status, said: said_text });
    }
    let core = std::fs::read(&module).map_err(|source| BuildError::Read { path: module.clone(), source })?;
    let bytes = component::encode_of_contract(&core, &folder.join(SOURCE))?;
    Ok(Made { name: name(folder)?, bytes })
}

/// The `.c` files of a folder in `base`, as paths from `base`, sorted.
fn sources(base: &Path, folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let place = base.join(folder);
    let read = |source| BuildError::Read { path: place.clone(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&place).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|ending| ending == "c") && path.is_file() {
            files.push(folder.join(path.file_name().unwrap_or_default()));
        }
    }
    files.sort();
    Ok(files)
}

fn sources_of_sdk(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let header = Path::new(SDK).join("tandem.h");
    if !folder.join(&header).is_file() {
        let reason = format!("the SDK is not there: no `{}`; `tandem new --lang c` brings it", header.display());
        return Err(BuildError::Manifest { manifest: folder.join(SOURCE), reason });
    }
    sources(folder, Path::new(SDK))
}

/// An identifier of the folder's name.
fn name(folder: &Path) -> Result<String, BuildError> {
    let name = folder.file_name().map(|name| name.to_string_lossy().replace(['-', '.', ' '], "_").to_ascii_lowercase());
    let is_name = |name: &String| {
        !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    name.filter(is_name).ok_or_else(|| BuildError::Manifest {
        manifest: folder.join(SOURCE),
        reason:
            "the component is called after the folder, whose name is no identifier: name it otherwise, or give --output"
                .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_called_after_its_folder() {
        assert_eq!(name(Path::new("/a/Purchase-features")).unwrap(), "purchase_features");
        assert!(matches!(name(Path::new("/a/1st")), Err(BuildError::Manifest { .. })));
        assert!(matches!(name(Path::new("/")), Err(BuildError::Manifest { .. })));
    }

    #[test]
    fn every_source_beside_it_is_compiled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(!is_here(path));
        for file in ["transform.c", "parse.c", "notes.txt"] {
            std::fs::write(path.join(file), "").unwrap();
        }
        std::fs::create_dir(path.join("tests")).unwrap();
        assert!(is_here(path));
        assert_eq!(sources(path, Path::new("")).unwrap(), [Path::new("parse.c"), Path::new("transform.c")]);
        let error = sources_of_sdk(path).unwrap_err();
        assert!(error.to_string().ends_with("`tandem new --lang c` brings it"), "{error}");
    }
}
