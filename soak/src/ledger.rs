//! Who accepted what, and what came of it.
//!
//! A broker that is killed forgets what it did since it last saved its sessions, confirmed or not: mosquitto saves every
//! two seconds at best. So two kinds of messages that never came are its loss and not the client's, and each needs its
//! evidence:
//!
//! * *forgotten*: it was acknowledged after the broker's last save, as the saved file's time tells, and before the broker was
//!   back;
//! * *mistaken*: numbering on from what it saved, the broker sent it under the identifier of a QoS 2 message that it had
//!   sent before it was killed and never released. A client has to take it for that one [MQTT-4.3.3-10].
//!
//! Whatever else does not come is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Subscribers of one class receive everything between them: one at each broker.
pub(crate) const CLASSES: usize = 2;

/// For so long after a broker is back it may send again what it has forgotten to have sent.
const REMEMBERS: Duration = Duration::from_mins(1);

/// Publisher and number.
pub(crate) type Key = (usize, usize);

/// The books. What is settled leaves them: they stay small however long it takes.
pub(crate) struct Ledger(Mutex<Books>);

struct Books {
    /// Messages that are not yet confirmed and received by every class.
    open: BTreeMap<Key, Entry>,
    /// By publisher and class, a bit for each message that came.
    came: Vec<[Vec<u64>; CLASSES]>,
    totals: Totals,
    outages: Vec<Outage>,
    /// Messages of QoS 2 whose receipt says that they may arrive twice.
    announced: BTreeSet<Key>,
    doubles: Vec<Double>,
}

/// A broker was killed.
#[derive(Clone, Copy, Debug)]
struct Outage {
    broker: usize,
    /// When it last saved its sessions.
    saved: SystemTime,
    /// Shortly before it ran again.
    back: SystemTime,
}

/// A message of QoS 2 came again.
#[derive(Clone, Copy, Debug)]
struct Double {
    key: Key,
    broker: usize,
    at: SystemTime,
}

/// Which broker acknowledged a message, and when.
type Promise = (usize, SystemTime);

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// PUBACK or PUBREC.
    received: Option<Promise>,
    /// PUBCOMP.
    completed: Option<Promise>,
    confirmed: bool,
    came: [bool; CLASSES],
    mistaken: [bool; CLASSES],
}

impl Entry {
    fn is_settled(&self) -> bool {
        self.confirmed && !self.came.contains(&false)
    }

    fn is_forgotten(&self, outages: &[Outage]) -> bool {
        let fell = |&(broker, at): &Promise| {
            outages.iter().any(|outage| outage.broker == broker && outage.saved < at && at < outage.back)
        };
        self.received.iter().chain(&self.completed).any(fell)
    }

    fn is_mistaken(&self) -> bool {
        (0..CLASSES).all(|class| self.came[class] || self.mistaken[class])
    }
}

/// Sums.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Messages of QoS 1 and 2 the client accepted.
    pub(crate) accepted: usize,
    pub(crate) confirmed: usize,
    /// Accepted, and then said to have failed.
    pub(crate) failed: usize,
    /// Arrivals of QoS 1 messages that had arrived.
    pub(crate) doubled_qos_1: usize,
    /// The same for QoS 2.
    pub(crate) doubled_qos_2: usize,
    /// Messages of QoS 0, and their arrivals: nobody promised anything, but that none comes twice.
    pub(crate) plain: usize,
    pub(crate) plain_came: usize,
    /// Arrivals of what nobody published.
    pub(crate) strange: usize,
}

/// What is not as it should be, once there is nothing to wait for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Missing {
    /// Accepted, and never came: the client's fault.
    pub(crate) lost: usize,
    /// Accepted, and never heard of again.
    pub(crate) unconfirmed: usize,
    /// The broker's fault, see the module.
    pub(crate) forgotten: usize,
    pub(crate) mistaken: usize,
    /// QoS 2 messages that came twice, though neither the receipt said that they may nor had their broker been killed.
    pub(crate) doubled: usize,
}

impl Ledger {
    pub(crate) fn new(publishers: usize) -> Self {
        Self(Mutex::new(Books {
            open: BTreeMap::new(),
            came: (0..publishers).map(|_| Default::default()).collect(),
            totals: Totals::default(),
            outages: Vec::new(),
            announced: BTreeSet::new(),
            doubles: Vec::new(),
        }))
    }

