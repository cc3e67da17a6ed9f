//! Attacks in WebAssembly text, one file each in `guests/hostile`: what no SDK emits. Each is contained, with a message that says what it did, and
//! the engine serves on.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_engine::verify::{Difference, VerifyOptions, verify};
use tandem_engine::{Allocation, CacheEvent, Component, Engine, EngineError, EngineOptions};

use super::wat_guests::encode;
use crate::harness::guests::{Guest, engine, workspace};
use crate::harness::program::{PROGRAM, tandem, told as told_by};

fn folder() -> PathBuf {
    workspace().join("tests/guests/hostile")
}

/// The component of an attack: the prelude, the file, and an honest function for each that the file does not have.
fn attack(name: &str) -> Vec<u8> {
    let read = |name: &str| fs::read_to_string(folder().join(format!("{name}.wat"))).expect("a file of an attack");
    let (prelude, own) = (read("prelude"), repeated(&read(name)));
    let honest = [
        ("cabi_realloc", "(param i32 i32 i32 i32) (result i32) i32.const 4096"),
        ("describe", "(param i32 i32) (result i32) i32.const 64"),
        ("apply", "(param i32 i32 i32 i32 i32) (result i32) i32.const 192"),
    ];
    let missing = honest.iter().filter(|(export, _)| !own.contains(&format!("(export \"{export}\")")));
    let missing: String = missing.map(|(export, body)| format!("(func (export \"{export}\") {body})\n")).collect();
    // In a module, types and imports may come in any order; only a later segment of data has to lie behind an earlier one.
    encode(&format!("(module\n{prelude}\n{own}\n{missing})"))
}

/// The text, in which `;; repeat N: CODE` stands for N times the code.
fn repeated(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix(";; repeat ").and_then(|rest| rest.split_once(": ")) {
        Some((count, code)) => format!("{code}\n").repeat(count.parse().expect("a number")),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn limits() -> TransformLimits {
    TransformLimits {
        fuel_base: 5_000_000,
        fuel_per_row: 100_000,
        memory_bytes_max: 32 << 20,
        output_bytes_max: 256 << 10,
        ..TransformLimits::default()
    }
}

/// The limits of an attack that needs larger ones to get anywhere.
fn limits_of(name: &str) -> TransformLimits {
    match name {
        // Enough to fill the stack and not the fuel, and the other way round.
        "deep_recursion" | "memory_by_drops" => TransformLimits { fuel_base: 500_000_000, ..limits() },
        // What is large has to get as far as the limit that it is about.
        "ten_thousand_fields" => TransformLimits { output_bytes_max: 256 << 20, ..limits() },
        "hundreds_of_megabytes" => TransformLimits { memory_bytes_max: 2 << 30, ..limits() },
        "message_of_a_hundred_megabytes" => {
            TransformLimits { memory_bytes_max: 512 << 20, output_bytes_max: 256 << 20, ..limits() }
        }
        _ => limits(),
    }
}

fn rows(count: usize) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![7; count]));
    RecordBatch::try_from_iter([("x", column)]).expect("one column")
}

/// A message is cut, and each byte of it may be shown as three.
const MESSAGE_BYTES_MAX: usize = 3 * 2_048 + 64;

/// What comes of an attack: the error of binding, or the message of its row.
fn told(component: &Component, limits: &TransformLimits) -> Result<String, EngineError> {
    let outcome = component.bind(&Parameters::new(), limits)?.apply(&rows(1))?;
    let failures: Vec<&str> = outcome.failures.iter().map(|failure| failure.message.as_str()).collect();
    assert!(outcome.outputs.columns().iter().all(|column| column.is_null(0) != failures.is_empty()));
    Ok(match failures.as_slice() {
        [] => "has a value".to_owned(),
        failures => failures.join("; "),
    })
}

/// Each attack, and how the message begins.
fn expected() -> BTreeMap<&'static str, &'static str> {
    BTreeMap::from(include!("attacks.in"))
}

