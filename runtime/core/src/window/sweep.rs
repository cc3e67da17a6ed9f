//! The windows of one entity at many instants, in one pass over its events.
//!
//! Events enter as they happen and become known, and leave at the start of each window. As long as they leave in the order in which they entered, a
//! window is a queue of two stacks (Tangwongsan, Hirzel, Schneider: *Low-latency sliding-window aggregation in worst-case constant time*, 2017, section 2):
//! states of all suffixes of what entered before the last turn, and one state of what entered since. No state is ever subtracted. Of the suffixes every
//! [`SMALL_BLOCK`]th is kept, and up to so many events are added one by one. Events that came late are queues of their own, up to [`QUEUES_MAX`] of them;
//! what fits into none, and events that a later version takes the place of, are looked at one by one.
//!
//! Counts and sums need no states where integers hold all sums of an entity: those of a stretch of a queue are differences of prefixes (`prefix`).

use arrow_array::ArrayRef;

use super::plan::{Events, NotAnswered, Out, Plan, TooLarge};
use super::prefix::Prefix;
use super::span::{Span, Window};
use super::state::State;
use crate::time::Timestamp;

/// Events between two kept suffixes, where states are small.
const SMALL_BLOCK: usize = 8;

/// Events between two kept suffixes, where states are large.
const LARGE_BLOCK: usize = 64;

/// Queues of one entity.
const QUEUES_MAX: usize = 4;

/// From when on an event counts, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Its row among the events.
    pub row: usize,
    /// The first instant at which it has happened and is known.
    pub from: Timestamp,
    /// The first instant at which it counts no more, since a later version stands in its place.
    pub until: Option<Timestamp>,
}

/// Answers for one entity after another.
pub struct Sweep<'a> {
    plan: &'a Plan,
    events: &'a Events,
    out: Out,
    scratch: Vec<Vec<State>>,
    /// Of each window the places of all of its states.
    all: Vec<Vec<usize>>,
    /// Of each window the places of the states that the entity has no prefixes for.
    merged: Vec<Vec<usize>>,
    /// Of each window the places of the others, with their parts.
    prefixed: Vec<Vec<(usize, usize)>>,
}

/// Events that leave in the order in which they enter.
#[derive(Default)]
struct Queue {
    rows: Vec<usize>,
    /// When each enters, ascending.
    from: Vec<Timestamp>,
    /// How many entered.
    entered: usize,
    /// One for each window.
    stacks: Vec<Stack>,
    /// One for each part of the plan, where the entity has prefixes of it.
    prefixes: Vec<Option<Prefix>>,
}

/// The part of a queue that lies in a window.
#[derive(Default)]
struct Stack {
    /// The first that is in the window.
    first: usize,
    /// What entered before is among the suffixes.
    turn: usize,
    /// States of suffixes that end at the turn, the shortest first: each begins a block further before it.
    suffixes: Vec<State>,
    /// The state of what entered from the turn on.
    back: Vec<State>,
    /// What is in it ends before.
    back_end: usize,
}

impl<'a> Sweep<'a> {
    /// Room for the answers to `rows` questions.
    pub fn new(plan: &'a Plan, events: &'a Events, rows: usize) -> Self {
        let scratch = (0..plan.windows()).map(|window| plan.empty_of(window)).collect();
        let all: Vec<Vec<usize>> =
            (0..plan.windows()).map(|window| (0..plan.window_plan(window).parts.len()).collect()).collect();
        let prefixed = vec![Vec::new(); plan.windows()];
        let merged = all.clone();
        Sweep { plan, events, out: plan.out(rows), scratch, all, merged, prefixed }
    }

