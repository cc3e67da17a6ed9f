//! `[[feature_service]]` and `[[alias]]`: what models use.

use std::collections::BTreeMap;

use super::checks::number;
use super::reader::{Table, Value};
use super::references::Views;
use super::view::read_tags;
use crate::model::{Alias, FeatureService, Required, ServiceFeatures, Share, Stage, ViewVersion};
use crate::time::Duration;
use crate::types::is_name;

pub(super) const SERVICE_KEYS: &[&str] =
    &["name", "features", "prefix", "deadline", "required", "log_share", "stage", "owner", "description", "tags"];
pub(super) const ALIAS_KEYS: &[&str] = &["view", "name", "version"];

/// The least and the greatest deadline, in microseconds.
const DEADLINE_MICROS_MIN: u64 = 1_000;
const DEADLINE_MICROS_MAX: u64 = 3_600_000_000;

const FEATURES_EXAMPLE: &str = "`features = [\"card_risk@2\", \"user_spend@1:mean_30d\"]`";

/// Reads a service whose name is known to be good. What is wrong is reported.
pub(super) fn read(table: &Table<'_>, name: &str, views: &Views) -> Option<FeatureService> {
    let stage = match table.get("stage") {
        None => Some(Stage::Experimental),
        Some(value) => table.choice("stage", value, &[Stage::Experimental, Stage::Production], Stage::as_str),
    };
    let prefix = table.boolean_or("prefix", false);
    let features = table
        .required("features", FEATURES_EXAMPLE)
        .and_then(|value| read_features(table, value, views, stage, prefix));
    let deadline = table.get("deadline").map(|value| read_deadline(table, value));
    let required = table.get("required").map(|value| read_required(table, value));
    let log_share = table.get("log_share").map(|value| read_log_share(table, value));
    Some(FeatureService {
        name: name.to_owned(),
        prefix,
        deadline: deadline.map_or(Some(None), |read| read.map(Some))?,
        required: required.unwrap_or(Some(Required::None))?,
        log_share: log_share.unwrap_or(Some(Share::NONE))?,
        owner: table.prose("owner"),
        description: table.prose("description"),
        tags: read_tags(table),
        // Everything was read before a missing part ends it, so that all mistakes are reported.
        stage: stage?,
        features: features?,
    })
}

fn read_deadline<'a>(table: &Table<'a>, value: &'a Value<'a>) -> Option<Duration> {
    let deadline = table.duration("deadline", value)?;
    if !(DEADLINE_MICROS_MIN..=DEADLINE_MICROS_MAX).contains(&deadline.as_micros()) {
        let message = format!("`deadline` of {} is {deadline}; it must lie between 1ms and 1h", table.what);
        table.error(value, message, "leave `deadline` out for the server's `request_seconds_max`".to_owned());
        return None;
    }
    Some(deadline)
}

fn read_log_share(table: &Table<'_>, value: &Value<'_>) -> Option<Share> {
    let number = number(table, "log_share", value, 0.0, 1.0)?;
    let share = Share::new(number);
    if share.is_none() {
        let message = format!("`log_share` of {} is less than one in a million, and not 0", table.what);
        table.error(value, message, "write 0.000001, or 0 for none".to_owned());
    }
    share
}

/// Whether the features exist is known once their views are bound.
fn read_required<'a>(table: &Table<'a>, value: &'a Value<'a>) -> Option<Required> {
    const EXAMPLE: &str = "`required = [\"risk\"]`, or `required = [\"*\"]` for all features";
    let texts = table.texts("required", value, EXAMPLE)?;
    if texts.iter().any(|(text, _)| *text == "*") {
        if texts.len() > 1 {
            let message = format!("`required` of {} names features beside `*`, which is all of them", table.what);
            table.error(value, message, format!("write {EXAMPLE}"));
            return None;
        }
        return Some(Required::All);
    }
    let mut names = Vec::with_capacity(texts.len());
    for (text, item) in &texts {
        if !is_name(text) {
            let message = format!("`required` of {}: `{text}` cannot name a feature", table.what);
            table.error(item, message, "name features as the answer does".to_owned());
        } else if names.iter().any(|name| name == text) {
            table.error(item, format!("`required` of {} names `{text}` twice", table.what), "name it once".to_owned());
        } else {
            names.push((*text).to_owned());
        }
    }
    if names.len() != texts.len() {
        return None;
    }
    names.sort();
    Some(if names.is_empty() { Required::None } else { Required::Features(names) })
}

