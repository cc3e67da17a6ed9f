//! The contract for languages in which a list of numbers would cross as one object for each number.
//!
//! QuickJS's binding makes an array of a `list<f64>`, and of a `list<s64>` one that loses all beyond 2^53; only a `list<u8>` crosses as
//! one copy. So such a language is given a form of the contract in which every list of numbers is a list of bytes ([`contract`]), and what
//! it makes is wrapped ([`wrap`]) into a component of the contract itself: an adapter around it rewrites the lengths of lists, and copies
//! nothing. The result imports nothing, as any transform.

use std::path::Path;

use wasm_compose::composer::ComponentComposer;
use wasm_compose::config::{Config, Dependency};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::{BuildError, contract};

/// The world that is implemented in bytes. It exports one interface, [`INTERFACE`].
pub(crate) const WORLD: &str = "transform";

/// What a component in bytes exports: types and both functions, in one interface, so that it imports nothing, not even types.
const INTERFACE: &str = "tandem:bytes/calls@0.1.0";

/// Lists that cross as bytes.
const NUMBERS: [&str; 4] = ["list<u32>", "list<s64>", "list<f32>", "list<f64>"];

/// Calls from the contract to the contract in bytes.
const ADAPTER: &str = include_str!("bytes/adapter.wat");

const ADAPTER_WORLD: &str = "package tandem:adapter;\n\nworld adapter {\n  include tandem:feature/transform@0.1.0;\n  \
                             import tandem:bytes/calls@0.1.0;\n}\n";

/// The contract in bytes: every list of numbers is a `list<u8>` of little-endian numbers, and so is the integer of a parameter, since some
/// of these languages have no integers of 64 bits.
pub(crate) fn contract() -> String {
    let (types, world) = contract::TEXT.split_once("\nworld transform {").expect("the contract has its world");
    let (world, _) = world.split_once("\n}").expect("the world ends");
    let (_, types) = types.split_once("package tandem:feature@0.1.0;").expect("the contract has its package");
    let is_inside = |line: &&str| {
        let frame = line.starts_with("interface ") || *line == "}" || line.trim_start().starts_with("use ");
        !frame && !line.trim_start().starts_with("///")
    };
    let functions = world.lines().filter_map(|line| line.trim_start().strip_prefix("export "));
    let lines: Vec<&str> = types.lines().filter(is_inside).chain(functions).collect();
    let mut text = lines.join("\n").replace("int64(s64)", "int64(list<u8>)");
    for list in NUMBERS {
        text = text.replace(list, "list<u8>");
    }
    format!("package tandem:bytes@0.1.0;\n\ninterface calls {{\n{text}\n}}\n\nworld {WORLD} {{\n  export calls;\n}}\n")
}

/// The transform of a component that exports the contract in bytes; `scratch` is a folder for files that are needed on the way.
pub(crate) fn wrap(component: &[u8], scratch: &Path) -> Result<Vec<u8>, BuildError> {
    let failed = |error: &dyn std::fmt::Display| BuildError::NotAComponent { reason: format!("{error:#}") };
    let write = |name: &str, bytes: &[u8]| {
        let file = scratch.join(name);
        std::fs::write(&file, bytes).map_err(|source| BuildError::Write { path: file.clone(), source })?;
        Ok::<_, BuildError>(file)
    };
    let inner = write("bytes.wasm", component)?;
    let outer = write("adapter.wasm", &adapter().map_err(|error| failed(&error))?)?;
    let mut config = Config::default();
    config.dependencies.insert(INTERFACE.to_owned(), Dependency { path: inner });
    ComponentComposer::new(&outer, &config).compose().map_err(|error| failed(&error))
}

/// The adapter as a component: it exports the contract and imports the one in bytes.
fn adapter() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut resolve = Resolve::default();
    resolve.push_str("feature.wit", contract::TEXT)?;
    resolve.push_str("bytes.wit", &contract())?;
    let package = resolve.push_str("adapter.wit", ADAPTER_WORLD)?;
    let world = resolve.select_world(&[package], None)?;
    let mut module = wat::parse_str(ADAPTER)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module)?;
    Ok(encoder.encode()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_list_of_numbers_is_left() {
        let text = contract();
        assert!(NUMBERS.iter().all(|list| !text.contains(list)), "{text}");
        assert!(text.contains("int64s(list<u8>)") && text.contains("offsets: list<u8>"), "{text}");
        let mut resolve = Resolve::default();
        let package = resolve.push_str("bytes.wit", &text).unwrap();
        resolve.select_world(&[package], Some(WORLD)).unwrap();
    }

    /// A list of numbers that is not known here would cross as objects, or be read with the wrong length.
    #[test]
    fn every_list_of_the_contract_is_known() {
        for (at, _) in contract::TEXT.match_indices("list<") {
            let list = contract::TEXT[at..].split_inclusive('>').next().unwrap();
            let known = NUMBERS.contains(&list) || list == "list<u8>";
            let records = ["list<field>", "list<column>", "list<row-failure>", "list<parameter>"];
            assert!(known || records.contains(&list), "{list}");
        }
    }

    #[test]
    fn the_adapter_is_a_component_of_the_contract() {
        crate::component::check_imports(&adapter().unwrap()).unwrap_err();
    }

    #[test]
    fn what_is_no_component_in_bytes_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let other = wat::parse_str("(component)").unwrap();
        assert!(matches!(wrap(&other, scratch.path()), Err(BuildError::NotAComponent { .. })));
        assert!(matches!(wrap(b"no wasm", scratch.path()), Err(BuildError::NotAComponent { .. })));
    }
}