#[test]
fn each_attack_is_contained_and_told() {
    let expected = expected();
    let mut wrong = Vec::new();
    for (name, begins) in &expected {
        let component =
            engine().load(&attack(name), NanMode::Boundary).unwrap_or_else(|error| panic!("{name}: {error}"));
        let told = told(&component, &limits_of(name)).unwrap_or_else(|error| format!("refused: {error}"));
        if !told.starts_with(begins) || told.len() > MESSAGE_BYTES_MAX {
            wrong.push(format!("({name:?}, {:?}),", told.chars().take(300).collect::<String>()));
        }
        if told.chars().any(|c| c.is_control()) {
            wrong.push(format!("{name}: control characters in {told:?}"));
        }
    }
    assert!(wrong.is_empty(), "other messages than expected:\n{}", wrong.join("\n"));
    // No file without an expectation.
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    files.retain(|name| name != "prelude");
    files.sort();
    let compiling = MADE_TO_COMPILE.map(|(name, ..)| name);
    let mut known: Vec<&str> = expected.keys().copied().chain(compiling).collect();
    known.sort_unstable();
    assert_eq!(files, known);
    assert!(files.len() >= 25);
    assert_well(engine());
}

/// The engine serves on.
fn assert_well(engine: &Engine) {
    let component = engine.load(&Guest::Misbehaving.bytes(), NanMode::Boundary).unwrap();
    let transform = component.bind(&Parameters::new(), &TransformLimits::default()).unwrap();
    let outcome = transform.apply(&super::hostile::modes(&[100, 101])).unwrap();
    let values = outcome.outputs.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
    assert_eq!((values.values().to_vec(), outcome.failures.len()), (vec![200, 202], 0));
}

/// A binding asks once: what a later question would get changes nothing. `verify` asks again.
#[test]
fn a_signature_that_changes_is_found_by_verify() {
    let bytes = attack("other_signature_the_second_time");
    let options = VerifyOptions::default();
    let report = verify(engine(), &bytes, &Parameters::new(), &limits(), NanMode::Boundary, None, &options).unwrap();
    let Some(Difference::Signature { when, what }) = report.difference else { panic!("{report:?}") };
    assert_eq!(when, "asked of one instance a second time");
    assert_eq!(what, "output 0 is \"y\", a nullable string (\"\"), then \"y\", a nullable int64 (\"\")");
}

/// A component of so many instances of a module.
fn of_instances(module: &str, count: usize) -> Vec<u8> {
    let instances: String = (0..count).map(|index| format!("(core instance $i{index} (instantiate $m))\n")).collect();
    wat::parse_str(format!("(component (core module $m {module})\n{instances})")).expect("a component")
}

#[test]
fn components_of_too_many_parts_are_refused_by_the_limit() {
    let many = |what: &str| format!("({what})").repeat(90);
    let memories = of_instances(&many("memory 0"), 1);
    let tables = of_instances(&many("table 0 funcref"), 1);
    let instances = of_instances("", 1_000);
    let instances_of_memory = of_instances("(memory 0)", 40);
    let large = of_instances("(memory 65536)", 1);
    let small =
        Engine::new(EngineOptions { instances_max: 2, instance_memory_bytes_max: 1 << 30, ..EngineOptions::default() })
            .unwrap();
    for (engine, bytes, message) in [
        (engine(), &memories, "the component has 90 memories in one module; the limit memories_max is 16"),
        (engine(), &tables, "the component has 90 tables in one module; the limit tables_max is 64"),
        (engine(), &instances, "the component has 1000 core instances; the limit core_instances_max is 64"),
        (engine(), &instances_of_memory, "the component has 40 memories; the limit memories_max is 16"),
        (
            &small,
            &large,
            "the component has 4294967296 bytes of memory to begin with; the limit instance_memory_bytes_max is 1073741824",
        ),
    ] {
        let error = engine.load(bytes, NanMode::Boundary).err().expect("it is refused").to_string();
        assert_eq!(error, message);
    }
}

/// Beyond a hundred in one module WebAssembly itself ends.
#[test]
fn a_thousand_memories_in_one_module_are_no_module() {
    let bytes = of_instances(&"(memory 0)".repeat(1_000), 1);
    let error = engine().load(&bytes, NanMode::Boundary).err().expect("it is refused").to_string();
    assert!(error.ends_with("memories count exceeds limit of 100 (at offset 0x16)"), "{error}");
}

