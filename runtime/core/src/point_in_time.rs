//! The point-in-time join: which row of a view a label gets.
//!
//! For a label `(keys, T)` and a view, of the rows with equal keys that were there at T ([`Rules`]), the greatest in the total order
//! ([`crate::order`]) wins. One that is older than the ttl is not served, and no older row stands in for it: it would be
//! older still.
//!
//! Labels are the small side, and rows come in any order, so the labels are what is indexed ([`Instants`]): for each key the sorted
//! distinct instants, each with a *slot*. A row is there from one instant on, for ever ([`Rules::there_from`]). It is offered to the
//! slot of the first instant that sees it ([`Contest::offer`]); a slot keeps the greatest row. In the end a running maximum
//! over a key's slots gives each instant its winner ([`Contest::decide`]). A row that counts only until some instant ([`JoinRow::until`]: it was
//! taken back then) is offered to a tree over its key's slots instead, which keeps the greatest row of each span. So rows are read once, in any order and any division, are neither
//! sorted nor kept, and memory follows the labels: 12 bytes for each instant, and 16 for each instant and view, 48 where rows have created times or sequences
//! (and more where rows tie, and for keys of which rows were taken back).
//!
//! Keys are *groups* here: the caller numbers the labels' distinct keys, and passes over rows of other keys and of none.

mod contest;
mod instants;
mod rules;
mod slots;
mod spans;
#[cfg(test)]
mod tests;
mod ties;

pub use contest::{Answer, Contest, Decided, JoinRow, Winner};
pub use instants::Instants;
pub use rules::Rules;
