//! What a replica remembers from one check to the next.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::authority::{Authority, BACKDATED, SERVING_CERTIFICATE_LIFETIME};
use super::bundle::Bundle;
use super::certificate::Certificate;
use super::serving_certificate::ServingCertificate;

/// In this time every replica serves a certificate of a new authority, if it can be trusted at all.
const CHANGEOVER: SignedDuration = SignedDuration::from_hours(1);

/// The authority of the last check, its bundle, and the certificate that is served. All are absent before the first check.
#[derive(Debug, Default)]
pub(crate) struct Known {
    authority: Option<(Arc<Authority>, Timestamp)>,
    pub bundle: Bundle,
    pub serving: Option<ServingCertificate>,
}

impl Known {
    /// The last authority, unless it has expired.
    pub(crate) fn usable_authority(&self, now: Timestamp) -> Option<Arc<Authority>> {
        let (authority, _) = self.authority.as_ref()?;
        (!authority.validity().is_expired(now)).then(|| authority.clone())
    }

    pub(crate) fn remember(&mut self, authority: Arc<Authority>, bundle: Bundle, now: Timestamp) {
        let since = self.since(authority.certificate()).unwrap_or(now);
        self.authority = Some((authority, since));
        self.bundle = bundle;
    }

    /// The authority whose certificate this replica serves.
    pub(crate) fn issuer(&self) -> Option<&Certificate> {
        self.serving.as_ref().map(ServingCertificate::issuer)
    }

    /// Since when this is the authority.
    fn since(&self, authority: &Certificate) -> Option<Timestamp> {
        let (known, since) = self.authority.as_ref()?;
        (known.certificate() == authority).then_some(*since)
    }

    /// The bundle for `authority` when the Secret contains `stored`, in the order of `stored`.
    ///
    /// Right after the authority changed, everything known stays trusted: other replicas serve certificates of it, and the
    /// new Secret may not contain it. Later only the issuer of the own certificate is added, and what the Secret no longer
    /// contains is dropped. Predecessors are dropped when the certificates that they signed have expired.
    pub(crate) fn bundle_for(&self, authority: &Certificate, stored: Vec<Certificate>, now: Timestamp) -> Bundle {
        let others = match self.since(authority) {
            Some(since) if is_settled(authority, since, now) => Vec::new(),
            Some(_) => stored,
            None => stored.into_iter().chain(self.bundle.certificates().cloned()).collect(),
        };
        Bundle::with(authority, self.issuer(), &others, now)
    }
}

/// Whether no certificate of a predecessor is valid any more. A replaced Secret can contain an authority that was created
/// long ago, so what counts is also how long this replica has known it.
fn is_settled(authority: &Certificate, since: Timestamp, now: Timestamp) -> bool {
    let created = authority.validity().not_before + BACKDATED;
    now.duration_since(created) > SERVING_CERTIFICATE_LIFETIME && now.duration_since(since) > CHANGEOVER
}
