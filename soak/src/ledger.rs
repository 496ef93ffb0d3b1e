//! Who accepted what, and what came of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Subscribers of one class receive everything between them: one at each broker.
pub(crate) const CLASSES: usize = 2;

/// A broker that is killed may forget what it took so shortly before: it saves its sessions every second.
const FORGETS: Duration = Duration::from_secs(3);

/// The books. What is settled leaves them: they stay small however long it takes.
pub(crate) struct Ledger(Mutex<Books>);

struct Books {
    /// Messages that are not yet confirmed and received by every class, by publisher and number.
    open: BTreeMap<(usize, usize), Entry>,
    /// By publisher and class, a bit for each message that came.
    came: Vec<[Vec<u64>; CLASSES]>,
    totals: Totals,
    kills: Vec<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The broker said that it has it: PUBACK or the first PUBREC.
    promised: Option<Instant>,
    confirmed: bool,
    came: [bool; CLASSES],
}

/// Sums.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    /// Messages of QoS 1 and 2 the client accepted.
    pub(crate) accepted: usize,
    pub(crate) confirmed: usize,
    /// QoS 0: nobody promised anything.
    pub(crate) plain: usize,
    /// Accepted, and then said to have failed.
    pub(crate) failed: usize,
    /// Arrivals of what had arrived.
    pub(crate) duplicates: usize,
    /// Those of QoS 2, which the publisher had not said might happen.
    pub(crate) duplicates_of_exactly_once: usize,
    /// Arrivals of what nobody published.
    pub(crate) strange: usize,
}

/// What never came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Missing {
    /// Accepted and lost: the client's fault.
    pub(crate) lost: usize,
    /// Taken by a broker that was killed before it had saved it.
    pub(crate) forgotten: usize,
}

impl Ledger {
    pub(crate) fn new(publishers: usize) -> Self {
        let came = (0..publishers).map(|_| Default::default()).collect();
        Self(Mutex::new(Books { open: BTreeMap::new(), came, totals: Totals::default(), kills: Vec::new() }))
    }

    fn books<T>(&self, write: impl FnOnce(&mut Books) -> T) -> T {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Before the message is handed over: it may arrive before its acceptance is known.
    pub(crate) fn offered(&self, publisher: usize, number: usize) {
        self.books(|books| {
            books.open.insert((publisher, number), Entry::default());
            books.totals.accepted += 1;
        });
    }

    /// It was not accepted after all.
    pub(crate) fn refused(&self, publisher: usize, number: usize) {
        self.books(|books| {
            books.open.remove(&(publisher, number));
            books.totals.accepted -= 1;
        });
    }

    pub(crate) fn plain(&self) {
        self.books(|books| books.totals.plain += 1);
    }

    pub(crate) fn promised(&self, publisher: usize, number: usize) {
        self.books(|books| {
            if let Some(entry) = books.open.get_mut(&(publisher, number)) {
                entry.promised.get_or_insert_with(Instant::now);
            }
        });
    }

    pub(crate) fn confirmed(&self, publisher: usize, number: usize) {
        self.books(|books| {
            books.totals.confirmed += 1;
            if let Some(entry) = books.open.get_mut(&(publisher, number)) {
                entry.confirmed = true;
            }
            books.settle((publisher, number));
        });
    }

    pub(crate) fn failed(&self) {
        self.books(|books| books.totals.failed += 1);
    }

    pub(crate) fn came(&self, class: usize, publisher: usize, number: usize, exactly_once: bool) {
        self.books(|books| {
            let Some(bits) = books.came.get_mut(publisher).and_then(|came| came.get_mut(class)) else {
                books.totals.strange += 1;
                return;
            };
            let (word, bit) = (number / 64, 1 << (number % 64));
            if bits.len() <= word {
                bits.resize(word + 1024, 0);
            }
            if bits[word] & bit != 0 {
                books.totals.duplicates += 1;
                books.totals.duplicates_of_exactly_once += usize::from(exactly_once);
                return;
            }
            bits[word] |= bit;
            match books.open.get_mut(&(publisher, number)) {
                Some(entry) => entry.came[class] = true,
                None => books.totals.strange += 1,
            }
            books.settle((publisher, number));
        });
    }

    pub(crate) fn killed(&self) {
        self.books(|books| books.kills.push(Instant::now()));
    }

    pub(crate) fn totals(&self) -> Totals {
        self.books(|books| books.totals)
    }

    /// How many are not settled.
    pub(crate) fn open(&self) -> usize {
        self.books(|books| books.open.len())
    }

    /// What never came, once there is nothing to wait for. The first few are told.
    pub(crate) fn missing(&self) -> Missing {
        self.books(|books| {
            let mut missing = Missing::default();
            for (key, entry) in books.open.iter().filter(|(_, entry)| entry.came.contains(&false)) {
                let kills = books.kills.iter();
                let forgotten = entry.promised.is_some_and(|at| {
                    kills.clone().any(|&kill| kill + Duration::from_millis(500) >= at && at + FORGETS >= kill)
                });
                if forgotten {
                    missing.forgotten += 1;
                    continue;
                }
                missing.lost += 1;
                if missing.lost <= 10 {
                    let promised = entry.promised.map(|at| at.elapsed());
                    println!(
                        "lost: publisher and number {key:?}, came {:?}, promised {promised:?} ago",
                        entry.came
                    );
                }
            }
            missing
        })
    }
}

impl Books {
    fn settle(&mut self, key: (usize, usize)) {
        let settled = |entry: &Entry| entry.confirmed && !entry.came.contains(&false);
        if self.open.get(&key).is_some_and(settled) {
            self.open.remove(&key);
        }
    }
}
