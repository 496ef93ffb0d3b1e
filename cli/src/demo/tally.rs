//! What arrived, and whether it is what was promised.

use packetboat::QoS;

pub(super) const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// A message that says which it is.
pub(super) fn payload(qos: QoS, number: u32, size: usize) -> Vec<u8> {
    let mut payload = format!("{} {number} ", qos as u8).into_bytes();
    payload.resize(size, b'.');
    payload
}

/// How often each message arrived.
#[derive(Debug)]
pub(super) struct Tally {
    arrivals: [Vec<u32>; 3],
    /// The number after the highest that arrived.
    next: [usize; 3],
    /// First arrivals that came after a later one.
    out_of_order: [usize; 3],
    /// Messages nobody sent.
    strange: usize,
}

/// One line of the result.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Row {
    pub(super) received: usize,
    pub(super) lost: usize,
    pub(super) doubled: usize,
    pub(super) out_of_order: usize,
}

impl Tally {
    pub(super) fn new(numbers: u32) -> Self {
        let arrivals = [(); 3].map(|()| vec![0; numbers as usize]);
        Self { arrivals, next: [0; 3], out_of_order: [0; 3], strange: 0 }
    }

    pub(super) fn count(&mut self, payload: &[u8]) {
        let Some((qos, number)) =
            parse(payload).filter(|(qos, number)| *qos < 3 && *number < self.arrivals[0].len())
        else {
            self.strange += 1;
            return;
        };
        self.arrivals[qos][number] += 1;
        if self.arrivals[qos][number] == 1 {
            self.out_of_order[qos] += usize::from(number < self.next[qos]);
            self.next[qos] = self.next[qos].max(number + 1);
        }
    }

    pub(super) fn row(&self, qos: QoS) -> Row {
        let at = qos as usize;
        let arrivals = &self.arrivals[at];
        let lost = arrivals.iter().filter(|count| **count == 0).count();
        let doubled = arrivals.iter().filter(|count| **count > 1).count();
        Row { received: arrivals.len() - lost, lost, doubled, out_of_order: self.out_of_order[at] }
    }
}

fn parse(payload: &[u8]) -> Option<(usize, usize)> {
    let mut words = std::str::from_utf8(payload).ok()?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// The count, and what goes with it.
#[derive(Debug)]
pub(super) struct Check {
    /// At each QoS.
    pub(super) sent: u32,
    pub(super) tally: Tally,
    pub(super) unconfirmed: usize,
    pub(super) cuts: u64,
    pub(super) resumed: u64,
    /// Rules of MQTT the client broke, in the broker's eyes.
    pub(super) violations: Vec<String>,
}

impl Check {
    /// Whether a QoS kept its promise: at most once, at least once, exactly once; and its order.
    pub(super) fn keeps(&self, qos: QoS) -> bool {
        let row = self.tally.row(qos);
        let may_lose = qos == QoS::AtMostOnce;
        let may_double = qos == QoS::AtLeastOnce;
        (may_lose || row.lost == 0) && (may_double || row.doubled == 0) && row.out_of_order == 0
    }

    /// What else has to be right: the connection was cut and resumed, and nobody broke a rule.
    pub(super) fn objections(&self) -> Vec<String> {
        let mut objections = self.violations.clone();
        if self.cuts < 2 || self.resumed < 2 {
            objections.push(format!("{} cuts and {} resumed sessions instead of 2", self.cuts, self.resumed));
        }
        if self.unconfirmed > 0 {
            objections.push(format!("{} messages were accepted and not confirmed", self.unconfirmed));
        }
        if self.tally.strange > 0 {
            objections.push(format!("{} messages arrived that nobody sent", self.tally.strange));
        }
        objections
    }

    pub(super) fn holds(&self) -> bool {
        QOS.iter().all(|qos| self.keeps(*qos)) && self.objections().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(skip: Option<(QoS, u32)>, twice: Option<(QoS, u32)>) -> Check {
        let mut tally = Tally::new(5);
        for number in 0..5 {
            for qos in QOS {
                let times = if skip == Some((qos, number)) {
                    0
                } else {
                    1 + usize::from(twice == Some((qos, number)))
                };
                (0..times).for_each(|_| tally.count(&payload(qos, number, 20)));
            }
        }
        Check { sent: 5, tally, unconfirmed: 0, cuts: 2, resumed: 2, violations: Vec::new() }
    }

    #[test]
    fn each_qos_may_do_what_it_may() {
        assert!(check(None, None).holds());
        assert!(check(Some((QoS::AtMostOnce, 3)), None).holds());
        assert!(!check(None, Some((QoS::AtMostOnce, 3))).holds());
        assert!(!check(Some((QoS::AtLeastOnce, 0)), None).holds());
        assert!(check(None, Some((QoS::AtLeastOnce, 3))).holds());
        assert!(!check(Some((QoS::ExactlyOnce, 4)), None).holds());
        assert!(!check(None, Some((QoS::ExactlyOnce, 4))).holds());
    }

    #[test]
    fn the_proof_needs_more_than_numbers() {
        assert!(!Check { cuts: 1, ..check(None, None) }.holds());
        assert!(!Check { unconfirmed: 1, ..check(None, None) }.holds());
        assert!(!Check { violations: vec![String::new()], ..check(None, None) }.holds());
        let mut strange = check(None, None);
        strange.tally.count(b"7 7 ");
        assert!(!strange.holds());
        let mut tally = Tally::new(2);
        tally.count(&payload(QoS::AtLeastOnce, 1, 8));
        tally.count(&payload(QoS::AtLeastOnce, 0, 8));
        assert_eq!(tally.row(QoS::AtLeastOnce).out_of_order, 1);
    }
}
