//! What stands in the Secret, and what should.
//!
//! Whatever stands there, an authority that works comes out: an empty Secret is filled, a broken one is made anew with a
//! warning, an old authority gets a successor. The operator must not crash because somebody edited a Secret.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::Error;
use super::authority::Authority;
use super::bundle::Bundle;
use super::certificate::Certificate;

/// The authority's certificate, PEM.
pub(crate) const CERTIFICATE: &str = "ca.crt";
/// The authority's private key, PEM.
pub(crate) const KEY: &str = "ca.key";
/// All authorities that are to be trusted, PEM.
pub(crate) const BUNDLE: &str = "ca-bundle.crt";

/// The `data` of the Secret.
pub(crate) type Data = BTreeMap<String, ByteString>;

/// An authority in force.
#[derive(Debug)]
pub(crate) struct Settled {
    /// Signs.
    pub authority: Authority,
    /// Is trusted.
    pub bundle: Bundle,
    /// Why the Secret has to be written; none where it stands as it should.
    pub change: Option<Change>,
}

/// Why the Secret has to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// There was no authority in it.
    First,
    /// What stood there cannot be used.
    Unreadable(String),
    /// The authority has expired.
    Expired,
    /// Two thirds of the authority's life are over.
    Due,
    /// Only the bundle was not as it should be.
    Bundle,
}

impl Change {
    /// Whether somebody should look into it.
    #[must_use]
    pub(crate) fn is_alarming(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Expired)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("no certificate authority yet: made one"),
            Self::Unreadable(why) => write!(f, "the certificate authority cannot be used ({why}): made a new one"),
            Self::Expired => f.write_str("the certificate authority has expired: made a new one"),
            Self::Due => f.write_str("two thirds of the certificate authority's life are over: made a new one"),
            Self::Bundle => f.write_str("the bundle was not up to date: wrote it anew"),
        }
    }
}

/// Reads the Secret's data, or makes what is missing.
///
/// `known` is the bundle that this process saw last. It stays trusted: when somebody deletes the Secret, replicas go on
/// serving what the old authority signed until the new one has reached the API servers.
pub(crate) fn settle(data: &Data, known: &Bundle, now: Timestamp) -> Result<Settled, Error> {
    let field = |name: &str| data.get(name).map_or(&[][..], |value| value.0.as_slice());
    let trusted = Certificate::all_from_pem(field(BUNDLE)).into_iter().chain(known.certificates().cloned());

    let change = match Authority::from_pem(field(CERTIFICATE), field(KEY)) {
        Ok(authority) if authority.validity().is_over(now) => Change::Expired,
        Ok(authority) if authority.validity().is_due(now) => Change::Due,
        Ok(authority) => {
            let bundle = Bundle::new(authority.certificate(), trusted, now);
            let change = (bundle.to_pem().as_bytes() != field(BUNDLE)).then_some(Change::Bundle);
            return Ok(Settled { authority, bundle, change });
        }
        Err(_) if field(CERTIFICATE).is_empty() && field(KEY).is_empty() => Change::First,
        Err(error) => Change::Unreadable(error.to_string()),
    };
    let authority = Authority::generate(now)?;
    // Its key may be gone or used up, but what it signed is still being served.
    let predecessor = Certificate::from_pem(field(CERTIFICATE)).ok();
    let bundle = Bundle::new(authority.certificate(), predecessor.into_iter().chain(trusted), now);
    Ok(Settled { authority, bundle, change: Some(change) })
}

impl Settled {
    /// The data that the Secret should have.
    #[must_use]
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

    fn settled(data: &Data, days: i64) -> Settled {
        settle(data, &Bundle::default(), after_days(days)).unwrap()
    }

    fn fresh() -> Data {
        settled(&Data::new(), 0).data()
    }

    #[test]
    fn an_authority_is_kept_until_two_thirds_of_its_life_are_over() {
        for (days, change) in
            [(0, None), (242, None), (244, Some(Change::Due)), (364, Some(Change::Due)), (366, Some(Change::Expired))]
        {
            assert_eq!(settled(&fresh(), days).change, change, "after {days} days");
        }
    }

    #[test]
    fn an_empty_secret_is_filled_and_then_left_alone() {
        let first = settled(&Data::new(), 0);
        assert_eq!(first.change, Some(Change::First));
        let again = settled(&first.data(), 1);
        assert_eq!(again.change, None);
        assert_eq!(again.data(), first.data());
    }

    #[test]
    fn a_rotation_keeps_the_old_authority_in_the_bundle_until_it_expires() {
        let old = fresh();
        let rotated = settled(&old, 250);
        let certificates: Vec<_> = rotated.bundle.certificates().cloned().collect();
        let before = Certificate::from_pem(&old[CERTIFICATE].0).unwrap();
        assert_eq!(certificates, [rotated.authority.certificate().clone(), before]);

        assert_eq!(settled(&rotated.data(), 364).change, None);
        let later = settled(&rotated.data(), 366);
        assert_eq!(later.change, Some(Change::Bundle));
        assert_eq!(later.bundle.certificates().collect::<Vec<_>>(), [rotated.authority.certificate()]);
    }

    #[test]
    fn whatever_stands_in_the_secret_an_authority_comes_out() {
        let other = fresh();
        let leaf = settled(&fresh(), 0).authority.sign(&["winddown".into()], start()).unwrap();
        for (field, value) in [
            (CERTIFICATE, Vec::new()),
            (CERTIFICATE, b"garbage".to_vec()),
            (CERTIFICATE, vec![0xff; 4096]),
            (CERTIFICATE, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec()),
            (CERTIFICATE, other[CERTIFICATE].0.clone()),
            (CERTIFICATE, leaf.certificate().to_pem().into_bytes()),
            (KEY, Vec::new()),
            (KEY, b"garbage".to_vec()),
            (KEY, vec![0xff; 4096]),
            (KEY, other[KEY].0.clone()),
        ] {
            let mut data = fresh();
            data.insert(field.to_owned(), ByteString(value.clone()));
            let settled = settled(&data, 1);
            let change = settled.change.unwrap();
            assert!(matches!(change, Change::Unreadable(_)), "{field} {}: {change}", String::from_utf8_lossy(&value));
            assert!(change.is_alarming());
            assert!(settled.authority.sign(&["winddown".into()], after_days(1)).is_ok());
        }
    }

    #[test]
    fn a_broken_bundle_is_written_anew_around_the_same_authority() {
        for bundle in [&b""[..], b"garbage", b"-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n"] {
            let mut data = fresh();
            let good = data.insert(BUNDLE.to_owned(), ByteString(bundle.to_vec())).unwrap();
            let settled = settled(&data, 1);
            assert_eq!(settled.change, Some(Change::Bundle));
            assert_eq!(settled.bundle.to_pem().into_bytes(), good.0);
        }
    }

    #[test]
    fn a_deleted_secret_gets_a_new_authority_while_the_old_one_stays_trusted() {
        let before = settled(&fresh(), 0);
        let after = settle(&Data::new(), &before.bundle, after_days(1)).unwrap();
        assert_ne!(after.authority.certificate(), before.authority.certificate());
        assert!(after.bundle.certificates().any(|certificate| certificate == before.authority.certificate()));
    }
}
