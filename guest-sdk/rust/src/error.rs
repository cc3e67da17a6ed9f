//! What a transform says when it cannot give a value: for one row, or for the whole call.

use std::{
    borrow::Cow,
    fmt::{self, Display},
};

use crate::contract::Failure;

/// Longest message of a failed row or call, in bytes; what is longer is cut at a character boundary and ends in `…`.
///
/// A message is for a person. Without a bound, a batch in which every row quotes a large input would be refused by the
/// runtime for its size instead of for its reason.
pub const MESSAGE_BYTES_MAX: usize = 1024;

/// Why one row has no value. Its neighbours are not affected.
///
/// The row is reported as failed, with this message; it never becomes a value.
///
/// ```
/// use tandem_sdk::prelude::*;
///
/// assert_eq!(RowError::new("too old").to_string(), "too old");
/// assert_eq!(RowError::field("amount", "must not be negative").to_string(), "amount: must not be negative");
///
/// fn parse(text: &str) -> Result<f64, RowError> {
///     Ok(text.trim().parse()?) // errors of the standard library convert
/// }
/// assert_eq!(parse("abc").unwrap_err().to_string(), "invalid float literal");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    field: Option<Cow<'static, str>>,
    message: String,
}

impl RowError {
    /// An error with this message: text, or any error that can be shown (`map_err(RowError::new)`).
    pub fn new(message: impl Display) -> Self {
        Self { field: None, message: message.to_string() }
    }

    /// An error that names the input at fault.
    pub fn field(field: impl Into<Cow<'static, str>>, message: impl Display) -> Self {
        Self { field: Some(field.into()), message: message.to_string() }
    }

    /// The input at fault, if the error names one.
    pub fn field_name(&self) -> Option<&str> {
        self.field.as_deref()
    }

    pub(crate) fn into_message(self) -> String {
        bounded(match self.field {
            Some(field) => format!("{field}: {}", self.message),
            None => self.message,
        })
    }
}

impl Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for RowError {}

/// Why a whole call has no result: wrong parameters, or columns of other lengths than the rows given.
///
/// The runtime divides the rows and calls again until the rows at fault stand alone, so prefer a [`RowError`] where the
/// row is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallError {
    message: String,
}

impl CallError {
    /// An error with this message: text, or any error that can be shown (`map_err(CallError::new)`).
    pub fn new(message: impl Display) -> Self {
        Self { message: message.to_string() }
    }

    /// The same error, saying on which thing it happened.
    pub(crate) fn on(self, thing: impl Display) -> Self {
        Self { message: format!("{thing}: {}", self.message) }
    }

    pub(crate) fn into_failure(self) -> Failure {
        Failure { message: bounded(self.message) }
    }
}

impl Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CallError {}

/// Names the input at fault in an error that does not know it.
///
/// ```
/// use tandem_sdk::prelude::*;
///
/// fn amount(text: &str) -> Result<f64, RowError> {
///     text.parse::<f64>().in_field("amount")
/// }
/// assert_eq!(amount("12,5").unwrap_err().to_string(), "amount: invalid float literal");
/// ```
pub trait InField<T> {
    /// The value, or an error of this row that names the input.
    fn in_field(self, field: &'static str) -> Result<T, RowError>;
}

impl<T, E: Display> InField<T> for Result<T, E> {
    fn in_field(self, field: &'static str) -> Result<T, RowError> {
        self.map_err(|error| RowError::field(field, error))
    }
}

/// `?` on what fails in the standard library. A blanket conversion from every error is not possible beside `From<String>`
/// (coherence); for others there is `map_err(RowError::new)`.
macro_rules! from_displayed {
    ($($error:ty),* $(,)?) => {
        $(
            impl From<$error> for RowError {
                fn from(error: $error) -> Self {
                    Self::new(error)
                }
            }

            impl From<$error> for CallError {
                fn from(error: $error) -> Self {
                    Self::new(error)
                }
            }
        )*
    };
}

from_displayed!(
    &str,
    String,
    Cow<'_, str>,
    Box<dyn std::error::Error>,
    Box<dyn std::error::Error + Send + Sync>,
    fmt::Error,
    std::array::TryFromSliceError,
    std::char::CharTryFromError,
    std::char::ParseCharError,
    std::convert::Infallible,
    std::num::ParseFloatError,
    std::num::ParseIntError,
    std::num::TryFromIntError,
    std::str::ParseBoolError,
    std::str::Utf8Error,
    std::string::FromUtf8Error,
);

fn bounded(mut message: String) -> String {
    const CUT: &str = "…";
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX - CUT.len()));
        message.push_str(CUT);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_are_cut_at_a_character() {
        for character in ["a", "é", "€", "😀"] {
            let message = RowError::field("text", character.repeat(2000)).into_message();
            assert!(message.len() <= MESSAGE_BYTES_MAX);
            assert!(message.len() > MESSAGE_BYTES_MAX - 8);
            assert!(message.starts_with("text: ") && message.ends_with('…'));
        }
        let exact = "a".repeat(MESSAGE_BYTES_MAX);
        assert_eq!(RowError::new(&exact).into_message(), exact);
        assert_eq!(CallError::new(&exact).into_failure().message, exact);
    }

    #[test]
    fn errors_of_the_standard_library_convert() {
        fn number(text: &str) -> Result<i64, RowError> {
            let wide: i128 = text.parse()?;
            if wide == 0 {
                return Err("zero".into());
            }
            Ok(i64::try_from(wide)?)
        }
        assert_eq!(number("7"), Ok(7));
        assert_eq!(number("x").unwrap_err().to_string(), "invalid digit found in string");
        assert_eq!(number("0").unwrap_err().to_string(), "zero");
        assert_eq!(number("0").unwrap_err().field_name(), None);
        assert!(number("170141183460469231731687303715884105727").is_err());
    }
}
