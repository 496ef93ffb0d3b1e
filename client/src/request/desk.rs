//! The requesting side: one subscription for all answers, and who waits for which.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use packetboat_core::wire::QoS;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::convention::{Status, answered, fits_in_topic};
use super::{Message, RequestError};
use crate::shared::{Handle, Shared};
use crate::{End, State, SubscribeError, Subscriber, Subscription};

/// What became of the requests of a client. Read it through [`Client::requests`](crate::Client::requests).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RequestCounts {
    /// Requests that wait for an answer now.
    pub waiting: usize,
    /// Answers that somebody got, errors included.
    pub answered: u64,
    /// Answers that nobody waited for any more, and second answers; dropped.
    pub late: u64,
    /// Messages on the response topic that answer nothing this client asked; dropped.
    pub foreign: u64,
}

/// The books of a client's requests.
#[derive(Debug)]
pub(crate) struct Desk {
    books: Mutex<Books>,
    /// One subscription at a time.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Books {
    open: Option<(Address, AbortHandle)>,
    numbers: Numbers,
    issued: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<Message, RequestError>>>,
    counts: RequestCounts,
}

/// What requests are called: each has a number of its own, and who has seen one guesses no other, or a responder could answer
/// what others were asked. Those of an earlier process are others. Four rounds of a Feistel network, so that the way back tells
/// whether there was such a request.
#[derive(Debug, Default)]
struct Numbers(RandomState);

impl Numbers {
    fn of(&self, place: u64) -> u64 {
        (0..4).fold(place, |number, round| {
            let (left, right) = halves(number);
            join(right, left ^ self.mix(round, right))
        })
    }

    fn place_of(&self, number: u64) -> u64 {
        (0..4).rev().fold(number, |number, round| {
            let (right, mixed) = halves(number);
            join(mixed ^ self.mix(round, right), right)
        })
    }

    fn mix(&self, round: u8, half: u64) -> u64 {
        self.0.hash_one((round, half)) >> 32
    }
}

fn halves(number: u64) -> (u64, u64) {
    (number >> 32, number & u64::from(u32::MAX))
}

fn join(left: u64, right: u64) -> u64 {
    left << 32 | right
}

/// Where answers come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Address {
    pub(super) topic: String,
    /// There are no properties: the topics say it all.
    pub(super) in_topic: bool,
}