    fn books<T>(&self, write: impl FnOnce(&mut Books) -> T) -> T {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Before the message is handed over: it may arrive before its acceptance is known.
    pub(crate) fn offered(&self, key: Key) {
        self.books(|books| {
            books.open.insert(key, Entry::default());
            books.totals.accepted += 1;
        });
    }

    /// It was not accepted after all.
    pub(crate) fn refused(&self, key: Key) {
        self.books(|books| {
            books.open.remove(&key);
            books.totals.accepted -= 1;
        });
    }

    pub(crate) fn plain(&self) {
        self.books(|books| books.totals.plain += 1);
    }

    pub(crate) fn plain_came(&self) {
        self.books(|books| books.totals.plain_came += 1);
    }

    /// A broker acknowledged it: at last, or with PUBREC or PUBACK and thus anew.
    pub(crate) fn promised(&self, key: Key, broker: usize, completed: bool) {
        let promise = Some((broker, SystemTime::now()));
        self.books(|books| match books.open.get_mut(&key) {
            Some(entry) if completed => entry.completed = promise,
            Some(entry) => (entry.received, entry.completed) = (promise, None),
            None => {}
        });
    }

    /// Its receipt says that it was delivered.
    pub(crate) fn confirmed(&self, key: Key, possible_duplicate: bool) {
        self.books(|books| {
            books.totals.confirmed += 1;
            if possible_duplicate {
                books.announced.insert(key);
            }
            books.enter(key, |entry| entry.confirmed = true);
        });
    }

    pub(crate) fn failed(&self) {
        self.books(|books| books.totals.failed += 1);
    }

    /// A subscriber at that broker was handed it.
    pub(crate) fn came(&self, key: Key, class: usize, broker: usize, exactly_once: bool) {
        self.books(|books| match books.mark(key, class) {
            Some(true) if books.open.contains_key(&key) => books.enter(key, |entry| entry.came[class] = true),
            Some(false) if exactly_once => {
                books.totals.doubled_qos_2 += 1;
                books.doubles.push(Double { key, broker, at: SystemTime::now() });
            }
            Some(false) => books.totals.doubled_qos_1 += 1,
            Some(true) | None => books.totals.strange += 1,
        });
    }

    /// A broker sent it under an identifier that stands for another message.
    pub(crate) fn mistaken(&self, key: Key, class: usize) {
        self.books(|books| books.enter(key, |entry| entry.mistaken[class] = true));
    }

    pub(crate) fn killed(&self, broker: usize, saved: SystemTime, back: SystemTime) {
        self.books(|books| books.outages.push(Outage { broker, saved, back }));
    }

    pub(crate) fn totals(&self) -> Totals {
        self.books(|books| books.totals)
    }

    /// How many are not settled.
    pub(crate) fn open(&self) -> usize {
        self.books(|books| books.open.len())
    }

    /// How many are still to be settled, and have no excuse.
    pub(crate) fn waiting(&self) -> usize {
        self.books(|books| {
            let excused = |entry: &&Entry| {
                entry.confirmed && (entry.is_forgotten(&books.outages) || entry.is_mistaken())
            };
            books.open.len() - books.open.values().filter(excused).count()
        })
    }

    /// Judges what is left. The first few are told.
    pub(crate) fn missing(&self) -> Missing {
        self.books(|books| {
            let mut missing = Missing { doubled: books.unexplained_doubles(), ..Missing::default() };
            for (key, entry) in &books.open {
                let count = if !entry.confirmed {
                    &mut missing.unconfirmed
                } else if entry.is_forgotten(&books.outages) {
                    &mut missing.forgotten
                } else if entry.is_mistaken() {
                    &mut missing.mistaken
                } else {
                    &mut missing.lost
                };
                *count += 1;
                println!("publisher and number {key:?}: {entry:?}, {:?}", books.outage_near(entry));
            }
            missing
        })
    }
}

impl Books {
    fn enter(&mut self, key: Key, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.open.get_mut(&key) else { return };
        change(entry);
        if entry.is_settled() {
            self.open.remove(&key);
        }
    }

