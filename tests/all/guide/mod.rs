//! The guide and the README do what they say: every fenced block is run, in the order of its page, in a folder that begins empty.
//!
//! | block | what is done |
//! | --- | --- |
//! | `console` | each line `$ COMMAND` is run; it must succeed and print the lines below it ([`compare`]) |
//! | `sh` | run as a script, which must succeed; what it prints does not count |
//!
//! All others, and what is special about these, have an HTML comment before them, which readers do not see:
//!
//! | comment | what is done |
//! | --- | --- |
//! | `<!-- test: file PATH -->` | the block becomes this file |
//! | `<!-- test: part of PATH -->` | the block stands in this file |
//! | `<!-- test: edit PATH -->` | a `diff`, which is made in this file |
//! | `<!-- test: crate -->` | Rust that builds as the `src/lib.rs` of a transform, without warnings |
//! | `<!-- test: parameters -->` | TOML parameters that the last such transform takes |
//! | `<!-- test: fails with CODE -->` | the last command of the block ends with this exit code |
//! | `<!-- test: output -->` | the block is what the `sh` before it printed |
//! | `<!-- test: numbers vary -->` | numbers count as equal in the output |
//! | `<!-- test: stays running -->` | the one command runs until the page ends; it is waited for its output |
//! | `<!-- test: not run: REASON -->` | nothing |
//!
//! A block that has neither fails the test. `curl` is a stand-in (`tests/stand_ins/curl.rs`), so that pages run on machines without it.

mod compare;
mod http;
mod page;
mod session;

use std::fs;
use std::path::PathBuf;

use compare::matches;
use page::{Block, Note, blocks, commands, edited};
use session::Session;

use crate::harness::guests::workspace;

/// Runs a page.
struct Run {
    page: &'static str,
    session: Session,
    /// What the last script printed.
    printed: Option<String>,
    crates: usize,
    /// The last component that [`Run::builds`] made.
    built: Option<PathBuf>,
}

impl Run {
    fn new(page: &'static str) -> Run {
        let name = page.trim_end_matches(".md").replace('/', "-");
        Run { page, session: Session::new(&name), printed: None, crates: 0, built: None }
    }

    /// All blocks; gives how many there are.
    fn all(mut self) -> usize {
        let text = fs::read_to_string(workspace().join(self.page)).expect("the page");
        let blocks = blocks(&text).unwrap_or_else(|error| panic!("{}: {error}", self.page));
        for block in &blocks {
            if let Err(error) = self.block(block) {
                panic!("{}:{}: {error}", self.page, block.line);
            }
        }
        blocks.len()
    }

