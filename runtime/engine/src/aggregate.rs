//! Functions of aggregates that components compute: states in, states and values out. Nothing that comes back is believed.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_select::concat::concat;
use tandem_core::hash::{Digest, parameters_digest};
use tandem_core::limits::TransformLimits;
use tandem_core::model::CodeError;
use tandem_core::parameter::Parameters;
use tandem_core::time::Timestamp;
use tandem_core::types::{Field, Signature};
use tandem_core::window::{AggregateFunction, Given};
use wasmtime::component::{Component as WasmComponent, Linker};

use crate::bindings::aggregate::AggregatePre;
use crate::bindings::tandem::feature::columns as wit;
use crate::call::CallError;
use crate::component::LoweredParameters;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::instance::{AggregateInstance, State};
use crate::lift::lift_one;
use crate::lower::{LoweredColumn, lower};
use crate::signature;

/// A component that computes a function of aggregates, compiled. Cheap to clone.
#[derive(Clone)]
pub struct AggregateComponent {
    shared: Arc<Loaded>,
}

pub(crate) struct Loaded {
    pub(crate) engine: Engine,
    digest: Digest,
    pub(crate) pre: AggregatePre<State>,
}

impl AggregateComponent {
    pub(crate) fn new(engine: Engine, digest: Digest, component: &WasmComponent) -> Result<Self, EngineError> {
        let refuse = |error: wasmtime::Error| EngineError::NotAnAggregate { reason: format!("{error:#}") };
        let linker = Linker::<State>::new(component.engine());
        let pre = linker.instantiate_pre(component).map_err(refuse)?;
        let pre = AggregatePre::new(pre).map_err(refuse)?;
        Ok(AggregateComponent { shared: Arc::new(Loaded { engine, digest, pre }) })
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> Digest {
        self.shared.digest
    }

    /// Gives it its parameters and asks for its signature; its states may have so many bytes. Blocking.
    ///
    /// # Errors
    ///
    /// Parameters that it refuses, a signature that breaks the contract's rules, a crossed limit.
    pub fn bind(
        &self,
        parameters: &Parameters,
        limits: &TransformLimits,
        state_bytes_max: u64,
    ) -> Result<Aggregate, EngineError> {
        let lowered = LoweredParameters::new(parameters);
        let mut instance = AggregateInstance::new(&self.shared, limits)?;
        let described = instance.describe(&lowered.borrow(), limits).map_err(EngineError::Describe)?;
        let signature = signature::lift(described, limits)?;
        self.bind_described(parameters, limits, state_bytes_max, signature)
    }

    /// As [`AggregateComponent::bind`], with the signature that the component declared under these parameters before.
    ///
    /// # Errors
    ///
    /// A signature that breaks the contract's rules.
    pub fn bind_described(
        &self,
        parameters: &Parameters,
        limits: &TransformLimits,
        state_bytes_max: u64,
        signature: Signature,
    ) -> Result<Aggregate, EngineError> {
        signature.check()?;
        let mut named = self.digest().0.to_vec();
        named.extend(parameters_digest(parameters).0);
        let Digest(digest) = Digest::of(&named);
        Ok(Aggregate {
            shared: Arc::new(Bound {
                component: Arc::clone(&self.shared),
                parameters: LoweredParameters::new(parameters),
                signature,
                limits: limits.clone(),
                state_bytes_max,
                identity: std::array::from_fn(|byte| digest[byte]),
            }),
        })
    }
}

/// A component with its parameters: a function of aggregates. Cheap to clone.
#[derive(Clone)]
pub struct Aggregate {
    shared: Arc<Bound>,
}

struct Bound {
    component: Arc<Loaded>,
    parameters: LoweredParameters,
    signature: Signature,
    limits: TransformLimits,
    state_bytes_max: u64,
    identity: [u8; 8],
}

impl Aggregate {
    /// What it takes and gives.
    pub fn signature(&self) -> &Signature {
        &self.shared.signature
    }

    /// SHA-256 of the component.
    pub fn digest(&self) -> Digest {
        self.shared.component.digest
    }

    /// An instance that lives through several calls.
    pub fn session(&self) -> AggregateSession {
        AggregateSession { bound: Arc::clone(&self.shared), instance: None }
    }
}

/// Calls that share an instance; after one that fails the next has a fresh one. All calls are blocking.
pub struct AggregateSession {
    bound: Arc<Bound>,
    instance: Option<AggregateInstance>,
}

/// States behind offsets, as they cross.
struct States {
    offsets: Vec<u32>,
    data: Vec<u8>,
}

impl States {
    fn new<S: AsRef<[u8]>>(states: &[S]) -> Result<States, EngineError> {
        let mut offsets = vec![0];
        let mut data = Vec::new();
        for state in states {
            data.extend(state.as_ref());
            let end = u32::try_from(data.len());
            offsets.push(end.map_err(|_| EngineError::Inputs("the states have more than 4 GiB".to_owned()))?);
        }
        Ok(States { offsets, data })
    }

