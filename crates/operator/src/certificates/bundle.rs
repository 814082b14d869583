//! The certificate authorities that API servers trust: the content of `caBundle`.

use jiff::Timestamp;

use super::certificate::Certificate;

/// Authorities that have not expired, without duplicates; the one that signs is first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bundle(Vec<Certificate>);

impl Bundle {
    /// `signing`, followed by the authorities among `others` that have not expired.
    pub(crate) fn new(signing: &Certificate, others: impl IntoIterator<Item = Certificate>, now: Timestamp) -> Self {
        let mut all = vec![signing.clone()];
        for other in others {
            if other.is_authority() && !other.validity().is_expired(now) && !all.contains(&other) {
                all.push(other);
            }
        }
        Self(all)
    }

    pub(crate) fn to_pem(&self) -> String {
        self.0.iter().map(Certificate::to_pem).collect()
    }

    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter()
    }
}
