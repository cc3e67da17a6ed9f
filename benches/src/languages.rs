//! The common example in each language: what it weighs, what it takes to build, to start and to call, beside plain Python and pandas.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use arrow_array::{RecordBatch, UInt32Array};
use serde_json::{Value, json};
use tandem::rows::{self, Mapping};
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_engine::{Allocation, Engine, EngineOptions, Session, Transform};

use crate::Failure;
use crate::guests::{component, scratch, workspace};
use crate::markdown::{Table, grouped, number};
use crate::race::{Contender, Course, Times, race};
use crate::tools;

/// Rows of the larger call: enough that a call itself costs nothing, few enough for languages that take microseconds for each.
const ROWS: usize = 4_096;

/// A language: its folder of the example, the file that an author edits, and what begins a comment there.
struct Language {
    name: &'static str,
    folder: &'static str,
    source: &'static str,
    comment: &'static str,
}

const LANGUAGES: [Language; 6] = [
    Language { name: "Rust", folder: "rust", source: "src/lib.rs", comment: "//" },
    Language { name: "C", folder: "c", source: "transform.c", comment: "//" },
    Language { name: "Go", folder: "go", source: "transform.go", comment: "//" },
    Language { name: "JavaScript", folder: "javascript", source: "transform.js", comment: "//" },
    Language { name: "TypeScript", folder: "typescript", source: "transform.ts", comment: "//" },
    Language { name: "Python", folder: "python", source: "transform.py", comment: "#" },
];

/// Languages whose instances are looked at under several settings: one with a small memory, and those with a language's runtime in it.
const INSTANCES: [&str; 4] = ["Rust", "Go", "JavaScript", "Python"];

/// A component of the example.
struct Made {
    name: &'static str,
    bytes: Vec<u8>,
    /// Seconds of a build after an edit.
    building: f64,
}

/// Markdown of the section.
pub(crate) fn run(quick: bool) -> Result<String, Failure> {
    let times = if quick { 1 } else { 5 };
    let place = lay_out()?;
    let made: Vec<Made> = LANGUAGES.iter().map(|language| make(&place, language, times)).collect::<Result<_, _>>()?;
    let (plain, cached) = (Engine::new(EngineOptions::default())?, Engine::new(cached(EngineOptions::default())?)?);

    let course = if quick { Course::new(true) } else { Course::of(31, Duration::from_millis(4)) };
    let samples = samples()?;
    let mut subjects = Vec::new();
    for made in &made {
        let compiling = median(times.min(3), || plain.load(&made.bytes, NanMode::Boundary))?;
        let transform = load(&cached, &made.bytes)?;
        let loading = median(times, || load(&cached, &made.bytes))?;
        let (one, many) = (inputs(&transform, &samples, 1)?, inputs(&transform, &samples, ROWS)?);
        subjects.push(Subject { made, transform, compiling, loading, one, many });
    }
    let fuel = same_bits(&subjects)?;
    let sessions = || -> Vec<Session> { subjects.iter().map(|subject| subject.transform.session()).collect() };
    let (mut used, mut full) = (sessions(), sessions());
    let mut calls = Vec::new();
    for (subject, session) in std::iter::zip(&subjects, &mut used) {
        calls.push(Contender::new(|| subject.transform.apply(&subject.one)));
        calls.push(Contender::new(|| session.apply(&subject.one)));
    }
    let calls = race(course, &mut calls);
    let mut batches: Vec<_> = std::iter::zip(&subjects, &mut full)
        .map(|(subject, session)| Contender::new(|| session.apply(&subject.many)))
        .collect();
    let batches = race(if quick { course } else { Course::of(15, Duration::from_millis(4)) }, &mut batches);

    let mut table = Table::new(&[
        "the example in",
        "component, KiB",
        "build after an edit, s",
        "compiled, ms",
        "from the cache, ms",
        "one row, fresh instance, µs",
        "one row, used instance, µs",
        "a row of many, µs",
        "fuel a row",
    ]);
    for (at, subject) in subjects.iter().enumerate() {
        let (fresh, used, row) = (&calls[2 * at], &calls[2 * at + 1], &batches[at]);
        table.row(&[
            subject.made.name,
            &grouped(subject.made.bytes.len() as u64 / 1024),
            &number(subject.made.building),
            &number(subject.compiling * 1e3),
            &number(subject.loading * 1e3),
            &micros(fresh),
            &micros(used),
            &number(row.median() / ROWS as f64 / 1e3),
            &grouped(fuel[at] as u64),
        ]);
    }
    let plain = baseline(&place, &samples, quick)?;
    for (name, key) in [("no component: Python, row by row", "loop"), ("no component: pandas", "pandas")] {
        let seconds = |what: &str| plain[key][what].as_f64().ok_or("the baseline gives no times");
        let (one, many) = (number(seconds("one")? * 1e6), number(seconds("rows")? / ROWS as f64 * 1e6));
        table.row(&[name, "", "", "", "", "", &one, &many, ""]);
    }
    let mut text = format!(
        "\n## Languages\n\nThe example of `examples/languages` (text to number, arithmetic, strings, nulls, a vector of four), with {} of its sample rows, repeated: those that have values, but for the one with NaNs, since pandas does not tell them from nulls. All give the same bits. *Build*: a comment is added, everything that the language's tools keep is there; median of {times}. *Compiled*: by this process, on all cores. *From the cache*: code read, linked, the component asked for its signature. *Many*: {} rows in one call of a used instance. Medians; in brackets the fastest. Without a component: {}.\n\n{}",
        samples.rows.len(),
        grouped(ROWS as u64),
        plain["versions"].as_str().unwrap_or_default(),
        table.render()
    );
    text += &instances(&made, &samples, course)?;
    Ok(text)
}

