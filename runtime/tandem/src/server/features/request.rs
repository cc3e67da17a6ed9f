//! What is asked of the online store.
//!
//! The body is read twice: which keys there are depends on `view`, which may stand behind `entities`. The first reading
//! skips everything else.

use std::fmt;

use arrow_array::ArrayRef;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use tandem_core::json::decode_column;
use tandem_core::model::{BoundView, JoinKey};
use tandem_core::time::Timestamp;
use tandem_core::types::Field;

use crate::server::as_of::Clock;
use crate::server::json::{self, Cells, CellsSeed, Form, Key, Progress, Table, value_problem};
use crate::server::names;
use crate::server::problem::{Kind, Problem};

const KEYS: [&str; 4] = ["view", "features", "entities", "as_of"];

/// A request, decoded against its view.
#[derive(Debug)]
pub(super) struct Asked {
    /// Positions among the view's outputs.
    pub(super) features: Vec<usize>,
    /// One column for each join key, in its canonical type.
    pub(super) keys: Vec<ArrayRef>,
    pub(super) rows: usize,
    pub(super) as_of: Timestamp,
    /// Whether that is the clock's, and not the caller's.
    pub(super) is_present: bool,
}

/// The members of the object.
#[derive(Default)]
struct Members {
    view: Option<String>,
    features: Option<Vec<String>>,
    prefix: Option<bool>,
    entities: Option<Cells>,
    as_of: Option<Value>,
}

/// What is asked for, as far as it can be told without a view.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Features of one view.
    View(String),
    /// Features of any views, as `view:feature` or `view`, and whether they are named `view__feature`.
    List { features: Vec<String>, prefix: bool },
}

/// Members of the object that name features of several views.
pub(super) const LIST_KEYS: [&str; 2] = ["features", "prefix"];

/// What is named, wherever in the object that stands.
pub(super) fn named(body: &[u8]) -> Result<Named, Problem> {
    let members = json::read(body, |text, progress| text.deserialize_map(MembersVisitor { table: None, progress }))?;
    match (members.view, members.features) {
        (Some(view), _) => Ok(Named::View(view)),
        (None, Some(features)) => Ok(Named::List { features, prefix: members.prefix.unwrap_or(false) }),
        (None, None) => Err(Problem::new(Kind::InvalidRequest, "the request names neither a `view` nor `features`").hint(
            "send {\"view\": \"name\", \"entities\": {\"join_key\": [...]}} or {\"features\": [\"view:feature\"], \"rows\": [{...}]}",
        )),
    }
}

/// What is asked of the view.
pub(super) fn decode(body: &[u8], bound: &BoundView, clock: Clock, rows_max: usize) -> Result<Asked, Problem> {
    let join_keys: Vec<&JoinKey> = bound.view.join_keys().collect();
    let key_names: Vec<&str> = join_keys.iter().map(|key| key.name.as_str()).collect();
    let table = Table { names: &key_names, things: "join keys", rows_max };
    let members =
        json::read(body, |text, progress| text.deserialize_map(MembersVisitor { table: Some(&table), progress }))?;
    let (as_of, is_present) = (clock.instant(members.as_of.as_ref())?, members.as_of.is_none());
    let features = features(bound, members.features)?;
    let Some(Cells { columns, rows, form }) = members.entities else {
        let problem = Problem::new(Kind::InvalidRequest, "the request names no `entities`");
        return Err(problem.hint(format!("the join keys are `{}`", key_names.join("`, `"))));
    };
    let keys = std::iter::zip(&join_keys, &columns).map(|(key, column)| {
        let missing = |row: Option<usize>| {
            let place = row.map(|row| format!("row {row}: ")).unwrap_or_default();
            let problem = Problem::new(Kind::MissingInput, format!("{place}the join key `{}` is missing", key.name));
            let problem = problem.with("input", key.name.as_str());
            let problem = if let Some(row) = row { problem.with("row", row) } else { problem };
            problem.hint("write null where it is not known")
        };
        // Null keys are asked for and not found; nullable, so that they are read.
        let field = Field::new(&key.name, key.data_type, true);
        match column {
            Some(column) => match column.first_absent(rows) {
                Some(row) => Err(missing(Some(row))),
                None => decode_column(&field, column.cells(rows)).map_err(|error| value_problem(&error)),
            },
            None if rows == 0 && form == Form::Rows => Ok(arrow_array::new_empty_array(&key.data_type.to_arrow())),
            None => Err(missing((form == Form::Rows).then_some(0))),
        }
    });
    Ok(Asked { features, keys: keys.collect::<Result<_, _>>()?, rows, as_of, is_present })
}

fn features(bound: &BoundView, names: Option<Vec<String>>) -> Result<Vec<usize>, Problem> {
    let known: Vec<&str> = bound.signature.outputs.iter().map(|output| output.name.as_str()).collect();
    let Some(names) = names else { return Ok((0..known.len()).collect()) };
    let mut features: Vec<usize> = Vec::with_capacity(names.len());
    for name in &names {
        let refuse = |kind, detail: String| Problem::new(kind, detail).with("feature", names::cut(name));
        let Some(index) = known.iter().position(|known| known == name) else {
            let detail = format!("feature view `{}` has no feature `{}`", bound.view.name, names::cut(name));
            return Err(refuse(Kind::UnknownName, detail).hint(names::hint(name, "features", &known)));
        };
        if features.contains(&index) {
            return Err(refuse(Kind::InvalidRequest, format!("the feature `{name}` is asked for twice")));
        }
        features.push(index);
    }
    Ok(features)
}

struct MembersVisitor<'a, 't> {
    /// What entities may have; None passes over all but the view's name.
    table: Option<&'t Table<'t>>,
    progress: &'a mut Progress<'t>,
}

impl<'de> Visitor<'de> for MembersVisitor<'_, '_> {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `view` and `entities`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let MembersVisitor { table, progress } = self;
        let mut members = Members::default();
        while let Some(Key(key)) = map.next_key()? {
            match (&*key, table) {
                ("view", _) => json::once(progress, &mut members.view, &key, |_| map.next_value())?,
                ("features", _) => json::once(progress, &mut members.features, &key, |_| map.next_value())?,
                ("prefix", None) => json::once(progress, &mut members.prefix, &key, |_| map.next_value())?,
                (_, None) => {
                    map.next_value::<IgnoredAny>()?;
                }
                ("entities", Some(table)) => json::once(progress, &mut members.entities, &key, |progress| {
                    map.next_value_seed(CellsSeed::new(table, None, progress))
                })?,
                ("as_of", _) => json::once(progress, &mut members.as_of, &key, |_| map.next_value())?,
                _ => return Err(json::unknown_key(progress, &key, &KEYS)),
            }
        }
        Ok(members)
    }
}