    /// Whether it comes for the first time; `None` if there is no such publisher.
    fn mark(&mut self, (publisher, number): Key, class: usize) -> Option<bool> {
        let bits = self.came.get_mut(publisher)?.get_mut(class)?;
        let (word, bit) = (number / 64, 1 << (number % 64));
        if bits.len() <= word {
            // What is not a number of ours shall not cost memory.
            if word > bits.len() + 1024 {
                return None;
            }
            bits.resize(word + 1024, 0);
        }
        let first = bits[word] & bit == 0;
        bits[word] |= bit;
        Some(first)
    }

    /// Of the broker that took it, for those who have to find out.
    fn outage_near(&self, entry: &Entry) -> Option<Outage> {
        let (broker, at) = entry.received?;
        let later = |outage: &&Outage| outage.broker == broker && at < outage.back;
        self.outages.iter().find(later).copied()
    }

    fn unexplained_doubles(&self) -> usize {
        let explained = |double: &&Double| {
            self.announced.contains(&double.key)
                || self.outages.iter().any(|outage| {
                    outage.broker == double.broker
                        && outage.back < double.at
                        && double.at < outage.back + REMEMBERS
                })
        };
        let unexplained = self.doubles.iter().filter(|double| !explained(double));
        unexplained.inspect(|double| println!("twice: {double:?}")).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = (0, 0);

    fn accepted() -> Ledger {
        let ledger = Ledger::new(1);
        ledger.offered(KEY);
        ledger
    }

    fn second() -> Duration {
        Duration::from_secs(1)
    }

    #[test]
    fn what_never_came_is_lost_unless_its_broker_was_killed_before_it_saved() {
        for (broker, age, forgotten) in [(1, second(), 1), (0, second(), 0), (1, Duration::ZERO, 0)] {
            let ledger = accepted();
            ledger.promised(KEY, 1, false);
            ledger.confirmed(KEY, false);
            ledger.came(KEY, 0, 0, true);
            let now = SystemTime::now();
            ledger.killed(broker, now + Duration::from_millis(1) - age, now + second());
            let missing = ledger.missing();
            assert_eq!((missing.lost, missing.forgotten), (1 - forgotten, forgotten), "{broker} {age:?}");
        }
    }

    #[test]
    fn the_last_broker_to_take_a_message_answers_for_it() {
        let ledger = accepted();
        ledger.promised(KEY, 1, false);
        ledger.promised(KEY, 0, false);
        ledger.confirmed(KEY, false);
        let now = SystemTime::now();
        ledger.killed(1, now - second(), now + second());
        assert_eq!(ledger.missing().lost, 1);
        ledger.promised(KEY, 1, true);
        assert_eq!(ledger.missing().forgotten, 1, "it forgets that the exchange is over");
    }

    #[test]
    fn a_mistaken_message_is_missing_only_where_it_was_mistaken() {
        let ledger = accepted();
        ledger.confirmed(KEY, false);
        ledger.mistaken(KEY, 0);
        assert_eq!(ledger.missing().lost, 1);
        ledger.came(KEY, 1, 0, true);
        assert_eq!((ledger.missing().lost, ledger.missing().mistaken), (0, 1));
        ledger.came(KEY, 0, 0, true);
        assert_eq!(ledger.open(), 0);
    }

    #[test]
    fn what_comes_twice_needs_a_reason() {
        let ledger = accepted();
        ledger.came(KEY, 0, 1, true);
        ledger.came(KEY, 0, 1, true);
        assert_eq!(ledger.missing().doubled, 1);
        ledger.killed(0, SystemTime::UNIX_EPOCH, SystemTime::now() - second());
        assert_eq!(ledger.missing().doubled, 1, "another broker");
        ledger.killed(1, SystemTime::UNIX_EPOCH, SystemTime::now() - second());
        assert_eq!((ledger.missing().doubled, ledger.missing().unconfirmed), (0, 1));
    }

    #[test]
    fn arrivals_of_nothing_are_strange() {
        let ledger = accepted();
        ledger.came((0, 1), 0, 0, false);
        ledger.came((9, 0), 0, 0, false);
        ledger.came((0, usize::MAX), 0, 0, false);
        assert_eq!(ledger.totals().strange, 3);
    }
}
