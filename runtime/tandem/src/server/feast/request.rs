//! What a client of Feast asks for.

use arrow_array::{ArrayRef, new_null_array};
use serde::Deserialize;
use serde_json::{Map, Value};
use tandem_core::feature_plan::{FeaturePlan, RequestColumn};
use tandem_core::json::decode_column;
use tandem_core::types::Field;

use crate::server::as_of::Clock;
use crate::server::body::Bounds;
use crate::server::json::{too_many_rows, value_problem, whole};
use crate::server::problem::{Kind, Problem};
use crate::server::services::request::check_vectors;
use crate::server::services::vectors::Rows;

/// The body. Members that are not named here are other clients' options, and passed over, as Feast does.
#[derive(Debug, Deserialize)]
struct Body {
    feature_service: Option<String>,
    features: Option<Vec<String>>,
    entities: Map<String, Value>,
    #[serde(default)]
    full_feature_names: bool,
    #[serde(default)]
    include_feature_view_version_metadata: bool,
}

/// A request, read.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) named: Named,
    /// Columns of values, by name: join keys and request data.
    pub(super) entities: Vec<(String, Vec<Value>)>,
    pub(super) rows: usize,
    pub(super) full_feature_names: bool,
    pub(super) with_versions: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    Service(String),
    Features(Vec<String>),
}

/// Reads a body. Where it has both a service and features, the service counts.
pub(super) fn parse(body: &[u8]) -> Result<Asked, Problem> {
    let Body { feature_service, features, entities, full_feature_names, include_feature_view_version_metadata } =
        whole(body)?;
    let named = match (feature_service, features) {
        (Some(service), _) => Named::Service(service),
        (None, Some(features)) => Named::Features(features),
        (None, None) => {
            let detail = "the request has neither `features` nor a `feature_service`";
            return Err(Problem::new(Kind::InvalidRequest, detail));
        }
    };
    let entities = entities.into_iter().map(|(name, values)| match values {
        Value::Array(values) => Ok((name, values)),
        // As the protobuf form of Feast's values has it.
        Value::Object(mut object) if object.len() == 1 && object.contains_key("val") => match object.remove("val") {
            Some(Value::Array(values)) => Ok((name, values)),
            _ => Err(not_a_list(&name)),
        },
        _ => Err(not_a_list(&name)),
    });
    let entities = entities.collect::<Result<Vec<_>, _>>()?;
    let rows = entities.first().map_or(0, |(_, values)| values.len());
    if let Some((name, values)) = entities.iter().find(|(_, values)| values.len() != rows) {
        let (first, found) = (&entities[0].0, values.len());
        let detail = format!("`{name}` has {found} values, `{first}` has {rows}");
        return Err(Problem::new(Kind::InvalidRequest, detail).with("input", name.as_str()));
    }
    Ok(Asked { named, entities, rows, full_feature_names, with_versions: include_feature_view_version_metadata })
}

fn not_a_list(name: &str) -> Problem {
    let problem = Problem::new(Kind::InvalidRequest, format!("`{name}` of `entities` is not a list"));
    problem.with("input", name).hint("send {\"entities\": {\"join_key\": [1, 2]}}")
}

/// The columns of the plan.
pub(super) fn decode(asked: &Asked, plan: &FeaturePlan, clock: Clock, bounds: Bounds) -> Result<Rows, Problem> {
    let rows = asked.rows;
    if rows > bounds.rows_max {
        return Err(too_many_rows(bounds.rows_max));
    }
    check_vectors(plan, rows, bounds)?;
    let column = |column: &RequestColumn| -> Result<ArrayRef, Problem> {
        let given = asked.entities.iter().find(|(name, _)| *name == column.name);
        match given {
            Some((_, values)) => {
                let field = Field::new(&column.name, column.data_type, column.nullable);
                decode_column(&field, values.iter().map(Some)).map_err(|error| value_problem(&error))
            }
            None if column.nullable && !column.join_key => Ok(new_null_array(&column.data_type.to_arrow(), rows)),
            None => {
                let what = if column.join_key { "join key" } else { "input" };
                let detail = format!("the {what} `{}` ({}) is missing in `entities`", column.name, column.data_type);
                Err(Problem::new(Kind::MissingInput, detail).with("input", column.name.as_str()))
            }
        }
    };
    let columns = plan.request.iter().map(column).collect::<Result<_, _>>()?;
    Ok(Rows { columns, rows, as_of: clock.now, is_present: true })
}