    fn borrow(&self) -> wit::VarBytesParam<'_> {
        wit::VarBytesParam { offsets: &self.offsets, data: &self.data }
    }
}

impl AggregateSession {
    /// The state of no events.
    ///
    /// # Errors
    ///
    /// The call failed, or what it gave is no state.
    pub fn empty(&mut self) -> Result<Vec<u8>, EngineError> {
        let (bound, mut instance) = self.begin()?;
        let state = instance.empty(&bound.parameters.borrow(), &bound.limits).and_then(|state| {
            check_bytes(&state, bound.state_bytes_max)?;
            Ok(state)
        });
        self.end("empty", instance, state)
    }

    /// Adds events to states: `groups` has for each event the position of its state.
    ///
    /// # Errors
    ///
    /// The call failed, or what it gave are no states; columns that are not the signature's.
    pub fn add<S: AsRef<[u8]>>(
        &mut self,
        states: &[S],
        groups: &[u32],
        events: &[ArrayRef],
    ) -> Result<Vec<Vec<u8>>, EngineError> {
        let given = States::new(states)?;
        let (bound, mut instance) = self.begin()?;
        let columns = std::iter::zip(&bound.signature.inputs, events).map(|(field, array)| lower(field, array));
        let columns: Vec<LoweredColumn> = columns.collect::<Result<_, _>>()?;
        let columns: Vec<_> = columns.iter().map(LoweredColumn::borrow).collect();
        let rows = (groups.len() + states.len()) as u64;
        let parameters = bound.parameters.borrow();
        let answer = instance.add(&parameters, given.borrow(), groups, &columns, rows, &bound.limits);
        let answer = answer.and_then(|answer| lift_states(answer, states.len(), bound.state_bytes_max));
        self.end("add", instance, answer)
    }

    /// Merges states, pair by pair.
    ///
    /// # Errors
    ///
    /// As [`AggregateSession::add`].
    pub fn merge<S: AsRef<[u8]>, T: AsRef<[u8]>>(
        &mut self,
        states: &[S],
        others: &[T],
    ) -> Result<Vec<Vec<u8>>, EngineError> {
        let (given, others) = (States::new(states)?, States::new(others)?);
        let (bound, mut instance) = self.begin()?;
        let rows = 2 * states.len() as u64;
        let parameters = bound.parameters.borrow();
        let answer = instance.merge(&parameters, given.borrow(), others.borrow(), rows, &bound.limits);
        let answer = answer.and_then(|answer| lift_states(answer, states.len(), bound.state_bytes_max));
        self.end("merge", instance, answer)
    }

    /// The values of states, each at its instant.
    ///
    /// # Errors
    ///
    /// The call failed, or what it gave are no values of the signature's output.
    pub fn finish<S: AsRef<[u8]>>(&mut self, states: &[S], at: &[Timestamp]) -> Result<ArrayRef, EngineError> {
        let given = States::new(states)?;
        let at: Vec<i64> = at.iter().map(|at| at.0).collect();
        let (bound, mut instance) = self.begin()?;
        let parameters = bound.parameters.borrow();
        let answer = instance.finish(&parameters, given.borrow(), &at, &bound.limits);
        let value = answer.and_then(|answer| match bound.signature.outputs.first() {
            Some(output) => lift_one(answer, output, states.len()),
            None => Err(CallError::Violation("the signature has no output".to_owned())),
        });
        self.end("finish", instance, value)
    }

    fn begin(&mut self) -> Result<(Arc<Bound>, AggregateInstance), EngineError> {
        let bound = Arc::clone(&self.bound);
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => AggregateInstance::new(&bound.component, &bound.limits)?,
        };
        Ok((bound, instance))
    }

    /// Keeps the instance where its call succeeded.
    fn end<T>(
        &mut self,
        call: &'static str,
        instance: AggregateInstance,
        answer: Result<T, CallError>,
    ) -> Result<T, EngineError> {
        if answer.is_ok() {
            self.instance = Some(instance);
        }
        answer.map_err(|source| EngineError::Aggregate { call, source })
    }
}

/// The name of the limit of a state's bytes.
pub(crate) const STATE_LIMIT: &str = "state_bytes_max";