    /// Appends the values of all features at each of `instants`, which ascend, for an entity with these events, in any order.
    ///
    /// # Errors
    ///
    /// [`NotAnswered`].
    pub fn entity(&mut self, mut counted: Vec<Counted>, instants: &[Timestamp]) -> Result<(), NotAnswered> {
        let Some(last) = instants.last() else { return Ok(()) };
        // What enters after the last question changes no answer.
        counted.retain(|event| event.from <= *last);
        let key = |event: &Counted| (event.from, self.events.event_time(event.row));
        if !counted.is_sorted_by_key(key) {
            counted.sort_unstable_by_key(key);
        }
        let is_plain = |pair: &[Counted]| self.events.event_time(pair[0].row) <= self.events.event_time(pair[1].row);
        let plain = counted.iter().all(|event| event.until.is_none()) && counted.windows(2).all(is_plain);
        let sessions = Sessions::new(self.plan, plain, &counted, self.events);
        let (mut queues, mut others) = (Vec::new(), Vec::new());
        for event in counted {
            self.place(event, &mut queues, &mut others);
        }
        others.sort_unstable_by_key(|event: &Counted| self.events.event_time(event.row));
        self.prefix(&mut queues);
        let mut sessions = sessions;
        for at in instants {
            for queue in &mut queues {
                queue.entered += queue.from[queue.entered..].partition_point(|from| from <= at);
            }
            for window in 0..self.plan.windows() {
                self.answer(window, *at, &mut queues, &others, &mut sessions)?;
            }
        }
        // Components are asked for many values at once.
        self.plan.ask(&mut self.out);
        match self.out.failed.pop() {
            Some(failed) => Err(self.plan.not_answered(failed)),
            None => Ok(()),
        }
    }

    /// Makes the prefixes of all queues, of the parts of which every queue has them.
    fn prefix(&mut self, queues: &mut [Queue]) {
        let Sweep { plan, events, all, merged, prefixed, .. } = self;
        let of = |queue: &Queue| -> Vec<Option<Prefix>> {
            plan.parts().iter().map(|part| Prefix::of(part, events, &queue.rows)).collect()
        };
        for queue in queues.iter_mut() {
            queue.prefixes = of(queue);
        }
        let is_prefixed = |part: usize| queues.iter().all(|queue| queue.prefixes[part].is_some());
        for window in 0..plan.windows() {
            merged[window].clear();
            prefixed[window].clear();
            let parts = &plan.window_plan(window).parts;
            let is_session = matches!(plan.window(window), Window::Session(_));
            for place in &all[window] {
                match is_prefixed(parts[*place]) && !is_session {
                    true => prefixed[window].push((*place, parts[*place])),
                    false => merged[window].push(*place),
                }
            }
        }
    }

    /// The answers: one array for each feature, in their order.
    pub fn finish(self) -> Vec<ArrayRef> {
        self.out.finish()
    }

    fn place(&self, event: Counted, queues: &mut Vec<Queue>, others: &mut Vec<Counted>) {
        let time = self.events.event_time(event.row);
        if event.until.is_some() {
            others.push(event);
            return;
        }
        let fits = |queue: &Queue| queue.rows.last().is_none_or(|last| self.events.event_time(*last) <= time);
        let place = queues.iter().position(fits).unwrap_or(queues.len());
        if place == QUEUES_MAX {
            others.push(event);
            return;
        }
        if place == queues.len() {
            let stacks = (0..self.plan.windows()).map(|_| Stack::default()).collect();
            queues.push(Queue { stacks, ..Queue::default() });
        }
        queues[place].rows.push(event.row);
        queues[place].from.push(event.from);
    }

