//! The certificate authorities that API servers trust: the content of `caBundle`.

use jiff::Timestamp;

use super::certificate::Certificate;

/// Authorities that have not expired, without duplicates, at most [`Bundle::MAX`]; the one that signs is first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bundle(Vec<Certificate>);

impl Bundle {
    /// With the maximum size of a certificate, the PEM is far below the limit of an object (1 MiB).
    pub(crate) const MAX: usize = 8;
    /// The places in which a needed authority is safe from the next replacements.
    const SAFE: usize = Self::MAX / 2;

    /// `signing`, followed by the first authorities among `others` that have not expired.
    pub(crate) fn new(signing: &Certificate, others: impl IntoIterator<Item = Certificate>, now: Timestamp) -> Self {
        let mut all = vec![signing.clone()];
        for other in others {
            if all.len() == Self::MAX {
                break;
            }
            if other.is_authority() && !other.validity().is_expired(now) && !all.contains(&other) {
                all.push(other);
            }
        }
        Self(all)
    }

    /// Like [`Self::new`], with `needed` right after `signing`, unless it is near the front already. Replicas that need
    /// different authorities therefore agree on an order.
    pub(crate) fn with(
        signing: &Certificate,
        needed: Option<&Certificate>,
        others: &[Certificate],
        now: Timestamp,
    ) -> Self {
        let bundle = Self::new(signing, others.iter().cloned(), now);
        match needed {
            Some(needed) if !bundle.0.iter().take(Self::SAFE).any(|each| each == needed) => {
                Self::new(signing, std::iter::once(needed).chain(others).cloned(), now)
            }
            _ => bundle,
        }
    }

    pub(crate) fn to_pem(&self) -> String {
        self.0.iter().map(Certificate::to_pem).collect()
    }

    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter()
    }

    /// The PEM to write over `existing` so that it contains all of these; `None` if it does already.
    pub(crate) fn added_to(&self, existing: &[u8], now: Timestamp) -> Option<String> {
        let existing = Certificate::all_from_pem(existing);
        let (signing, others) = self.0.split_first()?;
        let missing = self.0.iter().any(|each| !existing.contains(each));
        missing.then(|| Self::new(signing, others.iter().chain(&existing).cloned(), now).to_pem())
    }
}
