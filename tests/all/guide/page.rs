//! A page's fenced blocks, and what the comments before them say.

/// What is done with a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    /// Its text becomes this file.
    File(String),
    /// Its text stands in this file.
    PartOf(String),
    /// A diff of this file.
    Edit(String),
    /// The whole `src/lib.rs` of a transform, which builds.
    Crate,
    /// What the script before it printed.
    Output,
    /// Numbers are other ones in each run.
    NumbersVary,
    /// Parameters that the transform of the block before takes.
    Parameters,
    /// Its last command ends with this exit code.
    Fails(i32),
    /// Its one command runs until the page ends.
    StaysRunning,
    /// Nothing, for this reason.
    NotRun(String),
}

/// What stands between two fences.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of the opening fence, from 1.
    pub(super) line: usize,
    pub(super) language: String,
    pub(super) notes: Vec<Note>,
    pub(super) text: String,
}

fn note(line: &str) -> Option<Result<Note, String>> {
    let text = line.trim().strip_prefix("<!-- test: ")?.strip_suffix(" -->")?;
    let path = |prefix: &str| text.strip_prefix(prefix).map(|path| path.trim().to_owned());
    Some(if let Some(path) = path("file ") {
        Ok(Note::File(path))
    } else if let Some(path) = path("part of ") {
        Ok(Note::PartOf(path))
    } else if let Some(path) = path("edit ") {
        Ok(Note::Edit(path))
    } else if let Some(reason) = path("not run: ").filter(|reason| !reason.is_empty()) {
        Ok(Note::NotRun(reason))
    } else if let Some(code) = path("fails with ") {
        code.parse().map(Note::Fails).map_err(|error| format!("{code}: {error}"))
    } else {
        match text {
            "parameters" => Ok(Note::Parameters),
            "crate" => Ok(Note::Crate),
            "output" => Ok(Note::Output),
            "numbers vary" => Ok(Note::NumbersVary),
            "stays running" => Ok(Note::StaysRunning),
            _ => Err(format!("no such note: {text}")),
        }
    })
}

/// All blocks of a page, in order. A comment `<!-- test: ... -->` belongs to the block that follows.
pub(super) fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut notes = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if let Some(note) = note(line) {
            notes.push(note.map_err(|error| format!("line {}: {error}", index + 1))?);
        } else if let Some(language) = line.trim_start().strip_prefix("```") {
            let indent = line.len() - line.trim_start().len();
            let mut text = String::new();
            loop {
                let Some((_, line)) = lines.next() else {
                    return Err(format!("line {}: a block without end", index + 1));
                };
                if line.trim() == "```" {
                    break;
                }
                text.push_str(line.get(indent..).unwrap_or_default());
                text.push('\n');
            }
            let notes = std::mem::take(&mut notes);
            blocks.push(Block { line: index + 1, language: language.trim().to_owned(), notes, text });
        } else if !notes.is_empty() && !line.trim().is_empty() {
            return Err(format!("line {}: a note without a block", index + 1));
        }
    }
    if notes.is_empty() { Ok(blocks) } else { Err("a note without a block at the end".to_owned()) }
}

/// A command of a block `console` and what it prints.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) command: String,
    pub(super) output: String,
}

/// The commands: a line that begins with `$ `, and those after it while a quote is open or it ends in `\`.
pub(super) fn commands(text: &str) -> Result<Vec<Command>, String> {
    let mut commands: Vec<Command> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(first) = line.strip_prefix("$ ") {
            let mut command = first.to_owned();
            while is_open(&command) {
                let Some(next) = lines.next() else { return Err(format!("no end of `{first}`")) };
                command.push('\n');
                command.push_str(next);
            }
            commands.push(Command { command, output: String::new() });
        } else {
            let Some(last) = commands.last_mut() else { return Err(format!("`{line}` is printed by no command")) };
            last.output.push_str(line);
            last.output.push('\n');
        }
    }
    if commands.is_empty() { Err("no line begins with `$ `".to_owned()) } else { Ok(commands) }
}

fn is_open(command: &str) -> bool {
    let single = command.matches('\'').count() % 2 == 1;
    single || command.ends_with('\\')
}

/// The text of a file after the edit that a diff shows: its lines without `-` and with `+` in the place of those without `+`.
pub(super) fn edited(text: &str, diff: &str) -> Result<String, String> {
    let side = |other: char| -> String {
        let lines = diff.lines().filter(|line| !line.starts_with(other));
        lines.map(|line| format!("{}\n", line.get(1..).unwrap_or_default())).collect()
    };
    let (before, after) = (side('+'), side('-'));
    match text.matches(&before).count() {
        1 if before != after => Ok(text.replacen(&before, &after, 1)),
        1 => Err("it changes nothing".to_owned()),
        count => Err(format!("its old lines stand {count} times in the file")),
    }
}

#[test]
fn blocks_have_their_notes() {
    let page = "# a\n<!-- test: file a/b.txt -->\n```text\none\n\ntwo\n```\n\n- x\n\n  ```console\n  $ y\n  ```\n";
    let block = |line, language: &str, notes, text: &str| Block {
        line,
        language: language.to_owned(),
        notes,
        text: text.to_owned(),
    };
    let expected = [
        block(3, "text", vec![Note::File("a/b.txt".to_owned())], "one\n\ntwo\n"),
        block(11, "console", vec![], "$ y\n"),
    ];
    assert_eq!(blocks(page).unwrap(), expected);
    for wrong in [
        "<!-- test: fiel a -->\n```\n```\n",
        "<!-- test: output -->\ntext\n",
        "```\n",
        "<!-- test: not run:  -->\n```\n```",
    ] {
        assert!(blocks(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn commands_have_their_output() {
    let commands = commands("$ a\n1\n2\n$ b 'c\n $ d'\n$ e \\\n  f\n3\n").unwrap();
    let command = |command: &str, output: &str| Command { command: command.to_owned(), output: output.to_owned() };
    assert_eq!(commands, [command("a", "1\n2\n"), command("b 'c\n $ d'", ""), command("e \\\n  f", "3\n")]);
    assert!(super::page::commands("a\n$ b\n").is_err());
}

#[test]
fn a_diff_changes_one_place() {
    assert_eq!(edited("a\nb\nc\n", " a\n-b\n+d\n+e\n").unwrap(), "a\nd\ne\nc\n");
    assert!(
        edited("a\nb\n", " a\n-c\n").is_err() && edited("b\nb\n", "-b\n").is_err() && edited("b\n", " b\n").is_err()
    );
}
