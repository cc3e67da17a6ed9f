//! Events with ids: corrected and retracted, wherever in the source.

use arrow_array::{BooleanArray, Int64Array, StringArray, TimestampMillisecondArray};
use proptest::prelude::*;
use tandem_core::model::{AsOf, BoundView, KnownBy};

use super::history::{joined, micros};
use super::*;
use crate::testing::run_at;

/// A version of an event: id, user, event time and created time (milliseconds after [`NEW_YEAR`]), amount; None: it takes the event back.
#[derive(Debug, Clone, PartialEq)]
struct Fact {
    id: Option<i64>,
    user: i64,
    at: i64,
    created: i64,
    amount: Option<i64>,
}

fn facts_batch(facts: &[Fact]) -> RecordBatch {
    let times = |of: fn(&Fact) -> i64| {
        Arc::new(facts.iter().map(|fact| Some(NEW_YEAR + of(fact))).collect::<TimestampMillisecondArray>()) as ArrayRef
    };
    // What takes an event back has nothing but its id.
    let columns: [(&str, ArrayRef); 6] = [
        (
            "at",
            Arc::new(
                facts.iter().map(|fact| fact.amount.map(|_| NEW_YEAR + fact.at)).collect::<TimestampMillisecondArray>(),
            ),
        ),
        ("user", Arc::new(facts.iter().map(|fact| fact.amount.map(|_| fact.user)).collect::<Int64Array>())),
        ("amount", Arc::new(facts.iter().map(|fact| fact.amount).collect::<Int64Array>())),
        ("known_at", times(|fact| fact.created)),
        ("id", Arc::new(facts.iter().map(|fact| fact.id.map(|id| format!("e{id}"))).collect::<StringArray>())),
        ("gone", Arc::new(facts.iter().map(|fact| Some(fact.amount.is_none())).collect::<BooleanArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn view_of(source: &Path, known_by: KnownBy) -> BoundView {
    let mut view = view(source);
    let mut files = crate::testing::source(source);
    files.sequence = None;
    (files.event_id, files.retracted) = (Some("id".to_owned()), Some("gone".to_owned()));
    view.view.source = ViewSource::Files(Arc::new(files));
    view.view.on_error = OnError::Fail;
    (view.view.as_of, view.view.known_by) = (AsOf::AtOrBefore, known_by);
    view
}

/// Of the versions of each event that are known, the greatest by created time; of those that take nothing back, the greatest row.
fn oracle(facts: &[Fact], (user, instant): (i64, i64), known: impl Fn(&Fact) -> bool) -> Option<i64> {
    let known: Vec<&Fact> = facts.iter().filter(|fact| known(fact)).collect();
    let counts = |fact: &&&Fact| {
        let later = |other: &&&Fact| {
            let rank = |fact: &Fact| (fact.created, fact.amount.is_none());
            other.id.is_some() && other.id == fact.id && rank(other) > rank(fact)
        };
        fact.amount.is_some() && !known.iter().any(|other| later(&other))
    };
    let rows = known.iter().filter(counts).filter(|fact| fact.user == user && fact.at <= instant);
    rows.max_by_key(|fact| (fact.at, fact.created, fact.amount)).and_then(|fact| fact.amount)
}

fn fact() -> impl Strategy<Value = Fact> {
    let amount = prop_oneof![1 => Just(None), 4 => (1..9_i64).prop_map(Some)];
    let id = prop_oneof![1 => Just(None), 9 => (0..4_i64).prop_map(Some)];
    (id, 0..2_i64, 0..4_i64, 0..7_i64, amount).prop_map(|(id, user, at, created, amount)| {
        let amount = amount.or_else(|| id.is_none().then_some(1));
        Fact { id, user, at, created, amount }
    })
}

const DAYS: [&str; 2] = ["2026-01-01", "2026-01-02"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Facts that come in loads, each into one day; only that day is computed then.
    #[test]
    fn the_greatest_known_version_counts_wherever_it_lies(
        loads in prop::collection::vec((0..2_usize, prop::collection::vec(fact(), 0..4)), 1..5),
        published in any::<bool>(),
    ) {
        let (source, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let known_by = if published { KnownBy::Published } else { KnownBy::Created };
        let view = view_of(source.path(), known_by);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut loaded: Vec<(i64, Fact)> = Vec::new();
        for (index, (day, facts)) in loads.iter().enumerate() {
            let now = 2 * (index as i64 + 1);
            write(&source.path().join(format!("date={}/{index}.parquet", DAYS[*day])), &facts_batch(facts));
            let next = tandem_core::time::Day::parse(DAYS[*day]).unwrap().next().to_string();
            let range = Some(days(DAYS[*day], &next));
            runtime.block_on(crate::testing::run_range(&view, output.path(), range, micros(now))).unwrap();
            loaded.extend(facts.iter().map(|fact| (now, fact.clone())));
        }
        let labels: Vec<(i64, i64)> = (0..2).flat_map(|user| (-1..14).map(move |instant| (user, instant))).collect();
        let expected = labels.iter().map(|label| {
            let instant = label.1;
            if published {
                let known: Vec<Fact> =
                    loaded.iter().filter(|(load, _)| *load <= instant).map(|(_, fact)| fact.clone()).collect();
                oracle(&known, *label, |_| true)
            } else {
                let all: Vec<Fact> = loaded.iter().map(|(_, fact)| fact.clone()).collect();
                oracle(&all, *label, |fact| fact.created <= instant)
            }
        });
        let expected: Vec<_> = expected.collect();
        prop_assert_eq!(joined(&view, output.path(), &labels), expected);
        // All days again: nothing is new.
        let report = runtime.block_on(run_at(&view, output.path(), micros(50))).unwrap();
        prop_assert_eq!((report.rows().added, report.rows().retracted), (0, 0));
        prop_assert_eq!(report.rows().retractions, loaded.iter().filter(|(_, fact)| fact.amount.is_none()).count() as u64);
    }
}
