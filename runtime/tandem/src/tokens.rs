//! Tokens of clients: a file with their hashes, names and roles. Nobody can read a token out of it.
//!
//! One line each, fields between spaces; `#` begins a comment:
//!
//! ```text
//! sha256:5c1f… read,write checkout 2026-11-21T22:00:00Z
//! ```
//!
//! A token is 256 random bits, so that one fast hash of it is as good as a slow one: there is nothing to guess.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tandem_core::hash::Digest;
use tandem_core::time::Timestamp;

use crate::error::{Error, io};

/// `tokens_max`: tokens in one file.
pub const TOKENS_MAX: usize = 1_000;

/// Beginning of every token, by which people and scanners know one.
pub const TOKEN_PREFIX: &str = "tandem_";

/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// Longest name of a token, in bytes.
const NAME_BYTES_MAX: usize = 64;

const HEADER: &str = "# Tokens of clients, as `tandem token` writes them: hash, roles, name, time of making. A removed line is a revoked token.\n";

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Features, transforms, and what is served.
    Read,
    /// Rows into the store.
    Write,
    /// What is measured.
    Metrics,
    /// All of it, and `as_of`.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Read, Role::Write, Role::Metrics, Role::Admin];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Metrics => "metrics",
            Role::Admin => "admin",
        }
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no role; the roles are read, write, metrics and admin")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let known = Role::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the token's text.
    pub hash: Digest,
    /// What it allows; at least one, each once, in their order.
    pub roles: Vec<Role>,
    /// Whose it is: letters, digits and `-_.@`, at most 64 bytes. No two have the same.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
}

impl Token {
    /// Whether it allows this: what the role is for, or everything.
    pub fn allows(&self, role: Role) -> bool {
        self.roles.iter().any(|own| *own == role || *own == Role::Admin)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roles: Vec<&str> = self.roles.iter().map(|role| role.as_str()).collect();
        write!(f, "{} {} {} {}", self.hash, roles.join(","), self.name, self.created)
    }
}

/// A file that is no file of tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct NoTokens {
    line: usize,
    reason: String,
}

/// All tokens of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens {
    tokens: Vec<Token>,
}

impl Tokens {
    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// The first line that is none, with its number.
    pub fn parse(text: &str) -> Result<Tokens, NoTokens> {
        let mut tokens: Vec<Token> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let refuse = |reason: String| NoTokens { line: index + 1, reason };
            let token = parse_line(line).map_err(refuse)?;
            if tokens.iter().any(|other| other.name == token.name) {
                return Err(refuse(format!("there are two tokens named `{}`", token.name)));
            }
            if tokens.len() == TOKENS_MAX {
                return Err(refuse(format!("there are more than {TOKENS_MAX} tokens (tokens_max)")));
            }
            tokens.push(token);
        }
        Ok(Tokens { tokens })
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Tokens, Error> {
        let text = fs::read_to_string(path).map_err(io("read the tokens", path))?;
        Tokens::parse(&text).map_err(|source| Error::Tokens { path: path.to_owned(), reason: source.to_string() })
    }

    /// In the order of the file.
    pub fn all(&self) -> &[Token] {
        &self.tokens
    }

    /// The token with this text. It takes as long whichever it is, and if there is none.
    pub fn find(&self, text: &str) -> Option<&Token> {
        let hash = Digest::of(text.as_bytes());
        let mut found = None;
        for token in &self.tokens {
            if same(&token.hash, &hash) {
                found = Some(token);
            }
        }
        found
    }
}

/// Compares all bytes, wherever the first difference is.
fn same(a: &Digest, b: &Digest) -> bool {
    std::hint::black_box(std::iter::zip(a.0, b.0).fold(0, |differences, (a, b)| differences | (a ^ b))) == 0
}

fn parse_line(line: &str) -> Result<Token, String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [hash, roles, name, created] = fields[..] else {
        return Err(format!("it has {} fields and not four: hash, roles, name, time of making", fields.len()));
    };
    let hash = hash.parse::<Digest>().map_err(|error| error.to_string())?;
    let roles: Result<Vec<Role>, UnknownRole> = roles.split(',').map(str::parse).collect();
    let roles = roles.map_err(|error| error.to_string())?;
    check_name(name)?;
    let created = created.parse::<Timestamp>().map_err(|error| error.to_string())?;
    Ok(Token { hash, roles: in_order(&roles), name: name.to_owned(), created })
}