struct Subject<'a> {
    made: &'a Made,
    transform: Transform,
    /// Seconds.
    compiling: f64,
    /// Seconds.
    loading: f64,
    one: RecordBatch,
    many: RecordBatch,
}

/// Sample rows that have values, and those values.
struct Samples {
    file: PathBuf,
    rows: Vec<u32>,
    expected: Value,
    given: Value,
}

fn samples() -> Result<Samples, Failure> {
    let folder = workspace().join("examples/languages");
    let read = |name: &str| -> Result<Vec<Value>, Failure> {
        Ok(serde_json::from_str(&fs::read_to_string(folder.join(name))?)?)
    };
    let (given, expected) = (read("samples.json")?, read("expected.json")?);
    let has_value =
        |row: &&u32| expected[**row as usize].get("failure").is_none() && expected[**row as usize]["net"] != "NaN";
    let all: Vec<u32> = (0..given.len() as u32).collect();
    let rows: Vec<u32> = all.iter().filter(has_value).copied().collect();
    let pick = |from: &[Value]| rows.iter().map(|row| from[*row as usize].clone()).collect::<Value>();
    Ok(Samples { file: folder.join("samples.json"), expected: pick(&expected), given: pick(&given), rows })
}

/// The samples, repeated to so many rows.
fn inputs(transform: &Transform, samples: &Samples, rows: usize) -> Result<RecordBatch, Failure> {
    let mapping = Mapping { signature: transform.signature(), view: None, as_of: None, timezone: None };
    let read = rows::read(&samples.file, &mapping, usize::MAX)?.inputs;
    let indices: UInt32Array = (0..rows).map(|row| samples.rows[row % samples.rows.len()]).collect();
    Ok(arrow_select::take::take_record_batch(&read, &indices)?)
}

