//! Where on a line of fixed width a second stands. Text and picture share it.

use winddown_core::duration::Seconds;
use winddown_core::timeline::{Lane, Timeline};

/// More lanes than this nobody looks at.
pub(crate) const MOST_LANES: usize = 12;

/// The lanes that are shown, and how many are not.
pub(crate) fn shown(timeline: &Timeline) -> (&[Lane], usize) {
    let shown = &timeline.lanes[..timeline.lanes.len().min(MOST_LANES)];
    (shown, timeline.lanes.len() - shown.len())
}

/// The times at which something begins or ends, each with its place.
pub(crate) struct Scale {
    marks: Vec<(Seconds, usize)>,
}

impl Scale {
    /// A scale of that width, on which no two marks are closer than `least`.
    pub(crate) fn new(timeline: &Timeline, width: usize, least: usize) -> Self {
        let phases = shown(timeline).0.iter().flat_map(|lane| &lane.phases);
        let mut times: Vec<_> = phases.map(|phase| phase.end).chain([Seconds::ZERO, timeline.kill_at]).collect();
        times.sort_unstable();
        times.dedup();
        let gaps = times.len() - 1;
        let longest = times.last().copied().unwrap_or_default();
        // What is left once every gap has its least is shared out by the time it takes.
        let free = as_u64(width.saturating_sub(gaps * least));
        let share = |time: Seconds| {
            let (time, longest) =
                (u64::try_from(time.as_i64()).unwrap_or(0), u64::try_from(longest.as_i64()).unwrap_or(0));
            usize::try_from((free * time + longest / 2).checked_div(longest).unwrap_or(0)).unwrap_or(width)
        };
        let marks = times.iter().enumerate().map(|(at, time)| (*time, at * least + share(*time))).collect();
        Self { marks }
    }

    /// The place of a time: of the last mark that is not later.
    pub(crate) fn place(&self, time: Seconds) -> usize {
        let later = self.marks.partition_point(|(mark, _)| *mark <= time);
        later.checked_sub(1).map_or(0, |at| self.marks[at].1)
    }

    /// From mark to mark: the time at which a stretch begins, and the places of both ends.
    pub(crate) fn stretches(&self) -> impl Iterator<Item = (Seconds, usize, usize)> {
        self.marks.windows(2).map(|ends| (ends[0].0, ends[0].1, ends[1].1))
    }

    /// The numbers for which there is room where each of their characters takes so much, in order: SIGKILL first of all,
    /// then the beginning, then the rest as they come.
    pub(crate) fn numbers(&self, kill_at: Seconds, character: usize) -> Vec<(Seconds, usize)> {
        let mut numbers: Vec<(Seconds, usize)> = Vec::new();
        let first = [kill_at, Seconds::ZERO].into_iter().map(|time| (time, self.place(time)));
        for (time, place) in first.chain(self.marks.iter().copied()) {
            let end = |time: Seconds, place: usize| place + (time.to_string().len() + 1) * character;
            let free = |(other, there): &(Seconds, usize)| end(time, place) <= *there || end(*other, *there) <= place;
            if numbers.iter().all(free) {
                numbers.push((time, place));
            }
        }
        numbers.sort_unstable();
        numbers
    }
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Scale, Seconds};
    use winddown_core::timeline::{Activity, Lane, Phase, Timeline};

    fn timeline(ends: &[u32], kill_at: u32) -> Timeline {
        let phases =
            ends.iter().map(|end| Phase { activity: Activity::Slack, start: Seconds::ZERO, end: Seconds::new(*end) });
        let (container, signal) = ("app".to_owned(), "SIGTERM".to_owned());
        let lane = Lane { container, sidecar: false, signal, phases: phases.collect() };
        Timeline { lanes: vec![lane], done: Seconds::ZERO, kill_at: Seconds::new(kill_at) }
    }

    #[test]
    fn time_is_shared_out_and_no_phase_disappears() {
        for (ends, kill_at, places) in [
            (vec![5, 30], 35, vec![0, 9, 51, 60]),
            (vec![1, 2, 86_400], 86_401, vec![0, 1, 2, 59, 60]),
            (vec![30], 20, vec![0, 40, 60]),
            (vec![], 0, vec![0]),
        ] {
            let scale = Scale::new(&timeline(&ends, kill_at), 60, 1);
            assert_eq!(scale.marks.iter().map(|(_, place)| *place).collect::<Vec<_>>(), places, "{ends:?}");
        }
    }

    #[test]
    fn numbers_never_overlap_and_the_kill_is_always_there() {
        let scale = Scale::new(&timeline(&[5, 6, 30, 34], 35), 60, 1);
        let numbers = scale.numbers(Seconds::new(35), 1);
        assert_eq!(numbers.iter().map(|(time, _)| time.as_i64()).collect::<Vec<_>>(), [0, 5, 30, 35]);
    }
}
