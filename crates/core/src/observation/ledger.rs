//! Counts each stop at most once, however often and by whomever it is offered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::duration::Seconds;
use crate::observation::{End, Timestamp};

/// How many stops are remembered.
const REMEMBERED: usize = 64;

/// How many while many pods stop within [`BURST_WINDOW`]: in a second, more pods can end than are remembered otherwise, and
/// times have whole seconds.
const REMEMBERED_IN_BURST: usize = 256;

const BURST_WINDOW: Seconds = Seconds::new(600);

/// How far the clock of a node may be ahead. A later end would move the watermark into the future, after which nothing is
/// counted.
pub(crate) const MAX_AHEAD: Seconds = Seconds::new(300);

/// The UIDs that were counted, as short hashes, and a watermark: what may have ended before it was counted or is lost.
///
/// `latest` of a forgotten stop raises the watermark, and a stop whose `earliest` is not above it is refused. By the contract
/// of [`End`], no observation of a forgotten stop is above it. So each UID is admitted at most once. Stops that are reported
/// after so many later ones are lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    until: Option<Timestamp>,
    /// In the order of `latest`.
    counted: Vec<Counted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counted {
    latest: Timestamp,
    uid: UidHash,
}

/// The first 48 bits of the SHA-256 of a UID. That two of the remembered ones are equal by chance loses one stop in 10¹².
type UidHash = [u8; 6];

/// The text is not what [`Ledger::remembered`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MalformedLedger;

impl Ledger {
    /// A ledger that admits only what ends from this time on.
    #[must_use]
    pub fn since(now: Timestamp) -> Self {
        Self { until: Some(now.minus(Seconds::new(1))), counted: Vec::new() }
    }

    /// A ledger that admits only what ends after this time, because what was counted before it is unknown.
    #[must_use]
    pub fn after(now: Timestamp) -> Self {
        // A stop that was counted can have ended later than now by the clock of its node.
        Self { until: Some(now.plus(MAX_AHEAD)), counted: Vec::new() }
    }

    /// Counts a stop; false if it was counted before or may have been.
    #[must_use]
    pub fn admit(&mut self, uid: &str, end: End, now: Timestamp) -> bool {
        let uid = hash(uid);
        let is_late = self.until.is_some_and(|until| end.earliest <= until);
        if is_late || end.is_ahead(now) || self.counted.iter().any(|counted| counted.uid == uid) {
            return false;
        }
        let latest = end.latest.max(end.earliest);
        let position = self.counted.partition_point(|counted| counted.latest <= latest);
        self.counted.insert(position, Counted { latest, uid });
        self.forget();
        true
    }

    fn forget(&mut self) {
        let Some(newest) = self.counted.last().map(|counted| counted.latest) else { return };
        let old = self.counted.partition_point(|counted| counted.latest < newest.minus(BURST_WINDOW));
        let superfluous = self.counted.len().saturating_sub(REMEMBERED).min(old);
        let superfluous = superfluous.max(self.counted.len().saturating_sub(REMEMBERED_IN_BURST));
        self.until = self.until.max(self.counted.drain(..superfluous).map(|counted| counted.latest).max());
    }

    /// What may have ended until then is refused.
    pub(crate) fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// The time of the oldest remembered stop, and the remembered ones: for each the seconds since the one before (LEB128)
    /// and the hash, in Base64.
    pub(crate) fn remembered(&self) -> Option<(Timestamp, String)> {
        let oldest = self.counted.first()?.latest;
        let mut bytes = Vec::with_capacity(self.counted.len() * 8);
        let mut before = oldest;
        for counted in &self.counted {
            let mut seconds = u64::try_from(counted.latest.since(before)).unwrap_or_default();
            while seconds >= 0x80 {
                bytes.extend(u8::try_from(seconds & 0x7f | 0x80));
                seconds >>= 7;
            }
            bytes.extend(u8::try_from(seconds));
            bytes.extend(counted.uid);
            before = counted.latest;
        }
        Some((oldest, STANDARD_NO_PAD.encode(bytes)))
    }

    /// The inverse of [`Self::until`] and [`Self::remembered`].
    pub(crate) fn of(until: Option<Timestamp>, remembered: Option<(Timestamp, &str)>) -> Result<Self, MalformedLedger> {
        let mut counted = Vec::new();
        if let Some((oldest, text)) = remembered {
            let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| MalformedLedger)?;
            let (mut rest, mut latest) = (bytes.as_slice(), oldest);
            while !rest.is_empty() {
                let (seconds, tail) = leb128(rest)?;
                let (uid, tail) = tail.split_first_chunk::<6>().ok_or(MalformedLedger)?;
                latest = Timestamp::from_second(latest.as_second().saturating_add(seconds));
                counted.push(Counted { latest, uid: *uid });
                rest = tail;
            }
        }
        if counted.len() > REMEMBERED_IN_BURST { Err(MalformedLedger) } else { Ok(Self { until, counted }) }
    }

    /// The latest time in it.
    pub(crate) fn newest(&self) -> Option<Timestamp> {
        self.until.max(self.counted.last().map(|counted| counted.latest))
    }
}

