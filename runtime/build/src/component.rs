//! Core module to component.

use std::path::Path;

use wit_component::ComponentEncoder;

use crate::BuildError;

/// The component of the core module `core`, validated; `module` names it in errors.
pub(crate) fn encode(core: &[u8], module: &Path) -> Result<Vec<u8>, BuildError> {
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
    encoder.encode().map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

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