    fn answer(
        &mut self,
        window: usize,
        at: Timestamp,
        queues: &mut [Queue],
        others: &[Counted],
        sessions: &mut Sessions,
    ) -> Result<(), TooLarge> {
        let Sweep { plan, events, out, scratch, all, merged, prefixed } = self;
        let (all, places, prefixed) = (&all[window][..], &merged[window][..], &prefixed[window][..]);
        let states = &mut scratch[window];
        let span = plan.spans().of(plan.window(window), at);
        if let Window::Session(_) = plan.window(window) {
            sessions.answer(plan, events, (window, all), at, states);
            return plan.finish(window, states, at, out);
        }
        let Some(span) = span else {
            plan.reset(window, states);
            return plan.finish(window, states, at, out);
        };
        if let [queue] = queues
            && others.is_empty()
            && !places.is_empty()
            && queue.is_growing(window, span, events)
        {
            // Nothing has left: the one state is the answer.
            queue.grow(plan, events, (window, places));
            let (stack, end) = (&mut queue.stacks[window], queue.entered);
            for (place, part) in prefixed {
                stack.back[*place] = plan.empty_part(*part);
                if let Some(prefix) = &queue.prefixes[*part] {
                    prefix.add_to(&mut stack.back[*place], 0, end);
                }
            }
            return plan.finish(window, &queue.stacks[window].back, at, out);
        }
        if let [queue] = queues
            && others.is_empty()
            && places.is_empty()
        {
            // Nothing to merge with: the differences are the answer.
            let first = queue.leave(window, span, events);
            for (place, part) in prefixed {
                if let Some(prefix) = &queue.prefixes[*part] {
                    states[*place] = prefix.state(first, queue.entered);
                }
            }
            return plan.finish(window, states, at, out);
        }
        plan.reset(window, states);
        for queue in queues {
            queue.add_to(plan, events, (window, places, prefixed), span, states);
        }
        let start = others.partition_point(|event| events.event_time(event.row) < span.first);
        let inside = others[start..].iter().take_while(|event| events.event_time(event.row) <= span.last);
        for event in inside.filter(|event| event.from <= at && event.until.is_none_or(|until| until > at)) {
            plan.add_to(window, all, states, events, event.row);
        }
        plan.finish(window, states, at, out)
    }
}

impl Queue {
    /// Whether no event has left the window, and none has turned.
    fn is_growing(&self, window: usize, span: Span, events: &Events) -> bool {
        let stack = &self.stacks[window];
        let first_is_in = self.rows.first().is_none_or(|row| events.event_time(*row) >= span.first);
        stack.turn == 0 && stack.first == 0 && first_is_in
    }

    /// Adds what entered to the state of what entered from the turn on.
    fn grow(&mut self, plan: &Plan, events: &Events, (window, places): (usize, &[usize])) {
        let stack = &mut self.stacks[window];
        if stack.back.is_empty() {
            stack.back = plan.empty_of(window);
        }
        for row in &self.rows[stack.back_end..self.entered] {
            plan.add_to(window, places, &mut stack.back, events, *row);
        }
        stack.back_end = self.entered;
    }

    /// Lets the events before a span leave a window; gives the place of the first that is in it.
    #[inline]
    fn leave(&mut self, window: usize, span: Span, events: &Events) -> usize {
        let stack = &mut self.stacks[window];
        let is_before = |place: usize| events.event_time(self.rows[place]) < span.first;
        if stack.first > 0 && !is_before(stack.first - 1) {
            // A start that went back, as that of a day can where clocks are set back over midnight: begin anew.
            stack.first = self.rows[..stack.first].partition_point(|row| events.event_time(*row) < span.first);
            stack.turn = stack.first;
            stack.back_end = stack.first;
            stack.back.clear();
        }
        while stack.first < self.entered && is_before(stack.first) {
            stack.first += 1;
        }
        stack.first
    }

    /// Adds the events that lie in `span` to `states`.
    fn add_to(
        &mut self,
        plan: &Plan,
        events: &Events,
        (window, places, prefixed): (usize, &[usize], &[(usize, usize)]),
        span: Span,
        states: &mut [State],
    ) {
        let block = if plan.is_small(window) { SMALL_BLOCK } else { LARGE_BLOCK };
        self.leave(window, span, events);
        let stack = &mut self.stacks[window];
        for (place, part) in prefixed {
            if let Some(prefix) = &self.prefixes[*part] {
                prefix.add_to(&mut states[*place], stack.first, self.entered);
            }
        }
        if places.is_empty() {
            return;
        }
        // The state of what entered since has events that left.
        if stack.first > stack.turn {
            stack.turn(plan, events, (window, places), &self.rows, self.entered, block);
        }
        self.grow(plan, events, (window, places));
        let stack = &self.stacks[window];
        if stack.first < stack.turn {
            // The longest suffix that begins in the window, and the events before it.
            let blocks = (stack.turn - stack.first) / block;
            let parts = plan.window_plan(window).parts.len();
            if blocks > 0 {
                plan.merge_of(window, places, states, &stack.suffixes[(blocks - 1) * parts..blocks * parts]);
            }
            for row in &self.rows[stack.first..stack.turn - blocks * block] {
                plan.add_to(window, places, states, events, *row);
            }
        }
        plan.merge_of(window, places, states, &stack.back);
    }
}