fn read_features<'a>(
    table: &Table<'a>,
    value: &'a Value<'a>,
    views: &Views,
    stage: Option<Stage>,
    prefix: bool,
) -> Option<Vec<ServiceFeatures>> {
    let texts = table.texts("features", value, FEATURES_EXAMPLE)?;
    if texts.is_empty() {
        table.error(value, format!("{} has no feature", table.what), format!("write {FEATURES_EXAMPLE}"));
        return None;
    }
    let mut features: Vec<ServiceFeatures> = Vec::with_capacity(texts.len());
    for &(text, item) in &texts {
        let Some(one) = read_feature(table, item, views, text) else { continue };
        if !views.exists(table, item, &one.view) {
            continue;
        }
        if let Some((message, hint)) = conflict(table, &features, &one, prefix) {
            table.error(item, message, hint.to_owned());
            continue;
        }
        check_stage(table, item, views, stage, &one.view);
        features.push(one);
    }
    (features.len() == texts.len()).then_some(features)
}

/// Reads `view@version` or `view@version:feature`.
fn read_feature(table: &Table<'_>, item: &Value<'_>, views: &Views, text: &str) -> Option<ServiceFeatures> {
    let (view, feature) = match text.split_once(':') {
        Some((view, feature)) => (view, Some(feature)),
        None => (text, None),
    };
    let view = views.pinned(table, "features", item, view)?;
    if let Some(feature) = feature.filter(|feature| !is_name(feature)) {
        let hint = format!("write `{view}:FEATURE`, or `{view}` for all of its features");
        table.error(item, format!("`features` of {}: `{feature}` cannot name a feature", table.what), hint);
        return None;
    }
    Some(ServiceFeatures { view, feature: feature.map(str::to_owned) })
}

/// Whether `one` gives all that `other` gives.
fn covers(one: &ServiceFeatures, other: &ServiceFeatures) -> bool {
    one.view == other.view && (one.feature.is_none() || one.feature == other.feature)
}

/// Why `one` cannot stand beside the features before it, as far as that can be told without the components; and what to do.
fn conflict(
    table: &Table<'_>,
    before: &[ServiceFeatures],
    one: &ServiceFeatures,
    prefix: bool,
) -> Option<(String, &'static str)> {
    let what = &table.what;
    if before.contains(one) {
        return Some((format!("{what} names `{one}` twice"), "name it once"));
    }
    if let Some(other) = before.iter().find(|other| covers(other, one) || covers(one, other)) {
        let (part, whole) = if covers(other, one) { (one, other) } else { (other, one) };
        return Some((format!("{what} names `{part}` twice: `{whole}` is all features of the view"), "name it once"));
    }
    let same_name = |other: &&ServiceFeatures| {
        one.feature.is_some() && other.feature == one.feature && (!prefix || other.view.name == one.view.name)
    };
    let other = before.iter().find(same_name)?;
    let message = format!("`{other}` and `{one}` of {what} would both be named `{}`", feature_name(one, prefix));
    let hint = if other.view.name == one.view.name {
        "choose one version of the view"
    } else {
        "`prefix = true` names every feature `view__feature`"
    };
    Some((message, hint))
}

fn feature_name(one: &ServiceFeatures, prefix: bool) -> String {
    let feature = one.feature.as_deref().unwrap_or_default();
    if prefix { format!("{}__{feature}", one.view.name) } else { feature.to_owned() }
}

fn check_stage(table: &Table<'_>, item: &Value<'_>, views: &Views, stage: Option<Stage>, view: &ViewVersion) {
    let experimental = views.get(view).is_some_and(|view| view.stage == Stage::Experimental);
    if stage == Some(Stage::Production) && experimental {
        let message = format!("{} is in production and uses feature view `{view}`, which is experimental", table.what);
        table.error(item, message, "set `stage = \"production\"` in the view once it may be relied on".to_owned());
    }
}

/// Reads all aliases; sorted by view and name. What is wrong is reported.
pub(super) fn read_aliases(tables: &[Table<'_>], views: &Views) -> Vec<Alias> {
    let mut aliases = BTreeMap::new();
    let mut first_at = BTreeMap::new();
    for table in tables {
        let view = table.required("view", "`view = \"...\"`, the name of a `[[feature_view]]`");
        let view = view.and_then(|value| Some((value, table.name("view", value)?)));
        let name = table.required("name", "`name = \"champion\"`");
        let name = name.and_then(|value| Some((value, table.name("name", value)?)));
        let version = table.required("version", "`version = 1`");
        let version = version.and_then(|value| Some((value, table.integer("version", value, 1, u64::from(u32::MAX))?)));
        let (Some((view_value, view)), Some((name_value, name))) = (view, name) else { continue };
        if let Some(first) = first_at.get(&(view, name)) {
            let message = format!("alias `{name}` of feature view `{view}` is defined twice");
            table.error(name_value, message, format!("the first is at {first}"));
            continue;
        }
        first_at.insert((view, name), table.place.line(&name_value.span()));
        let Some((version_value, version)) = version else { continue };
        let alias = Alias { view: view.to_owned(), name: name.to_owned(), version: version as u32 };
        let at = if views.knows(view) { version_value } else { view_value };
        if views.exists(table, at, &alias.target()) {
            aliases.insert((view, name), alias);
        }
    }
    aliases.into_values().collect()
}
