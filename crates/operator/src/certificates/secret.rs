//! The content of the Secret that stores the certificate authority.
//!
//! Any content leads to a working authority: one is created if the Secret is empty, created with a warning if the content
//! is invalid, and replaced when it is due. Invalid content must not stop the operator.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::Error;
use super::authority::Authority;
use super::bundle::Bundle;
use super::certificate::Certificate;
use super::known::Known;

pub(crate) const CERTIFICATE: &str = "ca.crt";
pub(crate) const KEY: &str = "ca.key";
/// All authorities to trust.
pub(crate) const BUNDLE: &str = "ca-bundle.crt";

/// The Secret's `data`.
pub(crate) type Data = BTreeMap<String, ByteString>;

/// What the Secret should contain.
#[derive(Debug)]
pub(crate) struct Desired {
    pub authority: Arc<Authority>,
    pub bundle: Bundle,
    /// The authority that the Secret contains, unless it is invalid or has expired. It is used if the Secret cannot be
    /// written.
    pub found: Option<Arc<Authority>>,
    /// Why the Secret must be written; `None` if it is up to date.
    pub change: Option<Change>,
}

/// Why the Secret must be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It contains no authority.
    Created,
    /// Its authority is invalid.
    Invalid(String),
    /// The authority has expired.
    Expired,
    /// Two thirds of the authority's validity have passed.
    Due,
    /// Only the bundle is not up to date.
    Bundle,
}

impl Change {
    /// Whether it is logged as a warning.
    pub(crate) fn is_warning(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Expired)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created the certificate authority"),
            Self::Invalid(why) => write!(f, "replaced the invalid certificate authority: {why}"),
            Self::Expired => f.write_str("replaced the expired certificate authority"),
            Self::Due => f.write_str("replaced the certificate authority after two thirds of its validity"),
            Self::Bundle => f.write_str("updated the bundle of certificate authorities"),
        }
    }
}

/// Parses the Secret's data and creates a new authority where necessary.
///
/// After the Secret is deleted, replicas serve certificates of the old authority until the API servers trust the new one,
/// so what is `known` stays trusted.
pub(crate) fn desired(data: &Data, known: &Known, now: Timestamp) -> Result<Desired, Error> {
    let field = |name: &str| data.get(name).map_or(&[][..], |value| value.0.as_slice());
    let mut stored = Certificate::all_from_pem(field(BUNDLE));

    let mut found = None;
    let change = match Authority::from_pem(field(CERTIFICATE), field(KEY)) {
        Ok(authority) if authority.validity().is_expired(now) => Change::Expired,
        Ok(authority) if authority.validity().is_due(now) => {
            found = Some(Arc::new(authority));
            Change::Due
        }
        Ok(authority) => {
            let authority = Arc::new(authority);
            let bundle = known.bundle_for(authority.certificate(), stored, now);
            let change = (bundle.to_pem().as_bytes() != field(BUNDLE)).then_some(Change::Bundle);
            return Ok(Desired { found: Some(authority.clone()), authority, bundle, change });
        }
        Err(_) if field(CERTIFICATE).is_empty() && field(KEY).is_empty() => Change::Created,
        // Without the sources of the error, which could quote the private key.
        Err(error) => Change::Invalid(error.to_string()),
    };
    let authority = Authority::generate(now)?;
    // Its key may be missing, but certificates that it signed are still served.
    stored.splice(0..0, Certificate::from_pem(field(CERTIFICATE)).ok());
    let bundle = known.bundle_for(authority.certificate(), stored, now);
    Ok(Desired { authority: Arc::new(authority), bundle, found, change: Some(change) })
}

