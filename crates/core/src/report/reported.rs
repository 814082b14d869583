//! What Events reported last.

/// How many findings are followed. The status of a `ShutdownBudget` has their hashes.
pub(super) const MAX_FOLLOWED: usize = 32;

/// The start of the text.
const VERSION: &str = "v1";

/// The last reported state of a workload. It is kept in memory for every workload, so it contains only hashes.
///
/// They are the same in every replica and after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reported {
    pub(super) budget: ReportedBudget,
    /// Of the errors and warnings, sorted.
    actionable: Box<[u64]>,
}

/// The budget that was reported last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum ReportedBudget {
    /// None.
    #[default]
    None,
    /// Nothing is known about it: the workload could not be evaluated yet.
    Unknown,
    /// The one with this hash.
    Applied(u64),
}

impl Reported {
    /// The state with another finding.
    pub(super) fn with(&self, finding: u64) -> Self {
        let others = self.actionable.iter().copied().filter(|other| *other != finding).take(MAX_FOLLOWED - 1);
        Self::new(self.budget, others.chain([finding]))
    }

    pub(super) fn new(budget: ReportedBudget, actionable: impl IntoIterator<Item = u64>) -> Self {
        let mut actionable: Box<[u64]> = actionable.into_iter().collect();
        actionable.sort_unstable();
        Self { budget, actionable }
    }

    pub(super) fn includes(&self, finding: u64) -> bool {
        self.actionable.binary_search(&finding).is_ok()
    }

    /// The same without the budget, which depends on what was reported before.
    pub(crate) fn findings(&self) -> &[u64] {
        &self.actionable
    }

    /// One line of at most 600 characters: the version, the hash of the budget, `-` or `?`, and the hashes of the findings.
    #[must_use]
    pub fn to_text(&self) -> String {
        let budget = match self.budget {
            ReportedBudget::None => "-".to_owned(),
            ReportedBudget::Unknown => "?".to_owned(),
            ReportedBudget::Applied(hash) => format!("{hash:016x}"),
        };
        let hashes = self.actionable.iter().map(|hash| format!("{hash:016x}"));
        [VERSION.to_owned(), budget].into_iter().chain(hashes).collect::<Vec<_>>().join(" ")
    }

    /// The inverse; `None` for a text that Winddown did not write.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        if words.next() != Some(VERSION) {
            return None;
        }
        let budget = match words.next()? {
            "-" => ReportedBudget::None,
            "?" => ReportedBudget::Unknown,
            word => ReportedBudget::Applied(hash(word)?),
        };
        let hashes: Option<Vec<u64>> = words.by_ref().take(MAX_FOLLOWED).map(hash).collect();
        words.next().is_none().then_some(Self::new(budget, hashes?))
    }
}

fn hash(digits: &str) -> Option<u64> {
    let valid = digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    valid.then(|| u64::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::{MAX_FOLLOWED, Reported, ReportedBudget};

    #[test]
    fn a_text_is_read_again_and_short() {
        let most = (0..MAX_FOLLOWED as u64).rev().map(|number| u64::MAX - number);
        for reported in [
            Reported::default(),
            Reported::new(ReportedBudget::Unknown, []),
            Reported::new(ReportedBudget::Applied(0), []),
            Reported::new(ReportedBudget::Applied(u64::MAX), most),
        ] {
            let text = reported.to_text();
            assert!(text.len() <= 600, "{text}");
            assert_eq!(Reported::parse(&text), Some(reported), "{text}");
        }
        assert_eq!(Reported::new(ReportedBudget::None, [2, 1]).to_text(), "v1 - 0000000000000001 0000000000000002");
    }

    #[test]
    fn other_text_is_not_read() {
        let hash = "0000000000000001";
        let many = format!("v1 -{}", format!(" {hash}").repeat(MAX_FOLLOWED + 1));
        let texts =
            ["", "v1", "v1 ", "v1  -", "v1 1", "v2 -", "v1 - x", "v1 - +000000000000001", " v1 -", "v1 -\n", &many];
        for text in texts {
            assert_eq!(Reported::parse(text), None, "{text:?}");
        }
        assert_eq!(Reported::parse(&format!("v1 - {hash} ")), None);
        assert_eq!(Reported::parse(&"v1 - ".repeat(100_000)), None);
    }
}