/// An engine that compiles in a process of its own, within so many seconds and so many MiB.
fn compiling(seconds: u64, mebibytes: u64, cache: Option<PathBuf>) -> Engine {
    let options = EngineOptions {
        instances_max: 2,
        compiler: Some(PROGRAM.into()),
        compile_seconds_max: seconds,
        compile_memory_bytes_max: mebibytes << 20,
        cache,
        ..EngineOptions::default()
    };
    Engine::new(options).unwrap()
}

/// Attacks on the compiler: seconds and MiB that it has, and how the refusal begins.
const MADE_TO_COMPILE: [(&str, u64, u64, &str); 2] = [
    (
        "compiles_slowly",
        1,
        4_096,
        "the component does not compile within the limit compile_seconds_max of 1: not done after 1 seconds",
    ),
    (
        "compiles_hugely",
        60,
        256,
        "the component does not compile within the limit compile_memory_bytes_max of 268435456: asked for ",
    ),
];

#[test]
fn components_made_to_compile_slowly_or_hugely_are_refused_by_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("compiled");
    for (name, seconds, mebibytes, begins) in MADE_TO_COMPILE {
        let engine = compiling(seconds, mebibytes, Some(cache.clone()));
        let bytes = attack(name);
        let start = Instant::now();
        let error = engine.load(&bytes, NanMode::Boundary).err().expect("it is refused");
        assert!(matches!(error, EngineError::CompileLimit { .. }) && error.hint().is_some(), "{name}: {error}");
        assert!(error.to_string().starts_with(begins), "{name}: {error}");
        if name == "compiles_slowly" {
            assert!(start.elapsed() < Duration::from_secs(20), "it is ended, not waited for: {:?}", start.elapsed());
        }
        // The same engine serves on, and nothing of the attack is kept.
        assert_well(&compiling(60, 2_048, None));
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "the key alone");
    }
}

/// What one process compiled is what another one has compiled, and what a cache keeps of it is loaded by an engine that compiles itself.
#[test]
fn a_process_of_its_own_compiles_the_same_code() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Guest::Columnar.bytes();
    let [own, other] = ["own", "other"].map(|name| folder.path().join(name));
    let here = EngineOptions { instances_max: 2, cache: Some(own.clone()), ..EngineOptions::default() };
    let here = |cache: &PathBuf| Engine::new(EngineOptions { cache: Some(cache.clone()), ..here.clone() }).unwrap();
    for nan in [NanMode::Boundary, NanMode::Strict] {
        assert_eq!(here(&own).load(&bytes, nan).unwrap().cache_event(), CacheEvent::Miss);
        let there = compiling(60, 2_048, Some(other.clone()));
        assert_eq!(there.load(&bytes, nan).unwrap().cache_event(), CacheEvent::Miss);
        assert_eq!(there.load(&bytes, nan).unwrap().cache_event(), CacheEvent::Hit);
        assert_eq!(here(&other).load(&bytes, nan).unwrap().cache_event(), CacheEvent::Hit);
    }
    // Behind mark, version and authentication code, whose key is another.
    let codes = |cache: &PathBuf| -> BTreeMap<_, Vec<u8>> {
        let files = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
        let codes = files.filter(|path| path.extension().is_some_and(|extension| extension == "code"));
        codes.map(|path| (path.file_name().unwrap().to_owned(), fs::read(&path).unwrap()[44..].to_vec())).collect()
    };
    assert_eq!(codes(&own).len(), 2);
    assert!(codes(&own) == codes(&other), "other names or other code");
}

#[test]
fn what_a_compiler_refuses_is_told_as_ever() {
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let cases = [cut(Guest::Columnar.bytes()), of_instances("", 1_000), of_instances("(memory 0)", 40), Vec::new()];
    let child = compiling(60, 2_048, None);
    for bytes in cases {
        let told = |engine: &Engine| engine.load(&bytes, NanMode::Boundary).err().expect("it is refused").to_string();
        assert_eq!(told(&child), told(engine()));
    }
    // A program that is another one, or none.
    for (program, begins) in [
        ("/nowhere/tandem", "the compiler's process: /nowhere/tandem does not start: "),
        ("/bin/false", "the component does not compile: the compiler failed over it (exit status: 1): it said nothing"),
    ] {
        let options = EngineOptions { instances_max: 2, compiler: Some(program.into()), ..EngineOptions::default() };
        let error = Engine::new(options).unwrap().load(&Guest::Columnar.bytes(), NanMode::Boundary).err().unwrap();
        assert!(error.to_string().starts_with(begins), "{error}");
    }
}

