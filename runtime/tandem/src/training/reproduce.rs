//! A training set again, of its manifest: everything that it was made of must be there, unchanged. What came later is not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tandem_core::model::{Selector, ViewReference, ViewVersion};
use tandem_offline::training::{SourceFile, digest};

use super::Asked;
use super::manifest::{File, Manifest};
use crate::error::Error;
use crate::project::Opened;

/// The features of a manifest, from what is registered now.
///
/// # Errors
///
/// [`Error::NotReproduced`] with every view that is not there, or another.
pub fn ask(opened: &Opened, manifest: &Manifest, file: &Path) -> Result<Asked, Error> {
    let version = |text: &str| version(text).ok_or_else(|| damaged(file, format!("`{text}` names no view")));
    let mut differences = Vec::new();
    for view in &manifest.views {
        let id = version(&view.view)?;
        match opened.project.version(&id) {
            None => differences.push(format!("feature view `{id}` is not registered")),
            Some(definition) => {
                let bound = opened.bind(definition)?.bound;
                if bound.definition_hash.to_string() != view.definition_hash {
                    let (then, now) = (&view.definition_hash, bound.definition_hash);
                    differences.push(format!("feature view `{id}` was {then} and is {now}"));
                }
            }
        }
    }
    if !differences.is_empty() {
        return Err(Error::NotReproduced { differences });
    }
    let columns = manifest
        .features
        .iter()
        .map(|feature| Ok::<_, Error>((feature.name.clone(), version(&feature.view)?, feature.feature.clone())));
    Asked::written(opened, manifest.service.clone(), &columns.collect::<Result<Vec<_>, _>>()?)
}

/// The files of each stored view.
///
/// # Errors
///
/// [`Error::Manifest`].
pub fn files(manifest: &Manifest, file: &Path) -> Result<BTreeMap<ViewVersion, BTreeSet<PathBuf>>, Error> {
    let stored = manifest.views.iter().filter(|view| view.join.is_some());
    let files = stored.map(|view| {
        let id = version(&view.view).ok_or_else(|| damaged(file, format!("`{}` names no view", view.view)))?;
        Ok((id, view.files.iter().map(|file| file.path.clone()).collect()))
    });
    files.collect()
}

/// What is not as the manifest has it, of the labels and of the files that were found.
pub fn differences(
    manifest: &Manifest,
    labels: &Path,
    found: &[(ViewVersion, Vec<SourceFile>)],
    offline_root: &Path,
) -> Result<Vec<String>, Error> {
    let mut differences = Vec::new();
    let (now, bytes) = digest(labels)?;
    if now.to_string() != manifest.labels.digest {
        let (path, then) = (labels.display(), &manifest.labels.digest);
        differences.push(format!("labels {path}: they were {then}, and are {now} ({bytes} bytes)"));
    }
    for view in manifest.views.iter().filter(|view| view.join.is_some()) {
        let of_view = found.iter().find(|(id, _)| id.to_string() == view.view).map(|(_, files)| files);
        let now: BTreeMap<&Path, &SourceFile> = of_view
            .into_iter()
            .flatten()
            .map(|file| (file.path.strip_prefix(offline_root).unwrap_or(&file.path), file))
            .collect();
        for File { path, bytes, footer, .. } in &view.files {
            match now.get(path.as_path()) {
                None => differences.push(format!("{} is missing", path.display())),
                Some(file) if file.bytes != *bytes || file.footer.to_string() != *footer => {
                    let shown = path.display();
                    differences.push(format!(
                        "{shown} changed: it had {bytes} bytes, footer {footer}, and has {} bytes, footer {}",
                        file.bytes, file.footer
                    ));
                }
                Some(_) => {}
            }
        }
    }
    Ok(differences)
}

/// Checks of views that are others by now: they are in the manifest, and change no value.
pub fn other_checks(then: &Manifest, now: &Manifest) -> Vec<String> {
    let views = then.views.iter().filter_map(|then| {
        let now = now.views.iter().find(|view| view.view == then.view)?;
        (then.checks != now.checks).then(|| format!("the checks of feature view `{}` are others by now", then.view))
    });
    views.collect()
}

fn version(text: &str) -> Option<ViewVersion> {
    let reference: ViewReference = text.parse().ok()?;
    match reference.selector {
        Selector::Version(version) => Some(ViewVersion::new(&reference.name, version)),
        Selector::Latest | Selector::Alias(_) => None,
    }
}

fn damaged(file: &Path, reason: String) -> Error {
    Error::Manifest { file: file.to_owned(), reason }
}
