//! Proof that a component computes a function of the set of events: that neither their order nor how they are divided changes a bit of a state, that a state
//! of no events is neutral, that states stay within their limit, and that no call leaves a trace in the next.
//!
//! Lists of generated events are added in one call, and in many others ways; all states must have the same bytes. Where some have not, the list is made
//! as small and as plain as it still shows the same.

use std::fmt;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use tandem_core::hash::Digest;
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;
use tandem_core::sample::{Cell, generate};
use tandem_core::time::Timestamp;
use tandem_core::types::Signature;

use super::VerifyOptions;
use crate::aggregate::{Aggregate, AggregateComponent, AggregateSession, STATE_LIMIT};
use crate::engine::Engine;
use crate::error::EngineError;

/// Events of the lists that are tried; each length several times.
const LENGTHS: [usize; 10] = [0, 1, 2, 2, 3, 4, 5, 8, 13, 40];

/// Lists of each length.
const LISTS: usize = 8;

/// Events of the longest list: states of all that a stretch of time has must stay within their limit.
const LONGEST: usize = 1_024;

/// The instants for which values are asked.
const INSTANTS: [Timestamp; 3] = [Timestamp(0), Timestamp(1_767_225_600_000_000), Timestamp(4_102_444_800_000_000)];

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AggregateCheck {
    /// The same call gives the same, in a fresh instance and in a used one.
    Again,
    /// The order in which events are added.
    Order,
    /// Events added to many states in one call are those added to each alone.
    Groups,
    /// States of single events, merged.
    Split,
    /// `merge(a, b)` is `merge(b, a)`.
    Commutative,
    /// `merge(merge(a, b), c)` is `merge(a, merge(b, c))`.
    Associative,
    /// A state merged with that of no events is itself.
    Empty,
    /// A value is the same in a call of many and alone.
    Finish,
    /// NaN is made canonical after every instruction.
    Strict,
    /// The interpreter instead of compiled code.
    Interpreter,
    /// A state has no more bytes than its limit says.
    Bounded,
}

impl AggregateCheck {
    /// Every check, in the order in which they are made.
    pub const ALL: [AggregateCheck; 11] = [
        AggregateCheck::Again,
        AggregateCheck::Order,
        AggregateCheck::Groups,
        AggregateCheck::Split,
        AggregateCheck::Commutative,
        AggregateCheck::Associative,
        AggregateCheck::Empty,
        AggregateCheck::Finish,
        AggregateCheck::Strict,
        AggregateCheck::Interpreter,
        AggregateCheck::Bounded,
    ];

    /// What it does, for people: "events added in another order".
    pub fn title(self) -> &'static str {
        match self {
            AggregateCheck::Again => "the same call again, in a fresh instance and in a used one",
            AggregateCheck::Order => "events added in another order",
            AggregateCheck::Groups => "many states in one call",
            AggregateCheck::Split => "a state for each event, merged",
            AggregateCheck::Commutative => "merged the other way round",
            AggregateCheck::Associative => "merged in other groups",
            AggregateCheck::Empty => "merged with the state of no events",
            AggregateCheck::Finish => "values of many states in one call",
            AggregateCheck::Strict => "NaN made canonical after every instruction",
            AggregateCheck::Interpreter => "interpreted",
            AggregateCheck::Bounded => "states within state_bytes_max, of 1,024 events too",
        }
    }

    /// What to look for in the code.
    pub fn advice(self) -> &'static str {
        match self {
            AggregateCheck::Again | AggregateCheck::Finish | AggregateCheck::Groups => {
                "something lives on from call to call, or from state to state: a static, a cache, the order of a HashMap"
            }
            AggregateCheck::Order
            | AggregateCheck::Split
            | AggregateCheck::Commutative
            | AggregateCheck::Associative => {
                "the state depends on the order of events: a sum of floating-point numbers does (count in integers), and so does keeping the first or the last that came (keep the least or the greatest, or compare times)"
            }
            AggregateCheck::Empty => "`merge` must leave a state as it is where the other one is that of `empty`",
            AggregateCheck::Bounded => "keep less of each event, or raise `state_bytes_max` of the aggregate",
            AggregateCheck::Strict | AggregateCheck::Interpreter => {
                "the bits of a NaN reach the state, or relaxed floating-point arithmetic does"
            }
        }
    }
}

