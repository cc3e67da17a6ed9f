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

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use arrow_array::Array;

use super::value::{Kept, Value};
use crate::canonical::Column;
use crate::time::Timestamp;
use crate::types::DataType;
use parse::{Parser, WORDS, error, tokens};

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