fn in_order(roles: &[Role]) -> Vec<Role> {
    Role::ALL.into_iter().filter(|role| roles.contains(role)).collect()
}

/// Checks a token's name.
///
/// # Errors
///
/// Why it cannot be one.
pub fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(format!("a token's name has 1 to {NAME_BYTES_MAX} letters, digits and `-_.@`; this is {name:?}"));
    }
    Ok(())
}

/// Makes a token and adds its hash to the file, which is made where there is none. Gives its text, which is written nowhere.
///
/// # Errors
///
/// The name is taken or cannot be one; the file cannot be read or written. It is then as it was.
pub fn add(path: &Path, name: &str, roles: &[Role], now: Timestamp) -> Result<String, Error> {
    let refuse = |reason: String| Error::Argument { what: "--name".to_owned(), reason };
    check_name(name).map_err(refuse)?;
    let mut random = [0; TOKEN_BYTES];
    getrandom::fill(&mut random).map_err(|error| Error::Io {
        action: "read randomness for",
        path: path.to_owned(),
        source: std::io::Error::other(error),
    })?;
    let text = TOKEN_PREFIX.to_owned() + &random.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let token =
        Token { hash: Digest::of(text.as_bytes()), roles: in_order(roles), name: name.to_owned(), created: now };
    edit(path, |old| {
        let tokens =
            Tokens::parse(old).map_err(|source| Error::Tokens { path: path.to_owned(), reason: source.to_string() })?;
        if tokens.all().iter().any(|other| other.name == name) {
            return Err(refuse(format!(
                "there is a token named `{name}` already; revoke it first, or take another name"
            )));
        }
        if tokens.all().len() >= TOKENS_MAX {
            return Err(refuse(format!("there are {TOKENS_MAX} tokens (tokens_max); revoke one first")));
        }
        let begin = if old.is_empty() { HEADER } else { old };
        let end = if begin.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{begin}{end}{token}\n"))
    })?;
    Ok(text)
}

/// Removes a token from the file.
///
/// # Errors
///
/// There is none of this name; the file cannot be read or written. It is then as it was.
pub fn revoke(path: &Path, name: &str) -> Result<(), Error> {
    let tokens = Tokens::read(path)?;
    if !tokens.all().iter().any(|token| token.name == name) {
        let known: Vec<&str> = tokens.all().iter().map(|token| token.name.as_str()).collect();
        let known =
            if known.is_empty() { "there are none".to_owned() } else { format!("the names are {}", known.join(", ")) };
        return Err(Error::Argument {
            what: "NAME".to_owned(),
            reason: format!("there is no token named `{name}`; {known}"),
        });
    }
    edit(path, |old| {
        let others = old.lines().filter(|line| {
            parse_line(line.split('#').next().unwrap_or_default().trim()).ok().is_none_or(|token| token.name != name)
        });
        Ok(others.map(|line| format!("{line}\n")).collect())
    })
}

