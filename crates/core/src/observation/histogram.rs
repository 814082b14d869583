//! How long something took, in a few hundred recent cases.

use std::collections::BTreeMap;
use std::fmt;

/// When all counts are halved: the shape stays, and old cases are forgotten by number and not by time.
const MAX_CASES: u32 = 512;

/// More than a text with every bucket has.
const LONGEST_TEXT: usize = 2048;

/// The buckets of a histogram. Each is named by its upper bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Seconds: each one up to 30, then each a tenth longer, up to a day.
    AppTime,
    /// Milliseconds: 100 ms to 1 min.
    Withdrawal,
}

const LONGEST_APP_TIME: u32 = 24 * 60 * 60;
const WITHDRAWALS: [u32; 9] = [100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000];

impl Scale {
    fn bounds(self) -> impl Iterator<Item = u32> {
        let next = |bound: &u32| {
            let longer = if *bound < 30 { bound + 1 } else { (bound * 11).div_ceil(10) };
            (*bound < LONGEST_APP_TIME).then(|| longer.min(LONGEST_APP_TIME))
        };
        let app_times = std::iter::successors(Some(0).filter(|_| self == Self::AppTime), next);
        app_times.chain(WITHDRAWALS.into_iter().filter(move |_| self == Self::Withdrawal))
    }

    /// The bound of the bucket with this value. The last bucket has everything that is longer, too.
    fn bucket(self, value: u32) -> u32 {
        self.bounds().find(|bound| value <= *bound).or_else(|| self.bounds().last()).unwrap_or(value)
    }
}

/// The number of cases in each bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    scale: Scale,
    counts: BTreeMap<u32, u16>,
}

/// The text is not what [`Histogram`] displays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedHistogram;

impl Histogram {
    /// An empty one.
    #[must_use]
    pub const fn new(scale: Scale) -> Self {
        Self { scale, counts: BTreeMap::new() }
    }

    /// Adds a case.
    pub fn add(&mut self, value: u32) {
        let count = self.counts.entry(self.scale.bucket(value)).or_default();
        *count = count.saturating_add(1);
        if self.cases() > MAX_CASES {
            // The remainder goes to the next bucket, so that rare cases in buckets of their own do not all disappear.
            let mut remainder = 0;
            for count in self.counts.values_mut() {
                let sum = *count + remainder;
                (*count, remainder) = (sum / 2, sum % 2);
            }
            self.counts.retain(|_, count| *count > 0);
        }
    }

    /// The number of cases that it remembers.
    #[must_use]
    pub fn cases(&self) -> u32 {
        self.counts.values().map(|count| u32::from(*count)).sum()
    }

    /// The bound below which this share of the cases is; `None` without a case.
    #[must_use]
    pub fn percentile(&self, percent: u32) -> Option<u32> {
        let rank = (self.cases() * percent.min(100)).div_ceil(100).max(1);
        let mut below = 0;
        self.counts.iter().find_map(|(bound, count)| {
            below += u32::from(*count);
            (below >= rank).then_some(*bound)
        })
    }

    /// The inverse of `Display`.
    pub(crate) fn parse(scale: Scale, text: &str) -> Result<Self, MalformedHistogram> {
        let mut histogram = Self::new(scale);
        if text.is_empty() {
            return Ok(histogram);
        }
        if text.len() > LONGEST_TEXT {
            return Err(MalformedHistogram);
        }
        for pair in text.split(',') {
            let (bound, count) = pair.split_once(':').ok_or(MalformedHistogram)?;
            let bound = bound.parse().map_err(|_| MalformedHistogram)?;
            let count = count.parse().map_err(|_| MalformedHistogram)?;
            if scale.bucket(bound) != bound || count == 0 || histogram.counts.insert(bound, count).is_some() {
                return Err(MalformedHistogram);
            }
        }
        if histogram.cases() > MAX_CASES { Err(MalformedHistogram) } else { Ok(histogram) }
    }
}

