//! One instance: a store with its limits, and the two raw calls.

use wasmtime::{ResourceLimiter, Store};

use crate::aggregate::Loaded as AggregateLoaded;
use crate::bindings::Transform as Exports;
use crate::bindings::aggregate::Aggregate as AggregateExports;
use crate::bindings::aggregate::exports::tandem::feature::aggregation::Guest as Aggregation;
use crate::bindings::tandem::feature::columns::{ColumnParam, ColumnResult, VarBytesParam, VarBytesResult};
use crate::bindings::tandem::feature::{outcomes, signatures};
use crate::call::{CallError, LimitName};
use crate::component::Loaded;
use crate::engine::ticks;
use crate::error::EngineError;
use crate::options::{CORE_INSTANCES_MAX, EngineOptions, MEMORIES_MAX, TABLES_MAX};
use tandem_core::limits::TransformLimits;

/// What a store carries: the limits on growth.
pub(crate) struct State {
    memory_bytes: u64,
    memory_bytes_max: u64,
    table_elements: u64,
    table_elements_max: u64,
}

/// A limit on growth was crossed; travels through wasmtime as the cause of the trap.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{limit} is {max}, asked for {asked}")]
pub(crate) struct LimitHit {
    pub(crate) limit: LimitName,
    pub(crate) max: u64,
    pub(crate) asked: u64,
}

impl State {
    fn new(limits: &TransformLimits) -> Self {
        State {
            memory_bytes: 0,
            memory_bytes_max: limits.memory_bytes_max,
            table_elements: 0,
            table_elements_max: limits.table_elements_max,
        }
    }
}

// The limits count all memories and all tables of the instance together. Crossing one traps: an answer of -1 would let a guest's result
// depend on how much it was given.
impl ResourceLimiter for State {
    // The pool refuses components beyond these when they are compiled; without a pool it is the store that does.
    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX as usize
    }

    fn tables(&self) -> usize {
        TABLES_MAX as usize
    }

    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.memory_bytes.saturating_add((desired - current) as u64);
        if asked > self.memory_bytes_max {
            let max = self.memory_bytes_max;
            return Err(LimitHit { limit: LimitName::MemoryBytes, max, asked }.into());
        }
        self.memory_bytes = asked;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error) // a trap, never -1
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.table_elements.saturating_add((desired - current) as u64);
        if asked > self.table_elements_max {
            let max = self.table_elements_max;
            return Err(LimitHit { limit: LimitName::TableElements, max, asked }.into());
        }
        self.table_elements = asked;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(error)
    }
}

/// A live instance. After any error it is dead: drop it.
pub(crate) struct Instance {
    store: Store<State>,
    exports: Exports,
    stack_bytes_max: u64,
    /// Calls of `apply` so far.
    calls: u32,
}

impl Instance {
    /// Instantiates the component; its start functions run under the base fuel.
    pub(crate) fn new(loaded: &Loaded, limits: &TransformLimits) -> Result<Instance, EngineError> {
        let options = loaded.engine.options();
        let mut store = Store::new(loaded.pre.engine(), State::new(limits));
        store.limiter(|state| state);
        arm(&mut store, limits.fuel_base, limits);
        let exports = loaded.pre.instantiate(&mut store);
        let exports = exports.map_err(|error| not_instantiated(&error, options, limits))?;
        Ok(Instance { store, exports, stack_bytes_max: options.stack_bytes_max, calls: 0 })
    }

    /// Calls `describe`.
    pub(crate) fn describe(
        &mut self,
        parameters: &[signatures::Parameter<'_>],
        limits: &TransformLimits,
    ) -> Result<signatures::Signature, CallError> {
        arm(&mut self.store, limits.fuel_base, limits);
        let answer = self.exports.call_describe(&mut self.store, parameters);
        self.answer(answer, limits.fuel_base, limits)
    }

    /// Calls `apply` on so many rows. Also gives the fuel that the call used.
    pub(crate) fn apply(
        &mut self,
        parameters: &[signatures::Parameter<'_>],
        rows: u32,
        inputs: &[ColumnParam<'_>],
        limits: &TransformLimits,
    ) -> Result<(outcomes::Outcome, u64), CallError> {
        let fuel = limits.fuel_base.saturating_add(u64::from(rows).saturating_mul(limits.fuel_per_row));
        arm(&mut self.store, fuel, limits);
        self.calls = self.calls.saturating_add(1);
        let answer = self.exports.call_apply(&mut self.store, parameters, rows, inputs);
        let outcome = self.answer(answer, fuel, limits)?;
        let left = self.store.get_fuel().expect("fuel is on");
        Ok((outcome, fuel - left))
    }

    /// Calls of `apply` so far.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// Bytes of its memories.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.store.data().memory_bytes
    }

    fn answer<T>(
        &self,
        answer: wasmtime::Result<Result<T, outcomes::Failure>>,
        fuel: u64,
        limits: &TransformLimits,
    ) -> Result<T, CallError> {
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) => Err(CallError::Failure(bounded_message(failure.message, limits))),
            Err(error) => Err(CallError::from_wasmtime(
                &error,
                fuel,
                limits.call_seconds_max,
                self.stack_bytes_max,
                limits.output_bytes_max,
            )),
        }
    }
}

