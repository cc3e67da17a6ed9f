//! Filters on events: comparisons of columns with values and with each other, joined by `and`, `or` and `not`.
//!
//! ```text
//! filter     = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | "(" filter ")" | test
//! test       = operand compare operand
//!            | column [ "not" ] "in" "(" literal { "," literal } ")"
//!            | column "is" [ "not" ] "null"
//!            | column                                     of a boolean
//! compare    = "=" | "!=" | "<>" | "<" | "<=" | ">" | ">="
//! literal    = number | 'text' | true | false
//! ```
//!
//! Words are read without regard to case. A text has single quotes, doubled inside; the value of a timestamp is a text in RFC 3339. Logic has three values,
//! as SQL's: what compares with null is neither true nor false, and an event passes only where the filter is true. Numbers compare as IEEE 754 says (a
//! comparison with NaN is false, and `!=` true), texts by their bytes.

use std::fmt;

use arrow_array::Array;

use super::value::{Kept, Value};
use crate::canonical::Column;
use crate::time::Timestamp;
use crate::types::DataType;

/// Parentheses and negations that may lie in each other.
const DEPTH_MAX: usize = 64;

/// A column of the events, as filters and aggregates know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventColumn {
    /// Its name.
    pub name: String,
    /// The source's column.
    pub column: String,
    /// Its type, to which it is converted without loss.
    pub data_type: DataType,
}

/// A filter whose columns are known and whose types agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    root: Node,
    /// The columns that it names, by their position.
    names: Vec<String>,
}

/// What is wrong with the text of a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at character {at}")]
pub struct FilterError {
    /// The character, from 1.
    pub at: usize,
    /// What is wrong there.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Compare(Operand, Comparison, Operand),
    In(usize, Vec<Kept>),
    IsNull(usize),
    /// A boolean column.
    Holds(usize),
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Column(usize),
    Literal(Kept),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn as_str(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }

    fn holds(self, left: &Value<'_>, right: &Value<'_>) -> bool {
        let order = match (left, right) {
            (Value::Float64(left), Value::Float64(right)) => left.partial_cmp(right),
            _ => Some(left.order(right)),
        };
        match (self, order) {
            (Comparison::NotEqual, order) => order.is_none_or(|order| order.is_ne()),
            (_, None) => false,
            (Comparison::Equal, Some(order)) => order.is_eq(),
            (Comparison::Less, Some(order)) => order.is_lt(),
            (Comparison::LessOrEqual, Some(order)) => order.is_le(),
            (Comparison::Greater, Some(order)) => order.is_gt(),
            (Comparison::GreaterOrEqual, Some(order)) => order.is_ge(),
        }
    }
}