impl fmt::Display for Histogram {
    /// The buckets with cases: `6:200,7:100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (bound, count)) in self.counts.iter().enumerate() {
            let separator = if position == 0 { "" } else { "," };
            write!(f, "{separator}{bound}:{count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Histogram, LONGEST_TEXT, MAX_CASES, MalformedHistogram, Scale};

    fn of(scale: Scale, values: impl IntoIterator<Item = u32>) -> Histogram {
        let mut histogram = Histogram::new(scale);
        values.into_iter().for_each(|value| histogram.add(value));
        histogram
    }

    #[test]
    fn a_bucket_is_at_most_a_second_or_a_tenth_wide() {
        let bounds: Vec<_> = Scale::AppTime.bounds().collect();
        assert_eq!((bounds[0], bounds[30], bounds[31], bounds.last()), (0, 30, 33, Some(&86_400)));
        assert!(bounds.windows(2).all(|pair| pair[1] > pair[0] && pair[1] <= pair[0] + 1 + pair[0] / 10));
        assert!(bounds.len() < 150);
        assert_eq!(of(Scale::AppTime, [0, 6, 6, 31, 100_000]).to_string(), "0:1,6:2,33:1,86400:1");
        assert_eq!(of(Scale::Withdrawal, [0, 100, 101, 70_000]).to_string(), "100:2,250:1,60000:1");
    }

    #[test]
    fn percentiles_are_the_bounds_of_their_buckets() {
        let histogram = of(Scale::AppTime, (0..90).map(|_| 4).chain((0..9).map(|_| 5)).chain([20]));
        let percentiles = [0, 50, 90, 91, 99, 100, 1000].map(|percent| histogram.percentile(percent));
        assert_eq!(percentiles, [4, 4, 4, 5, 5, 20, 20].map(Some));
        assert_eq!(of(Scale::AppTime, []).percentile(99), None);
        assert_eq!(of(Scale::AppTime, [7]).percentile(50), Some(7));
    }

    #[test]
    fn many_cases_are_halved_and_the_shape_stays() {
        let histogram = of(Scale::AppTime, (0..5000).map(|case| if case % 10 == 0 { 9 } else { 4 }));
        assert!(histogram.cases() <= MAX_CASES && histogram.cases() > MAX_CASES / 3);
        assert_eq!((histogram.percentile(80), histogram.percentile(95)), (Some(4), Some(9)));
        let recovered = of(Scale::AppTime, [600].into_iter().chain((0..600).map(|_| 4)));
        assert_eq!(recovered.percentile(100), Some(4), "a single case is forgotten");
        let rare = of(Scale::AppTime, (0..496).map(|_| 4).chain(15..31).chain([4]));
        assert_eq!((rare.cases(), rare.percentile(99)), (256, Some(25)), "those in buckets of their own are not");
    }

    #[test]
    fn a_text_is_read_again_and_has_a_bound() {
        for histogram in [of(Scale::AppTime, []), of(Scale::AppTime, 0..500), of(Scale::Withdrawal, [1, 2000])] {
            let text = histogram.to_string();
            assert_eq!(Histogram::parse(histogram.scale, &text), Ok(histogram));
        }
        let longest = Scale::AppTime.bounds().map(|bound| format!("{bound}:4")).collect::<Vec<_>>().join(",");
        assert!(longest.len() < LONGEST_TEXT && Histogram::parse(Scale::AppTime, &longest).is_ok());
    }

    #[test]
    fn other_text_is_malformed() {
        let long = "6:1,".repeat(10_000);
        for text in ["x", "6", "6:", ":1", "6:0", "6:-1", "31:1", "6:1,6:1", "6:513", "6:1,", "6:99999999999", &long] {
            assert_eq!(Histogram::parse(Scale::AppTime, text), Err(MalformedHistogram), "{text}");
        }
        assert_eq!(Histogram::parse(Scale::Withdrawal, "6:1"), Err(MalformedHistogram));
    }
}
