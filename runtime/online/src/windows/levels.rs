//! The widths of tiles.

use tandem_core::time::Timestamp;
use tandem_core::window::Window;

/// Levels of tiles at most.
const LEVELS_MAX: usize = 8;

/// How many times a level is wider than the one below.
const LEVEL_WIDTH: i64 = 16;

/// The width of the narrowest tiles that there are, in bits of microseconds: about a second.
const NARROWEST_BITS: u32 = 20;

/// The width of the widest tiles: 2.2 years.
const WIDEST_BITS: u32 = 46;

/// Widths of tiles in microseconds, the narrowest first; each divides the next one.
#[derive(Debug)]
pub(super) struct Levels {
    widths: Vec<i64>,
    /// The level whose tiles are a hop wide; 0 where there is no hop.
    pub(super) of_hop: usize,
}

impl Levels {
    /// Tiles are a sixteenth of the shortest window at most, so that few events lie at the ends. With a hop they are that wide, wider and narrower.
    pub(super) fn of(windows: &[Window], hop: Option<i64>) -> Levels {
        let shortest = windows.iter().filter_map(|window| match window {
            Window::Sliding(length) => Some(length.as_micros()),
            Window::Calendar(_) => Some(24 * 3_600_000_000),
            Window::Lifetime | Window::Session(_) => None,
        });
        let shortest = shortest.min().unwrap_or(3_600_000_000);
        let least = (63 - (shortest / 16).max(1).leading_zeros()).clamp(NARROWEST_BITS, WIDEST_BITS);
        let Some(hop) = hop else {
            let widths = (least..=WIDEST_BITS).step_by(LEVEL_WIDTH.trailing_zeros() as usize).map(|bits| 1 << bits);
            return Levels { widths: widths.take(LEVELS_MAX).collect(), of_hop: 0 };
        };
        let narrower = |width: &i64| (width % LEVEL_WIDTH == 0).then_some(width / LEVEL_WIDTH);
        let mut widths: Vec<i64> =
            std::iter::successors(narrower(&hop), narrower).take_while(|width| *width >= 1 << least).collect();
        widths.reverse();
        let of_hop = widths.len();
        let wider = std::iter::successors(Some(hop), |width| width.checked_mul(LEVEL_WIDTH));
        widths.extend(
            wider
                .enumerate()
                .take_while(|(level, width)| *level == 0 || *width <= 1 << WIDEST_BITS)
                .map(|(_, width)| width),
        );
        widths.truncate(LEVELS_MAX.max(of_hop + 1));
        Levels { widths, of_hop }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.widths.len()
    }

    /// The width of a level.
    pub(super) fn width(&self, level: usize) -> i64 {
        self.widths[level]
    }

    /// Each width, the narrowest first.
    pub(super) fn widths(&self) -> impl Iterator<Item = i64> + '_ {
        self.widths.iter().copied()
    }
}

/// The start of the tile of a width that holds an instant. That of the first tile is the first instant there is.
pub(super) fn start(time: Timestamp, width: i64) -> Timestamp {
    Timestamp(time.0.saturating_sub(time.0.rem_euclid(width)))
}

/// Where the tile that holds an instant ends; None if no later one begins.
pub(super) fn end(time: Timestamp, width: i64) -> Option<Timestamp> {
    time.0.checked_add(width - time.0.rem_euclid(width)).map(Timestamp)
}

/// The first start of a tile that is not before `at`.
pub(super) fn ceiling(at: Timestamp, width: i64) -> Option<Timestamp> {
    if start(at, width) == at { Some(at) } else { end(at, width) }
}

/// Whether the tile that starts at `start` ends at `until` at the latest.
pub(super) fn fits(start: Timestamp, width: i64, until: Timestamp) -> bool {
    end(start, width).is_some_and(|end| end <= until)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tandem_core::time::Duration;

    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn sliding(hours: u64) -> Window {
        Window::Sliding(Duration::from_micros(hours * HOUR.unsigned_abs()))
    }

    #[test]
    fn widths_go_with_the_shortest_window_and_the_hop() {
        let widths = |windows: &[Window], hop| Levels::of(windows, hop).widths;
        assert_eq!(widths(&[sliding(2)], None), [28, 32, 36, 40, 44].map(|bits| 1_i64 << bits));
        // A hop of an hour, and windows of a day: nothing narrower is worth its while.
        assert_eq!(widths(&[sliding(24)], Some(HOUR)), [1, 16, 256, 4_096].map(|hops| hops * HOUR));
        // A hop of a day has narrower tiles for its last day.
        let levels = Levels::of(&[sliding(24)], Some(24 * HOUR));
        assert_eq!(levels.widths, [24 * HOUR / 16, 24 * HOUR, 24 * HOUR * 16, 24 * HOUR * 256]);
        assert_eq!(levels.of_hop, 1);
        // However wide or narrow the hop is.
        let widest = HOUR * 24 * 36_525;
        assert_eq!(widths(&[sliding(24 * 36_525)], Some(widest)), [widest / 16, widest]);
        assert_eq!(widths(&[sliding(1)], Some(1)).len(), LEVELS_MAX);
    }

    proptest! {
        #[test]
        fn tiles_cover_all_of_time_and_lie_in_each_other(time: i64, level in 0..4_usize, hop in 1..3 * HOUR) {
            let levels = Levels::of(&[sliding(1)], Some(hop));
            let level = level.min(levels.len() - 1);
            let width = levels.width(level);
            let time = Timestamp(time);
            let first = start(time, width);
            prop_assert!(first <= time && i128::from(time.0) - i128::from(first.0) < i128::from(width));
            prop_assert_eq!(ceiling(first, width), Some(first));
            if let Some(end) = end(time, width) {
                prop_assert!(end > time && start(end, width) == end && fits(first, width, end));
                prop_assert!(start(Timestamp(end.0 - 1), width) == first && !fits(first, width, Timestamp(end.0 - 1)));
            }
            if level + 1 < levels.len() {
                let wider = levels.width(level + 1);
                prop_assert!(start(time, wider) <= first && start(first, wider) == start(time, wider));
            }
        }
    }
}