impl Filter {
    /// Reads a filter over these columns.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn parse(text: &str, columns: &[EventColumn]) -> Result<Filter, FilterError> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, next: 0, columns, end: text.chars().count() + 1 };
        let root = parser.or(0)?;
        if let Some(token) = parser.peek() {
            let message = format!("{} cannot stand here", token.kind);
            return Err(error(token.at, message, Some("join two conditions with `and` or `or`")));
        }
        Ok(Filter { root, names: columns.iter().map(|column| column.name.clone()).collect() })
    }

    /// Both filters.
    pub(super) fn and(self, other: &Filter) -> Filter {
        Filter { root: Node::and(vec![self.root, other.root.clone()]), names: self.names }
    }

    /// Where it is true or false, and not unknown for a null.
    pub(super) fn known(self) -> Filter {
        let not = Node::Not(Box::new(self.root.clone()));
        Filter { root: Node::or(vec![self.root, not]), names: self.names }
    }

    /// Whether a row passes. `columns` are those that the filter was read with, in their order.
    pub(super) fn passes(&self, columns: &[Column], row: usize) -> bool {
        self.root.is_true(columns, row) == Some(true)
    }

    /// The columns that it names, as positions, each once and ascending.
    pub fn columns(&self) -> Vec<usize> {
        let mut found = Vec::new();
        self.root.columns(&mut found);
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Node {
    /// All of them, those of an inner `and` among them.
    fn and(nodes: Vec<Node>) -> Node {
        let parts = nodes.into_iter().flat_map(|node| match node {
            Node::And(parts) => parts,
            node => vec![node],
        });
        Node::And(parts.collect())
    }

    fn or(nodes: Vec<Node>) -> Node {
        let parts = nodes.into_iter().flat_map(|node| match node {
            Node::Or(parts) => parts,
            node => vec![node],
        });
        Node::Or(parts.collect())
    }

    fn is_true(&self, columns: &[Column], row: usize) -> Option<bool> {
        match self {
            Node::And(nodes) => join(nodes, columns, row, false),
            Node::Or(nodes) => join(nodes, columns, row, true),
            Node::Not(node) => node.is_true(columns, row).map(|truth| !truth),
            Node::Compare(left, comparison, right) => {
                let (left, right) = (left.value(columns, row)?, right.value(columns, row)?);
                Some(comparison.holds(&left, &right))
            }
            Node::In(column, values) => {
                let value = Value::of(&columns[*column], row)?;
                Some(values.iter().any(|one| Comparison::Equal.holds(&value, &one.value())))
            }
            Node::IsNull(column) => Some(columns[*column].is_null(row)),
            Node::Holds(column) => match &columns[*column] {
                Column::Boolean(array) => array.is_valid(row).then(|| array.value(row)),
                _ => None,
            },
        }
    }

    fn columns(&self, found: &mut Vec<usize>) {
        match self {
            Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| node.columns(found)),
            Node::Not(node) => node.columns(found),
            Node::Compare(left, _, right) => {
                for operand in [left, right] {
                    if let Operand::Column(column) = operand {
                        found.push(*column);
                    }
                }
            }
            Node::In(column, _) | Node::IsNull(column) | Node::Holds(column) => found.push(*column),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
        let name = |column: &usize| Name(&names[*column]);
        let list = |f: &mut fmt::Formatter<'_>, nodes: &[Node], word: &str| {
            for (index, node) in nodes.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                node.write_inner(f, names)?;
            }
            Ok(())
        };
        match self {
            Node::And(nodes) => list(f, nodes, "and"),
            Node::Or(nodes) => list(f, nodes, "or"),
            Node::Not(node) => {
                f.write_str("not ")?;
                node.write_inner(f, names)
            }
            Node::Compare(left, comparison, right) => {
                let operand = |f: &mut fmt::Formatter<'_>, operand: &Operand| match operand {
                    Operand::Column(column) => write!(f, "{}", name(column)),
                    Operand::Literal(value) => write!(f, "{}", Literal(value)),
                };
                operand(f, left)?;
                write!(f, " {} ", comparison.as_str())?;
                operand(f, right)
            }
            Node::In(column, values) => {
                write!(f, "{} in (", name(column))?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{}", if index > 0 { ", " } else { "" }, Literal(value))?;
                }
                f.write_str(")")
            }
            Node::IsNull(column) => write!(f, "{} is null", name(column)),
            Node::Holds(column) => write!(f, "{}", name(column)),
        }
    }

    fn write_inner(&self, f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
        if matches!(self, Node::And(_) | Node::Or(_)) {
            f.write_str("(")?;
            self.write(f, names)?;
            return f.write_str(")");
        }
        self.write(f, names)
    }
}

/// `and` where `absorbing` is false, `or` where it is true.
fn join(nodes: &[Node], columns: &[Column], row: usize, absorbing: bool) -> Option<bool> {
    let mut joined = Some(!absorbing);
    for node in nodes {
        match node.is_true(columns, row) {
            Some(truth) if truth == absorbing => return Some(absorbing),
            Some(_) => {}
            None => joined = None,
        }
    }
    joined
}

/// The text that reads back to the same filter, of one form however it was written. Part of the definition hash.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.write(f, &self.names)
    }
}

struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if WORDS.contains(&self.0) { write!(f, "\"{}\"", self.0) } else { f.write_str(self.0) }
    }
}

struct Literal<'a>(&'a Kept);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kept::Boolean(value) => write!(f, "{value}"),
            Kept::Int64(value) => write!(f, "{value}"),
            Kept::Float64(value) => write!(f, "{value:?}"),
            Kept::Timestamp(value) => write!(f, "'{}'", Timestamp(*value)),
            Kept::Bytes(value) => write!(f, "'{}'", String::from_utf8_lossy(value).replace('\'', "''")),
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, columns: &'a [Column], row: usize) -> Option<Value<'a>> {
        match self {
            Operand::Column(column) => Value::of(&columns[*column], row),
            Operand::Literal(value) => Some(value.value()),
        }
    }
}

const WORDS: [&str; 8] = ["and", "or", "not", "in", "is", "null", "true", "false"];

#[derive(Debug, Clone, PartialEq)]
enum TokenKind {
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
struct Token {
    /// The character that it begins with, from 1.
    at: usize,
    kind: TokenKind,
}

fn error(at: usize, message: impl Into<String>, hint: Option<&str>) -> FilterError {
    FilterError { at, message: message.into(), hint: hint.map(str::to_owned) }
}

fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
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

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    columns: &'a [EventColumn],
    /// One behind the last character.
    end: usize,
}

