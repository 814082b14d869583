//! Maps times to positions on a line of fixed width. Text and SVG share it.

use winddown_core::duration::Seconds;
use winddown_core::plan::timeline::{Lane, Timeline};

/// A pod with more containers is drawn in part.
const MAX_LANES: usize = 12;

/// The lanes to draw, and the number of lanes left out.
pub(crate) fn visible_lanes(timeline: &Timeline) -> (&[Lane], usize) {
    let visible = &timeline.lanes[..timeline.lanes.len().min(MAX_LANES)];
    (visible, timeline.lanes.len() - visible.len())
}

/// The times at which a phase begins or ends, each with its position.
pub(crate) struct Scale {
    marks: Vec<(Seconds, usize)>,
}

impl Scale {
    /// A scale of this width on which two marks are at least `min_gap` apart.
    pub(crate) fn new(timeline: &Timeline, width: usize, min_gap: usize) -> Self {
        Self::of(times(timeline), width, min_gap)
    }

    /// The same for these times.
    pub(crate) fn of(times: impl IntoIterator<Item = Seconds>, width: usize, min_gap: usize) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        times.dedup();
        let gaps = times.len().saturating_sub(1);
        let longest = times.last().copied().unwrap_or_default();
        // Every gap gets `min_gap`; the rest of the width is divided in proportion to time.
        let free = as_u64(width.saturating_sub(gaps * min_gap));
        let share = |time: Seconds| {
            let (time, longest) =
                (u64::try_from(time.as_i64()).unwrap_or(0), u64::try_from(longest.as_i64()).unwrap_or(0));
            usize::try_from((free * time + longest / 2).checked_div(longest).unwrap_or(0)).unwrap_or(width)
        };
        let marks = times.iter().enumerate().map(|(at, time)| (*time, at * min_gap + share(*time))).collect();
        Self { marks }
    }

    /// The position of a time: that of the last mark that is not later.
    pub(crate) fn position(&self, time: Seconds) -> usize {
        let later = self.marks.partition_point(|(mark, _)| *mark <= time);
        later.checked_sub(1).map_or(0, |at| self.marks[at].1)
    }

    /// The position of the last mark.
    pub(crate) fn end(&self) -> usize {
        self.marks.last().map_or(0, |(_, position)| *position)
    }

    /// The intervals between marks: start time, start position, end position.
    pub(crate) fn intervals(&self) -> impl Iterator<Item = (Seconds, usize, usize)> {
        self.marks.windows(2).map(|ends| (ends[0].0, ends[0].1, ends[1].1))
    }

    /// The times that have room for their text, `character_width` per character, in order. SIGKILL and the start come
    /// before all others.
    pub(crate) fn numbers(&self, kill_at: Seconds, character_width: usize) -> Vec<(Seconds, usize)> {
        let mut numbers: Vec<(Seconds, usize)> = Vec::new();
        let first = [kill_at, Seconds::ZERO].into_iter().map(|time| (time, self.position(time)));
        for (time, position) in first.chain(self.marks.iter().copied()) {
            let end = |time: Seconds, position: usize| position + (time.to_string().len() + 1) * character_width;
            let is_clear =
                |(other, start): &(Seconds, usize)| end(time, position) <= *start || end(*other, *start) <= position;
            if numbers.iter().all(is_clear) {
                numbers.push((time, position));
            }
        }
        numbers.sort_unstable();
        numbers
    }
}

/// The start, SIGKILL, and the times at which a visible phase ends.
pub(crate) fn times(timeline: &Timeline) -> Vec<Seconds> {
    let phases = visible_lanes(timeline).0.iter().flat_map(|lane| &lane.phases);
    phases.map(|phase| phase.end).chain([Seconds::ZERO, timeline.kill_at]).collect()
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Scale, Seconds};
    use winddown_core::plan::lanes::Role;
    use winddown_core::plan::timeline::{Activity, Lane, Phase, Timeline};

    fn timeline(ends: &[u32], kill_at: u32) -> Timeline {
        let phases =
            ends.iter().map(|end| Phase { activity: Activity::Slack, start: Seconds::ZERO, end: Seconds::new(*end) });
        let (container, signal) = ("app".to_owned(), "SIGTERM".to_owned());
        let (role, signal_at, needs) = (Role::App, Seconds::ZERO, Seconds::ZERO);
        let phases = phases.collect();
        let lane = Lane { container, sidecar: false, role, needs, signal, signal_at, phases };
        Timeline { lanes: vec![lane], done: Seconds::ZERO, kill_at: Seconds::new(kill_at) }
    }

    #[test]
    fn width_is_divided_by_time_and_every_phase_is_visible() {
        for (ends, kill_at, positions) in [
            (vec![5, 30], 35, vec![0, 9, 51, 60]),
            (vec![1, 2, 86_400], 86_401, vec![0, 1, 2, 59, 60]),
            (vec![30], 20, vec![0, 40, 60]),
            (vec![], 0, vec![0]),
        ] {
            let scale = Scale::new(&timeline(&ends, kill_at), 60, 1);
            assert_eq!(scale.marks.iter().map(|(_, position)| *position).collect::<Vec<_>>(), positions, "{ends:?}");
        }
    }

    #[test]
    fn numbers_do_not_overlap_and_include_the_time_of_sigkill() {
        let scale = Scale::new(&timeline(&[5, 6, 30, 34], 35), 60, 1);
        let numbers = scale.numbers(Seconds::new(35), 1);
        assert_eq!(numbers.iter().map(|(time, _)| time.as_i64()).collect::<Vec<_>>(), [0, 5, 30, 35]);
    }
}
