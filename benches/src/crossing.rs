//! Calls and instances, and what each type costs on its way in and out.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_engine::{Engine, EngineOptions, Session, Transform};

use crate::Failure;
use crate::markdown::{Table, grouped, number};
use crate::race::{Contender, Course, race};
use crate::transforms::ROWS;
use crate::{columns, guests};

/// Values of a vector, in `guests/crossing_vector`.
const WIDTH: usize = 16;

/// Markdown of the section.
pub(crate) fn run(quick: bool) -> Result<String, Failure> {
    let engine = Engine::new(EngineOptions::default())?;
    let course = Course::new(quick);
    let mut text = calls(&engine, course)?;
    text += &crossing(&engine, course)?;
    text += &loading(quick)?;
    Ok(text)
}

fn batch(transform: &Transform, columns: Vec<ArrayRef>) -> Result<RecordBatch, Failure> {
    Ok(RecordBatch::try_new(transform.signature().input_schema(), columns)?)
}

fn calls(engine: &Engine, course: Course) -> Result<String, Failure> {
    let boolean = guests::load(engine, "crossing_boolean", NanMode::Boundary)?;
    let arithmetic = guests::load(engine, "arithmetic_columns", NanMode::Boundary)?;
    let everyday = guests::load(engine, "parsing_rows", NanMode::Boundary)?;
    let floats = |stream| Arc::new(columns::floats(stream, 1, 0.0, 1.0)) as ArrayRef;
    let subjects = [
        ("one row: a boolean in and out", batch(&boolean, vec![columns::booleans(1)])?, boolean),
        ("one row: arithmetic, 3 numbers in, 1 out", batch(&arithmetic, (0..3).map(floats).collect())?, arithmetic),
        ("one row: strings, 1 in, 3 out", batch(&everyday, vec![Arc::new(columns::lines(1))])?, everyday),
    ];
    let mut sessions: Vec<Session> = subjects.iter().map(|(_, _, transform)| transform.session()).collect();
    let mut contenders = Vec::new();
    for ((_, inputs, transform), session) in std::iter::zip(&subjects, &mut sessions) {
        contenders.push(Contender::new(move || transform.apply(inputs)));
        contenders.push(Contender::new(move || session.apply(inputs)));
    }
    let times = race(course, &mut contenders);
    let mut table = Table::new(&[
        "call",
        "fresh instance, µs, median (min)",
        "used instance, µs, median (min)",
        "instance, µs, difference",
    ]);
    for ((name, ..), pair) in std::iter::zip(&subjects, times.chunks(2)) {
        let cell = |at: usize| format!("{} ({})", number(pair[at].median() / 1e3), number(pair[at].min() / 1e3));
        table.row(&[*name, &cell(0), &cell(1), &number((pair[0].median() - pair[1].median()) / 1e3)]);
    }
    Ok(format!("\n## Calls and instances\n\n{}", table.render()))
}

fn crossing(engine: &Engine, course: Course) -> Result<String, Failure> {
    let strings = columns::lines(ROWS);
    let bytes = strings.value_data().len() as f64 / ROWS as f64;
    let names = [
        ("f64", "crossing_float64", 1, Arc::new(columns::floats(1, ROWS, -1e3, 1e3)) as ArrayRef),
        ("boolean", "crossing_boolean", 1, columns::booleans(ROWS)),
        ("string", "crossing_string", 1, Arc::new(strings)),
        ("f32 of a vector", "crossing_vector", WIDTH, columns::vectors(ROWS, WIDTH)),
    ];
    let mut subjects = Vec::new();
    for (name, guest, width, column) in names {
        let transform = guests::load(engine, guest, NanMode::Boundary)?;
        let inputs = batch(&transform, vec![Arc::clone(&column)])?;
        if transform.apply(&inputs)?.outputs.column(0) != &column {
            return Err(format!("{name}: what comes back is not what was given").into());
        }
        subjects.push((name, width, inputs, transform));
    }
    let mut sessions: Vec<Session> = subjects.iter().map(|(.., transform)| transform.session()).collect();
    let mut contenders = Vec::new();
    for ((_, _, inputs, transform), session) in std::iter::zip(&subjects, &mut sessions) {
        contenders.push(Contender::new(|| inputs.columns().iter().map(copied).collect::<Vec<_>>()));
        contenders.push(Contender::new(move || transform.apply(inputs)));
        contenders.push(Contender::new(move || session.apply(inputs)));
    }
    let times = race(course, &mut contenders);
    let mut table = Table::new(&[
        "element",
        "one native copy, ns, median (min)",
        "used instance, ns, median (min)",
        "fresh instance, ns, median (min)",
    ]);
    for ((name, width, ..), three) in std::iter::zip(&subjects, times.chunks(3)) {
        let elements = (ROWS * width) as f64;
        let cell =
            |at: usize| format!("{} ({})", number(three[at].median() / elements), number(three[at].min() / elements));
        table.row(&[*name, &cell(0), &cell(2), &cell(1)]);
    }
    Ok(format!(
        "\n## Crossing\n\n{} rows in and the same rows out, through a transform that copies its column; time over the elements, each of which goes both ways. Checks are in it: NaN, UTF-8, offsets. A string has {bytes:.1} bytes on average. The native copy is one way, of Arrow's buffers.\n\n{}",
        grouped(ROWS as u64),
        table.render()
    ))
}

/// Copies of the array's buffers, and of those of its items.
fn copied(array: &ArrayRef) -> Vec<Vec<u8>> {
    let data = array.to_data();
    let items = data.child_data().iter().flat_map(|items| items.buffers());
    data.buffers().iter().chain(items).map(|buffer| buffer.to_vec()).collect()
}

fn loading(quick: bool) -> Result<String, Failure> {
    let cache = guests::scratch()?.join("compiled");
    let cached = Engine::new(EngineOptions { cache: Some(cache), ..EngineOptions::default() })?;
    let plain = Engine::new(EngineOptions::default())?;
    guests::load(&cached, "parsing_rows", NanMode::Boundary)?; // fills the cache
    let bytes = std::fs::read(guests::scratch()?.join("components/parsing_rows.wasm"))?;
    let limits = TransformLimits::default();
    let bind = |engine: &Engine| engine.load(&bytes, NanMode::Boundary)?.bind(&Parameters::new(), &limits);
    let mut contenders = [Contender::new(|| bind(&plain)), Contender::new(|| bind(&cached))];
    let times = race(Course::new(quick), &mut contenders);
    let mut table = Table::new(&["loading a component and binding it", "ms, median", "ms, min"]);
    for (name, time) in std::iter::zip(["compiled", "from the cache of compiled code"], &times) {
        table.row(&[name, &number(time.median() / 1e6), &number(time.min() / 1e6)]);
    }
    let mut text = String::new();
    write!(text, "\n## Loading\n\n{} bytes.\n\n{}", grouped(bytes.len() as u64), table.render())?;
    Ok(text)
}
