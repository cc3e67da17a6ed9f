//! The book: every page is in the summary, every relative link leads somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Targets of Markdown links `[text](target)` outside code, without anchors; absolute URLs left out.
fn relative_links(markdown: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut fenced = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Code spans may hold brackets that are no links.
        let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for (at, _) in text.match_indices("](") {
            let Some((target, _)) = text[at + 2..].split_once(')') else { continue };
            let target = target.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                links.push(target.to_owned());
            }
        }
    }
    links
}

fn markdown_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "data", "node_modules"].contains(&name.as_str()) {
                markdown_files(&path, found);
            }
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

#[test]
fn every_relative_link_leads_somewhere() {
    let root = workspace_root();
    let mut files = Vec::new();
    markdown_files(&root, &mut files);
    assert!(files.len() > 10, "only {} pages found", files.len());
    let mut broken = Vec::new();
    let mut links = 0;
    for file in &files {
        for link in relative_links(&std::fs::read_to_string(file).unwrap()) {
            links += 1;
            if !file.parent().unwrap().join(&link).exists() {
                broken.push(format!("{}: {link}", file.strip_prefix(&root).unwrap().display()));
            }
        }
    }
    assert!(links > 20, "only {links} links found");
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

#[test]
fn every_file_that_a_page_includes_is_there() {
    let mut files = Vec::new();
    markdown_files(&workspace_root().join("docs"), &mut files);
    let mut included = BTreeSet::new();
    for file in &files {
        let page = std::fs::read_to_string(file).unwrap();
        for rest in page.split("{{#include ").skip(1) {
            let (path, _) = rest.split_once("}}").expect("an include ends");
            let path = file.parent().unwrap().join(path);
            assert!(path.is_file(), "{} includes {}", file.display(), path.display());
            included.insert(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    let included: Vec<&str> = included.iter().map(String::as_str).collect();
    assert_eq!(included, ["feature.wit", "transactions.toml"]);
}

#[test]
fn every_page_is_in_the_summary() {
    let docs = workspace_root().join("docs");
    let mut files = Vec::new();
    markdown_files(&docs, &mut files);
    let pages: BTreeSet<String> = files
        .iter()
        .map(|file| file.strip_prefix(&docs).unwrap().to_string_lossy().into_owned())
        .filter(|page| page != "SUMMARY.md")
        .collect();
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<String> =
        relative_links(&summary).into_iter().map(|link| link.trim_start_matches("./").to_owned()).collect();
    assert_eq!(pages, listed);
}

#[test]
fn links_are_found_outside_code_only() {
    let text = "[a](x.md) and `[b](y.md)` and [c](https://e.org)\n```\n[d](z.md)\n```\n[e](w.md#part) [f](#here)";
    assert_eq!(relative_links(text), ["x.md", "w.md"]);
}
