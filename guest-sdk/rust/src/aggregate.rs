//! Functions of aggregates: what a component computes of the events of an entity in a window of time.

use crate::{
    CallError, Timestamp,
    columns::OutputColumn,
    contract::{Column, Parameter, Signature, VarBytes},
    input::{Input, InputColumns},
    output::{self, OutputValue},
    parameters::Parameters,
    state::State,
};

/// The name of the one output.
const OUTPUT: &str = "value";

/// A function of aggregates. Its type is what is kept of events: its state.
///
/// What is finished must depend on the set of the events alone: [`Aggregate::add`] in any order, and [`Aggregate::merge`] of any division of the events,
/// must end in a state with the same bytes. `tandem verify` proves it with generated events. Sums of floating-point numbers are not such a state, since
/// they depend on the order; sums of integers are, and so are counts, extremes, sets, and sums of floating-point numbers that were rounded to a grid before.
///
/// `#[aggregate]` above the implementation makes it the function of its crate.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function of aggregates",
    label = "not a function of aggregates",
    note = "write `impl Aggregate for {Self}`, with `#[aggregate]` above"
)]
pub trait Aggregate: State {
    /// An event, a struct with `#[derive(Input)]`. A field `event_time: Timestamp` is the event's own time. An event with a null where a field is no `Option`
    /// is not added.
    type Event<'a>: Input<'a>;

    /// The value: the type of a field of an output row, an `Option` of one if it may be null.
    type Value: OutputValue;

    /// What the view sets for it, a struct with `#[derive(Parameters)]`, or `()`.
    type Parameters: Parameters;

    /// What it does, for people; `#[aggregate]` takes it from the doc comment of the implementation.
    const DOC: &'static str = "";

    /// The state of no events.
    fn empty(parameters: &Self::Parameters) -> Self;

    /// Adds an event.
    fn add(&mut self, event: Self::Event<'_>, parameters: &Self::Parameters);

    /// Adds the events of another state.
    fn merge(&mut self, other: Self, parameters: &Self::Parameters);

    /// The value at an instant, that for which it is asked.
    fn finish(&self, as_of: Timestamp, parameters: &Self::Parameters) -> Self::Value;
}

/// `describe` of the contract.
pub(crate) fn describe<A: Aggregate>(parameters: &[Parameter]) -> Result<Signature, CallError> {
    A::Parameters::from_parameters(parameters)?;
    Ok(Signature {
        inputs: <A::Event<'_> as Input<'_>>::Columns::fields(),
        outputs: vec![output::field::<A::Value>(OUTPUT, "")],
        doc: A::DOC.to_owned(),
    })
}

/// `empty` of the contract.
pub(crate) fn empty<A: Aggregate>(parameters: &[Parameter]) -> Result<Vec<u8>, CallError> {
    Ok(A::empty(&A::Parameters::from_parameters(parameters)?).to_bytes())
}

/// `add` of the contract.
pub(crate) fn add<A: Aggregate>(
    parameters: &[Parameter],
    states: &VarBytes,
    groups: &[u32],
    inputs: &[Column],
) -> Result<VarBytes, CallError> {
    let parameters = A::Parameters::from_parameters(parameters)?;
    let mut states = read::<A>(states)?;
    let columns = <A::Event<'_> as Input<'_>>::Columns::from_columns(groups.len(), inputs)?;
    for (row, group) in groups.iter().enumerate() {
        let count = states.len();
        let state = states.get_mut(*group as usize);
        let state = state.ok_or_else(|| CallError::new(format!("event {row} is of state {group} of {count}")))?;
        state.add(<A::Event<'_> as Input<'_>>::read(&columns, row), &parameters);
    }
    write(&states)
}

/// `merge` of the contract.
pub(crate) fn merge<A: Aggregate>(
    parameters: &[Parameter],
    states: &VarBytes,
    others: &VarBytes,
) -> Result<VarBytes, CallError> {
    let parameters = A::Parameters::from_parameters(parameters)?;
    let (mut states, others) = (read::<A>(states)?, read::<A>(others)?);
    if states.len() != others.len() {
        return Err(CallError::new(format!("{} states are merged with {}", states.len(), others.len())));
    }
    states.iter_mut().zip(others).for_each(|(state, other)| state.merge(other, &parameters));
    write(&states)
}

/// `finish` of the contract.
pub(crate) fn finish<A: Aggregate>(
    parameters: &[Parameter],
    states: &VarBytes,
    as_of: &[i64],
) -> Result<Column, CallError> {
    let parameters = A::Parameters::from_parameters(parameters)?;
    let states = read::<A>(states)?;
    if states.len() != as_of.len() {
        return Err(CallError::new(format!("{} states have {} instants", states.len(), as_of.len())));
    }
    let mut column = <A::Value as OutputValue>::Column::with_capacity(states.len());
    for (state, as_of) in states.iter().zip(as_of) {
        state.finish(Timestamp::from_micros(*as_of), &parameters).push(&mut column);
    }
    column.into_column()
}

/// States behind offsets.
fn read<S: State>(states: &VarBytes) -> Result<Vec<S>, CallError> {
    let state = |ends: &[u32]| {
        let bytes = states.data.get(ends[0] as usize..ends[1] as usize);
        bytes.and_then(S::from_bytes).ok_or_else(|| CallError::new("a state is not what this function wrote"))
    };
    states.offsets.windows(2).map(state).collect()
}

fn write<S: State>(states: &[S]) -> Result<VarBytes, CallError> {
    let mut written = VarBytes { offsets: vec![0], data: Vec::new() };
    for state in states {
        state.write(&mut written.data);
        let end = u32::try_from(written.data.len()).map_err(|_| CallError::new("the states have more than 4 GiB"))?;
        written.offsets.push(end);
    }
    Ok(written)
}
