//! The authorities that clients are to trust: what stands in `caBundle`.

use jiff::Timestamp;

use super::certificate::Certificate;

/// Authorities that have not expired, the one that signs now first, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bundle(Vec<Certificate>);

impl Bundle {
    /// `signing` and, behind it, those of `others` that are still good.
    #[must_use]
    pub(crate) fn new(signing: &Certificate, others: impl IntoIterator<Item = Certificate>, now: Timestamp) -> Self {
        let mut all = vec![signing.clone()];
        for other in others {
            if other.is_authority() && !other.validity().is_over(now) && !all.contains(&other) {
                all.push(other);
            }
        }
        Self(all)
    }

    /// The bundle as PEM blocks, one after the other.
    #[must_use]
    pub(crate) fn to_pem(&self) -> String {
        self.0.iter().map(Certificate::to_pem).collect()
    }

    /// The certificates in it.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter()
    }
}
