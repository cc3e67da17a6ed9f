//! What componentize-py says when a module cannot be imported: Python's traceback, among its own.

use std::path::PathBuf;

/// Where the tool sees the folders of its `--python-path`, in their order: the entry, the transform's folder, the others.
const ENTRY_PLACE: &str = "/0/";
const FOLDER_PLACE: &str = "/1/";
const OTHERS_FROM: usize = 2;

/// Python's own words, with the author's paths: without the frames of the tool, the entry and the SDK.
pub(super) fn shorten(said: &str, path: &[PathBuf]) -> String {
    let text = said.split("\n\nCaused by:").next().unwrap_or(said);
    let text = text.split("\nStack backtrace:").next().unwrap_or(text);
    // The tool is a Python program itself: its own traceback comes first, and ends in the module's.
    let text = text.rsplit_once("AssertionError: ").map_or(text, |(_, text)| text);
    let mut lines = Vec::new();
    let mut hidden = false;
    for line in text.trim_end().lines() {
        if let Some(frame) = line.strip_prefix("  File \"") {
            let file = frame.split('"').next().unwrap_or(frame);
            hidden = file.starts_with(ENTRY_PLACE) || file.starts_with("<frozen ") || file.contains("/tandem_sdk/");
        } else if !line.starts_with("    ") {
            hidden = false;
        }
        if !hidden {
            lines.push(with_paths(line, path));
        }
    }
    lines.join("\n")
}

fn with_paths(line: &str, path: &[PathBuf]) -> String {
    let Some((before, file)) = line.split_once("  File \"") else { return line.to_owned() };
    if let Some(file) = file.strip_prefix(FOLDER_PLACE) {
        return format!("{before}  File \"{file}");
    }
    let place = path.iter().enumerate().find_map(|(index, folder)| {
        let rest = file.strip_prefix(&format!("/{}/", index + OTHERS_FROM))?;
        Some(format!("{before}  File \"{}/{rest}", folder.display()))
    });
    place.unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authors_words_remain() {
        let said = r#"Traceback (most recent call last):
  File "/home/me/.venv/bin/componentize-py", line 8, in <module>
    sys.exit(script())
             ^^^^^^^^
AssertionError: Traceback (most recent call last):
  File "/0/tandem_entry.py", line 1, in <module>
    import transform as module
  File "<frozen importlib._bootstrap>", line 1371, in _find_and_load
  File "/1/transform.py", line 2, in <module>
    import of
  File "/2/tandem_sdk/decorator.py", line 28, in transform
    setattr(function, MARK, read_transform(function, names))
                            ~~~~~~~~~~~~~~^^^^^^^^^^^^^^^^^
  File "/2/of.py", line 7
    def f(:
          ^
SyntaxError: invalid syntax


Caused by:
    SyntaxError: invalid syntax (of.py, line 7)

Stack backtrace:
   0: <anyhow::Error>::msg::<alloc::string::String>
"#;
        let expected = r#"Traceback (most recent call last):
  File "transform.py", line 2, in <module>
    import of
  File "/shared/of.py", line 7
    def f(:
          ^
SyntaxError: invalid syntax"#;
        assert_eq!(shorten(said, &["/shared".into()]), expected);
    }

    #[test]
    fn other_words_are_kept() {
        assert_eq!(shorten("Error: no such world\n", &[]), "Error: no such world");
    }
}
