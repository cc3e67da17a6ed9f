//! Which calls are made with the rows of a sample.

use arrow_array::Array;

use super::VerifyOptions;
use super::plan::{Machines, Plan};
use super::report::Check;
use super::sample::Sample;

/// Orders that are tried beside the reverse one.
const SHUFFLES: u64 = 3;

/// Sizes of pieces: on both sides of what bits and bytes of validity divide, and of what vector instructions do.
const SIZES: [usize; 11] = [2, 3, 5, 7, 8, 9, 16, 31, 64, 100, 257];

/// Rows around a null, and columns for which that is tried.
const NEIGHBOURS: usize = 12;
const COLUMNS_MAX: usize = 64;

/// Rows with garbage that are called alone too, rows that are called again and again, faulty rows among others.
const ALONE_MAX: usize = 48;
const AGED_ROWS: usize = 4;
const FAULTY_MAX: usize = 3;

/// A check and its plans; none, with a reason, where it cannot be made.
pub(super) struct Planned {
    pub(super) check: Check,
    pub(super) plans: Vec<Plan>,
    pub(super) skipped: Option<&'static str>,
}

/// All checks that call `apply`, those first whose differences are easiest to understand.
pub(super) fn checks(sample: &Sample, machines: &Machines, options: &VerifyOptions) -> Vec<Planned> {
    let sound = sample.sound();
    let single = |rows: &[usize]| rows.iter().map(|row| vec![*row]).collect::<Vec<_>>();
    let pieces = |rows: &[usize], size: usize| rows.chunks(size).map(<[usize]>::to_vec).collect::<Vec<_>>();
    let whole = || vec![sound.clone()];
    let reversed: Vec<usize> = sound.iter().rev().copied().collect();

    let mut shuffled = vec![Plan::fresh(Check::Shuffled, vec![reversed.clone()])];
    shuffled.extend(
        (0..SHUFFLES)
            .map(|index| Plan::fresh(Check::Shuffled, vec![permuted(&sound, options.seed.wrapping_add(index))])),
    );
    let split = SIZES.iter().filter(|size| **size < sound.len());
    let split = split.map(|size| Plan::fresh(Check::Split, pieces(&sound, *size))).collect();
    let hidden = vec![
        Plan::fresh(Check::Hidden, single(spread(&sound, ALONE_MAX).as_slice())),
        Plan::fresh(Check::Hidden, whole()),
    ];
    let used = vec![
        Plan::used(Check::Used, single(&sound)),
        Plan::used(Check::Used, single(&reversed)),
        Plan::used(Check::Used, [whole(), whole()].concat()),
        Plan::used(Check::Used, [whole(), single(&sound)].concat()),
        Plan::used(Check::Used, pieces(&sound, 7)),
    ];
    let age = spread(&sound, AGED_ROWS).into_iter();
    let age = age.map(|row| Plan::used(Check::Age, vec![vec![row]; options.calls])).collect();
    let planned = |check, plans| Planned { check, plans, skipped: None };
    let optional = |check, there: bool, skipped, plans: Vec<Plan>| {
        if there { planned(check, plans) } else { Planned { check, plans: Vec::new(), skipped: Some(skipped) } }
    };

    let few = spread(&sound, options.interpreter_rows);
    let interpreter =
        vec![Plan::fresh(Check::Interpreter, single(&few)), Plan::fresh(Check::Interpreter, vec![few.clone()])];
    let faulty = spread(&sample.faulty(), FAULTY_MAX);
    let mut all = vec![
        planned(Check::Again, vec![Plan::fresh(Check::Again, single(&sound))]),
        planned(Check::Whole, vec![Plan::fresh(Check::Whole, whole())]),
        planned(Check::Shuffled, shuffled),
        planned(Check::Split, split),
        planned(Check::Nulls, beside_nulls(sample, &sound)),
        planned(Check::Hidden, hidden),
        planned(Check::Used, used),
        planned(Check::Age, age),
        optional(
            Check::Strict,
            machines.strict.is_some(),
            "its NaNs are strict already",
            vec![Plan::fresh(Check::Strict, single(&sound)), Plan::fresh(Check::Strict, whole())],
        ),
        optional(Check::Interpreter, machines.interpreted.is_some(), "not wanted", interpreter),
        optional(Check::Faulty, !faulty.is_empty(), "no row's call fails", among_faulty(&sound, &faulty)),
    ];
    // A call without rows is none.
    for planned in &mut all {
        planned.plans.iter_mut().for_each(|plan| plan.calls.retain(|rows| !rows.is_empty()));
        planned.plans.retain(|plan| !plan.calls.is_empty());
    }
    all
}

/// Rows with a value in a column, by themselves and with a row before or behind them that has none. The boundary shows a column's validity
/// only where a row of the call is null: this is where a transform could see the difference.
fn beside_nulls(sample: &Sample, sound: &[usize]) -> Vec<Plan> {
    let mut calls = Vec::new();
    for column in sample.inputs.columns().iter().filter(|column| column.null_count() > 0).take(COLUMNS_MAX) {
        let (valid, null): (Vec<usize>, Vec<usize>) = sound.iter().partition(|row| column.is_valid(**row));
        let valid = spread(&valid, NEIGHBOURS);
        let null = spread(&null, 2);
        calls.push(valid.clone());
        for null in null {
            calls.push([vec![null], valid.clone()].concat());
            calls.push([valid.clone(), vec![null]].concat());
        }
    }
    vec![Plan::fresh(Check::Nulls, calls)]
}

/// Few rows whose calls fail among few others, in one call and one by one.
fn among_faulty(sound: &[usize], faulty: &[usize]) -> Vec<Plan> {
    let mut rows = spread(sound, NEIGHBOURS);
    for (index, row) in faulty.iter().enumerate() {
        rows.insert((index * 5).min(rows.len()), *row);
    }
    let single = rows.iter().map(|row| vec![*row]).collect();
    vec![Plan::used(Check::Faulty, vec![rows]), Plan::used(Check::Faulty, single)]
}

/// So many of the rows at most, evenly.
fn spread(rows: &[usize], max: usize) -> Vec<usize> {
    let count = rows.len().min(max);
    (0..count).map(|index| rows[index * rows.len() / count]).collect()
}

/// The rows in another order, the same for the same seed (Fisher and Yates, with a linear congruential generator).
fn permuted(rows: &[usize], seed: u64) -> Vec<usize> {
    let mut rows = rows.to_vec();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for end in (1..rows.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        rows.swap(end, ((state >> 33) % (end as u64 + 1)) as usize);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_other_orders_of_the_same_rows() {
        let rows: Vec<usize> = (0..50).collect();
        let mut one = permuted(&rows, 1);
        assert_ne!(one, permuted(&rows, 2));
        assert_eq!(one, permuted(&rows, 1));
        assert_ne!(one, rows);
        one.sort_unstable();
        assert_eq!(one, rows);
    }

    #[test]
    fn rows_are_taken_evenly() {
        assert_eq!(spread(&[1, 2, 3, 4, 5, 6], 3), [1, 3, 5]);
        assert_eq!(spread(&[1, 2], 3), [1, 2]);
        assert_eq!(spread(&[], 3), Vec::<usize>::new());
        assert_eq!(spread(&[1, 2], 0), Vec::<usize>::new());
    }
}