fn leb128(bytes: &[u8]) -> Result<(i64, &[u8]), MalformedLedger> {
    let mut value = 0_i64;
    // Eight bytes have 56 bits.
    for (position, byte) in bytes.iter().enumerate().take(8) {
        value |= i64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[position + 1..]));
        }
    }
    Err(MalformedLedger)
}

fn hash(uid: &str) -> UidHash {
    let digest = Sha256::digest(uid.as_bytes());
    std::array::from_fn(|position| digest[position])
}

#[cfg(test)]
mod tests {
    use super::{End, Ledger, MAX_AHEAD, MalformedLedger, REMEMBERED, REMEMBERED_IN_BURST, Timestamp};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second)
    }

    fn exactly(second: i64) -> End {
        End { earliest: at(second), latest: at(second) }
    }

    fn restored(ledger: &Ledger) -> Ledger {
        let remembered = ledger.remembered();
        let remembered = remembered.as_ref().map(|(oldest, text)| (*oldest, text.as_str()));
        Ledger::of(ledger.until(), remembered).unwrap()
    }

    #[test]
    fn a_uid_is_admitted_once_also_after_it_was_forgotten() {
        let mut ledger = Ledger::default();
        let stops: Vec<_> = (0..1000).map(|number| (number.to_string(), exactly(60 * number))).collect();
        for (number, (uid, end)) in stops.iter().enumerate() {
            assert!(ledger.admit(uid, *end, end.latest), "{uid}");
            ledger = restored(&ledger);
            assert_eq!(ledger.counted.len(), (number + 1).min(REMEMBERED));
        }
        assert!(stops.iter().all(|(uid, end)| !ledger.admit(uid, *end, at(100_000))));
        assert!(!ledger.admit("unknown", exactly(60), at(100_000)), "it may have been counted");
        assert!(ledger.admit("late", exactly(60 * 999 - 30), at(100_000)));
    }

    #[test]
    fn more_are_remembered_while_many_pods_stop() {
        let mut ledger = Ledger::default();
        let admitted = (0..200).filter(|uid| ledger.admit(&uid.to_string(), exactly(i64::from(uid % 2)), at(1)));
        assert_eq!(admitted.count(), 200, "in any order within two seconds");
        ledger = restored(&ledger);
        assert!((0..200).all(|uid| !ledger.admit(&uid.to_string(), exactly(i64::from(uid % 2)), at(1))));
        assert!(ledger.remembered().unwrap().1.len() <= 1900);
        assert!(ledger.admit("later", exactly(700), at(700)));
        assert_eq!(ledger.counted.len(), REMEMBERED);
        for uid in 0..1000 {
            let _ = ledger.admit(&format!("{uid} of many"), exactly(800), at(800));
        }
        assert_eq!(ledger.counted.len(), REMEMBERED_IN_BURST);
        assert!(ledger.remembered().unwrap().1.len() <= 2400);
    }

    #[test]
    fn observations_of_one_stop_that_differ_are_one_stop() {
        let missed = End { earliest: at(0), latest: at(90) };
        for (first, second) in [(exactly(40), missed), (missed, exactly(40)), (missed, missed)] {
            let mut ledger = Ledger::default();
            assert!(ledger.admit("1", first, at(90)));
            for number in 0..REMEMBERED_IN_BURST {
                let number = i64::try_from(number).unwrap();
                assert!(ledger.admit(&format!("other {number}"), exactly(1000 + number), at(2000)));
            }
            assert!(!ledger.counted.iter().any(|counted| counted.uid == super::hash("1")), "forgotten");
            assert!(!ledger.admit("1", second, at(2000)), "{first:?} {second:?}");
        }
    }

    #[test]
    fn a_node_with_a_clock_far_ahead_does_not_stop_the_counting() {
        let mut ledger = Ledger::default();
        assert!(!ledger.admit("ahead", exactly(86_400), at(0)));
        assert!(ledger.admit("near", exactly(MAX_AHEAD.as_i64()), at(0)));
    }

    #[test]
    fn a_ledger_that_starts_again_admits_nothing_that_was_counted() {
        let mut ledger = Ledger::after(at(0));
        for (second, admitted) in [(-1000, false), (0, false), (MAX_AHEAD.as_i64(), false), (301, true)] {
            assert_eq!(ledger.admit(&second.to_string(), exactly(second), at(400)), admitted, "{second}");
        }
    }

    #[test]
    fn other_text_is_malformed() {
        use base64::Engine as _;
        let encoded = |bytes: &[u8]| super::STANDARD_NO_PAD.encode(bytes);
        let too_many = encoded(&[0; 7 * (REMEMBERED_IN_BURST + 1)]);
        for text in ["?", &encoded(&[0, 1]), &encoded(&[0xff; 20]), &encoded(&[0x80]), &too_many] {
            assert_eq!(Ledger::of(None, Some((at(0), text))), Err(MalformedLedger), "{text}");
        }
        let far = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3, 4, 5, 6];
        assert!(Ledger::of(None, Some((at(0), &encoded(&far)))).is_ok_and(|ledger| ledger.newest() > Some(at(0))));
    }
}
