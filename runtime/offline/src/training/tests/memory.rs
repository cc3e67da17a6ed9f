//! How many labels are joined at once.

use super::super::memory::{PART_LABELS_MIN, most, parts};
use super::*;

const LABELS: usize = 10_000_000;

/// Labels of so many users, to which `spend` is joined, and views like it.
fn set(known_by: KnownBy, views: &[&str], users: i64) -> TrainingSet {
    let root = tempfile::tempdir().unwrap();
    let view = |name: &&str| {
        let mut view = one_user(root.path(), &[10]);
        view.view.name = (*name).to_owned();
        view.view.known_by = known_by;
        publish(root.path(), &view, "date=2026-01-01", &[]);
        view
    };
    let views: Vec<BoundView> = views.iter().map(view).collect();
    // As many rows as users at least, so that these bound the distinct keys.
    let asked: Vec<_> = (0..1_000).map(|row| (Some(row * users / 1_000), 20)).collect();
    let mut request = request(root.path(), &views[0], labels(&asked));
    request.plan = plan(&views.iter().map(|view| (view, &["doubled"][..])).collect::<Vec<_>>());
    TrainingSet::prepare(request).unwrap()
}

/// Estimated bytes for each of so many labels.
fn per_label(set: &TrainingSet) -> u64 {
    most(LABELS as u64, &set.shared.request, &set.shared.histories) / LABELS as u64
}

#[test]
fn labels_are_divided_where_the_moment_that_takes_most_would_not_fit() {
    let mut set = set(KnownBy::Created, &["spend", "other", "third"], 1_000);
    for limit in [1_u64, 256 << 20, 512 << 20, 1 << 30, 1 << 40] {
        let shared = Arc::get_mut(&mut set.shared).unwrap();
        shared.request.options.memory_bytes_max = limit;
        let parts = parts(LABELS, &shared.request, &shared.histories);
        assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start), "{parts:?}");
        assert_eq!((parts[0].start, parts[parts.len() - 1].end), (0, LABELS));
        // The labels' times and the process are beside.
        let takes = |labels: usize| most(labels as u64, &shared.request, &shared.histories) + 8 * LABELS as u64;
        let largest = parts.iter().map(std::ops::Range::len).max().unwrap();
        let fits = takes(largest) <= limit.saturating_sub(64 << 20);
        assert!(largest <= PART_LABELS_MIN || fits, "{limit}: parts of {largest}");
        // With half as many they would not fit, even if no rows were being written.
        let half = parts.len() / 2;
        assert!(half == 0 || takes(LABELS.div_ceil(half)) > limit.saturating_sub(64 << 20), "{limit}: {}", parts.len());
    }
}

#[test]
fn what_is_not_held_is_not_counted() {
    let one = per_label(&set(KnownBy::Event, &["spend"], 1_000));
    // What has happened is watched where it may not be known.
    assert!(one < per_label(&set(KnownBy::Created, &["spend"], 1_000)));
    // A further view with the same keys shares them, and what is kept of the first is less than what joining it took.
    let two = per_label(&set(KnownBy::Event, &["spend", "other"], 1_000));
    assert!(one < two && two < 2 * one, "{one}, {two}");
    // No more keys differ than whole numbers lie between the least and the greatest: of keys far apart each label may have its own.
    let apart = set(KnownBy::Event, &["spend"], i64::MAX / 1_000);
    assert_eq!(apart.shared.request.labels.distinct_max("customer"), 1_000);
    assert!(set(KnownBy::Event, &["spend"], 10).shared.request.labels.distinct_max("customer") <= 10);
}
