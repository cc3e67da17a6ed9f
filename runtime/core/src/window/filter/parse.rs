//! A filter's text to what it means.

use std::fmt;

use super::{Comparison, EventColumn, FilterError, Node, Operand};
use crate::time::Timestamp;
use crate::types::DataType;
use crate::window::value::Kept;

/// Parentheses and negations that may lie in each other.
const DEPTH_MAX: usize = 64;

pub(super) const WORDS: [&str; 8] = ["and", "or", "not", "in", "is", "null", "true", "false"];

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// In lower case.
    Word(&'static str),
    Column(String),
    Number(String),
    Text(String),
    Compare(Comparison),
    Open,
    Close,
    Comma,
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenKind::Word(word) => write!(f, "`{word}`"),
            TokenKind::Column(name) => write!(f, "`{name}`"),
            TokenKind::Number(number) => write!(f, "`{number}`"),
            TokenKind::Text(text) => write!(f, "'{text}'"),
            TokenKind::Compare(comparison) => write!(f, "`{}`", comparison.as_str()),
            TokenKind::Open => f.write_str("`(`"),
            TokenKind::Close => f.write_str("`)`"),
            TokenKind::Comma => f.write_str("`,`"),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    /// The character that it begins with, from 1.
    pub(super) at: usize,
    pub(super) kind: TokenKind,
}

pub(super) fn error(at: usize, message: impl Into<String>, hint: Option<&str>) -> FilterError {
    FilterError { at, message: message.into(), hint: hint.map(str::to_owned) }
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut next = 0;
    while let Some(c) = chars.get(next) {
        let at = next + 1;
        let follows = |c: char| chars.get(next + 1) == Some(&c);
        let two = |kind| (TokenKind::Compare(kind), 2);
        let one = |kind| (TokenKind::Compare(kind), 1);
        let (kind, length) = match c {
            c if c.is_whitespace() => {
                next += 1;
                continue;
            }
            '(' => (TokenKind::Open, 1),
            ')' => (TokenKind::Close, 1),
            ',' => (TokenKind::Comma, 1),
            '=' => one(Comparison::Equal),
            '!' if follows('=') => two(Comparison::NotEqual),
            '<' if follows('>') => two(Comparison::NotEqual),
            '<' if follows('=') => two(Comparison::LessOrEqual),
            '>' if follows('=') => two(Comparison::GreaterOrEqual),
            '<' => one(Comparison::Less),
            '>' => one(Comparison::Greater),
            '\'' | '"' => {
                let (inner, length) = quoted(&chars[next..]).ok_or_else(|| error(at, "a quote is not closed", None))?;
                (if *c == '"' { TokenKind::Column(inner) } else { TokenKind::Text(inner) }, length)
            }
            c if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => {
                // A sign may stand at the start and behind an exponent.
                let part = |place: usize| {
                    let c = chars[place];
                    let signed = matches!(c, '-' | '+') && (place == next || matches!(chars[place - 1], 'e' | 'E'));
                    c.is_ascii_alphanumeric() || c == '.' || c == '_' || signed
                };
                let length = (next..chars.len()).take_while(|place| part(*place)).count();
                (TokenKind::Number(chars[next..next + length].iter().collect()), length)
            }
            c if c.is_alphabetic() || *c == '_' => {
                let length = chars[next..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
                let word: String = chars[next..next + length].iter().collect();
                let lower = word.to_ascii_lowercase();
                let known = WORDS.iter().find(|known| **known == lower);
                (known.map_or(TokenKind::Column(word), |known| TokenKind::Word(known)), length)
            }
            c => return Err(error(at, format!("`{c}` cannot stand here"), None)),
        };
        tokens.push(Token { at, kind });
        next += length;
    }
    Ok(tokens)
}

/// What stands in quotes at the start, and how many characters it takes.
fn quoted(chars: &[char]) -> Option<(String, usize)> {
    let quote = chars[0];
    let mut inner = String::new();
    let mut next = 1;
    loop {
        let c = *chars.get(next)?;
        next += 1;
        if c != quote {
            inner.push(c);
        } else if chars.get(next) == Some(&quote) {
            inner.push(c);
            next += 1;
        } else {
            return Some((inner, next));
        }
    }
}

pub(super) struct Parser<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) next: usize,
    pub(super) columns: &'a [EventColumn],
    /// One behind the last character.
    pub(super) end: usize,
}