    fn block(&mut self, block: &Block) -> Result<(), String> {
        let read = |path: &str, session: &Session| {
            fs::read_to_string(session.path(path)).map_err(|error| format!("cannot read {path}: {error}"))
        };
        match (block.language.as_str(), &block.notes[..]) {
            (_, [Note::NotRun(_)]) => Ok(()),
            ("console", []) => self.console(block, 0, false),
            ("console", [Note::Fails(code)]) => self.console(block, *code, false),
            ("console", [Note::NumbersVary]) => self.console(block, 0, true),
            ("console", [Note::StaysRunning]) => self.stays_running(block),
            ("sh", []) => {
                let (code, printed) = self.session.run(&format!("set -e\n{}", block.text));
                self.printed = Some(printed.clone());
                if code == Some(0) { Ok(()) } else { Err(format!("exit code {code:?}\n{printed}")) }
            }
            ("text", [Note::Output, rest @ ..]) if matches!(rest, [] | [Note::NumbersVary]) => {
                let printed = self.printed.take().ok_or("no script printed it")?;
                same(&block.text, &printed, !rest.is_empty())
            }
            (_, [Note::File(path)]) => {
                let path = self.session.path(path);
                let written =
                    path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, &block.text));
                written.map_err(|error| format!("{}: {error}", path.display()))
            }
            (_, [Note::PartOf(path)]) => {
                let text = read(path, &self.session)?;
                if text.contains(&block.text) { Ok(()) } else { Err(format!("it is not in {path}:\n{text}")) }
            }
            ("diff", [Note::Edit(path)]) => {
                let text = edited(&read(path, &self.session)?, &block.text)?;
                fs::write(self.session.path(path), text).map_err(|error| format!("{path}: {error}"))
            }
            ("rust", [Note::Crate]) => self.builds(block),
            ("toml", [Note::Parameters]) => self.takes(block),
            (language, notes) => Err(format!("nobody says how to test a block `{language}` with the notes {notes:?}")),
        }
    }

    fn console(&mut self, block: &Block, last_code: i32, numbers_vary: bool) -> Result<(), String> {
        let commands = commands(&block.text)?;
        let last = commands.len() - 1;
        for (index, command) in commands.into_iter().enumerate() {
            let (code, printed) = self.session.run(&command.command);
            let expected = if index == last { last_code } else { 0 };
            if code != Some(expected) {
                return Err(format!("$ {}\nexit code {code:?}, and not {expected}\n{printed}", command.command));
            }
            same(&command.output, &printed, numbers_vary).map_err(|error| format!("$ {}\n{error}", command.command))?;
        }
        Ok(())
    }

    fn stays_running(&mut self, block: &Block) -> Result<(), String> {
        let commands = commands(&block.text)?;
        let [command] = &commands[..] else { return Err("one command stays running".to_owned()) };
        let (ready, printed) = self.session.start(&command.command, |printed| matches(&command.output, printed, false));
        if ready { Ok(()) } else { Err(format!("$ {}\nit printed:\n{printed}", command.command)) }
    }

    fn builds(&mut self, block: &Block) -> Result<(), String> {
        self.crates += 1;
        let name = format!("snippet_{}", self.crates);
        let folder = self.session.folder().join("snippets").join(&name);
        let (parent, sdk) = (self.session.folder().join("snippets"), workspace().join("guest-sdk/rust"));
        // The SDK of the repository: that is compiled for the other guests already.
        let new = format!("mkdir -p {0} && (cd {0} && tandem new {name} --sdk '{1}')", parent.display(), sdk.display());
        let (code, printed) = self.session.run(&new);
        if code != Some(0) {
            return Err(printed);
        }
        fs::write(folder.join("src/lib.rs"), &block.text).map_err(|error| error.to_string())?;
        let (code, printed) = self.session.run(&format!("tandem build {}", folder.display()));
        self.built = Some(folder.join(format!("{name}.wasm")));
        if code == Some(0) && !printed.contains("warning: ") { Ok(()) } else { Err(printed) }
    }

    fn takes(&mut self, block: &Block) -> Result<(), String> {
        let parameters =
            block.text.strip_prefix("[feature_view.parameters]\n").ok_or("it is no table of parameters")?;
        let component = self.built.as_ref().ok_or("no transform stands before it")?;
        let options: String = parameters.lines().map(|line| format!(" --param '{line}'")).collect();
        let (code, printed) = self.session.run(&format!("tandem describe {}{options}", component.display()));
        if code == Some(0) { Ok(()) } else { Err(printed) }
    }
}

fn same(expected: &str, printed: &str, numbers_vary: bool) -> Result<(), String> {
    if matches(expected, printed, numbers_vary) {
        return Ok(());
    }
    Err(format!("the page says:\n{expected}\nit printed:\n{printed}"))
}

#[test]
fn first_transform() {
    assert!(Run::new("docs/guide/first-transform.md").all() > 20);
}

#[test]
fn changing_a_feature() {
    assert!(Run::new("docs/guide/changing-a-feature.md").all() > 10);
}

#[test]
fn columnar() {
    assert!(Run::new("docs/guide/columnar.md").all() >= 2);
}

#[test]
fn aggregates() {
    assert!(Run::new("docs/guide/aggregates.md").all() > 10);
}

#[test]
fn operating() {
    assert!(Run::new("docs/guide/operating.md").all() > 10);
}

#[test]
fn quickstart() {
    let mut run = Run::new("docs/guide/quickstart.md");
    run.session.bring("examples/quickstart");
    run.session.go("examples/quickstart");
    assert!(run.all() > 10);
}

#[test]
fn readme() {
    let run = Run::new("README.md");
    run.session.bring("examples/quickstart");
    assert!(run.all() > 4);
}

#[test]
fn every_page_of_the_guide_is_run() {
    let mut pages: Vec<String> = fs::read_dir(workspace().join("docs/guide"))
        .expect("the guide")
        .map(|entry| entry.expect("a page").file_name().to_string_lossy().into_owned())
        .collect();
    pages.sort();
    let languages = ["c.md", "go.md", "javascript.md", "other-languages.md", "python.md"];
    let (of_languages, others): (Vec<String>, _) = pages.into_iter().partition(|page| languages.contains(&&**page));
    assert_eq!(
        others,
        [
            "aggregates.md",
            "changing-a-feature.md",
            "columnar.md",
            "first-transform.md",
            "operating.md",
            "quickstart.md"
        ]
    );
    assert_eq!(of_languages, languages);
    for page in of_languages {
        let text = fs::read_to_string(workspace().join("docs/guide").join(&page)).expect("the page");
        let blocks = blocks(&text).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(!blocks.is_empty(), "{page}");
        for block in blocks {
            let told = matches!(&block.notes[..], [Note::NotRun(_)]);
            assert!(told, "{page}:{}: pages of languages are run by the languages' own tests", block.line);
        }
    }
}
