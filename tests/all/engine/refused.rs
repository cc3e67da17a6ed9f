//! Components that are not let in.

use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_engine::{Engine, EngineError, EngineOptions};

use crate::harness::guests::{Guest, engine};

fn refusal(bytes: &[u8]) -> EngineError {
    engine().load(bytes, NanMode::Boundary).err().expect("it is refused")
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the component's text is right")
}

#[test]
fn what_is_no_component_is_told_apart() {
    for (bytes, found) in [
        (&b""[..], "it is empty"),
        (b"[project]\nname = 1", "it starts with 5b 70 72 6f 6a 65 63 74, not with 00 61 73 6d"),
        (b"\0asm\x01\0\0\0", "it is a core module"),
        (b"\0asm\x0e\0\x01\0", "it is WebAssembly of an unknown version (0e 00 01 00)"),
        (b"\0as", "it starts with 00 61 73, not with 00 61 73 6d"),
    ] {
        let error = refusal(bytes);
        assert!(matches!(&error, EngineError::NotAComponent { found: told, .. } if told == found), "{error}");
        assert!(error.to_string().contains("; hint: "), "{error}");
    }
    let cut = Guest::Columnar.bytes();
    let error = refusal(&cut[..cut.len() / 2]);
    assert!(matches!(error, EngineError::Compile(_)), "{error}");
}

#[test]
fn imports_are_named() {
    let wasi = component(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.2.6" (instance
                (export "now" (func (result u64)))
                (export "resolution" (func (result u64)))))
            (import "read-secret" (func (result string)))
            (import "wasi:random/random@0.2.6" (instance (export "get-random-u64" (func (result u64))))))"#,
    );
    let error = refusal(&wasi);
    assert!(matches!(&error, EngineError::Imports { names } if names.len() == 3), "{error}");
    let text = error.to_string();
    let expected = "the component imports wasi:clocks/monotonic-clock@0.2.6 (now and 1 more), read-secret, \
                    wasi:random/random@0.2.6 (get-random-u64); ";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("hint: build Rust for wasm32-unknown-unknown"), "{text}");
}

#[test]
fn a_function_inside_the_contracts_own_interfaces_is_an_import() {
    let error = refusal(&component(
        r#"(component (import "tandem:feature/columns@0.1.0" (instance (export "steal" (func)))))"#,
    ));
    assert!(
        matches!(&error, EngineError::Imports { names } if names == &["tandem:feature/columns@0.1.0 (steal)"]),
        "{error}"
    );
}

#[test]
fn other_worlds_and_other_versions_are_told() {
    let error = refusal(&component("(component)"));
    let text = error.to_string();
    assert!(matches!(error, EngineError::NotATransform { .. }), "{text}");
    assert!(
        text.starts_with("the component does not export `describe` and `apply` of tandem:feature@0.1.0: "),
        "{text}"
    );

    let later = component(
        r#"(component
            (import "tandem:feature/outcomes@0.2.0" (instance
                (type $failure (record (field "message" string)))
                (export "failure" (type (eq $failure))))))"#,
    );
    let text = refusal(&later).to_string();
    assert!(text.ends_with("it is built for tandem:feature/outcomes@0.2.0"), "{text}");

    // `describe` with another type.
    let other = component(
        r#"(component
            (core module $m (func (export "describe") (result i32) i32.const 1))
            (core instance $i (instantiate $m))
            (func (export "describe") (result u32) (canon lift (core func $i "describe"))))"#,
    );
    let error = refusal(&other);
    assert!(matches!(error, EngineError::NotATransform { .. }), "{error}");
}

#[test]
fn a_component_over_the_limit_is_not_read() {
    let bytes = Guest::Columnar.bytes();
    let max = bytes.len() as u64 - 1;
    let engine = Engine::new(EngineOptions { component_bytes_max: max, instances_max: 2, ..EngineOptions::default() });
    let error = engine.unwrap().load(&bytes, NanMode::Boundary).err().expect("it is too large");
    let expected = format!("the component has {} bytes; the limit component_bytes_max is {max}", max + 1);
    assert_eq!(error.to_string(), expected);
}

