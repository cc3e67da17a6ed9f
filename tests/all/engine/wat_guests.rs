//! Guests in WebAssembly text, for what no SDK emits: pointers out of memory, bad discriminants, a `start` that never ends.

use std::fs;

use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_engine::EngineError;
use wit_component::ComponentEncoder;

use crate::harness::guests::{Guest, engine, guests_target};

/// A component of the contract's world around a core module. `describe` gives the pointer that `describe_gives` computes; `data` lies in memory.
pub(crate) fn component(describe_gives: &str, data: &str, more: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (memory (export "memory") 1)
            {data}
            {more}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
            (func (export "describe") (param i32 i32) (result i32) {describe_gives})
            (func (export "apply") (param i32 i32 i32 i32 i32) (result i32) unreachable))"#
    );
    encode(&text)
}

/// A component of the contract's world around a core module in text.
pub(super) fn encode(module: &str) -> Vec<u8> {
    encode_as(Guest::Misbehaving, module)
}

/// A component of the world of a guest.
pub(super) fn encode_as(world_of: Guest, module: &str) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    module.extend(component_type(world_of));
    let mut encoder = ComponentEncoder::default();
    let encoder = encoder.validate(true).module(&module).expect("a module of the world");
    encoder.encode().expect("a component")
}

/// The custom sections by which a core module says its world, taken from a guest that cargo built.
fn component_type(of: Guest) -> Vec<u8> {
    of.path();
    let module = format!("wasm32-unknown-unknown/release/{}_guest.wasm", of.folder());
    let module = guests_target().join(module);
    let module = fs::read(module).expect("cargo left the core module there");
    let mut sections = Vec::new();
    let mut at = 8;
    while at < module.len() {
        let (id, start) = (module[at], at);
        let (size, body) = leb128(&module, at + 1);
        at = body + size;
        let (name_length, name) = leb128(&module, body);
        if id == 0 && module[name..name + name_length].starts_with(b"component-type") {
            sections.extend_from_slice(&module[start..at]);
        }
    }
    assert!(!sections.is_empty(), "the guest names its world");
    sections
}

/// An unsigned LEB128 number (WebAssembly core specification, 5.2.2), and where it ends.
fn leb128(bytes: &[u8], mut at: usize) -> (usize, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = bytes[at];
        value |= usize::from(byte & 0x7f) << shift;
        (at, shift) = (at + 1, shift + 7);
        if byte & 0x80 == 0 {
            return (value, at);
        }
    }
}

fn refusal(bytes: &[u8], limits: &TransformLimits) -> EngineError {
    let component = engine().load(bytes, NanMode::Boundary).expect("it is a component of the contract");
    component.bind(&Parameters::new(), limits).err().expect("it is refused")
}

/// A signature at 64 with these inputs, outputs and doc: pointers and lengths, behind the discriminant of the result.
fn signature(discriminant: u8, lists: [u32; 6]) -> String {
    let bytes: Vec<u8> =
        [discriminant, 0, 0, 0].into_iter().chain(lists.into_iter().flat_map(u32::to_le_bytes)).collect();
    let text: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const 64) \"{text}\")")
}

#[test]
fn pointers_out_of_memory_and_bad_discriminants_are_refused() {
    const HUGE: u32 = 0x7fff_ffff;
    let at_64 = "i32.const 64";
    for (what, gives, data) in [
        ("a result out of memory", "i32.const -16", String::new()),
        ("a result that ends out of memory", "i32.const 65532", String::new()),
        ("a result that is not aligned", "i32.const 65", signature(0, [0; 6])),
        ("a result that is neither", at_64, signature(2, [0; 6])),
        ("inputs out of memory", at_64, signature(0, [65_532, 2, 0, 0, 0, 0])),
        ("more inputs than memory", at_64, signature(0, [0, HUGE, 0, 0, 0, 0])),
        ("inputs that are not aligned", at_64, signature(0, [65, 1, 0, 0, 0, 0])),
        ("a doc out of memory", at_64, signature(0, [0, 0, 0, 0, 65_535, 2])),
        ("a failure out of memory", at_64, signature(1, [65_535, HUGE, 0, 0, 0, 0])),
    ] {
        let error = refusal(&component(gives, &data, ""), &TransformLimits::default());
        assert!(matches!(error, EngineError::Describe(_)), "{what}: {error}");
        let text = error.to_string();
        assert!(text.starts_with("`describe` failed: broke the contract: "), "{what}: {text}");
    }
    // The same answer, right: only its meaning is refused.
    let error = refusal(&component(at_64, &signature(0, [0; 6]), ""), &TransformLimits::default());
    assert_eq!(error.to_string(), "`describe` gives a signature that is refused: the signature has no output");
}

#[test]
fn a_doc_that_is_not_utf8_is_refused() {
    let data = signature(0, [0, 0, 0, 0, 32, 1]) + r#"(data (i32.const 32) "\ff")"#;
    let text = refusal(&component("i32.const 64", &data, ""), &TransformLimits::default()).to_string();
    assert!(text.starts_with("`describe` failed: broke the contract: ") && text.contains("utf-8"), "{text}");
}

/// `apply` traps, and so does the row.
#[test]
fn an_instance_that_dies_at_once_fails_its_row() {
    // One output `a`, a boolean that is never null: name (pointer, length), data type (discriminant, payload), nullable, doc.
    let field = r#"(data (i32.const 128) "\20\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00") (data (i32.const 32) "a")"#;
    let bytes = component("i32.const 64", &(signature(0, [0, 0, 128, 1, 0, 0]) + field), "");
    let component = engine().load(&bytes, NanMode::Boundary).unwrap();
    let transform = component.bind(&Parameters::new(), &TransformLimits::default()).unwrap();
    let names: Vec<_> = transform.signature().outputs.iter().map(|field| field.name.as_str()).collect();
    assert_eq!((names, transform.signature().inputs.len()), (vec!["a"], 0));
    let rows = arrow_array::RecordBatchOptions::new().with_row_count(Some(3));
    let inputs =
        arrow_array::RecordBatch::try_new_with_options(transform.signature().input_schema(), vec![], &rows).unwrap();
    let outcome = transform.apply(&inputs).unwrap();
    let trapped = "trapped: unreachable code reached, which is how a panic or an abort ends";
    assert_eq!(outcome.failures.iter().map(|failure| failure.message.as_str()).collect::<Vec<_>>(), [trapped; 3]);
    assert_eq!(outcome.outputs.num_rows(), 3);
}
