//! What a payload begins with: whose it is, which of them, and when it was due.

use std::time::Duration;

use crate::arguments::STAMP;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Stamp {
    /// Other benchmarks may use the same topics.
    pub(super) run: u64,
    pub(super) publisher: u32,
    pub(super) sequence: u32,
    /// Since the start.
    pub(super) due: Duration,
}

impl Stamp {
    /// A payload of this size, which is not smaller than the stamp.
    pub(super) fn payload(self, size: usize) -> Vec<u8> {
        let mut payload = Vec::with_capacity(size);
        payload.extend_from_slice(&self.run.to_be_bytes());
        payload.extend_from_slice(&self.publisher.to_be_bytes());
        payload.extend_from_slice(&self.sequence.to_be_bytes());
        payload.extend_from_slice(&u64::try_from(self.due.as_nanos()).unwrap_or(u64::MAX).to_be_bytes());
        payload.resize(size.max(STAMP), b'.');
        payload
    }

    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let (run, rest) = payload.split_first_chunk()?;
        let (publisher, rest) = rest.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (due, _) = rest.split_first_chunk()?;
        Some(Self {
            run: u64::from_be_bytes(*run),
            publisher: u32::from_be_bytes(*publisher),
            sequence: u32::from_be_bytes(*sequence),
            due: Duration::from_nanos(u64::from_be_bytes(*due)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_tells_its_stamp() {
        let stamp =
            Stamp { run: 1 << 60, publisher: 3, sequence: 1 << 20, due: Duration::from_nanos(12_345) };
        for size in [STAMP, 64] {
            let payload = stamp.payload(size);
            assert_eq!(payload.len(), size);
            assert_eq!(Stamp::read(&payload), Some(stamp));
        }
        assert_eq!(Stamp::read(b"too short"), None);
    }
}
