//! From one broker to one listener.

use std::collections::{BTreeSet, VecDeque};
use std::future::{pending, poll_fn};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use packetboat::{End, Message, State, StreamPolicy, SubscribeError, Subscriber, TopicFilter, TopicName};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::record::{Core, Load, Wishes};
use super::{Arrival, RefusedFilter};
use crate::Connection;

/// Nobody has to wait longer than this for an acknowledgement behind that of a message that is not handled.
const PATIENCE: Duration = Duration::from_secs(1);

/// A listener that more messages wait for has fallen behind.
const BACKLOG: usize = 64;

type Lost = Vec<(TopicFilter, End)>;

/// Takes messages from a stream over all filters and calls the handler, one at a time.
pub(super) struct Pump {
    core: Arc<Core>,
    connection: Connection,
    filters: watch::Receiver<Arc<[TopicFilter]>>,
    stopped: oneshot::Receiver<Ending>,
    /// None before there is a filter.
    stream: Option<Subscriber>,
    /// The filters of the stream.
    have: BTreeSet<TopicFilter>,
    /// Those that the broker refused.
    refused: BTreeSet<TopicFilter>,
    states: watch::Receiver<State>,
    /// Some filter was taken back, and what was on its way for it may still come.
    checks: bool,
    waiting: Waiting,
    hand: Option<Hand>,
    /// Nothing more comes.
    ended: bool,
}

/// Why a pump is to end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// The listener is removed, or not wanted at this connection any more.
    Removed,
    /// The connection is being removed: what came over it is finished.
    Parted,
}

/// Messages that the handler has not seen, oldest first.
#[derive(Default)]
struct Waiting {
    messages: VecDeque<(Instant, Message)>,
    bytes: usize,
    /// They are acknowledged already, and so is whatever joins them.
    behind: bool,
}

/// A call that is not over.
struct Hand {
    call: futures_util::future::BoxFuture<'static, bool>,
    /// To be acknowledged after it.
    message: Message,
    since: Instant,
}

enum Happening {
    /// `None`: the hub is gone.
    Stop(Option<Ending>),
    Filters,
    Returned {
        well: bool,
    },
    Arrived(Message),
    Lost(Lost),
    Ended,
    Late,
    Reconnected,
}

impl Pump {
    pub(super) fn new(
        core: Arc<Core>,
        connection: Connection,
        filters: watch::Receiver<Arc<[TopicFilter]>>,
        stopped: oneshot::Receiver<Ending>,
    ) -> Self {
        let states = connection.client().watch();
        Self {
            core,
            connection,
            filters,
            stopped,
            stream: None,
            have: BTreeSet::new(),
            refused: BTreeSet::new(),
            states,
            checks: false,
            waiting: Waiting::default(),
            hand: None,
            ended: false,
        }
    }

    /// Until the listener is removed, or its connection is. `_alive` tells that it is at work.
    pub(super) async fn run(mut self, _alive: watch::Receiver<()>) {
        self.subscribe();
        let loaded = self.core.loaded();
        let mut stops = true;
        loop {
            if self.hand.is_none() {
                match self.waiting.take() {
                    Some((since, message)) => self.call(since, message),
                    None if self.ended => break,
                    None => self.waiting.behind = false,
                }
            }
            loaded.set(self.load());
            match self.next(stops).await {
                Happening::Stop(Some(Ending::Parted)) => stops = false,
                Happening::Stop(ending) => {
                    if ending.is_some() {
                        self.give_back();
                    }
                    if let Some(hand) = &mut self.hand {
                        let well = hand.call.as_mut().await;
                        self.returned(well);
                    }
                    break;
                }
                Happening::Filters => self.subscribe(),
                Happening::Returned { well } => self.returned(well),
                Happening::Arrived(message) => self.arrived(message),
                Happening::Lost(lost) => self.lose(lost),
                // What came before is finished.
                Happening::Ended => (self.stream, self.ended) = (None, true),
                Happening::Late => self.let_go(),
                Happening::Reconnected => self.ask_again(),
            }
        }
        self.core.forgive(self.connection.id());
    }