impl Desired {
    pub(crate) fn data(&self) -> Data {
        let entry = |name: &str, value: String| (name.to_owned(), ByteString(value.into_bytes()));
        BTreeMap::from([
            entry(CERTIFICATE, self.authority.certificate().to_pem()),
            entry(KEY, self.authority.key_pem()),
            entry(BUNDLE, self.bundle.to_pem()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn start() -> Timestamp {
        "2026-11-23T10:00:00Z".parse().unwrap()
    }

    fn after_days(days: i64) -> Timestamp {
        start() + SignedDuration::from_hours(24 * days)
    }

    fn after(data: &Data, days: i64) -> Desired {
        desired(data, &Known::default(), after_days(days)).unwrap()
    }

    fn fresh() -> Data {
        after(&Data::new(), 0).data()
    }

    #[test]
    fn an_authority_is_kept_until_two_thirds_of_its_validity_have_passed() {
        for (days, change) in
            [(0, None), (242, None), (244, Some(Change::Due)), (364, Some(Change::Due)), (366, Some(Change::Expired))]
        {
            assert_eq!(after(&fresh(), days).change, change, "after {days} days");
        }
    }

    #[test]
    fn an_empty_secret_is_written_once() {
        let first = after(&Data::new(), 0);
        assert_eq!(first.change, Some(Change::Created));
        let again = after(&first.data(), 1);
        assert_eq!(again.change, None);
        assert_eq!(again.data(), first.data());
    }

    #[test]
    fn a_rotation_keeps_the_old_authority_in_the_bundle_for_the_lifetime_of_a_serving_certificate() {
        let old = fresh();
        let rotated = after(&old, 250);
        let certificates: Vec<_> = rotated.bundle.certificates().cloned().collect();
        let before = Certificate::from_pem(&old[CERTIFICATE].0).unwrap();
        assert_eq!(certificates, [rotated.authority.certificate().clone(), before]);

        let mut known = Known::default();
        known.remember(rotated.authority.clone(), rotated.bundle.clone(), after_days(250));
        let later = |days| desired(&rotated.data(), &known, after_days(days)).unwrap();
        assert_eq!(later(256).change, None);
        assert_eq!(later(258).change, Some(Change::Bundle));
        assert_eq!(later(258).bundle.certificates().collect::<Vec<_>>(), [rotated.authority.certificate()]);
    }

    #[test]
    fn the_served_authority_stays_in_the_bundle_however_often_the_secret_is_replaced_and_the_bundle_stays_small() {
        let first = after(&Data::new(), 0);
        let mut known = Known::default();
        known.serving = Some(first.authority.sign(&[], start()).unwrap());
        known.remember(first.authority.clone(), first.bundle, start());
        let served = first.authority.certificate();
        let mut stored = Data::new();
        for keeps_bundle in [false, true] {
            for _ in 0..20 {
                stored.retain(|field, _| keeps_bundle && field == BUNDLE);
                let next = desired(&stored, &known, start()).unwrap();
                assert_eq!(next.change, Some(Change::Created));
                assert!(next.bundle.certificates().any(|each| each == served));
                assert!(next.bundle.to_pem().len() < 8 * 1024);
                stored = next.data();
                known.remember(next.authority, next.bundle, start());
            }
        }
        assert_eq!(known.bundle.certificates().count(), Bundle::MAX);
    }

    #[test]
    fn a_large_bundle_of_somebody_else_is_cut_and_a_large_certificate_is_no_authority() {
        let known = Known::default();
        let others = (0..20).map(|_| after(&Data::new(), 0).authority.certificate().to_pem()).collect::<String>();
        let mut data = fresh();
        data.insert(BUNDLE.to_owned(), ByteString(others.into_bytes()));
        assert_eq!(desired(&data, &known, start()).unwrap().bundle.certificates().count(), Bundle::MAX);

        let large = pem::encode(&pem::Pem::new("CERTIFICATE", vec![0x30; 500_000]));
        data.insert(CERTIFICATE.to_owned(), ByteString(large.into_bytes()));
        let change = desired(&data, &known, start()).unwrap().change.unwrap();
        assert!(change.to_string().contains("has 500000 bytes; the limit is 8192"), "{change}");
    }

    #[test]
    fn an_authority_that_is_not_valid_yet_is_kept() {
        assert_eq!(after(&fresh(), -10).change, None);
    }

    #[test]
    fn invalid_content_is_replaced_by_a_working_authority() {
        let other = fresh();
        let serving = after(&fresh(), 0).authority.sign(&["winddown".into()], start()).unwrap();
        for (field, value) in [
            (CERTIFICATE, Vec::new()),
            (CERTIFICATE, b"garbage".to_vec()),
            (CERTIFICATE, vec![0xff; 4096]),
            (CERTIFICATE, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()),
            (CERTIFICATE, other[CERTIFICATE].0.clone()),
            (CERTIFICATE, serving.certificate().to_pem().into_bytes()),
            (KEY, Vec::new()),
            (KEY, b"garbage".to_vec()),
            (KEY, vec![0xff; 4096]),
            (KEY, other[KEY].0.clone()),
        ] {
            let mut data = fresh();
            data.insert(field.to_owned(), ByteString(value.clone()));
            let desired = after(&data, 1);
            let change = desired.change.unwrap();
            assert!(matches!(change, Change::Invalid(_)), "{field} {}: {change}", String::from_utf8_lossy(&value));
            assert!(change.is_warning());
            assert!(desired.authority.sign(&["winddown".into()], after_days(1)).is_ok());
        }
    }

    #[test]
    fn an_invalid_bundle_is_rewritten_with_the_same_authority() {
        for bundle in [&b""[..], b"garbage", b"-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n"] {
            let mut data = fresh();
            let good = data.insert(BUNDLE.to_owned(), ByteString(bundle.to_vec())).unwrap();
            let desired = after(&data, 1);
            assert_eq!(desired.change, Some(Change::Bundle));
            assert_eq!(desired.bundle.to_pem().into_bytes(), good.0);
        }
    }

    #[test]
    fn a_deleted_secret_gets_a_new_authority_and_the_old_one_stays_trusted() {
        let before = after(&fresh(), 0);
        let mut known = Known::default();
        known.remember(before.authority.clone(), before.bundle, start());
        let replaced = desired(&Data::new(), &known, after_days(1)).unwrap();
        assert_ne!(replaced.authority.certificate(), before.authority.certificate());
        assert!(replaced.bundle.certificates().any(|certificate| certificate == before.authority.certificate()));
    }
}
