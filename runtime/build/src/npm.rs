//! Programs of packages from npm: found as npm and Node.js find them, and held to the version that is known to work.
//!
//! Few of them say their version, but every one lies in a package that does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::BuildError;

/// A program of an npm package of the same name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package {
    /// Its name, and that of its program.
    pub(crate) name: &'static str,
    /// The version that is known to work.
    pub(crate) version: &'static str,
    /// The command that installs it.
    pub(crate) install: &'static str,
}

impl Package {
    /// The program: that of the folder's `node_modules` or of one above it, else that of PATH.
    pub(crate) fn find(&self, folder: &Path) -> Result<PathBuf, BuildError> {
        self.find_in(folder, std::env::var_os("PATH"))
    }

    fn find_in(&self, folder: &Path, path: Option<OsString>) -> Result<PathBuf, BuildError> {
        let beside = folder.ancestors().map(|folder| folder.join("node_modules/.bin"));
        let on_path = path.iter().flat_map(std::env::split_paths).filter(|place| place.is_absolute());
        let name = if cfg!(windows) { format!("{}.cmd", self.name) } else { self.name.to_owned() };
        let Some(program) = beside.chain(on_path).map(|place| place.join(&name)).find(|file| file.is_file()) else {
            let beside = folder.join("node_modules/.bin");
            return Err(BuildError::NoTool {
                program: self.name,
                version: self.version,
                beside,
                install: self.install,
            });
        };
        match self.version_of(&program) {
            Some(version) if version == self.version => Ok(program),
            found => Err(BuildError::OtherTool {
                program,
                found: found.unwrap_or_else(|| "of no package".to_owned()),
                version: self.version,
                install: self.install,
            }),
        }
    }

    /// The version of the package that a program belongs to. npm links programs into `.bin`; on Windows it writes scripts, beside the packages.
    fn version_of(&self, program: &Path) -> Option<String> {
        let real = program.canonicalize().ok()?;
        let around = real.ancestors().map(|folder| folder.join("package.json"));
        let modules = program.parent()?.parent()?.join(self.name).join("package.json");
        let manifests = around.chain(std::iter::once(modules)).filter_map(|file| std::fs::read(file).ok());
        let mut packages = manifests.filter_map(|text| serde_json::from_slice::<Value>(&text).ok());
        let package = packages.find(|package| package["name"] == self.name)?;
        Some(package["version"].as_str()?.to_owned())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const LOOM: Package = Package { name: "loom", version: "1.2.0", install: "npm install loom@1.2.0" };

    fn installed(modules: &Path, version: &str) -> PathBuf {
        fs::create_dir_all(modules.join("loom/bin")).unwrap();
        fs::create_dir_all(modules.join(".bin")).unwrap();
        fs::write(modules.join("loom/package.json"), format!("{{\"name\": \"loom\", \"version\": \"{version}\"}}"))
            .unwrap();
        fs::write(modules.join("loom/bin/loom.js"), "").unwrap();
        symlink("../loom/bin/loom.js", modules.join(".bin/loom")).unwrap();
        modules.join(".bin/loom")
    }

    #[test]
    fn the_nearest_folder_comes_first_and_the_package_says_the_version() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("features/transform");
        fs::create_dir_all(&folder).unwrap();
        let error = LOOM.find_in(&folder, None).unwrap_err();
        assert!(matches!(error, BuildError::NoTool { .. }), "{error}");
        assert_eq!(error.hint().as_deref(), Some("npm install loom@1.2.0"));

        let elsewhere = installed(&root.path().join("global"), "1.2.0");
        let path = Some(elsewhere.parent().unwrap().as_os_str().to_owned());
        assert_eq!(LOOM.find_in(&folder, path.clone()).unwrap(), elsewhere);
        let above = installed(&root.path().join("node_modules"), "1.2.0");
        assert_eq!(LOOM.find_in(&folder, path.clone()).unwrap(), above);
        installed(&folder.join("node_modules"), "1.3.0");
        let error = LOOM.find_in(&folder, path).unwrap_err();
        assert!(error.to_string().ends_with(".bin/loom` is `1.3.0`, and 1.2.0 is needed"), "{error}");
    }
}