impl fmt::Display for AggregateCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// What came of verifying a function of aggregates.
#[derive(Debug, Clone)]
pub struct AggregateReport {
    /// SHA-256 of the component.
    pub digest: Digest,
    /// What it declares.
    pub signature: Signature,
    /// The seed of the generated events.
    pub seed: u64,
    /// Lists of events that have a state, without those of no events.
    pub lists: u64,
    /// Lists on which a call failed, and why the first one did.
    pub failed: (u64, Option<String>),
    /// For each check how often states or values were compared.
    pub compared: Vec<(AggregateCheck, u64)>,
    /// Bytes of the greatest state.
    pub state_bytes: u64,
    /// What differs.
    pub difference: Option<AggregateDifference>,
    /// How long compiling took.
    pub compiling: Duration,
    /// How long comparing took.
    pub comparing: Duration,
}

impl AggregateReport {
    /// Whether it is proved: nothing differs, and something was compared.
    pub fn is_proved(&self) -> bool {
        self.difference.is_none() && self.lists > 0
    }
}

/// Events that show a difference, as few and as plain as were found; of a state that is too large the first of them.
#[derive(Debug, Clone)]
pub struct AggregateDifference {
    /// What does not hold.
    pub check: AggregateCheck,
    /// The events: a column for each input.
    pub events: RecordBatch,
    /// What one way gives, and what another: bytes of states or values in hexadecimal digits, or why it failed.
    pub found: (String, String),
    /// Lists that were tried to find it.
    pub tries: u64,
}

/// Two ways that gave two things.
struct Found {
    check: AggregateCheck,
    found: (String, String),
}

/// What a list of events is tried on.
struct Machines {
    main: Aggregate,
    strict: Option<Aggregate>,
    interpreted: Option<Aggregate>,
}

/// Counts of what was compared.
#[derive(Default)]
struct Counts {
    compared: [u64; AggregateCheck::ALL.len()],
    state_bytes: u64,
}

/// Verifies a component that computes a function of aggregates, with its parameters, limits and NaN mode. Blocking; user code runs on this thread.
///
/// # Errors
///
/// A component that does not load or describe itself, no instance to be had. A difference is no error: it is in the report.
pub fn verify_aggregate(
    engine: &Engine,
    bytes: &[u8],
    parameters: &Parameters,
    (limits, state_bytes_max): (&TransformLimits, u64),
    nan: NanMode,
    options: &VerifyOptions,
) -> Result<AggregateReport, EngineError> {
    let begin = Instant::now();
    let bind = |component: AggregateComponent| component.bind(parameters, limits, state_bytes_max);
    let main = bind(engine.load_aggregate(bytes, nan)?)?;
    let strict =
        (nan == NanMode::Boundary).then(|| bind(engine.load_aggregate(bytes, NanMode::Strict)?)).transpose()?;
    let interpreted = match options.interpreter_rows {
        0 => None,
        _ => Some(bind(engine.load_aggregate_interpreted(bytes, nan)?)?),
    };
    let machines = Machines { main, strict, interpreted };
    let compiling = begin.elapsed();
    let begin = Instant::now();
    let signature = machines.main.signature().clone();
    let mut counts = Counts::default();
    let (mut lists, mut failed, mut difference) = (0, (0, None), None);
    let lengths = LENGTHS.into_iter().cycle().take(LENGTHS.len() * LISTS).chain([LONGEST]);
    for (index, length) in lengths.enumerate() {
        let seed = options.seed.wrapping_add(index as u64);
        let events = generate(&signature, seed, length.max(1)).slice(0, length);
        match examine(&machines, &events, &mut counts)? {
            // Of no events there is nothing to be divided.
            Examined::Same => lists += u64::from(length > 0),
            Examined::Failed(reason) => {
                failed.0 += 1;
                failed.1.get_or_insert(reason);
                if lists == 0 && failed.0 >= options.faulty_rows_max as u64 {
                    break;
                }
            }
            Examined::Different(found) => {
                lists += 1;
                difference = Some(smallest(&machines, events, found, options)?);
                break;
            }
        }
    }
    Ok(AggregateReport {
        digest: machines.main.digest(),
        signature,
        seed: options.seed,
        lists,
        failed,
        compared: AggregateCheck::ALL.into_iter().zip(counts.compared).collect(),
        state_bytes: counts.state_bytes,
        difference,
        compiling,
        comparing: begin.elapsed(),
    })
}