/// What was read on a side of a comparison, before types are known.
enum Side<'a> {
    Column(usize, usize),
    Literal(&'a Token),
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn takes(&mut self, kind: &TokenKind) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == *kind);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, kind: &TokenKind, what: &str) -> Result<(), FilterError> {
        if self.takes(kind) { Ok(()) } else { Err(self.missing(what)) }
    }

    fn missing(&self, what: &str) -> FilterError {
        match self.peek() {
            Some(token) => error(token.at, format!("{what} is missing before {}", token.kind), None),
            None => error(self.end, format!("{what} is missing at the end"), None),
        }
    }

    pub(super) fn or(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut nodes = vec![self.and(depth)?];
        while self.takes(&TokenKind::Word("or")) {
            nodes.push(self.and(depth)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::or(nodes) })
    }

    fn and(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut nodes = vec![self.not(depth)?];
        while self.takes(&TokenKind::Word("and")) {
            nodes.push(self.not(depth)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::and(nodes) })
    }

    fn not(&mut self, depth: usize) -> Result<Node, FilterError> {
        if depth > DEPTH_MAX {
            return Err(error(
                self.peek().map_or(self.end, |token| token.at),
                "conditions lie too deep in each other",
                None,
            ));
        }
        if self.takes(&TokenKind::Word("not")) {
            return Ok(Node::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.takes(&TokenKind::Open) {
            let node = self.or(depth + 1)?;
            self.expect(&TokenKind::Close, "`)`")?;
            return Ok(node);
        }
        self.test()
    }

    fn side(&mut self) -> Result<Side<'a>, FilterError> {
        let missing = self.missing("a column or a value");
        let token = self.take().ok_or_else(|| missing.clone())?;
        match &token.kind {
            TokenKind::Column(name) => {
                let found = self.columns.iter().position(|column| column.name == *name);
                let column = found.ok_or_else(|| {
                    let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                    let hint = match names.is_empty() {
                        true => "add it to `columns`, with its type: `columns = { amount = \"float64\" }`".to_owned(),
                        false => format!(
                            "{}; a column must be among `columns`, and a text has single quotes",
                            crate::suggest::hint(name, "columns", &names)
                        ),
                    };
                    FilterError {
                        at: token.at,
                        message: format!("`{name}` is not a column of the events"),
                        hint: Some(hint),
                    }
                })?;
                Ok(Side::Column(column, token.at))
            }
            TokenKind::Number(_) | TokenKind::Text(_) | TokenKind::Word("true" | "false") => Ok(Side::Literal(token)),
            TokenKind::Word("null") => Err(error(
                token.at,
                "nothing compares with `null`",
                Some("write `COLUMN is null` or `COLUMN is not null`"),
            )),
            _ => Err(missing),
        }
    }

    fn test(&mut self) -> Result<Node, FilterError> {
        let left = self.side()?;
        if let Side::Column(column, at) = left {
            if self.takes(&TokenKind::Word("is")) {
                let negated = self.takes(&TokenKind::Word("not"));
                self.expect(&TokenKind::Word("null"), "`null`")?;
                return Ok(negate(Node::IsNull(column), negated));
            }
            let negated = self.takes(&TokenKind::Word("not"));
            if self.takes(&TokenKind::Word("in")) {
                return Ok(negate(self.list(column)?, negated));
            }
            if negated {
                return Err(self.missing("`in`"));
            }
            let compares = matches!(self.peek().map(|token| &token.kind), Some(TokenKind::Compare(_)));
            if !compares {
                let EventColumn { name, data_type, .. } = &self.columns[column];
                if *data_type != DataType::Boolean {
                    let message = format!("`{name}` is {data_type} and no condition by itself");
                    return Err(error(at, message, Some("compare it: `amount > 10`, `kind = 'card'`")));
                }
                return Ok(Node::Holds(column));
            }
        }
        let missing = self.missing("a comparison");
        let Some(Token { kind: TokenKind::Compare(comparison), .. }) = self.take() else { return Err(missing) };
        let right = self.side()?;
        let (left, right) = match (left, right) {
            (Side::Column(a, _), Side::Column(b, at)) => {
                let (a_type, b_type) = (self.columns[a].data_type, self.columns[b].data_type);
                if a_type != b_type {
                    let (a, b) = (&self.columns[a].name, &self.columns[b].name);
                    let message = format!("`{a}` is {a_type} and `{b}` is {b_type}");
                    return Err(error(at, message, Some("only columns of one type compare")));
                }
                self.compares(a, at)?;
                (Operand::Column(a), Operand::Column(b))
            }
            (Side::Column(column, _), Side::Literal(token)) => {
                (Operand::Column(column), Operand::Literal(self.literal(column, token)?))
            }
            (Side::Literal(token), Side::Column(column, _)) => {
                (Operand::Literal(self.literal(column, token)?), Operand::Column(column))
            }
            (Side::Literal(_), Side::Literal(token)) => {
                return Err(error(
                    token.at,
                    "two values are compared with each other",
                    Some("name a column of the events"),
                ));
            }
        };
        Ok(Node::Compare(left, *comparison, right))
    }

    fn list(&mut self, column: usize) -> Result<Node, FilterError> {
        self.expect(&TokenKind::Open, "`(`")?;
        let mut values = Vec::new();
        loop {
            let missing = self.missing("a value");
            let token = self.take().ok_or_else(|| missing.clone())?;
            if !matches!(token.kind, TokenKind::Number(_) | TokenKind::Text(_) | TokenKind::Word("true" | "false")) {
                return Err(missing);
            }
            values.push(self.literal(column, token)?);
            if self.takes(&TokenKind::Close) {
                return Ok(Node::In(column, values));
            }
            self.expect(&TokenKind::Comma, "`,` or `)`")?;
        }
    }

    fn compares(&self, column: usize, at: usize) -> Result<(), FilterError> {
        let EventColumn { name, data_type, .. } = &self.columns[column];
        match data_type {
            DataType::Boolean | DataType::Int64 | DataType::Float64 | DataType::Timestamp | DataType::String => Ok(()),
            _ => Err(error(
                at,
                format!("`{name}` is {data_type}, which does not compare"),
                Some("only `is null` can be asked of it"),
            )),
        }
    }

    fn literal(&self, column: usize, token: &Token) -> Result<Kept, FilterError> {
        self.compares(column, token.at)?;
        let EventColumn { name, data_type, .. } = &self.columns[column];
        let wrong =
            |hint: &str| error(token.at, format!("{} is no {data_type}, which `{name}` is", token.kind), Some(hint));
        Ok(match (data_type, &token.kind) {
            (DataType::Boolean, TokenKind::Word(word)) => Kept::Boolean(*word == "true"),
            (DataType::Boolean, _) => return Err(wrong("write `true` or `false`")),
            (DataType::Int64, TokenKind::Number(number)) => {
                Kept::Int64(number.parse().map_err(|_| wrong("write a whole number of 64 bits"))?)
            }
            (DataType::Int64, _) => return Err(wrong("write a whole number, without quotes")),
            (DataType::Float64, TokenKind::Number(number)) => {
                let plain = number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'));
                let value: Option<f64> = number.parse().ok().filter(|value: &f64| plain && value.is_finite());
                Kept::Float64(value.ok_or_else(|| wrong("write a number like 12.5 or 1e6"))?)
            }
            (DataType::Float64, _) => return Err(wrong("write a number, without quotes")),
            (DataType::String, TokenKind::Text(text)) => Kept::Bytes(text.as_bytes().into()),
            (DataType::String, _) => return Err(wrong("write a text in single quotes")),
            (_, TokenKind::Text(text)) => {
                Kept::Timestamp(Timestamp::parse(text).map_err(|_| wrong("write it like '2024-05-01T12:30:00Z'"))?.0)
            }
            _ => return Err(wrong("write it like '2024-05-01T12:30:00Z', in single quotes")),
        })
    }
}

fn negate(node: Node, negated: bool) -> Node {
    if negated { Node::Not(Box::new(node)) } else { node }
}