    async fn next(&mut self, stops: bool) -> Happening {
        let late = self.late();
        let wants_more = self.wants_more();
        let (hand, stream) = (&mut self.hand, &mut self.stream);
        tokio::select! {
            biased;
            ending = &mut self.stopped, if stops => Happening::Stop(ending.ok()),
            Ok(()) = self.filters.changed() => Happening::Filters,
            well = async {
                match hand {
                    Some(hand) => hand.call.as_mut().await,
                    None => pending().await,
                }
            } => Happening::Returned { well },
            happening = from_stream(stream), if wants_more => happening,
            () = sleep_until(late.unwrap_or_else(Instant::now)), if late.is_some() => Happening::Late,
            Ok(()) = self.states.changed(), if !self.refused.is_empty() => Happening::Reconnected,
        }
    }

    fn load(&self) -> Load {
        let hand = self.hand.as_ref();
        let messages = usize::from(hand.is_some()) + self.waiting.messages.len();
        Load { messages, oldest: hand.map(|hand| hand.since) }
    }

    fn waits(&self) -> bool {
        self.core.wishes.policy == StreamPolicy::Wait
    }

    /// With the policy to wait, what is not handled stays where it is.
    fn wants_more(&self) -> bool {
        !self.waits() || self.hand.is_none()
    }

    /// When others have waited long enough.
    fn late(&self) -> Option<Instant> {
        let oldest = self.hand.as_ref().filter(|_| !self.waits() && !self.waiting.behind)?;
        Some(oldest.since + PATIENCE)
    }

    fn call(&mut self, since: Instant, message: Message) {
        self.core.counts.called.fetch_add(1, Ordering::Relaxed);
        let (core, arrival) = (self.core.clone(), Arrival::new(self.connection.clone(), message.clone()));
        let call = AssertUnwindSafe(async move { (core.handler)(arrival).await });
        let call = call.catch_unwind().map(|result| result.is_ok()).boxed();
        self.hand = Some(Hand { call, message, since });
    }