impl Stack {
    /// Makes suffixes of all that is in the window.
    fn turn(
        &mut self,
        plan: &Plan,
        events: &Events,
        (window, places): (usize, &[usize]),
        rows: &[usize],
        entered: usize,
        block: usize,
    ) {
        self.turn = entered;
        self.suffixes.clear();
        let mut state = plan.empty_of(window);
        for (count, row) in rows[self.first..entered].iter().rev().enumerate() {
            plan.add_to(window, places, &mut state, events, *row);
            if (count + 1) % block == 0 {
                self.suffixes.extend(state.iter().cloned());
            }
        }
        self.back = plan.empty_of(window);
        self.back_end = entered;
    }
}

/// The sessions of one entity.
enum Sessions {
    /// Events enter in the order of their times, and stay: the session so far is carried along.
    Carried { order: Vec<(Timestamp, usize)>, windows: Vec<Carried> },
    /// Looked for at each instant, from the last event back.
    Sought { by_time: Vec<Counted> },
    /// There are no such windows.
    None,
}

#[derive(Default)]
struct Carried {
    next: usize,
    last: Option<Timestamp>,
    state: Vec<State>,
}

impl Sessions {
    fn new(plan: &Plan, plain: bool, counted: &[Counted], events: &Events) -> Self {
        let is_session = |window| matches!(plan.window(window), Window::Session(_));
        if !(0..plan.windows()).any(is_session) {
            return Sessions::None;
        }
        let counts = counted.iter().filter(|event| events.counts(event.row));
        if plain {
            let windows = (0..plan.windows()).map(|_| Carried::default()).collect();
            return Sessions::Carried { order: counts.map(|event| (event.from, event.row)).collect(), windows };
        }
        let mut by_time: Vec<Counted> = counts.copied().collect();
        by_time.sort_unstable_by_key(|event| events.event_time(event.row));
        Sessions::Sought { by_time }
    }

    fn answer(
        &mut self,
        plan: &Plan,
        events: &Events,
        (window, all): (usize, &[usize]),
        at: Timestamp,
        states: &mut [State],
    ) {
        plan.reset(window, states);
        let Window::Session(gap) = plan.window(window) else { return };
        let follows = |earlier: Timestamp, later: Timestamp| later.0.abs_diff(earlier.0) <= gap.as_micros();
        match self {
            Sessions::None => {}
            Sessions::Carried { order, windows } => {
                let carried = &mut windows[window];
                while let Some((from, row)) = order.get(carried.next).filter(|(from, _)| *from <= at) {
                    debug_assert!(*from <= at);
                    let time = events.event_time(*row);
                    if carried.last.is_none_or(|last| !follows(last, time)) {
                        carried.state = plan.empty_of(window);
                    }
                    plan.add_to(window, all, &mut carried.state, events, *row);
                    carried.last = Some(time);
                    carried.next += 1;
                }
                if carried.last.is_some_and(|last| follows(last, at)) {
                    plan.merge_of(window, all, states, &carried.state);
                }
            }
            Sessions::Sought { by_time } => {
                let mut last = at;
                let happened = by_time.partition_point(|event| events.event_time(event.row) <= at);
                let counts = |event: &&Counted| event.from <= at && event.until.is_none_or(|until| until > at);
                for event in by_time[..happened].iter().rev().filter(counts) {
                    let time = events.event_time(event.row);
                    if !follows(time, last) {
                        break;
                    }
                    plan.add_to(window, all, states, events, event.row);
                    last = time;
                }
            }
        }
    }
}