/// The program compiles for itself alone.
#[test]
fn the_hidden_command_is_for_the_program_itself() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["compile-component"][..], &["compile-component", "plain", "native", "1", "1", "x"]] {
        let (data, notes) = told_by(tandem(folder.path(), arguments), 2);
        assert_eq!(data, "");
        assert_eq!(notes, "error: a program compiles only for itself: these are not its arguments\n");
    }
    let (help, _) = told_by(tandem(folder.path(), &["--help"]), 0);
    assert!(help.contains("verify") && !help.contains("compile-component"), "{help}");
}

/// Without a pool the store counts, under the same names.
#[test]
fn without_a_pool_parts_are_limited_too() {
    let options = EngineOptions { allocation: Allocation::OnDemand, ..EngineOptions::default() };
    let engine = Engine::new(options).unwrap();
    let read = |name: &str| fs::read_to_string(folder().join(format!("{name}.wat"))).unwrap();
    let honest = "(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) i32.const 4096)
        (func (export \"describe\") (param i32 i32) (result i32) i32.const 64)
        (func (export \"apply\") (param i32 i32 i32 i32 i32) (result i32) i32.const 192)";
    let memories = "(memory 0)".repeat(90);
    let tables = "(table 0 funcref)".repeat(90);
    for (more, limit, asked) in [(memories, "memories_max of 16", 91), (tables, "tables_max of 64", 90)] {
        let bytes = encode(&format!("(module {}\n{more}\n{honest})", read("prelude")));
        let component = engine.load(&bytes, NanMode::Boundary).unwrap();
        let error = component.bind(&Parameters::new(), &limits()).err().expect("it is refused").to_string();
        assert_eq!(error, format!("the component does not start: crossed the limit {limit}: asked for {asked}"));
    }
    assert_well(&engine);
}

#[test]
fn a_component_of_a_gigabyte_is_not_looked_at() {
    let bytes = vec![0; 1 << 30];
    let error = engine().load(&bytes, NanMode::Boundary).err().expect("it is too large").to_string();
    assert_eq!(error, "the component has 1073741824 bytes; the limit component_bytes_max is 67108864");
}

const IN_CHILD: &str = "TANDEM_TEST_ATTACKS";

/// How much the process may grow. Its allocator, and slots of the pool that were not all in use before, make some hundred kilobytes come
/// and go; a leak of one page or a kilobyte an attack would be ten megabytes and more.
const GROWTH_BYTES_MAX: u64 = 8 << 20;

/// Ten thousand attacks do not make the process grow. In a process of its own: other tests would be measured too.
#[test]
fn ten_thousand_attacks_leave_nothing_behind() {
    if std::env::var_os(IN_CHILD).is_none() {
        let test = "engine::attacks::ten_thousand_attacks_leave_nothing_behind";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(IN_CHILD, "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
        return;
    }
    let engine = Engine::new(EngineOptions { instances_max: 4, ..EngineOptions::default() }).unwrap();
    // Little fuel: an endless loop costs as little as a trap.
    let limits = TransformLimits { fuel_base: 200_000, fuel_per_row: 0, memory_bytes_max: 4 << 20, ..limits() };
    let names: Vec<&str> = expected().into_keys().collect();
    let load = |name: &&str| engine.load(&attack(name), NanMode::Boundary).unwrap();
    let components: Vec<Component> = names.iter().map(load).collect();
    let run = |count: usize| {
        for component in components.iter().cycle().take(count) {
            let _ = told(component, &limits); // what comes of it is looked at above
        }
    };
    run(1_000);
    let before = resident_bytes();
    run(10_000);
    let after = resident_bytes();
    assert_well(&engine);
    assert!(after < before + GROWTH_BYTES_MAX, "{before} bytes after 1,000 attacks, {after} after 11,000");
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