fn check_bytes(state: &[u8], max: u64) -> Result<(), CallError> {
    match state.len() as u64 {
        bytes if bytes > max => {
            Err(CallError::Violation(format!("a state has {bytes} bytes; the limit {STATE_LIMIT} is {max}")))
        }
        _ => Ok(()),
    }
}

fn lift_states(answer: wit::VarBytesResult, count: usize, max: u64) -> Result<Vec<Vec<u8>>, CallError> {
    let violation = |what: String| CallError::Violation(what);
    let wit::VarBytesResult { offsets, data } = answer;
    if offsets.len() != count + 1 {
        return Err(violation(format!("{} offsets for {count} states, not {}", offsets.len(), count + 1)));
    }
    if offsets[0] != 0 || offsets[count] as usize != data.len() {
        let (first, last) = (offsets[0], offsets[count]);
        return Err(violation(format!("offsets from {first} to {last} of states of {} bytes", data.len())));
    }
    let state = |(index, ends): (usize, &[u32])| {
        let bytes = data.get(ends[0] as usize..ends[1] as usize);
        let bytes = bytes.ok_or_else(|| violation(format!("state {index} lies from {} to {}", ends[0], ends[1])))?;
        check_bytes(bytes, max)?;
        Ok(bytes.to_vec())
    };
    offsets.windows(2).enumerate().map(state).collect()
}

impl AggregateFunction for Aggregate {
    fn identity(&self) -> [u8; 8] {
        self.shared.identity
    }

    fn inputs(&self) -> &[Field] {
        &self.shared.signature.inputs
    }

    fn state(&self, states: &[&[u8]], events: &[ArrayRef]) -> Result<Vec<u8>, CodeError> {
        condense(&mut self.session(), states, events).map_err(|error| CodeError(Box::new(error)))
    }

    fn value(&self, states: &[&[u8]], events: &[ArrayRef], at: Timestamp) -> Result<ArrayRef, CodeError> {
        let mut session = self.session();
        let value = condense(&mut session, states, events).and_then(|state| session.finish(&[state], &[at]));
        value.map_err(|error| CodeError(Box::new(error)))
    }

