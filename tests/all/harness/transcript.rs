//! Commands and what they say, held against a file.

use std::fs;
use std::path::{Path, PathBuf};

use super::guests::workspace;
use super::program::{over_files, tandem_registered, without_dev_note};

/// What was run so far in one project.
pub(crate) struct Transcript {
    root: PathBuf,
    text: String,
}

impl Transcript {
    pub(crate) fn new(root: &Path) -> Transcript {
        Transcript { root: root.to_owned(), text: String::new() }
    }

    /// Runs a command that should end with `code`.
    pub(crate) fn run(&mut self, arguments: &[&str], code: i32) {
        let arguments = &over_files(arguments);
        let output = tandem_registered(&self.root, arguments).output().expect("the program runs");
        let (data, notes) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{data}{notes}");
        self.text.push_str(&format!("$ tandem {}\n", arguments.join(" ")));
        self.text.push_str(&self.stable(&data));
        for line in self.stable(&without_dev_note(&notes)).lines() {
            self.text.push_str(&format!("stderr: {line}\n"));
        }
        if code != 0 {
            self.text.push_str(&format!("exit code {code}\n"));
        }
        self.text.push('\n');
    }

    /// Says what is different in what follows.
    pub(crate) fn note(&mut self, what: &str) {
        self.text.push_str(&format!("# {what}\n"));
    }

    /// Puts in what else was said, by a server for instance.
    pub(crate) fn say(&mut self, text: &str) {
        let text = self.stable(text);
        self.text.push_str(&text);
        self.text.push('\n');
    }

    /// Compares with the file of this path below `tests/all`, without its ending.
    pub(crate) fn assert(self, name: &str) {
        let path = workspace().join("tests/all").join(format!("{name}.txt"));
        if std::env::var_os("TANDEM_UPDATE_TRANSCRIPTS").is_some() {
            fs::write(&path, &self.text).expect("the file can be written");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(expected == self.text, "{} differs from what was said:\n{}", path.display(), self.text);
    }

    /// The text without what changes from run to run: folders, digests, sizes, times.
    fn stable(&self, text: &str) -> String {
        let real = self.root.canonicalize().expect("the project is there");
        let text = text
            .replace(real.to_str().expect("a text"), "PROJECT")
            .replace(self.root.to_str().expect("a text"), "PROJECT");
        stable_text(&text)
    }
}

/// The text without what changes from run to run and machine to machine: digests, sizes, times, rates.
pub(crate) fn stable_text(text: &str) -> String {
    let words: Vec<&str> = text.split_inclusive([' ', '\n']).collect();
    let mut stable = String::new();
    for (index, word) in words.iter().enumerate() {
        let before = index.checked_sub(1).map_or("", |before| words[before].trim());
        let after = words.get(index + 1).map_or("", |after| after.trim());
        stable.push_str(&stable_word(before, word, after));
    }
    stable
}

fn stable_word(before: &str, word: &str, after: &str) -> String {
    let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let number = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_digit() || ",.".contains(c));
    let unit = after.trim_end_matches([',', ')']);
    let counted = [
        "\"size_bytes\":",
        "\"seconds\":",
        "\"bytes_in\":",
        "\"bytes_out\":",
        "\"compile_seconds\":",
        "\"compare_seconds\":",
    ]
    .contains(&before);
    if number && (["B", "KiB", "MiB", "s", "rows/s"].contains(&unit) || counted) {
        return word.replace(bare, "N");
    }
    if before == "\"published_time\":" || before == "\"time\":" || (after == "by" && bare.ends_with('Z')) {
        return word.replace(bare, "TIME");
    }
    if bare == format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS) {
        return word.replace(bare, "TARGET");
    }
    let digits = bare.strip_prefix("sha256:").unwrap_or(bare);
    // Whole, or as people see it.
    if [12, 64].contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) {
        return word.replace(digits, "DIGEST");
    }
    word.to_owned()
}

#[test]
fn only_what_changes_is_replaced() {
    let transcript = Transcript::new(&std::env::temp_dir());
    let text = "1,234 rows (3.0 KiB in, 12 B out)  0.02 s, 1,234,567 rows/s\ndigest  sha256:00112233445566778899aabb00112233445566778899aabb0011223344556677\nuser 12\n";
    let expected = "1,234 rows (N KiB in, N B out)  N s, N rows/s\ndigest  sha256:DIGEST\nuser 12\n";
    assert_eq!(transcript.stable(text), expected);
}
