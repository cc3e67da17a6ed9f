//! Reading a spanned TOML tree: every mistake is reported at its place, and reading goes on.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::File;
use super::diagnostic::{DIAGNOSTICS_MAX, Diagnostic, Diagnostics};
use crate::suggest;
use crate::time::{Duration, MICROS_PER_DAY, TimeError};
use crate::types::{FIELD_NAME_BYTES_MAX, is_name};

/// Longest duration that a definition may have, in days (about a hundred years).
pub const DURATION_DAYS_MAX: u64 = 36_525;

/// A value with its place.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// Collects the mistakes of all files.
#[derive(Default)]
pub(super) struct Report {
    found: RefCell<Vec<(usize, Diagnostic)>>,
    omitted: Cell<usize>,
}

impl Report {
    /// `value` if nothing was reported, else all that was, file by file from top to bottom.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Diagnostics> {
        let mut found = self.found.into_inner();
        match value {
            Some(value) if found.is_empty() => Ok(value),
            _ => {
                // Reading follows the order of keys, people read from top to bottom.
                found.sort_by_key(|(file, diagnostic)| (*file, diagnostic.span.start));
                let found = found.into_iter().map(|(_, diagnostic)| diagnostic).collect();
                Err(Diagnostics { found, omitted: self.omitted.get() })
            }
        }
    }
}

/// A file that is being read.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Where mistakes go.
    pub(super) report: &'a Report,
    /// The file.
    pub(super) file: &'a File,
    /// Position of the file among the files.
    pub(super) index: usize,
}

impl<'a> Place<'a> {
    /// Reports a mistake.
    pub(super) fn error(self, span: Range<usize>, message: String, hint: impl Into<Option<String>>) {
        let Report { found, omitted } = self.report;
        if found.borrow().len() == DIAGNOSTICS_MAX {
            return omitted.set(omitted.get() + 1);
        }
        let diagnostic = Diagnostic::new(&self.file.name, &self.file.text, span, message, hint.into());
        found.borrow_mut().push((self.index, diagnostic));
    }

    /// `file:line` of a place in this file, for hints that point at another place.
    pub(super) fn line(self, span: &Range<usize>) -> String {
        let at = Diagnostic::new(&self.file.name, &self.file.text, span.clone(), String::new(), None);
        format!("{}:{}", at.file, at.line)
    }

    /// The tree of the file, and whether its syntax is right; what is wrong is reported.
    pub(super) fn parse(self) -> (Spanned<DeTable<'a>>, bool) {
        let (tree, errors) = DeTable::parse_recoverable(&self.file.text);
        let text = &self.file.text;
        let mut last_end = None;
        for error in &errors {
            let span = error.span().unwrap_or(text.len()..text.len());
            // After the first error in a line the parser guesses; what it finds behind it says little.
            let same_line =
                last_end.and_then(|end| text.get(end..span.start)).is_some_and(|between: &str| !between.contains('\n'));
            last_end = Some(span.start);
            if !same_line {
                self.error(span, format!("invalid TOML: {}", error.message()), None);
            }
        }
        (tree, errors.is_empty())
    }
}

/// A table whose keys are known.
pub(super) struct Table<'a> {
    /// The file.
    pub(super) place: Place<'a>,
    /// What the table is, for messages: "feature view `card_risk`".
    pub(super) what: String,
    /// Its header.
    pub(super) span: Range<usize>,
    entries: &'a DeTable<'a>,
    keys: &'static [&'static str],
}

