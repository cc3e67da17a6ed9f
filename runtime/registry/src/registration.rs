//! A registration: everything that is registered from one moment on, and who changed what, when and why.
//!
//! ```text
//! tandem-registration/1
//! number 2
//! parent 1 sha256:…
//! time 2026-11-21T12:37:45Z
//! by "ada"
//! reason "a better threshold"
//! program "tandem 0.1.0"
//! change view card_risk@2 "new"
//! view card_risk@1 sha256:…
//! view card_risk@2 sha256:…
//! checksum sha256:…
//! ```
//!
//! Texts are JSON strings. The checksum is over everything before its line. The parent's checksum chains registrations: what HEAD names vouches
//! for all that came before.

use std::fmt::Write as _;

use tandem_core::hash::Digest;
use tandem_core::time::Timestamp;

use crate::layout::format_number;

/// The newest format of a registration that this program knows.
pub(crate) const REGISTRATION_VERSION: u32 = 1;

const PREFIX: &str = "tandem-registration/";

/// What kind of thing an entry or a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A version of a feature view.
    View,
    /// A version of a feature view that was registered once; its number is taken.
    Removed,
    /// A feature service.
    Service,
    /// An alias of a feature view.
    Alias,
}

impl Kind {
    /// Every kind, in the order of entries.
    pub const ALL: [Kind; 4] = [Kind::View, Kind::Removed, Kind::Service, Kind::Alias];

    /// Its word in registrations.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::View => "view",
            Kind::Removed => "removed",
            Kind::Service => "service",
            Kind::Alias => "alias",
        }
    }

    fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Who registered, when, why, and what changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// From 1, each one more than its parent.
    pub number: u64,
    /// Checksum of the registration before; none for the first.
    pub parent: Option<Digest>,
    /// When.
    pub time: Timestamp,
    /// Who.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// The program and its version.
    pub program: String,
    /// What changed against the parent.
    pub changes: Vec<RecordedChange>,
}

/// A change, as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedChange {
    /// What kind of thing changed.
    pub kind: Kind,
    /// Its name: `card_risk@2`, `checkout`, `card_risk@champion`.
    pub name: String,
    /// What changed, in words.
    pub what: String,
}

/// A thing that is registered: where its object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) object: Digest,
}

/// A registration, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registration {
    pub(crate) header: Header,
    /// Sorted by kind and name.
    pub(crate) entries: Vec<Entry>,
}

/// Why a registration's text is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its format is this one.
    Newer(u32),
    /// The rest of a sentence about the file.
    Damaged(String),
}

impl Registration {
    /// The file's text, and its checksum.
    pub(crate) fn encode(&self) -> (String, Digest) {
        let Header { number, parent, time, by, reason, program, changes } = &self.header;
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut text = format!("{PREFIX}{REGISTRATION_VERSION}\nnumber {number}\n");
        if let Some(parent) = parent {
            let _ = writeln!(text, "parent {} {parent}", number - 1);
        }
        let _ = writeln!(text, "time {time}\nby {}", quoted(by));
        let _ = writeln!(text, "reason {}\nprogram {}", quoted(reason), quoted(program));
        for RecordedChange { kind, name, what } in changes {
            let _ = writeln!(text, "change {} {name} {}", kind.as_str(), quoted(what));
        }
        for Entry { kind, name, object } in &self.entries {
            let _ = writeln!(text, "{} {name} {object}", kind.as_str());
        }
        let checksum = Digest::of(text.as_bytes());
        let _ = writeln!(text, "checksum {checksum}");
        (text, checksum)
    }

    /// Reads what [`Registration::encode`] writes, and nothing else; gives its checksum too.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Registration, Digest), Refused> {
        let damaged = |reason: &str| Refused::Damaged(reason.to_owned());
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("is no text"))?;
        let checked = checked(text);
        let version = text.lines().next().and_then(|line| format_number(line, PREFIX));
        if let Some(newer) = version.filter(|version| *version > REGISTRATION_VERSION) {
            // A newer format may end otherwise; one that ends as ours does must be whole.
            if checked.is_some() || !text.contains("\nchecksum ") {
                return Err(Refused::Newer(newer));
            }
        }
        let (body, checksum) = checked.ok_or_else(|| damaged("does not match its checksum"))?;
        let registration = Lines { lines: body.lines(), peeked: None }
            .registration()
            .ok_or_else(|| damaged("is no registration, though its checksum is right"))?;
        if registration.encode().0 != text {
            return Err(damaged("is written otherwise than this program writes"));
        }
        Ok((registration, checksum))
    }
}

