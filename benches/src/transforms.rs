//! A batch of rows through transforms, against the same functions compiled natively.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use functions::Std;
use tandem_core::model::NanMode;
use tandem_engine::{Engine, EngineOptions, Session, Transform};

use crate::Failure;
use crate::markdown::{Table, grouped, number};
use crate::native::{self, LibmCrate};
use crate::race::{Contender, Course, Times, race};
use crate::{columns, guests};

/// Rows of the batch: what a call takes at most by default.
pub(crate) const ROWS: usize = 65_536;

/// A transform in its forms, and what it is held against.
struct Subject<'a> {
    name: &'static str,
    /// Guests by what they are called in the table.
    forms: Vec<(&'static str, Transform)>,
    inputs: Vec<ArrayRef>,
    /// Elements of all columns that cross for one row, in and out.
    elements_per_row: usize,
    natives: Vec<(&'static str, Contender<'a>)>,
}

/// Markdown of the section.
pub(crate) fn run(quick: bool) -> Result<String, Failure> {
    let engine = Engine::new(EngineOptions::default())?;
    let course = Course::new(quick);
    let mut text = format!(
        "\n## Transforms: {} rows\n\nTime of one batch over its rows. *Fresh*: a new instance for the batch (`Transform::apply`); *used*: the instance of the batch before (`Session::apply`). Each form is held against each native library: × native is its time over that of the native loop, of the medians (of the minima). Beyond is what it takes more than 1.3 × native, over the elements that cross, of the medians.\n\n",
        grouped(ROWS as u64)
    );
    let coordinates = [
        columns::floats(10, ROWS, -90.0, 90.0),
        columns::floats(11, ROWS, -180.0, 180.0),
        columns::floats(12, ROWS, -90.0, 90.0),
        columns::floats(13, ROWS, -180.0, 180.0),
    ];
    let (a, b, c) =
        (columns::floats(1, ROWS, -1e3, 1e3), columns::floats(2, ROWS, -1e3, 1e3), columns::floats(3, ROWS, 0.0, 1e3));
    let lines = columns::lines(ROWS);
    let mut table = Table::new(&[
        "transform",
        "form",
        "instance",
        "ns a row, median",
        "ns a row, min",
        "× native",
        "beyond, ns an element",
    ]);
    let forms = |name: &str| -> Result<Vec<(&'static str, Transform)>, Failure> {
        Ok(vec![
            ("everyday", guests::load(&engine, &format!("{name}_rows"), NanMode::Boundary)?),
            ("columns", guests::load(&engine, &format!("{name}_columns"), NanMode::Boundary)?),
        ])
    };

    let arithmetic = Subject {
        name: "arithmetic",
        forms: forms("arithmetic")?,
        inputs: vec![Arc::new(a.clone()), Arc::new(b.clone()), Arc::new(c.clone())],
        elements_per_row: 4,
        natives: vec![("native", Contender::new(|| native::arithmetic(&a, &b, &c)))],
    };
    let outputs = measure(arithmetic, course, &mut table)?;
    same("arithmetic", &outputs, &native::arithmetic(&a, &b, &c))?;

    let parsing = Subject {
        name: "strings",
        forms: forms("parsing")?,
        inputs: vec![Arc::new(lines.clone())],
        elements_per_row: 4,
        natives: vec![("native", Contender::new(|| native::parsing(&lines)))],
    };
    let outputs = measure(parsing, course, &mut table)?;
    let (skus, quantities, prices) = native::parsing(&lines);
    let expected: [ArrayRef; 3] = [Arc::new(skus), Arc::new(quantities), Arc::new(prices)];
    if outputs.columns() != expected {
        return Err("strings: the component and the native function differ".into());
    }

    let mut haversine_forms = forms("haversine")?;
    haversine_forms.push(("columns, `nan = \"strict\"`", guests::load(&engine, "haversine_columns", NanMode::Strict)?));
    let haversine = Subject {
        name: "haversine",
        forms: haversine_forms,
        inputs: coordinates.iter().map(|column| Arc::new(column.clone()) as ArrayRef).collect(),
        elements_per_row: 5,
        natives: vec![
            ("native, glibc's libm", Contender::new(|| native::haversine::<Std>(&coordinates))),
            ("native, the crate libm", Contender::new(|| native::haversine::<LibmCrate>(&coordinates))),
        ],
    };
    let outputs = measure(haversine, course, &mut table)?;
    same("haversine", &outputs, &native::haversine::<LibmCrate>(&coordinates))?;
    let of_glibc = native::haversine::<Std>(&coordinates);
    let distances = outputs.column(0).as_primitive::<Float64Type>();
    let others =
        std::iter::zip(distances.values(), of_glibc.values()).filter(|(a, b)| a.to_bits() != b.to_bits()).count();

    text += &table.render();
    write!(
        text,
        "\nThe component's values are those of the native function bit by bit (arithmetic, strings, and haversine with the crate libm). With glibc's libm {} of {} haversines differ in their last bits.\n",
        grouped(others as u64),
        grouped(ROWS as u64)
    )?;
    Ok(text)
}

/// Races a subject and adds its rows to the table; gives the outputs of its last form.
fn measure(mut subject: Subject<'_>, course: Course, table: &mut Table) -> Result<RecordBatch, Failure> {
    let schema = subject.forms[0].1.signature().input_schema();
    let inputs = &RecordBatch::try_new(schema, subject.inputs)?;
    let mut outputs = None;
    for (_, transform) in &subject.forms {
        let outcome = transform.apply(inputs)?;
        if let Some(failure) = outcome.failures.first() {
            return Err(format!("{}: row {} failed: {}", subject.name, failure.row, failure.message).into());
        }
        outputs = Some(outcome.outputs);
    }
    let mut sessions: Vec<Session> = subject.forms.iter().map(|(_, transform)| transform.session()).collect();
    let natives = subject.natives.len();
    let mut names = Vec::new();
    let mut contenders = Vec::new();
    for (name, contender) in subject.natives.drain(..) {
        names.push((name, ""));
        contenders.push(contender);
    }
    for ((name, transform), session) in std::iter::zip(&subject.forms, &mut sessions) {
        names.extend([(*name, "fresh"), (*name, "used")]);
        contenders.push(Contender::new(move || transform.apply(inputs)));
        contenders.push(Contender::new(move || session.apply(inputs)));
    }
    let times = race(course, &mut contenders);
    let per_row = |time: f64| time / ROWS as f64;
    for (at, (form, instance)) in names.iter().enumerate() {
        let each = |cell: &dyn Fn(&Times) -> String| match at < natives {
            true => String::new(),
            false => times[..natives].iter().map(cell).collect::<Vec<_>>().join(", "),
        };
        let time = &times[at];
        table.row(&[
            subject.name,
            form,
            instance,
            &number(per_row(time.median())),
            &number(per_row(time.min())),
            &each(&|native| format!("{:.2} ({:.2})", time.median() / native.median(), time.min() / native.min())),
            &each(&|native| {
                let beyond = per_row(time.median()) - 1.3 * per_row(native.median());
                format!("{:.2}", beyond / subject.elements_per_row as f64)
            }),
        ]);
    }
    outputs.ok_or_else(|| "a subject without forms".into())
}

fn same(name: &str, outputs: &RecordBatch, native: &Float64Array) -> Result<(), Failure> {
    let found = outputs.column(0).as_primitive::<Float64Type>();
    let differ = std::iter::zip(found.values(), native.values()).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    if differ == 0 { Ok(()) } else { Err(format!("{name}: {differ} rows differ from the native function").into()) }
}