    fn returned(&mut self, well: bool) {
        if let Some(hand) = self.hand.take() {
            // One of an earlier connection comes again.
            let _ = hand.message.ack();
        }
        if !well {
            self.core.counts.panicked.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                listener = self.core.name,
                connection = self.connection.id(),
                "the handler panicked"
            );
        }
    }

    fn arrived(&mut self, message: Message) {
        if self.checks && !self.is_wanted(&message) {
            let _ = message.ack();
            return;
        }
        let wishes = &self.core.wishes;
        let dropped = self.waiting.put(message, wishes);
        self.core.counts.dropped.fetch_add(dropped, Ordering::Relaxed);
        if self.waiting.behind {
            self.core.counts.acknowledged_early.fetch_add(1, Ordering::Relaxed);
        } else if self.waiting.messages.len() >= BACKLOG && !self.waits() {
            self.let_go();
        }
    }

    /// The listener has fallen behind: what it has and what waits is acknowledged now.
    fn let_go(&mut self) {
        let in_hand = self.hand.iter_mut().map(|hand| &mut hand.message);
        let all = in_hand.chain(self.waiting.messages.iter_mut().map(|(_, message)| message));
        let mut count = 0;
        for message in all {
            acknowledge(message);
            count += 1;
        }
        self.waiting.behind = true;
        self.core.counts.acknowledged_early.fetch_add(count, Ordering::Relaxed);
    }

    fn is_wanted(&self, message: &Message) -> bool {
        let Ok(topic) = TopicName::new(message.topic()) else { return false };
        self.filters.borrow().iter().any(|filter| filter.matches(topic))
    }

    /// Asks for the filters that are wanted and gives back the others.
    fn subscribe(&mut self) {
        let wanted = self.filters.borrow_and_update().clone();
        if self.ended {
            return;
        }
        self.core.forgive(self.connection.id());
        self.refused.clear();
        for filter in wanted.iter() {
            if self.have.contains(filter) {
                continue;
            }
            match self.add(filter) {
                Ok(()) => drop(self.have.insert(filter.clone())),
                Err(SubscribeError::Closed) => return,
                Err(error) => self.refuse(filter.clone(), error.to_string()),
            }
        }
        let gone: Vec<TopicFilter> =
            self.have.iter().filter(|filter| !wanted.contains(filter)).cloned().collect();
        for filter in gone {
            self.remove(&filter);
            self.checks = true;
        }
    }

    fn add(&mut self, filter: &TopicFilter) -> Result<(), SubscribeError> {
        if let Some(stream) = &mut self.stream {
            return stream.add_filter(filter.as_str());
        }
        let wishes = &self.core.wishes;
        let mut subscription = self
            .connection
            .client()
            .subscription(filter.as_str())
            .qos(wishes.qos)
            .retained(wishes.retained)
            .no_local(wishes.no_local)
            .retain_as_published(wishes.retain_as_published)
            .properties(wishes.properties.clone())
            .policy(wishes.policy)
            .capacity(wishes.messages);
        if !self.waits() {
            subscription = subscription.manual_ack();
        }
        self.stream = Some(subscription.standing()?);
        Ok(())
    }

    fn remove(&mut self, filter: &TopicFilter) {
        self.have.remove(filter);
        if let Some(stream) = &mut self.stream {
            // It is a filter, and the stream a standing one.
            let _ = stream.remove_filter(filter.as_str());
        }
    }

    fn lose(&mut self, lost: Lost) {
        for (filter, end) in lost {
            self.have.remove(&filter);
            let reason = match end {
                End::Refused(reason) => reason.to_string(),
                other => format!("{other:?}"),
            };
            self.refuse(filter, reason);
        }
        self.states.borrow_and_update();
    }

    fn refuse(&mut self, filter: TopicFilter, reason: String) {
        self.refused.insert(filter.clone());
        self.core.refuse(RefusedFilter { connection: self.connection.shared_id(), filter, reason });
    }

    /// The broker came back, and may have changed its mind.
    fn ask_again(&mut self) {
        if self.states.borrow_and_update().is_connected() {
            self.subscribe();
        }
    }

    /// Neither the filters are wanted any more, nor what has come for them.
    fn give_back(&mut self) {
        for filter in std::mem::take(&mut self.have) {
            self.remove(&filter);
        }
        let there = std::iter::from_fn(|| self.stream.as_mut()?.next().now_or_never().flatten());
        for message in self.waiting.messages.drain(..).map(|(_, message)| message).chain(there) {
            let _ = message.ack();
        }
    }
}

impl Waiting {
    fn take(&mut self) -> Option<(Instant, Message)> {
        let (since, message) = self.messages.pop_front()?;
        self.bytes -= size(&message);
        Some((since, message))
    }

    /// How many messages were dropped for it.
    fn put(&mut self, mut message: Message, wishes: &Wishes) -> u64 {
        let mut dropped = 0;
        if self.behind {
            acknowledge(&mut message);
        }
        while !self.has_room(&message, wishes) {
            dropped += 1;
            if wishes.policy == StreamPolicy::DropNewest {
                let _ = message.ack();
                return dropped;
            }
            if let Some((_, oldest)) = self.take() {
                let _ = oldest.ack();
            }
        }
        self.bytes += size(&message);
        self.messages.push_back((Instant::now(), message));
        dropped
    }

    fn has_room(&self, message: &Message, wishes: &Wishes) -> bool {
        self.messages.is_empty()
            || self.messages.len() < wishes.messages && self.bytes + size(message) <= wishes.bytes
    }
}

fn size(message: &Message) -> usize {
    message.topic().len() + message.payload().len()
}

/// A copy is kept, which nobody owes an acknowledgement for.
fn acknowledge(message: &mut Message) {
    let copy = message.clone();
    let _ = std::mem::replace(message, copy).ack();
}

async fn from_stream(stream: &mut Option<Subscriber>) -> Happening {
    let Some(stream) = stream else { return pending().await };
    poll_fn(|cx| match stream.poll_next_unpin(cx) {
        Poll::Ready(Some(message)) => Poll::Ready(Happening::Arrived(message)),
        Poll::Ready(None) => Poll::Ready(Happening::Ended),
        Poll::Pending => {
            let lost = stream.take_lost();
            if lost.is_empty() { Poll::Pending } else { Poll::Ready(Happening::Lost(lost)) }
        }
    })
    .await
}