impl<'a> Table<'a> {
    /// A table that may have these keys; all others are reported.
    pub(super) fn open(
        place: Place<'a>,
        what: String,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
        keys: &'static [&'static str],
    ) -> Self {
        for key in entries.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
            let message = format!("unknown key `{}` in {what}", key.get_ref());
            place.error(key.span(), message, suggest::hint(key.get_ref(), "keys", keys));
        }
        Table { place, what, span, entries, keys }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &'static str) -> Option<&'a Value<'a>> {
        debug_assert!(self.keys.contains(&key), "{key} is not among the keys of {}", self.what);
        self.entries.get(key)
    }

    /// Whether the key is there, or one that nobody knows and that looks like it.
    pub(super) fn has_or_means(&self, key: &'static str) -> bool {
        let unknown = self.entries.keys().map(|key| key.get_ref().as_ref()).filter(|key| !self.keys.contains(key));
        self.get(key).is_some()
            || unknown.into_iter().any(|one| suggest::nearest(one, self.keys.iter().copied()) == Some(key))
    }

    /// The value of a key that must be there; `hint` says what to write.
    pub(super) fn required(&self, key: &'static str, hint: &str) -> Option<&'a Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            let message = format!("{} has no `{key}`", self.what);
            self.place.error(self.span.clone(), message, format!("add {hint}"));
        }
        value
    }

    /// Reports a mistake at a value.
    pub(super) fn error(&self, value: &Value<'_>, message: String, hint: impl Into<Option<String>>) {
        self.place.error(value.span(), message, hint);
    }

    /// Reports a value of another type than the key takes.
    pub(super) fn wrong_type(&self, key: &str, value: &Value<'_>, wanted: &str, hint: impl Into<Option<String>>) {
        let found = with_article(value.get_ref().type_str());
        self.error(value, format!("`{key}` of {} must be {wanted}, not {found}", self.what), hint);
    }

    /// A string that is not empty.
    pub(super) fn text(&self, key: &str, value: &'a Value<'a>) -> Option<&'a str> {
        match value.get_ref() {
            DeValue::String(text) if text.is_empty() => {
                self.error(value, format!("`{key}` of {} is empty", self.what), None);
                None
            }
            DeValue::String(text) => Some(text),
            _ => {
                self.wrong_type(key, value, "a string", None);
                None
            }
        }
    }

    /// A string for people, empty where the key is absent.
    pub(super) fn prose(&self, key: &'static str) -> String {
        match self.get(key).map(|value| (value, value.get_ref())) {
            None => String::new(),
            Some((_, DeValue::String(text))) => text.clone().into_owned(),
            Some((value, _)) => {
                self.wrong_type(key, value, "a string", None);
                String::new()
            }
        }
    }

    /// A name of the form that [`is_name`] asks for.
    pub(super) fn name(&self, key: &str, value: &'a Value<'a>) -> Option<&'a str> {
        let name = self.text(key, value)?;
        check_name(self.place, value.span(), &format!("`{key}` of {}", self.what), name).then_some(name)
    }

    /// An array of strings, none empty. `example` is shown where it is something else.
    pub(super) fn texts(
        &self,
        key: &str,
        value: &'a Value<'a>,
        example: &str,
    ) -> Option<Vec<(&'a str, &'a Value<'a>)>> {
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, value, "an array of strings", format!("write {example}"));
            return None;
        };
        // Every item is read, so that all mistakes are reported.
        let texts: Vec<_> = items.iter().map(|item| self.text(key, item).map(|text| (text, item))).collect();
        texts.into_iter().collect()
    }

    /// The entries of a table whose keys are the user's.
    pub(super) fn entries(
        &self,
        key: &'static str,
        example: &str,
    ) -> impl Iterator<Item = (&'a Spanned<DeString<'a>>, &'a Value<'a>)> + use<'a> {
        let entries = match self.get(key).map(|value| (value, value.get_ref())) {
            None => None,
            Some((_, DeValue::Table(entries))) => Some(entries),
            Some((value, _)) => {
                self.wrong_type(key, value, "a table", format!("write {example}"));
                None
            }
        };
        entries.into_iter().flatten()
    }

    /// A path, joined to `root`.
    pub(super) fn path(&self, key: &str, value: &'a Value<'a>, root: &std::path::Path) -> Option<PathBuf> {
        self.text(key, value).map(|path| root.join(path))
    }

    /// True or false, `default` where the key is absent.
    pub(super) fn boolean_or(&self, key: &'static str, default: bool) -> bool {
        match self.get(key).map(|value| (value, value.get_ref())) {
            None => default,
            Some((_, DeValue::Boolean(boolean))) => *boolean,
            Some((value, _)) => {
                self.wrong_type(key, value, "true or false", None);
                default
            }
        }
    }

    /// An integer in a range.
    pub(super) fn integer(&self, key: &str, value: &Value<'_>, min: u64, max: u64) -> Option<u64> {
        let DeValue::Integer(integer) = value.get_ref() else {
            let hint = match value.get_ref() {
                DeValue::String(_) => Some("write the number without quotes and units".to_owned()),
                _ => None,
            };
            self.wrong_type(key, value, "an integer", hint);
            return None;
        };
        let number = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
        let fits = number.and_then(|number| u64::try_from(number).ok()).filter(|number| (min..=max).contains(number));
        if fits.is_none() {
            // The written form is quoted: the number may be beyond every integer type.
            let written = self.place.file.text.get(value.span()).unwrap_or(integer.as_str());
            self.error(value, format!("`{key}` of {} is {written}; it must be {min} to {max}", self.what), None);
        }
        fits
    }

    /// An integer in a range, `default` where the key is absent.
    pub(super) fn integer_or(&self, key: &'static str, default: u64, min: u64, max: u64) -> u64 {
        self.get(key).and_then(|value| self.integer(key, value, min, max)).unwrap_or(default)
    }

    /// A count in a range, `default` where the key is absent.
    pub(super) fn count_or(&self, key: &'static str, default: usize, min: u64, max: u32) -> usize {
        self.integer_or(key, default as u64, min, u64::from(max)) as usize
    }

    /// A duration.
    pub(super) fn duration(&self, key: &str, value: &'a Value<'a>) -> Option<Duration> {
        const HINT: &str = "a duration is written like \"30d\", \"12h\", \"90m\", \"45s\" or \"1d12h\"";
        const MICROS_MAX: u64 = DURATION_DAYS_MAX * MICROS_PER_DAY as u64;
        let text = match value.get_ref() {
            DeValue::String(text) => text,
            _ => {
                self.wrong_type(key, value, "a duration", HINT.to_owned());
                return None;
            }
        };
        let what = &self.what;
        match Duration::parse(text) {
            Ok(duration) if duration.as_micros() <= MICROS_MAX => Some(duration),
            Ok(_) => {
                let message = format!("`{key}` of {what}: \"{text}\" is longer than {DURATION_DAYS_MAX} days");
                self.error(value, message, HINT.to_owned());
                None
            }
            Err(TimeError::Duration { text, reason }) => {
                self.error(value, format!("`{key}` of {what}: {text:?} is not a duration: {reason}"), HINT.to_owned());
                None
            }
            Err(error) => {
                self.error(value, format!("`{key}` of {what}: {error}"), HINT.to_owned());
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        value: &'a Value<'a>,
        all: &[T],
        word: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let words: Vec<&str> = all.iter().map(|one| word(*one)).collect();
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(key, value, "a string", format!("the values are {}", suggest::list(&words)));
            return None;
        };
        let chosen = all.iter().copied().find(|one| word(*one) == text);
        if chosen.is_none() {
            let message = format!("`{key}` of {} cannot be `{text}`", self.what);
            self.error(value, message, suggest::hint(text, "values", &words));
        }
        chosen
    }
}

/// Whether `name` may be a name; if not, it is reported.
pub(super) fn check_name(place: Place<'_>, span: Range<usize>, what: &str, name: &str) -> bool {
    if is_name(name) {
        return true;
    }
    let hint = format!(
        "a name has lower-case letters, digits and underscores, does not start with a digit and has at most {FIELD_NAME_BYTES_MAX} bytes"
    );
    place.error(span, format!("{what} cannot be `{name}`"), hint);
    false
}

/// "an array", "a string".
fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {noun}")
}