/// What was read on a side of a comparison, before types are known.
enum Side<'a> {
    Column(usize, usize),
    Literal(&'a Token),
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
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

    fn or(&mut self, depth: usize) -> Result<Node, FilterError> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use proptest::prelude::*;

    use super::*;

    fn columns() -> Vec<EventColumn> {
        let types = [
            ("amount", DataType::Float64),
            ("count", DataType::Int64),
            ("kind", DataType::String),
            ("declined", DataType::Boolean),
            ("at", DataType::Timestamp),
            ("in", DataType::Int64),
            ("raw", DataType::Binary),
        ];
        let column = |(name, data_type): (&str, DataType)| EventColumn {
            name: name.to_owned(),
            column: name.to_owned(),
            data_type,
        };
        types.map(column).into()
    }

    /// Rows: all there, all null, and one with NaN and -0.0.
    fn rows() -> Vec<Column> {
        let arrays: [ArrayRef; 7] = [
            Arc::new(Float64Array::from(vec![Some(12.5), None, Some(f64::NAN)])),
            Arc::new(Int64Array::from(vec![Some(3), None, Some(-1)])),
            Arc::new(StringArray::from(vec![Some("it's"), None, Some("card")])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None, Some(1)]).with_timezone("UTC")),
            Arc::new(Int64Array::from(vec![Some(3), None, Some(0)])),
            Arc::new(arrow_array::BinaryArray::from_opt_vec(vec![Some(b"x"), None, Some(b"y")])),
        ];
        arrays.iter().map(|array| Column::new(array).unwrap()).collect()
    }

    #[test]
    fn rows_pass_as_sql_would_let_them() {
        let (columns, rows) = (columns(), rows());
        for (text, expected) in [
            ("amount > 12", [true, false, false]),
            ("not amount > 12", [false, false, true]),
            ("amount != 12.5", [false, false, true]),
            ("12.5 = amount", [true, false, false]),
            ("amount is null or count = 3", [true, true, false]),
            ("amount is not null", [true, false, true]),
            ("declined", [true, false, false]),
            ("NOT declined", [false, false, true]),
            ("kind in ('it''s', 'cash')", [true, false, false]),
            ("kind not in ('it''s')", [false, false, true]),
            ("kind >= 'd'", [true, false, false]),
            ("at > '1970-01-01T00:00:00Z'", [false, false, true]),
            ("count = \"in\"", [true, false, false]),
            ("count <> 3 and kind = 'card' or amount > 1e1 and count <= 3", [true, false, true]),
            ("(count <> 3 or declined) and (kind = 'card' or amount > +0.5)", [true, false, true]),
            ("raw is not null and count < 0", [false, false, true]),
            ("amount = 1 or count is null", [false, true, false]),
        ] {
            let filter = Filter::parse(text, &columns).unwrap_or_else(|error| panic!("{text}: {error}"));
            let found = [0, 1, 2].map(|row| filter.passes(&rows, row));
            assert_eq!(found, expected, "{text}");
            let again =
                Filter::parse(&filter.to_string(), &columns).unwrap_or_else(|error| panic!("{filter}: {error}"));
            assert_eq!(again, filter, "{text}");
            assert_eq!(again.to_string(), filter.to_string());
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let columns = columns();
        for (text, message) in [
            ("", "a column or a value is missing at the end, at character 1"),
            ("amount", "`amount` is float64 and no condition by itself, at character 1"),
            ("amont > 1", "`amont` is not a column of the events, at character 1"),
            ("amount > ", "a column or a value is missing at the end, at character 10"),
            ("amount > 'x'", "'x' is no float64, which `amount` is, at character 10"),
            ("count = 1.5", "`1.5` is no int64, which `count` is, at character 9"),
            ("count = 99999999999999999999", "`99999999999999999999` is no int64, which `count` is, at character 9"),
            ("kind = card", "`card` is not a column of the events, at character 8"),
            ("kind = null", "nothing compares with `null`, at character 8"),
            ("amount > count", "`amount` is float64 and `count` is int64, at character 10"),
            ("raw = 'x'", "`raw` is binary, which does not compare, at character 7"),
            ("at > '2024'", "'2024' is no timestamp, which `at` is, at character 6"),
            ("kind = 'x", "a quote is not closed, at character 8"),
            ("(count = 1", "`)` is missing at the end, at character 11"),
            ("count = 1 2", "`2` cannot stand here, at character 11"),
            ("count not 1", "`in` is missing before `1`, at character 11"),
            ("count in (1, )", "a value is missing before `)`, at character 14"),
            ("count in 1", "`(` is missing before `1`, at character 10"),
            ("1 = 1", "two values are compared with each other, at character 5"),
            ("amount > inf", "`inf` is not a column of the events, at character 10"),
            ("amount > 1e999", "`1e999` is no float64, which `amount` is, at character 10"),
            ("count ; 1", "`;` cannot stand here, at character 7"),
            ("declined is 1", "`null` is missing before `1`, at character 13"),
        ] {
            assert_eq!(Filter::parse(text, &columns).unwrap_err().to_string(), message, "{text}");
        }
        let deep = format!("{}declined{}", "(".repeat(100), ")".repeat(100));
        assert!(Filter::parse(&deep, &columns).unwrap_err().to_string().contains("too deep"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-z0-9 ()'\"<>=!,.+-]{0,40}|(amount|count|kind|declined|and|or|not|in|is|null|[(]|[)]|=|<|1|'x'| ){0,20}") {
            if let Ok(filter) = Filter::parse(&text, &columns()) {
                prop_assert_eq!(Filter::parse(&filter.to_string(), &columns()).unwrap(), filter);
            }
        }
    }
}
