//! A loaded component, and its parameters.

use std::sync::Arc;

use tandem_core::hash::Digest;
use tandem_core::limits::TransformLimits;
use tandem_core::parameter::{ParameterValue, Parameters};
use tandem_core::types::Signature;
use wasmtime::component::{Component as WasmComponent, Linker};

use crate::bindings::TransformPre;
use crate::bindings::tandem::feature::{columns, signatures};
use crate::cache::CacheEvent;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::instance::{Instance, State};
use crate::lower::offsets_and_bytes;
use crate::signature;
use crate::transform::Transform;

/// A component that imports nothing and exports the contract, compiled. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    pub(crate) shared: Arc<Loaded>,
}

pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    pub(crate) digest: Digest,
    pub(crate) pre: TransformPre<State>,
    cache_event: CacheEvent,
}

impl Component {
    pub(crate) fn new(
        engine: Engine,
        digest: Digest,
        component: &WasmComponent,
        cache_event: CacheEvent,
    ) -> Result<Component, EngineError> {
        let refuse = |error: wasmtime::Error| EngineError::NotATransform { reason: format!("{error:#}") };
        // Nothing is defined in the linker: what links against it imports nothing.
        let linker = Linker::<State>::new(component.engine());
        let pre = linker.instantiate_pre(component).map_err(refuse)?;
        let pre = TransformPre::new(pre).map_err(refuse)?;
        Ok(Component { shared: Arc::new(Loaded { engine, digest, pre, cache_event }) })
    }

    /// SHA-256 of its bytes: its name.
    pub fn digest(&self) -> Digest {
        self.shared.digest
    }

    /// Whether its code came from the cache.
    pub fn cache_event(&self) -> CacheEvent {
        self.shared.cache_event
    }

    /// Gives it its parameters and asks for its signature. Blocking.
    ///
    /// # Errors
    ///
    /// Parameters that it refuses, a signature that breaks the contract's rules, a crossed limit.
    pub fn bind(&self, parameters: &Parameters, limits: &TransformLimits) -> Result<Transform, EngineError> {
        let lowered = LoweredParameters::new(parameters);
        let mut instance = Instance::new(&self.shared, limits)?;
        let described = instance.describe(&lowered.borrow(), limits).map_err(EngineError::Describe)?;
        let signature = signature::lift(described, limits)?;
        signature.check()?;
        Ok(Transform::new(self.clone(), lowered, signature, limits.clone()))
    }

    /// As [`Component::bind`], with the signature that the component declared under these parameters before: it is not asked again. What it
    /// returns is held against that signature as ever.
    ///
    /// # Errors
    ///
    /// A signature that breaks the contract's rules.
    pub fn bind_described(
        &self,
        parameters: &Parameters,
        limits: &TransformLimits,
        signature: Signature,
    ) -> Result<Transform, EngineError> {
        signature.check()?;
        Ok(Transform::new(self.clone(), LoweredParameters::new(parameters), signature, limits.clone()))
    }
}

/// Parameters in the contract's layout.
pub(crate) struct LoweredParameters(Vec<(String, LoweredValue)>);

enum LoweredValue {
    Boolean(bool),
    Int64(i64),
    Float64(f64),
    Text(String),
    Int64s(Vec<i64>),
    Float64s(Vec<f64>),
    Timestamps(Vec<i64>),
    Texts { offsets: Vec<u32>, data: Vec<u8> },
}

impl LoweredParameters {
    pub(crate) fn new(parameters: &Parameters) -> Self {
        let lower = |value: &ParameterValue| match value {
            ParameterValue::Boolean(value) => LoweredValue::Boolean(*value),
            ParameterValue::Int64(value) => LoweredValue::Int64(*value),
            ParameterValue::Float64(value) => LoweredValue::Float64(*value),
            ParameterValue::Text(text) => LoweredValue::Text(text.clone()),
            ParameterValue::Int64s(values) => LoweredValue::Int64s(values.clone()),
            ParameterValue::Float64s(values) => LoweredValue::Float64s(values.clone()),
            ParameterValue::Timestamps(values) => LoweredValue::Timestamps(values.iter().map(|time| time.0).collect()),
            ParameterValue::Texts(texts) => {
                let (offsets, data) = offsets_and_bytes(texts);
                LoweredValue::Texts { offsets, data }
            }
        };
        LoweredParameters(parameters.iter().map(|(name, value)| (name.clone(), lower(value))).collect())
    }

    /// The parameters as a call takes them, sorted by name.
    pub(crate) fn borrow(&self) -> Vec<signatures::Parameter<'_>> {
        self.0.iter().map(|(name, value)| signatures::Parameter { name, value: value.borrow() }).collect()
    }
}

impl LoweredValue {
    fn borrow(&self) -> signatures::ParameterValue<'_> {
        use signatures::ParameterValue as To;
        match self {
            LoweredValue::Boolean(value) => To::Boolean(*value),
            LoweredValue::Int64(value) => To::Int64(*value),
            LoweredValue::Float64(value) => To::Float64(*value),
            LoweredValue::Text(text) => To::Text(text),
            LoweredValue::Int64s(values) => To::Int64s(values),
            LoweredValue::Float64s(values) => To::Float64s(values),
            LoweredValue::Timestamps(values) => To::Timestamps(values),
            LoweredValue::Texts { offsets, data } => To::Texts(columns::VarBytesParam { offsets, data }),
        }
    }
}