/// What came of a list of events.
enum Examined {
    /// All ways gave the same.
    Same,
    /// Already the plain way fails, and why.
    Failed(String),
    /// Two ways gave two things.
    Different(Found),
}

/// What a way gave: bytes of a state or a value, or why it failed.
type Given = Result<Vec<u8>, String>;

/// An error of the component is what a way gives; any other is nobody's answer.
fn given<T>(answer: Result<T, EngineError>) -> Result<Result<T, String>, EngineError> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(error @ EngineError::Aggregate { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// One list on a machine.
struct Way<'a> {
    session: AggregateSession,
    events: &'a RecordBatch,
    empty: Vec<u8>,
}

impl<'a> Way<'a> {
    fn new(aggregate: &Aggregate, events: &'a RecordBatch) -> Result<Result<Way<'a>, String>, EngineError> {
        let mut session = aggregate.session();
        Ok(given(session.empty())?.map(|empty| Way { session, events, empty }))
    }

    fn columns(&self, rows: &[usize]) -> Result<Vec<ArrayRef>, EngineError> {
        let rows: UInt32Array = rows.iter().map(|row| *row as u32).collect::<Vec<_>>().into();
        let taken = take_record_batch(self.events, &rows);
        Ok(taken.map_err(|error| EngineError::Arrow(error.to_string()))?.columns().to_vec())
    }

    /// The state of these events, added in this order to the state of none.
    fn add(&mut self, rows: &[usize]) -> Result<Given, EngineError> {
        let columns = self.columns(rows)?;
        let empty = self.empty.clone();
        let added = given(self.session.add(&[empty], &vec![0; rows.len()], &columns))?;
        Ok(added.map(|mut states| states.swap_remove(0)))
    }

    /// A state for each event, in one call.
    fn singles(&mut self, rows: &[usize]) -> Result<Result<Vec<Vec<u8>>, String>, EngineError> {
        let columns = self.columns(rows)?;
        let states = vec![self.empty.clone(); rows.len()];
        let groups: Vec<u32> = (0..rows.len() as u32).collect();
        given(self.session.add(&states, &groups, &columns))
    }

    fn merge(&mut self, state: &Given, other: &Given) -> Result<Given, EngineError> {
        let (Ok(state), Ok(other)) = (state, other) else {
            return Ok(state.clone().and(other.clone()));
        };
        Ok(given(self.session.merge(&[state], &[other]))?.map(|mut states| states.swap_remove(0)))
    }

    /// The values of a state at all instants, in one call or in one for each.
    fn values(&mut self, state: &[u8], at_once: bool) -> Result<Given, EngineError> {
        let mut bytes = Vec::new();
        let calls: Vec<&[Timestamp]> = if at_once { vec![&INSTANTS] } else { INSTANTS.chunks(1).collect() };
        for at in calls {
            match given(self.session.finish(&vec![state; at.len()], at))? {
                Ok(values) => {
                    (0..at.len()).for_each(|row| {
                        tandem_core::canonical::encode_row(std::slice::from_ref(&values), row, &mut bytes)
                    });
                }
                Err(reason) => return Ok(Err(reason)),
            }
        }
        Ok(Ok(bytes))
    }
}

/// Tries all ways on a list of events, and stops at the first that differs.
fn examine(machines: &Machines, events: &RecordBatch, counts: &mut Counts) -> Result<Examined, EngineError> {
    let rows: Vec<usize> = (0..events.num_rows()).collect();
    let mut way = match Way::new(&machines.main, events)? {
        Ok(way) => way,
        Err(reason) => return Ok(Examined::Failed(reason)),
    };
    counts.compared[AggregateCheck::Bounded as usize] += 1;
    let whole = match way.add(&rows)? {
        Ok(state) => state,
        Err(reason) if reason.contains(STATE_LIMIT) => {
            let found = (format!("{} events", rows.len()), reason);
            return Ok(Examined::Different(Found { check: AggregateCheck::Bounded, found }));
        }
        Err(reason) => return Ok(Examined::Failed(reason)),
    };
    counts.state_bytes = counts.state_bytes.max(whole.len() as u64);
    let whole: Given = Ok(whole);
    let mut differs = |check: AggregateCheck, one: &Given, other: &Given| {
        counts.compared[check as usize] += 1;
        (one != other).then(|| Examined::Different(Found { check, found: (told(one), told(other)) }))
    };
    macro_rules! same {
        ($check:ident, $one:expr, $other:expr) => {
            if let Some(different) = differs(AggregateCheck::$check, $one, $other) {
                return Ok(different);
            }
        };
    }
    same!(Again, &whole, &way.add(&rows)?);
    if let Ok(mut fresh) = Way::new(&machines.main, events)? {
        same!(Again, &whole, &fresh.add(&rows)?);
    }
    let reversed: Vec<usize> = rows.iter().rev().copied().collect();
    same!(Order, &whole, &way.add(&reversed)?);
    let mut turned = rows.clone();
    turned.rotate_left(rows.len() / 3);
    same!(Order, &whole, &way.add(&turned)?);

    // Of a long list the states of single events say no more than of a short one.
    let few = if rows.len() > 64 { &rows[..0] } else { &rows[..] };
    let singles = way.singles(few)?;
    if let Ok(singles) = &singles {
        for (row, single) in few.iter().zip(singles) {
            same!(Groups, &way.add(&[*row])?, &Ok(single.clone()));
        }
    }
    if !few.is_empty() {
        let empty: Given = Ok(way.empty.clone());
        let singles: Vec<Given> = match singles {
            Ok(singles) => singles.into_iter().map(Ok).collect(),
            Err(reason) => vec![Err(reason)],
        };
        let mut merged = empty.clone();
        for single in &singles {
            merged = way.merge(&merged, single)?;
        }
        same!(Split, &whole, &merged);
        let mut merged = empty;
        for single in singles.iter().rev() {
            merged = way.merge(single, &merged)?;
        }
        same!(Split, &whole, &merged);
    }
    let part = |from: usize, step: usize| rows.iter().skip(from).step_by(step).copied().collect::<Vec<_>>();
    let (even, odd) = (way.add(&part(0, 2))?, way.add(&part(1, 2))?);
    let one_way = way.merge(&even, &odd)?;
    same!(Split, &whole, &one_way);
    same!(Commutative, &one_way, &way.merge(&odd, &even)?);
    let (a, b, c) = (way.add(&part(0, 3))?, way.add(&part(1, 3))?, way.add(&part(2, 3))?);
    let (ab, bc) = (way.merge(&a, &b)?, way.merge(&b, &c)?);
    same!(Associative, &way.merge(&ab, &c)?, &way.merge(&a, &bc)?);
    let empty: Given = Ok(way.empty.clone());
    same!(Empty, &whole, &way.merge(&whole, &empty)?);
    same!(Empty, &whole, &way.merge(&empty, &whole)?);

    let state = whole.clone().unwrap_or_default();
    let values = way.values(&state, true)?;
    if let Err(reason) = &values {
        return Ok(Examined::Failed(reason.clone()));
    }
    same!(Finish, &values, &way.values(&state, false)?);
    if let Ok(mut fresh) = Way::new(&machines.main, events)? {
        same!(Finish, &values, &fresh.values(&state, true)?);
    }
    if let Some(strict) = &machines.strict
        && let Ok(mut other) = Way::new(strict, events)?
    {
        same!(Strict, &whole, &other.add(&rows)?);
        same!(Strict, &values, &other.values(&state, true)?);
    }
    // It is an order of magnitude slower.
    if let Some(interpreted) = machines.interpreted.as_ref().filter(|_| rows.len() <= 16)
        && let Ok(mut other) = Way::new(interpreted, events)?
    {
        same!(Interpreter, &whole, &other.add(&rows)?);
        same!(Interpreter, &values, &other.values(&state, true)?);
    }
    Ok(Examined::Same)
}

/// Bytes of a state are shown up to so many.
const SHOWN_BYTES_MAX: usize = 64;

fn told(given: &Given) -> String {
    match given {
        Ok(bytes) => {
            let digits: String = bytes.iter().take(SHOWN_BYTES_MAX).map(|byte| format!("{byte:02x}")).collect();
            let rest = bytes.len().saturating_sub(SHOWN_BYTES_MAX);
            let rest = if rest > 0 { format!("… and {rest} bytes more") } else { String::new() };
            format!("{} bytes {digits}{rest}", bytes.len())
        }
        Err(reason) => reason.clone(),
    }
}

/// Fewer events, then plainer values, as long as something differs.
fn smallest(
    machines: &Machines,
    events: RecordBatch,
    found: Found,
    options: &VerifyOptions,
) -> Result<AggregateDifference, EngineError> {
    let mut shrink = Shrink { machines, events, found, tries: 0, tries_max: options.shrink_tries_max };
    if shrink.found.check == AggregateCheck::Bounded {
        // Fewer events have a smaller state; their values hardly matter.
        shrink.events = shrink.events.slice(0, 1);
        let Shrink { events, found: Found { check, found }, .. } = shrink;
        return Ok(AggregateDifference { check, events, found, tries: 0 });
    }
    shrink.fewer()?;
    shrink.plainer()?;
    shrink.fewer()?;
    let Shrink { events, found: Found { check, found }, tries, .. } = shrink;
    Ok(AggregateDifference { check, events, found, tries })
}

struct Shrink<'a> {
    machines: &'a Machines,
    events: RecordBatch,
    found: Found,
    tries: u64,
    tries_max: u64,
}

impl Shrink<'_> {
    /// Takes these events instead, if they show a difference too, of whatever kind.
    fn takes(&mut self, events: RecordBatch) -> Result<bool, EngineError> {
        if self.tries >= self.tries_max {
            return Ok(false);
        }
        self.tries += 1;
        let Examined::Different(found) = examine(self.machines, &events, &mut Counts::default())? else {
            return Ok(false);
        };
        (self.events, self.found) = (events, found);
        Ok(true)
    }

    fn fewer(&mut self) -> Result<(), EngineError> {
        let mut size = self.events.num_rows() / 2;
        while size > 0 {
            let mut from = 0;
            while from < self.events.num_rows() {
                let kept = (0..self.events.num_rows()).filter(|row| !(from..from + size).contains(row));
                let kept: UInt32Array = kept.map(|row| row as u32).collect::<Vec<_>>().into();
                let fewer = take_record_batch(&self.events, &kept);
                if !self.takes(fewer.map_err(|error| EngineError::Arrow(error.to_string()))?)? {
                    from += size;
                }
            }
            size /= 2;
        }
        Ok(())
    }

    fn plainer(&mut self) -> Result<(), EngineError> {
        let fields = self.machines.main.signature().inputs.clone();
        for (index, field) in fields.iter().enumerate() {
            for row in 0..self.events.num_rows() {
                while let Some(simpler) = self.one_plainer(index, row, field.nullable)? {
                    self.events = simpler;
                }
            }
        }
        Ok(())
    }

    /// The events with one value of an event plainer, if some is that shows a difference.
    fn one_plainer(&mut self, column: usize, row: usize, nullable: bool) -> Result<Option<RecordBatch>, EngineError> {
        let array = self.events.column(column);
        let cells: Vec<Cell> = (0..array.len()).map(|row| Cell::of(array, row)).collect();
        let data_type = self.machines.main.signature().inputs[column].data_type;
        for simpler in cells[row].simpler(nullable) {
            let mut cells = cells.clone();
            cells[row] = simpler;
            let mut columns = self.events.columns().to_vec();
            columns[column] = Cell::column(data_type, &cells);
            let events = RecordBatch::try_new(self.events.schema(), columns);
            let events = events.map_err(|error| EngineError::Arrow(error.to_string()))?;
            if self.takes(events.clone())? {
                return Ok(Some(events));
            }
        }
        Ok(None)
    }
}
