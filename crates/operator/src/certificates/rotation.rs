//! When a replica replaces its serving certificate.

use jiff::{SignedDuration, Timestamp};

use super::Error;
use super::authority::Authority;
use super::certificate::Certificate;
use super::serving_certificate::ServingCertificate;

/// The authority that both webhook configurations contain, and since when.
#[derive(Debug, Default)]
pub(crate) struct Trust(Option<(Certificate, Timestamp)>);

impl Trust {
    /// How long both configurations must have contained a new authority before a certificate of it is served. In this time
    /// every API server receives the configurations.
    const PROPAGATION: SignedDuration = SignedDuration::from_secs(10);

    /// Records whether both configurations contain `authority` now; returns whether they have for long enough.
    pub(crate) fn record(&mut self, authority: &Certificate, contained: bool, now: Timestamp) -> bool {
        self.0 = self.0.take().filter(|(known, _)| contained && known == authority);
        if contained {
            let (_, since) = self.0.get_or_insert_with(|| (authority.clone(), now));
            // The clock may have been set back.
            *since = now.min(*since);
            now.duration_since(*since) >= Self::PROPAGATION
        } else {
            false
        }
    }
}

/// The serving certificate that replaces `current`; `None` if `current` can still be served.
///
/// `trusted` is whether API servers trust `authority` by now. Until then, and until `authority` is valid, the certificate
/// of its predecessor is served.
pub(crate) fn successor(
    current: Option<&ServingCertificate>,
    authority: &Authority,
    trusted: bool,
    names: &[String],
    now: Timestamp,
) -> Result<Option<ServingCertificate>, Error> {
    let replace = match current {
        None => true,
        Some(current) if current.validity().is_expired(now) => true,
        Some(current) if current.issuer() == authority.certificate() => {
            // A new certificate would not be valid for longer if the authority ends as well.
            current.validity().is_due(now) && current.validity().not_after < authority.validity().not_after
        }
        Some(_) => trusted && authority.validity().has_started(now),
    };
    if replace { authority.sign(names, now).map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_trusted_after_both_configurations_have_contained_it_for_ten_seconds() {
        let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let [old, new] = [(); 2].map(|()| Authority::generate(start).unwrap());
        let mut trust = Trust::default();
        for (second, authority, contained, trusted) in [
            (0, &old, false, false),
            (5, &old, true, false),
            (14, &old, true, false),
            (15, &old, true, true),
            (20, &old, false, false),
            (25, &old, true, false),
            (35, &old, true, true),
            // Another replica has created a new authority and written it to both.
            (40, &new, true, false),
            (50, &new, true, true),
            // The clock is set back by a day.
            (50 - 86_400, &new, true, false),
            (60 - 86_400, &new, true, true),
        ] {
            let now = start + SignedDuration::from_secs(second);
            assert_eq!(trust.record(authority.certificate(), contained, now), trusted, "after {second} s");
        }
    }

    #[test]
    fn a_serving_certificate_is_replaced_only_when_necessary() {
        let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let names = ["winddown.winddown.svc".to_owned()];
        let [old, new] = [(); 2].map(|()| Authority::generate(start).unwrap());
        let future = Authority::generate(start + SignedDuration::from_hours(48 + 25)).unwrap();
        let serving = old.sign(&names, start).unwrap();
        let end = 365 * 24;
        let last = old.sign(&names, start + SignedDuration::from_hours(end - 20)).unwrap();
        for (case, current, authority, trusted, hours, changes) in [
            ("due, but it expires with its authority", Some(&last), &old, true, end - 1, false),
            ("none yet", None, &old, false, 0, true),
            ("fresh", Some(&serving), &old, true, 24, false),
            ("before two thirds of the validity", Some(&serving), &old, true, 95, false),
            ("after two thirds of the validity", Some(&serving), &old, true, 97, true),
            ("after two thirds, caBundle removed", Some(&serving), &old, false, 97, true),
            ("rotated, not yet in both configurations", Some(&serving), &new, false, 24, false),
            ("rotated, due, not yet in both configurations", Some(&serving), &new, false, 113, false),
            ("rotated, in both configurations", Some(&serving), &new, true, 24, true),
            ("rotated, in both configurations, not valid yet", Some(&serving), &future, true, 24, false),
            ("rotated, in both configurations, valid since a while", Some(&serving), &future, true, 25, true),
            ("rotated, expired before the new authority is trusted", Some(&serving), &new, false, 169, true),
        ] {
            let now = start + SignedDuration::from_hours(hours);
            let next = successor(current, authority, trusted, &names, now).unwrap();
            assert_eq!(next.is_some(), changes, "{case}");
            if let Some(next) = next {
                assert_eq!(next.issuer(), authority.certificate(), "{case}");
            }
        }
    }
}