/// Replaces the file by what becomes of its text, whole or not at all, one writer at a time.
fn edit(path: &Path, change: impl FnOnce(&str) -> Result<String, Error>) -> Result<(), Error> {
    let beside = |ending: &str| {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        path.with_file_name(name)
    };
    let (lock, staged): (PathBuf, PathBuf) = (beside(".lock"), beside(".new"));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(io("make the folder", folder))?;
    }
    let mut private = File::options();
    private.write(true).create(true).truncate(true).mode(0o600);
    let locked = private.open(&lock).map_err(io("make", &lock))?;
    locked.lock().map_err(io("lock", &lock))?;
    let old = match fs::read_to_string(path) {
        Ok(old) => old,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(io("read the tokens", path)(error)),
    };
    let new = change(&old)?;
    let write = || -> std::io::Result<()> {
        let mut file = private.open(&staged)?;
        file.write_all(new.as_bytes())?;
        file.sync_all()?;
        fs::rename(&staged, path)?;
        File::open(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&staged); // it may not be there
        io("write the tokens", path)(error)
    })
    // The lock goes with its file. That stays: whoever waits for it has it open.
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_767_225_600_000_000);

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets/tokens");
        (folder, path)
    }

    #[test]
    fn what_is_added_is_found_and_what_is_revoked_is_not() {
        let (_folder, path) = place();
        let reader = add(&path, "checkout", &[Role::Read], NOW).unwrap();
        let other = add(&path, "pipeline", &[Role::Write, Role::Read, Role::Write], NOW).unwrap();
        assert!(reader.starts_with(TOKEN_PREFIX) && reader.len() == TOKEN_PREFIX.len() + 64 && reader != other);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&reader[TOKEN_PREFIX.len()..]), "{text}");
        let tokens = Tokens::read(&path).unwrap();
        let found = tokens.find(&other).unwrap();
        assert_eq!(
            (found.name.as_str(), &found.roles[..], found.created),
            ("pipeline", &[Role::Read, Role::Write][..], NOW)
        );
        assert_eq!(tokens.find(&reader[..reader.len() - 1]), None);
        assert_eq!(tokens.find(""), None);

        // Comments of people stay.
        fs::write(&path, format!("{text}# a note\n")).unwrap();
        revoke(&path, "checkout").unwrap();
        let tokens = Tokens::read(&path).unwrap();
        assert_eq!((tokens.find(&reader), tokens.all().len()), (None, 1));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(HEADER) && text.ends_with("# a note\n"), "{text}");
        let error = revoke(&path, "checkout").unwrap_err();
        assert_eq!(error.to_string(), "NAME: there is no token named `checkout`; the names are pipeline");
    }

    #[test]
    fn a_file_is_its_owners_alone_and_a_name_has_one_token() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, path) = place();
        add(&path, "a", &[Role::Admin], NOW).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let before = fs::read_to_string(&path).unwrap();
        for name in ["a", "", "a b", "ä", "a#", &"x".repeat(65)] {
            assert!(add(&path, name, &[Role::Read], NOW).is_err(), "{name:?}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
    }

    #[test]
    fn many_writers_lose_none() {
        let (_folder, path) = place();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..10 {
                        add(path, &format!("token-{thread}-{number}"), &[Role::Read], NOW).unwrap();
                    }
                });
            }
        });
        assert_eq!(Tokens::read(&path).unwrap().all().len(), 40);
    }

    #[test]
    fn admin_is_allowed_all() {
        let token =
            |roles: &[Role]| Token { hash: Digest([0; 32]), roles: roles.to_vec(), name: String::new(), created: NOW };
        for role in Role::ALL {
            assert!(token(&[Role::Admin]).allows(role) && token(&[role]).allows(role), "{role}");
            assert!(role == Role::Read || !token(&[Role::Read]).allows(role), "{role}");
        }
        assert!(token(&[Role::Read, Role::Write]).allows(Role::Write));
    }

    #[test]
    fn mistakes_have_their_line() {
        let good = format!("sha256:{} read a 2026-01-01T00:00:00Z\n", "0".repeat(64));
        assert_eq!(Tokens::parse(&format!("# x\n\n{good}  # y\n")).unwrap().all().len(), 1);
        for (line, words) in [
            ("sha256:00 read a 2026-01-01T00:00:00Z".to_owned(), "is not a digest"),
            (good.replace("read", "read,root"), "`root` is no role"),
            (good.replace(" a ", " "), "3 fields"),
            (good.replace(" a ", " ä "), "a token's name"),
            (good.replace("2026-01-01T00:00:00Z", "yesterday"), "yesterday"),
            (good.clone(), "two tokens named `a`"),
        ] {
            let error = Tokens::parse(&format!("{good}\n{line}")).unwrap_err();
            assert!(error.to_string().starts_with("line 3: ") && error.to_string().contains(words), "{error}");
        }
        let line = |number: usize| good.replace(" a ", &format!(" a{number} "));
        let full: String = (0..TOKENS_MAX).map(line).collect();
        assert_eq!(Tokens::parse(&full).unwrap().all().len(), TOKENS_MAX);
        assert!(Tokens::parse(&(full + &good)).unwrap_err().to_string().contains("tokens_max"));
    }
}