/// Somebody waits for an answer. Dropped, nobody does.
pub(super) struct Awaited<'a> {
    pub(super) receiver: oneshot::Receiver<Result<Message, RequestError>>,
    desk: &'a Desk,
    number: u64,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.desk.books().waiting.remove(&self.number);
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        let books = Books {
            open: None,
            numbers: Numbers::default(),
            issued: 0,
            waiting: HashMap::new(),
            counts: RequestCounts::default(),
        };
        Self { books: Mutex::new(books), opening: tokio::sync::Mutex::new(()) }
    }

    pub(crate) fn counts(&self) -> RequestCounts {
        let books = self.books();
        RequestCounts { waiting: books.waiting.len(), ..books.counts }
    }

    pub(super) fn register(&self) -> (u64, Awaited<'_>) {
        let (sender, receiver) = oneshot::channel();
        let mut books = self.books();
        let number = books.numbers.of(books.issued);
        books.issued += 1;
        books.waiting.insert(number, sender);
        (number, Awaited { receiver, desk: self, number })
    }

    /// Where answers come; subscribed to if it is not yet. Waits for a connection.
    pub(super) async fn address(&self, shared: &Arc<Shared>) -> Result<Address, RequestError> {
        let wanted = wanted(shared).await?;
        if let Some(address) = self.opened(&wanted) {
            return Ok(address);
        }
        let _one = self.opening.lock().await;
        if let Some(address) = self.opened(&wanted) {
            return Ok(address);
        }
        let filter = if wanted.in_topic { format!("{}/#", wanted.topic) } else { wanted.topic.clone() };
        // A stream that waits for answers must not keep a client alive that nobody asks any more.
        let handle = Arc::new(Handle::observing(shared.clone()));
        let asked = Subscription::new(&handle, &filter).qos(QoS::AtMostOnce).await;
        let stream = asked.map_err(|error| match error {
            SubscribeError::Closed => RequestError::Closed,
            SubscribeError::Filter(_) => RequestError::ResponseTopic,
            other => RequestError::NotSubscribed(other),
        })?;
        let listening = tokio::spawn(listen(shared.clone(), stream, wanted.clone())).abort_handle();
        // Another server may want another topic: the old one is given up with its stream.
        if let Some((_, before)) = self.books().open.replace((wanted.clone(), listening)) {
            before.abort();
        }
        Ok(wanted)
    }

    fn opened(&self, wanted: &Address) -> Option<Address> {
        let books = self.books();
        books.open.as_ref().map(|(address, _)| address).filter(|address| *address == wanted).cloned()
    }

    fn answer(&self, message: Message, response_topic: &str) {
        let mut books = self.books();
        let Some((number, status)) = answered(&message, response_topic) else {
            books.counts.foreign += 1;
            return;
        };
        if let Some(waiting) = books.waiting.remove(&number) {
            books.counts.answered += 1;
            drop(books);
            // Whoever has just stopped waiting has been counted; the answer is dropped.
            let _ = waiting.send(match status {
                Status::Done => Ok(message),
                Status::Busy => Err(RequestError::Busy),
                Status::Failed => Err(RequestError::Failed {
                    message: String::from_utf8_lossy(message.payload()).into_owned(),
                }),
            });
        } else if books.numbers.place_of(number) < books.issued {
            books.counts.late += 1;
        } else {
            books.counts.foreign += 1;
        }
    }

    /// The stream of answers has ended: nobody waits in vain.
    fn ended(&self, address: &Address, end: Option<&End>) {
        let mut books = self.books();
        if books.open.as_ref().is_some_and(|(open, _)| open == address) {
            books.open = None;
        }
        let waiting = std::mem::take(&mut books.waiting);
        drop(books);
        let why = || match end {
            Some(&End::Refused(reason)) => {
                let properties = packetboat_core::wire::PropertiesBuf::new();
                RequestError::NotSubscribed(SubscribeError::Refused { reason, properties })
            }
            Some(End::Unsubscribed) => RequestError::NotSubscribed(SubscribeError::Unsubscribed),
            _ => RequestError::Closed,
        };
        for waiting in waiting.into_values() {
            let _ = waiting.send(Err(why()));
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq<&Self> for Address {
    fn eq(&self, other: &&Self) -> bool {
        self == *other
    }
}

async fn listen(shared: Arc<Shared>, mut stream: Subscriber, address: Address) {
    while let Some(message) = stream.next().await {
        shared.desk().answer(message, &address.topic);
    }
    shared.desk().ended(&address, stream.end().as_ref());
}

/// The response topic for the connection there is, or the next one. It is the client's own for as long as it has its
/// identifier, so that a session that outlives the process does not gather subscriptions.
async fn wanted(shared: &Shared) -> Result<Address, RequestError> {
    let settings = shared.settings();
    let mut watch = shared.watch();
    let state = watch.wait_for(|state| matches!(state, State::Connected(_) | State::Closed)).await;
    let Ok(state) = state else { return Err(RequestError::Closed) };
    let State::Connected(connected) = &*state else { return Err(RequestError::Closed) };
    let given = connected.properties.as_properties().response_information();
    let prefix = given.unwrap_or(&settings.options.choices.exchange.response_prefix);
    let name = level(&connected.client_id);
    let topic = format!("{}/{name}", prefix.trim_end_matches('/'));
    let in_topic = !connected.limits.properties;
    if in_topic && !fits_in_topic(&topic) {
        return Err(RequestError::ResponseTopic);
    }
    Ok(Address { topic, in_topic })
}

/// A client identifier as one level of a topic.
fn level(client_id: &str) -> String {
    let mut level = client_id.replace('%', "%25");
    for (character, code) in [('+', "%2b"), ('#', "%23"), ('/', "%2f")] {
        level = level.replace(character, code);
    }
    level
}

#[cfg(test)]
mod tests {
    use super::{Numbers, level};

    #[test]
    fn who_knows_a_number_knows_no_other_and_each_leads_back_to_its_place() {
        let (numbers, others) = (Numbers::default(), Numbers::default());
        let all: Vec<u64> = (0..1000).map(|place| numbers.of(place)).collect();
        assert!((0..).zip(&all).all(|(place, number)| numbers.place_of(*number) == place));
        assert!(all.is_sorted_by(|one, next| one.abs_diff(*next) > 1000), "neighbours are far apart");
        assert!(all.iter().all(|number| numbers.place_of(number.wrapping_add(1)) >= 1000));
        assert!(all.iter().all(|number| others.place_of(*number) >= 1000), "of another process");
    }

    #[test]
    fn a_client_identifier_becomes_one_level() {
        assert_eq!(level("pb-7"), "pb-7");
        assert_eq!(level("a/b+#%é"), "a%2fb%2b%23%25é");
    }
}
