//! Core module to component, and what a component may import.

use std::path::Path;

use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldItem};

use crate::{BuildError, contract};

/// The component of the core module `core`, validated; `module` names it in errors.
pub(crate) fn encode(core: &[u8], module: &Path) -> Result<Vec<u8>, BuildError> {
    encode_module(core, module, None)
}

fn encode_module(core: &[u8], module: &Path, stubs: Option<(&str, &str)>) -> Result<Vec<u8>, BuildError> {
    let failed = |error: &dyn std::fmt::Display| BuildError::Encode {
        module: module.to_path_buf(),
        // `{:#}` has the chain of causes in one line.
        reason: format!("{error:#}"),
    };
    // The SDK leaves the contract's types in a custom section; a module without it would become an empty component.
    let (with_type, _) = wit_component::metadata::decode(core).map_err(|error| failed(&error))?;
    if with_type.is_none() {
        return Err(BuildError::NotATransform { module: module.to_path_buf() });
    }
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(core).map_err(|error| failed(&error))?;
    if let Some((name, text)) = stubs {
        let stubs = wat::parse_str(text).map_err(|error| failed(&error))?;
        encoder.adapter(name, &stubs).map_err(|error| failed(&error))?;
    }
    encoder.encode().map_err(|error| failed(&error))
}

/// As [`encode`], of a module that has the contract's functions but does not say that they are: compiled from C.
pub(crate) fn encode_of_contract(core: &[u8], module: &Path) -> Result<Vec<u8>, BuildError> {
    encode_with_stubs(core, module, None)
}

/// As [`encode_of_contract`], with a module (in WebAssembly text) in place of what the core module imports by this name.
pub(crate) fn encode_with_stubs(
    core: &[u8],
    module: &Path,
    stubs: Option<(&str, &str)>,
) -> Result<Vec<u8>, BuildError> {
    let with_contract = || {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("feature.wit", contract::TEXT)?;
        let world = resolve.select_world(&[package], Some(contract::WORLD))?;
        let mut core = core.to_vec();
        embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8, false)?;
        Ok::<_, Box<dyn std::error::Error>>(core)
    };
    let core = with_contract()
        .map_err(|error| BuildError::Encode { module: module.to_path_buf(), reason: format!("{error:#}") })?;
    encode_module(&core, module, stubs)
}

/// Refuses a component that imports more than the contract's types.
pub(crate) fn check_imports(component: &[u8]) -> Result<(), BuildError> {
    let decoded =
        wit_component::decode(component).map_err(|error| BuildError::NotAComponent { reason: format!("{error:#}") })?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(BuildError::NotAComponent { reason: "it is a WIT package".to_owned() });
    };
    let world = &resolve.worlds[world];
    // Types are imported by name alone; what has functions, somebody must give.
    let asks = |item: &WorldItem| match item {
        WorldItem::Interface { id, .. } => !resolve.interfaces[*id].functions.is_empty(),
        WorldItem::Function(_) => true,
        WorldItem::Type { .. } => false,
    };
    let imports = world.imports.iter().filter(|(_, item)| asks(item));
    let imports: Vec<String> = imports.map(|(key, _)| resolve.name_world_key(key)).collect();
    if imports.is_empty() { Ok(()) } else { Err(BuildError::Imports { imports }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_refused_by_name() {
        let clock = wat::parse_str(
            "(component (import \"wasi:clocks/wall-clock@0.2.0\" (instance (export \"now\" (func (result u64))))) \
             (import \"log\" (func (param \"text\" string))))",
        );
        let error = check_imports(&clock.unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the component imports wasi:clocks/wall-clock@0.2.0, log; a transform imports nothing"
        );
        let types = "(component (import \"tandem:feature/columns@0.1.0\" (instance (type $b u8) (export \"t\" (type (eq $b))))))";
        assert!(check_imports(&wat::parse_str(types).unwrap()).is_ok());
        assert!(check_imports(&wat::parse_str("(component)").unwrap()).is_ok());
        assert!(matches!(check_imports(b"no wasm"), Err(BuildError::NotAComponent { .. })));
    }

    #[test]
    fn a_module_without_the_contract_is_refused() {
        let core = wat::parse_str("(module (func (export \"f\")))").unwrap();
        let error = encode(&core, Path::new("x.wasm")).unwrap_err();
        assert!(matches!(error, BuildError::NotATransform { .. }), "{error}");
    }

    #[test]
    fn what_is_no_module_is_refused() {
        let error = encode(b"no wasm", Path::new("x.wasm")).unwrap_err();
        assert!(matches!(error, BuildError::Encode { .. }), "{error}");
        assert!(error.to_string().starts_with("`x.wasm` cannot become a component: "), "{error}");
    }
}