    fn states(&self, given: &[Given<'_>]) -> Vec<Result<Vec<u8>, CodeError>> {
        let refs: Vec<&Given<'_>> = given.iter().collect();
        let together = |group: Range<usize>, session: &mut AggregateSession| condense_all(session, &refs[group]);
        self.in_groups(&refs, together, |one| self.state(&one.states, &one.events), given)
    }

    fn values(&self, given: &[(Given<'_>, Timestamp)]) -> Vec<Result<ArrayRef, CodeError>> {
        let refs: Vec<&Given<'_>> = given.iter().map(|(given, _)| given).collect();
        let together = |group: Range<usize>, session: &mut AggregateSession| {
            let at: Vec<Timestamp> = given[group.clone()].iter().map(|(_, at)| *at).collect();
            let states = condense_all(session, &refs[group])?;
            let values = session.finish(&states, &at)?;
            Ok((0..values.len()).map(|row| values.slice(row, 1)).collect())
        };
        self.in_groups(&refs, together, |(one, at)| self.value(&one.states, &one.events, *at), given)
    }
}

/// States, and events, that are given to a component in one call at most; one alone may have more.
const STATES_PER_CALL_MAX: usize = 1_024;

/// Bytes of states that are given to a component in one call at most; one alone may have more.
const STATE_BYTES_PER_CALL_MAX: usize = 1 << 20;

impl Aggregate {
    /// What many come to, in calls of a bounded size that they share. A group whose call fails is divided until those at fault stand alone, so that what one comes to does not
    /// depend on the others.
    fn in_groups<G, T>(
        &self,
        refs: &[&Given<'_>],
        mut together: impl FnMut(Range<usize>, &mut AggregateSession) -> Result<Vec<T>, EngineError>,
        alone: impl Fn(&G) -> Result<T, CodeError>,
        given: &[G],
    ) -> Vec<Result<T, CodeError>> {
        let (mut answers, mut most) = (Vec::with_capacity(given.len()), given.len());
        while answers.len() < given.len() {
            let first = answers.len();
            let (mut states, mut bytes) = (0, 0);
            let fits = refs[first..].iter().take(most).take_while(|one| {
                states += one.states.len().max(1) + one.events.first().map_or(0, |column| column.len());
                bytes += one.states.iter().map(|state| state.len()).sum::<usize>();
                states <= STATES_PER_CALL_MAX && bytes <= STATE_BYTES_PER_CALL_MAX
            });
            let group = first..first + fits.count().max(1);
            let count = group.len();
            if count == 1 {
                answers.push(alone(&given[first]));
            } else {
                match together(group, &mut self.session()) {
                    Ok(made) if made.len() == count => answers.extend(made.into_iter().map(Ok)),
                    _ => {
                        most = count / 2;
                        continue;
                    }
                }
            }
            most = most.saturating_mul(2);
        }
        answers
    }
}

/// One state of all.
fn condense(session: &mut AggregateSession, states: &[&[u8]], events: &[ArrayRef]) -> Result<Vec<u8>, EngineError> {
    let given = Given { states: states.to_vec(), events: events.to_vec() };
    Ok(condense_all(session, &[&given])?.swap_remove(0))
}

/// One state of each, in one call for each step that some of them need.
fn condense_all(session: &mut AggregateSession, given: &[&Given<'_>]) -> Result<Vec<Vec<u8>>, EngineError> {
    let of_one = |one: &&Given<'_>| one.states.iter().map(|state| state.to_vec()).collect();
    let mut all: Vec<Vec<Vec<u8>>> = given.iter().map(of_one).collect();
    while all.iter().any(|states| states.len() > 1) {
        let (mut first, mut second, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for states in &mut all {
            // The longer half first: a pair's place is where the first of it was.
            let others = states.split_off(states.len().div_ceil(2));
            let rest = states.split_off(others.len());
            pairs.push((others.len(), rest));
            first.append(states);
            second.extend(others);
        }
        let mut merged = session.merge(&first, &second)?.into_iter();
        for (states, (count, rest)) in all.iter_mut().zip(pairs) {
            states.extend(merged.by_ref().take(count));
            states.extend(rest);
        }
    }
    let empty = match all.iter().any(Vec::is_empty) {
        true => session.empty()?,
        false => Vec::new(),
    };
    let mut states: Vec<Vec<u8>> =
        all.into_iter().map(|mut states| states.pop().unwrap_or_else(|| empty.clone())).collect();
    let rows = |one: &Given<'_>| one.events.first().map_or(0, |column| column.len());
    let adding: Vec<usize> = (0..given.len()).filter(|one| rows(given[*one]) > 0).collect();
    if adding.is_empty() {
        return Ok(states);
    }
    let of_group = |(group, one): (usize, &usize)| std::iter::repeat_n(group as u32, rows(given[*one]));
    let groups: Vec<u32> = adding.iter().enumerate().flat_map(of_group).collect();
    let column = |column: usize| {
        let parts: Vec<&dyn Array> = adding.iter().map(|one| &*given[*one].events[column]).collect();
        concat(&parts).map_err(|error| EngineError::Inputs(error.to_string()))
    };
    let columns = given[adding[0]].events.len();
    let events: Vec<ArrayRef> = (0..columns).map(column).collect::<Result<_, _>>()?;
    let before: Vec<&Vec<u8>> = adding.iter().map(|one| &states[*one]).collect();
    let added = session.add(&before, &groups, &events)?;
    adding.into_iter().zip(added).for_each(|(one, state)| states[one] = state);
    Ok(states)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_that_come_back_are_not_believed() {
        let lifted = |offsets: &[u32], bytes: usize, count: usize| {
            let answer = wit::VarBytesResult { offsets: offsets.to_vec(), data: vec![7; bytes] };
            lift_states(answer, count, 4).map_err(|error| error.to_string())
        };
        assert_eq!(lifted(&[0, 2, 2], 2, 2), Ok(vec![vec![7; 2], vec![]]));
        assert_eq!(lifted(&[0], 0, 0), Ok(vec![]));
        for (offsets, bytes, count, expected) in [
            (&[][..], 0, 0, "0 offsets for 0 states, not 1"),
            (&[0, 1, 2], 2, 1, "3 offsets for 1 states, not 2"),
            (&[1, 2], 2, 1, "offsets from 1 to 2 of states of 2 bytes"),
            (&[0, 1], 2, 1, "offsets from 0 to 1 of states of 2 bytes"),
            (&[0, u32::MAX], 2, 1, "offsets from 0 to 4294967295 of states of 2 bytes"),
            (&[0, 3, 1, 2], 2, 3, "state 0 lies from 0 to 3"),
            (&[0, 2, 1, 2], 2, 3, "state 1 lies from 2 to 1"),
            (&[0, 5], 5, 1, "a state has 5 bytes; the limit state_bytes_max is 4"),
        ] {
            assert_eq!(lifted(offsets, bytes, count), Err(format!("broke the contract: {expected}")), "{offsets:?}");
        }
    }
}
