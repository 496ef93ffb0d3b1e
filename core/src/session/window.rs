//! Messages on the way at once.

use crate::wire::QoS;

/// Messages on the way at once: how many there are, or how many there may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// QoS 1 and 2 together.
    pub(super) all: usize,
    /// QoS 2 of them.
    pub(super) exactly_once: usize,
}

impl Window {
    /// QoS 1 waits for QoS 2, too: a broker that is full of QoS 2 has no room for either (mosquitto drops both, and
    /// before 5.0 confirms them).
    #[inline]
    pub(super) fn has_room(self, limit: Self) -> bool {
        self.all < limit.all && self.exactly_once < limit.exactly_once
    }

    #[inline]
    pub(super) fn add(&mut self, qos: QoS) {
        self.all += 1;
        self.exactly_once += usize::from(qos == QoS::ExactlyOnce);
    }

    #[inline]
    pub(super) fn remove(&mut self, qos: QoS) {
        self.all -= 1;
        self.exactly_once -= usize::from(qos == QoS::ExactlyOnce);
    }
}