/// A live instance of a component that computes a function of aggregates. After any error it is dead: drop it.
pub(crate) struct AggregateInstance {
    store: Store<State>,
    exports: AggregateExports,
    stack_bytes_max: u64,
}

impl AggregateInstance {
    /// Instantiates the component; its start functions run under the base fuel.
    pub(crate) fn new(loaded: &AggregateLoaded, limits: &TransformLimits) -> Result<AggregateInstance, EngineError> {
        let options = loaded.engine.options();
        let mut store = Store::new(loaded.pre.engine(), State::new(limits));
        store.limiter(|state| state);
        arm(&mut store, limits.fuel_base, limits);
        let exports = loaded.pre.instantiate(&mut store);
        let exports = exports.map_err(|error| not_instantiated(&error, options, limits))?;
        Ok(AggregateInstance { store, exports, stack_bytes_max: options.stack_bytes_max })
    }

    pub(crate) fn describe(
        &mut self,
        parameters: &[signatures::Parameter<'_>],
        limits: &TransformLimits,
    ) -> Result<signatures::Signature, CallError> {
        self.call(0, limits, |exports, store| exports.call_describe(store, parameters))
    }

    pub(crate) fn empty(
        &mut self,
        parameters: &[signatures::Parameter<'_>],
        limits: &TransformLimits,
    ) -> Result<Vec<u8>, CallError> {
        self.call(0, limits, |exports, store| exports.call_empty(store, parameters))
    }

    pub(crate) fn add(
        &mut self,
        parameters: &[signatures::Parameter<'_>],
        states: VarBytesParam<'_>,
        groups: &[u32],
        inputs: &[ColumnParam<'_>],
        rows: u64,
        limits: &TransformLimits,
    ) -> Result<VarBytesResult, CallError> {
        self.call(rows, limits, |exports, store| exports.call_add(store, parameters, states, groups, inputs))
    }

    pub(crate) fn merge(
        &mut self,
        parameters: &[signatures::Parameter<'_>],
        states: VarBytesParam<'_>,
        others: VarBytesParam<'_>,
        rows: u64,
        limits: &TransformLimits,
    ) -> Result<VarBytesResult, CallError> {
        self.call(rows, limits, |exports, store| exports.call_merge(store, parameters, states, others))
    }

    pub(crate) fn finish(
        &mut self,
        parameters: &[signatures::Parameter<'_>],
        states: VarBytesParam<'_>,
        at: &[i64],
        limits: &TransformLimits,
    ) -> Result<ColumnResult, CallError> {
        self.call(at.len() as u64, limits, |exports, store| exports.call_finish(store, parameters, states, at))
    }

    /// A call with fuel for so many events and states.
    fn call<T>(
        &mut self,
        rows: u64,
        limits: &TransformLimits,
        call: impl FnOnce(&Aggregation, &mut Store<State>) -> wasmtime::Result<Result<T, outcomes::Failure>>,
    ) -> Result<T, CallError> {
        let fuel = limits.fuel_base.saturating_add(rows.saturating_mul(limits.fuel_per_row));
        arm(&mut self.store, fuel, limits);
        match call(self.exports.tandem_feature_aggregation(), &mut self.store) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) => Err(CallError::Failure(bounded_message(failure.message, limits))),
            Err(error) => {
                let (seconds, output) = (limits.call_seconds_max, limits.output_bytes_max);
                Err(CallError::from_wasmtime(&error, fuel, seconds, self.stack_bytes_max, output))
            }
        }
    }
}

fn not_instantiated(error: &wasmtime::Error, options: &EngineOptions, limits: &TransformLimits) -> EngineError {
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return EngineError::InstancesExhausted { max: options.instances_max };
    }
    EngineError::Instantiate(CallError::from_wasmtime(
        error,
        limits.fuel_base,
        limits.call_seconds_max,
        options.stack_bytes_max,
        limits.output_bytes_max,
    ))
}

fn arm(store: &mut Store<State>, fuel: u64, limits: &TransformLimits) {
    store.set_fuel(fuel).expect("fuel is on");
    store.set_epoch_deadline(ticks(limits.call_seconds_max));
    store.set_hostcall_fuel(usize::try_from(limits.output_bytes_max).unwrap_or(usize::MAX));
}

/// An author's message, cut to the limit at a character's edge; control characters but line breaks and tabs become U+FFFD.
pub(crate) fn bounded_message(message: String, limits: &TransformLimits) -> String {
    let max = usize::try_from(limits.message_bytes_max).unwrap_or(usize::MAX);
    let end = message.floor_char_boundary(max);
    let cut = end < message.len();
    let mut text: String = message[..end]
        .chars()
        .map(|c| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c })
        .collect();
    if cut {
        text.push('…');
    }
    text
}