/// Fuel of a row of each. An error where one does not give the bits of the first.
fn same_bits(subjects: &[Subject<'_>]) -> Result<Vec<f64>, Failure> {
    let mut first: Option<RecordBatch> = None;
    let mut fuel = Vec::new();
    for subject in subjects {
        let outcome = subject.transform.apply(&subject.many)?;
        if let Some(failure) = outcome.failures.first() {
            return Err(format!("{}: row {} failed: {}", subject.made.name, failure.row, failure.message).into());
        }
        fuel.push(outcome.fuel as f64 / ROWS as f64);
        if first.get_or_insert_with(|| outcome.outputs.clone()).columns() != outcome.outputs.columns() {
            return Err(format!("{} does not give the bits of {}", subject.made.name, subjects[0].made.name).into());
        }
    }
    Ok(fuel)
}

fn load(engine: &Engine, bytes: &[u8]) -> Result<Transform, Failure> {
    Ok(engine.load(bytes, NanMode::Boundary)?.bind(&Parameters::new(), &TransformLimits::default())?)
}

fn cached(options: EngineOptions) -> Result<EngineOptions, Failure> {
    Ok(EngineOptions { cache: Some(scratch()?.join("compiled")), ..options })
}

fn median<T, E: Into<Failure>>(times: usize, mut run: impl FnMut() -> Result<T, E>) -> Result<f64, Failure> {
    let mut seconds = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        run().map_err(Into::into)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(Times::new(seconds).median())
}

fn micros(times: &Times) -> String {
    format!("{} ({})", number(times.median() / 1e3), number(times.min() / 1e3))
}

/// The example's folders and the SDKs beside them, as in the workspace, with each language's tools where it looks for them.
fn lay_out() -> Result<PathBuf, Failure> {
    let place = scratch()?.join("languages");
    let _ = fs::remove_dir_all(&place); // what an earlier run made
    let examples = place.join("examples/languages");
    fs::create_dir_all(&examples)?;
    symlink(workspace().join("guest-sdk"), place.join("guest-sdk"))?;
    symlink(workspace().join("wit"), place.join("wit"))?;
    let modules = tools::modules("npm", "tests/tools/package.json")?;
    symlink(modules.join("node_modules"), place.join("node_modules"))?;
    for language in &LANGUAGES {
        let folder = examples.join(language.folder);
        copy(&workspace().join("examples/languages").join(language.folder), &folder)?;
        let environment = match language.folder {
            "c" => tools::environment("zig", "tests/tools/requirements-c.txt")?,
            "go" => tools::environment("go", "tests/tools/requirements-go.txt")?,
            "python" => tools::environment("python", "tests/tools/requirements-python.txt")?,
            _ => continue,
        };
        symlink(environment, folder.join(".venv"))?;
    }
    fs::create_dir(examples.join("c/vendor"))?;
    symlink(workspace().join("guest-sdk/c"), examples.join("c/vendor/tandem-sdk"))?;
    Ok(place)
}

/// What is in a folder, without what lies there after a build.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        let made = ["node_modules", ".venv", "vendor", "target", "__pycache__"].iter().any(|made| name == *made);
        if path.is_dir() && !made {
            copy(&path, &to.join(name))?;
        } else if path.is_file() {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// Builds the example once, and then so many times after an edit.
fn make(place: &Path, language: &Language, times: usize) -> Result<Made, Failure> {
    let folder = place.join("examples/languages").join(language.folder);
    let output = scratch()?.join("components").join(format!("language_{}.wasm", language.folder));
    let bytes = fs::read(component(&folder, output.clone())?)?;
    let source = folder.join(language.source);
    let text = fs::read_to_string(&source)?;
    let mut edits = 0;
    let building = median(times, || {
        edits += 1;
        fs::write(&source, format!("{text}\n{} edit {edits}\n", language.comment))?;
        component(&folder, output.clone())
    })?;
    Ok(Made { name: language.name, bytes, building })
}

/// The same function without Tandem.
fn baseline(place: &Path, samples: &Samples, quick: bool) -> Result<Value, Failure> {
    let environment = tools::environment("baselines", "benches/baselines/requirements.txt")?;
    let file = place.join("rows.json");
    fs::write(&file, json!({ "rows": samples.given, "expected": samples.expected }).to_string())?;
    let path = std::env::join_paths([
        workspace().join("examples/languages/python"),
        workspace().join("guest-sdk/python/src"),
    ])?;
    let mut python = Command::new(environment.join("bin/python3"));
    python.arg(workspace().join("benches/baselines/languages.py")).arg(file);
    python.args([ROWS.to_string(), if quick { "0.1" } else { "2" }.to_owned()]);
    let said = tools::output(python.env("PYTHONPATH", path).env("PYTHONDONTWRITEBYTECODE", "1"))?;
    Ok(serde_json::from_slice(&said)?)
}

/// One row in a fresh instance, under settings of the engine.
fn instances(made: &[Made], samples: &Samples, course: Course) -> Result<String, Failure> {
    let pool =
        |keep_resident_bytes| EngineOptions { keep_resident_bytes, instances_max: 8, ..EngineOptions::default() };
    let settings = [
        ("mapped anew", EngineOptions { allocation: Allocation::OnDemand, ..EngineOptions::default() }),
        ("pool, nothing kept", pool(0)),
        ("pool, 8 MiB kept", pool(8 << 20)),
        ("pool, 64 MiB kept", pool(64 << 20)),
    ];
    let mut names = vec!["one row in a fresh instance, µs"];
    names.extend(settings.iter().map(|(name, _)| *name));
    names.push("used instance");
    let mut table = Table::new(&names);
    let engines: Vec<Engine> =
        settings.into_iter().map(|(_, options)| Ok(Engine::new(cached(options)?)?)).collect::<Result<_, Failure>>()?;
    for made in made.iter().filter(|made| INSTANCES.contains(&made.name)) {
        let transforms: Vec<Transform> =
            engines.iter().map(|engine| load(engine, &made.bytes)).collect::<Result<_, _>>()?;
        let one = &inputs(&transforms[0], samples, 1)?;
        let mut used = transforms[0].session();
        let mut contenders: Vec<_> =
            transforms.iter().map(|transform| Contender::new(move || transform.apply(one))).collect();
        contenders.push(Contender::new(|| used.apply(one)));
        let times = race(course, &mut contenders);
        let cells: Vec<String> = std::iter::once(made.name.to_owned()).chain(times.iter().map(micros)).collect();
        table.row(&cells);
    }
    let mut text = String::new();
    write!(
        text,
        "\n### Instances\n\nHow memory for an instance is had, and how much of it stays mapped when its instance ends (`keep_resident_bytes`).\n\n{}",
        table.render()
    )?;
    Ok(text)
}