/// The text before the checksum's line, and the checksum, if it is right.
fn checked(text: &str) -> Option<(&str, Digest)> {
    let (body, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let body = &text[..body.len() + 1];
    let checksum: Digest = last.strip_prefix("checksum ")?.parse().ok()?;
    (Digest::of(body.as_bytes()) == checksum).then_some((body, checksum))
}

struct Lines<'a> {
    lines: std::str::Lines<'a>,
    peeked: Option<&'a str>,
}

impl<'a> Lines<'a> {
    /// The rest of the next line, if it begins with this word.
    fn value(&mut self, word: &str) -> Option<&'a str> {
        let line = self.peeked.take().or_else(|| self.lines.next())?;
        let value = line.strip_prefix(word).and_then(|rest| rest.strip_prefix(' '));
        if value.is_none() {
            self.peeked = Some(line);
        }
        value
    }

    fn registration(mut self) -> Option<Registration> {
        self.lines.next()?; // the format, which was looked at
        let number: u64 = self.value("number")?.parse().ok()?;
        let parent = match self.value("parent") {
            None => None,
            Some(parent) => Some(parent.split_once(' ')?.1.parse().ok()?),
        };
        let time = Timestamp::parse(self.value("time")?).ok()?;
        let (by, reason, program) =
            (unquoted(self.value("by")?)?, unquoted(self.value("reason")?)?, unquoted(self.value("program")?)?);
        let mut changes = Vec::new();
        while let Some(change) = self.value("change") {
            let (kind, rest) = change.split_once(' ')?;
            let (name, what) = rest.split_once(' ')?;
            changes.push(RecordedChange { kind: Kind::from_word(kind)?, name: name.to_owned(), what: unquoted(what)? });
        }
        let mut entries = Vec::new();
        while let Some(line) = self.peeked.take().or_else(|| self.lines.next()) {
            let (kind, rest) = line.split_once(' ')?;
            let (name, object) = rest.split_once(' ')?;
            entries.push(Entry { kind: Kind::from_word(kind)?, name: name.to_owned(), object: object.parse().ok()? });
        }
        let first = number == 1;
        let header = Header { number, parent, time, by, reason, program, changes };
        (number > 0 && first == header.parent.is_none()).then_some(Registration { header, entries })
    }
}

fn unquoted(text: &str) -> Option<String> {
    match serde_json::from_str(text).ok()? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn registration() -> Registration {
        let change = RecordedChange { kind: Kind::View, name: "risk@2".to_owned(), what: "new".to_owned() };
        Registration {
            header: Header {
                number: 2,
                parent: Some(Digest::of(b"1")),
                time: Timestamp(1_795_000_000_000_001),
                by: "ada \"the first\"\n".to_owned(),
                reason: String::new(),
                program: "tandem 0.1.0".to_owned(),
                changes: vec![change],
            },
            entries: vec![
                Entry { kind: Kind::View, name: "risk@2".to_owned(), object: Digest::of(b"a") },
                Entry { kind: Kind::Service, name: "checkout".to_owned(), object: Digest::of(b"b") },
            ],
        }
    }

    #[test]
    fn a_registration_survives_its_text() {
        let (text, checksum) = registration().encode();
        assert_eq!(Registration::decode(text.as_bytes()), Ok((registration(), checksum)));
        assert!(text.contains("\nby \"ada \\\"the first\\\"\\n\"\nreason \"\"\n"), "{text}");
        let (with, _) = Registration { entries: vec![], ..registration() }.encode();
        assert!(Registration::decode(with.as_bytes()).is_ok());
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_refused() {
        let (text, _) = registration().encode();
        for length in 0..text.len() {
            assert!(Registration::decode(&text.as_bytes()[..length]).is_err(), "{length}");
        }
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert!(matches!(Registration::decode(&bytes), Err(Refused::Damaged(_))), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let (text, _) = registration().encode();
        let body = text.replace("tandem-registration/1", "tandem-registration/12");
        let body = &body[..body.rfind("checksum").unwrap()];
        let whole = format!("{body}checksum {}\n", Digest::of(body.as_bytes()));
        assert_eq!(Registration::decode(whole.as_bytes()), Err(Refused::Newer(12)));
        assert_eq!(Registration::decode(b"tandem-registration/2\n{}"), Err(Refused::Newer(2)));
    }

    proptest! {
        #[test]
        fn any_text_survives(by in any::<String>(), reason in any::<String>(), micros in 0_i64..4_000_000_000_000_000) {
            let mut registration = registration();
            registration.header.by = by;
            registration.header.reason = reason;
            registration.header.time = Timestamp(micros);
            let (text, checksum) = registration.encode();
            prop_assert_eq!(Registration::decode(text.as_bytes()), Ok((registration, checksum)));
        }

        #[test]
        fn any_bytes_are_refused_without_panic(bytes in any::<Vec<u8>>()) {
            prop_assert!(Registration::decode(&bytes).is_err());
        }
    }
}