#[test]
fn limits_hold_from_the_start() {
    let component = Guest::EveryType.load();
    let bind = |limits| component.bind(&Parameters::new(), &limits).err().expect("it is over the limit").to_string();
    let defaults = TransformLimits::default();
    let fields = bind(TransformLimits { fields_max: 30, ..defaults.clone() });
    assert_eq!(fields, "`describe` gives 58 inputs and outputs; the limit fields_max is 30");
    let fuel = bind(TransformLimits { fuel_base: 10, ..defaults.clone() });
    assert!(fuel.ends_with("crossed the limit fuel (fuel_base + rows × fuel_per_row) of 10"), "{fuel}");
    let memory = bind(TransformLimits { memory_bytes_max: 65_536, ..defaults.clone() });
    assert!(
        memory.starts_with("the component does not start: crossed the limit memory_bytes_max of 65536: asked for "),
        "{memory}"
    );
    let tables = bind(TransformLimits { table_elements_max: 0, ..defaults });
    assert!(
        tables.starts_with("the component does not start: crossed the limit table_elements_max of 0: asked for "),
        "{tables}"
    );
}

#[test]
fn one_instance_too_many_is_told() {
    let engine = Engine::new(EngineOptions { instances_max: 2, ..EngineOptions::default() }).unwrap();
    let component = engine.load(&Guest::Columnar.bytes(), NanMode::Boundary).unwrap();
    let transform = component.bind(&Parameters::new(), &TransformLimits::default()).unwrap();
    let schema = transform.signature().input_schema();
    let columns = schema.fields().iter().map(|field| arrow_array::new_null_array(field.data_type(), 1));
    let nullable = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let nullable = std::sync::Arc::new(arrow_schema::Schema::new(nullable.collect::<Vec<_>>()));
    let nulls = arrow_array::RecordBatch::try_new(nullable, columns.collect()).unwrap();
    assert_eq!(transform.apply(&nulls).unwrap().failures.len(), 1, "no instance is needed for rows that are refused");

    let one: Vec<arrow_array::ArrayRef> = vec![
        std::sync::Arc::new(arrow_array::Float64Array::from(vec![1.0])),
        std::sync::Arc::new(arrow_array::Float64Array::from(vec![1.0])),
        std::sync::Arc::new(arrow_array::Float64Array::from(vec![None])),
        std::sync::Arc::new(arrow_array::StringArray::from(vec!["a"])),
    ];
    let one = arrow_array::RecordBatch::try_new(schema, one).unwrap();
    let mut held: Vec<_> = (0..3).map(|_| transform.session()).collect();
    assert!(held[0].apply(&one).is_ok() && held[1].apply(&one).is_ok());
    let error = held[2].apply(&one).unwrap_err();
    assert!(matches!(error, EngineError::InstancesExhausted { max: 2 }), "{error}");
    held.remove(0);
    assert!(held[1].apply(&one).is_ok(), "an instance that ends makes room");
}

#[test]
fn the_version_of_the_engine_is_the_one_that_is_built() {
    let lock = std::fs::read_to_string(crate::harness::guests::workspace().join("Cargo.lock")).unwrap();
    let lock: toml::Table = lock.parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let version = |name: &str| {
        let package = packages.iter().find(|package| package["name"].as_str() == Some(name));
        package.unwrap_or_else(|| panic!("{name} is not in Cargo.lock"))["version"].as_str().unwrap().to_owned()
    };
    let fingerprint = engine().fingerprint();
    assert!(fingerprint.contains(&format!("; wasmtime {}; ", version("wasmtime"))), "{fingerprint}");
    assert!(fingerprint.starts_with(tandem_engine::CONTRACT), "{fingerprint}");
    let wit = std::fs::read_to_string(crate::harness::guests::workspace().join("wit/feature.wit")).unwrap();
    assert!(wit.contains(&format!("package {};", tandem_engine::CONTRACT)));
}
