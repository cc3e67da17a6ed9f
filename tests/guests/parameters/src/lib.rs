//! A parameter of each type, given back.

use tandem_sdk::prelude::*;

#[derive(Parameters)]
pub struct Settings {
    pub strict: bool,
    /// Most that is taken.
    pub most: i64,
    pub factor: f64,
    pub label: String,
    pub codes: Vec<i64>,
    pub edges: Vec<f64>,
    pub holidays: Vec<Timestamp>,
    pub countries: Vec<String>,
    pub left_out: Option<i64>,
}

#[derive(Input)]
pub struct Row {
    pub value: f64,
}

#[derive(Output)]
pub struct Features<'a> {
    pub scaled: f64,
    pub strict: bool,
    pub most: i64,
    pub label: &'a str,
    pub codes: &'a [i64],
    pub edges: &'a [f64],
    pub last_holiday: Option<Timestamp>,
    pub countries: Vec<&'a str>,
    pub left_out: Option<i64>,
}

/// Parameters as features.
#[transform]
pub fn features<'a>(row: Row, settings: &'a Settings) -> Features<'a> {
    Features {
        scaled: row.value * settings.factor,
        strict: settings.strict,
        most: settings.most,
        label: &settings.label,
        codes: &settings.codes,
        edges: &settings.edges,
        last_holiday: settings.holidays.last().copied(),
        countries: settings.countries.iter().map(String::as_str).collect(),
        left_out: settings.left_out,
    }
}
