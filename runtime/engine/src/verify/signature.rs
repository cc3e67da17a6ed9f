//! The signature, asked for again.

use tandem_core::limits::TransformLimits;
use tandem_core::parameter::Parameters;
use tandem_core::types::{Field, Signature};

use super::plan::taken;
use super::report::{Check, Compared, Difference};
use super::sample::Gathered;
use crate::component::Component;
use crate::error::EngineError;
use crate::transform::Transform;

/// What came of the comparison, and the transforms of the other profiles.
type Bound = (Compared, [Option<Transform>; 2]);

/// Signatures against the first one.
struct Comparison<'a> {
    first: &'a Signature,
    compared: Compared,
}

/// Binds the other profiles, and compares what each `describe` says: of a fresh instance, once more of the same one, after a call, of the
/// other profiles. The inner error is a difference.
pub(super) fn bind(
    main: &Transform,
    [strict, interpreted]: [Option<&Component>; 2],
    parameters: &Parameters,
    limits: &TransformLimits,
    rows: &Gathered,
) -> Result<Result<Bound, (Compared, Difference)>, EngineError> {
    let mut comparison = Comparison { first: main.signature(), compared: Compared::new(Check::Signature, None) };
    let mut instance = main.instance()?;
    let mut found = comparison.differs("asked of a second instance", instance.describe())?;
    if found.is_none() {
        found = comparison.differs("asked of one instance a second time", instance.describe())?;
    }
    if found.is_none()
        && rows.inputs.num_rows() > 0
        && let Some(mut instance) = instance.apply(&taken(&rows.inputs, &[0])?)?
    {
        found = comparison.differs("asked after a call of `apply`", instance.describe())?;
    }
    let mut transforms = [None, None];
    let profiles = [(strict, "with canonical NaNs after each instruction"), (interpreted, "on the interpreter")];
    for (place, (component, when)) in std::iter::zip(&mut transforms, profiles) {
        let Some(component) = component.filter(|_| found.is_none()) else { continue };
        let signature = match component.bind(parameters, limits) {
            Ok(transform) => Ok(place.insert(transform).signature().clone()),
            Err(error) => Err(error),
        };
        found = comparison.differs(when, signature)?;
    }
    let compared = comparison.compared;
    Ok(match found {
        Some(difference) => Err((compared, difference)),
        None => Ok((compared, transforms)),
    })
}

impl Comparison<'_> {
    fn differs(
        &mut self,
        when: &'static str,
        signature: Result<Signature, EngineError>,
    ) -> Result<Option<Difference>, EngineError> {
        self.compared.calls += 1;
        let what = match signature {
            Ok(signature) => first_difference(self.first, &signature),
            // The first answer was a signature: that this one is none is the component's doing.
            Err(
                error @ (EngineError::Describe(_)
                | EngineError::Instantiate(_)
                | EngineError::Signature(_)
                | EngineError::TooManyFields { .. }),
            ) => Some(error.to_string()),
            Err(error) => return Err(error),
        };
        self.compared.different += u64::from(what.is_some());
        Ok(what.map(|what| Difference::Signature { when, what }))
    }
}

/// What a person needs to hear of two signatures.
fn first_difference(first: &Signature, other: &Signature) -> Option<String> {
    for (side, first, other) in [("input", &first.inputs, &other.inputs), ("output", &first.outputs, &other.outputs)] {
        if first.len() != other.len() {
            return Some(format!("{} {side}s, then {}", first.len(), other.len()));
        }
        let pair = std::iter::zip(first, other).enumerate().find(|(_, (first, other))| first != other);
        if let Some((index, (first, other))) = pair {
            return Some(format!("{side} {index} is {}, then {}", shown(first), shown(other)));
        }
    }
    (first.doc != other.doc).then(|| "the doc is another".to_owned())
}

fn shown(field: &Field) -> String {
    let nullable = if field.nullable { "nullable " } else { "" };
    // The name is a guest's: it may be anything.
    format!("{:?}, a {nullable}{} ({:?})", field.name, field.data_type, field.doc)
}
