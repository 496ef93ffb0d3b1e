//! Subscriptions of a target.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use packetboat::{Client, End, QoS, State, TopicFilter};
use packetboat_config::{Node, Problem};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Link, qos};
use crate::broker::protocol::{Later, Source, SourceError, SourceState, Subscribed};
use crate::broker::{Inbox, Payload};
use crate::config::table;

/// How long the end of a subscription waits for the handler, and then for the broker.
const PARTING: Duration = Duration::from_secs(5);

/// How many handlers each filter of a client has: the last one takes it back from the broker.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters(Arc<Mutex<BTreeMap<Arc<str>, usize>>>);

impl Filters {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, filter: &Arc<str>) -> Member {
        let mut filters = self.lock();
        let members = filters.entry(filter.clone()).or_default();
        *members += 1;
        Member { filters: self.clone(), filter: filter.clone(), is_first: *members == 1, left: false }
    }
}

/// One handler of a filter.
#[derive(Debug)]
struct Member {
    filters: Filters,
    filter: Arc<str>,
    /// Nobody had it before.
    is_first: bool,
    left: bool,
}

impl Member {
    /// True: it was the last.
    fn leave(&mut self) -> bool {
        if std::mem::replace(&mut self.left, true) {
            return false;
        }
        let mut filters = self.filters.lock();
        let Some(members) = filters.get_mut(&self.filter) else { return false };
        *members -= 1;
        *members == 0 && filters.remove(&self.filter).is_some()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.leave();
    }
}

/// An entry of `mqtt_subscriptions`.
pub(super) struct Subscription {
    link: Arc<Link>,
    filters: Filters,
    filter: Arc<str>,
    qos: QoS,
}

impl Subscription {
    pub(super) fn new(link: &Arc<Link>, filters: &Filters, filter: &TopicFilter, qos: QoS) -> Self {
        Self { link: link.clone(), filters: filters.clone(), filter: filter.as_str().into(), qos }
    }

    pub(super) fn read(
        options: &Node,
        link: &Arc<Link>,
        filters: &Filters,
    ) -> Result<Arc<dyn Source>, Vec<Problem>> {
        table::read(options, |table| {
            let filter = table.needed("topic", "say what is subscribed").and_then(|topic| {
                let wrong = |error| table.wrong("topic", format!("is no topic filter: {error}"));
                TopicFilter::new(topic).map_err(wrong).ok()
            });
            let qos = qos(table);
            Some(Arc::new(Self::new(link, filters, &filter?, qos)) as Arc<dyn Source>)
        })
    }
}

impl Source for Subscription {
    fn subscribe(
        &self,
        inbox: Inbox,
        limit: Duration,
    ) -> Later<'static, Result<Box<dyn Subscribed>, SourceError>> {
        let (link, filter, qos, member) =
            (self.link.clone(), self.filter.clone(), self.qos, self.filters.join(&self.filter));
        Box::pin(async move {
            let client = link.client()?;
            let state = SharedState::default();
            let (answered, answer) = oneshot::channel();
            let (stop, stopped) = oneshot::channel();
            let worker = Worker {
                client: client.clone(),
                filter: filter.clone(),
                qos,
                retained: member.is_first,
                inbox,
                state: state.clone(),
            };
            let task = tokio::spawn(worker.run(answered, stopped));
            // A client of the hub has other users, whose streams are not ours to end.
            let own = matches!(&*link, Link::Own { .. }).then_some(client.clone());
            let running = Running { filter, own, member, state, stop, task };
            tokio::select! {
                answer = answer => if let Ok(Err(refused)) = answer {
                    return Err(refused);
                },
                () = out_of_reach(&client) => {}
                () = tokio::time::sleep(limit) => {}
            }
            Ok(Box::new(running) as Box<dyn Subscribed>)
        })
    }
}

/// There is no connection, and none is being tried.
async fn out_of_reach(client: &Client) {
    let mut states = client.watch();
    let away = |state: &State| !matches!(state, State::Connecting | State::Connected(_));
    let _ = states.wait_for(away).await;
}

#[derive(Clone, Debug)]
struct SharedState(Arc<Mutex<SourceState>>);

impl Default for SharedState {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(SourceState::Asked)))
    }
}

impl SharedState {
    fn is(&self) -> SourceState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn becomes(&self, state: SourceState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// Takes messages from the client to the handler.
struct Worker {
    client: Client,
    filter: Arc<str>,
    qos: QoS,
    /// Those who had the filter before would get retained messages again [MQTT-3.3.1-9].
    retained: bool,
    inbox: Inbox,
    state: SharedState,
}

impl Worker {
    async fn run(
        self,
        answered: oneshot::Sender<Result<(), SourceError>>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let subscription = self.client.subscription(&self.filter).qos(self.qos).retained(self.retained);
        let asked = if self.retained {
            tokio::select! {
                asked = subscription => asked,
                _ = &mut stopped => return,
            }
        } else {
            subscription.stream()
        };
        let mut stream = match asked {
            Ok(stream) => stream,
            Err(error) => {
                self.state.becomes(SourceState::Ended(error.to_string()));
                let _ = answered.send(Err(error.into()));
                return;
            }
        };
        self.state.becomes(SourceState::Active);
        let _ = answered.send(Ok(()));
        loop {
            let message = tokio::select! {
                message = stream.next() => message,
                _ = &mut stopped => break,
            };
            let Some(message) = message else {
                let why = stream.end().map_or_else(|| "the stream ended".to_owned(), ended);
                return self.state.becomes(SourceState::Ended(why));
            };
            // A handler that panics has had its message: the next one is for it, too.
            let _ = self.inbox.put(Payload::new(message.payload_bytes()), Some(message)).await;
        }
    }
}

fn ended(end: End) -> String {
    match end {
        End::Disconnected => "the client was disconnected".to_owned(),
        End::GaveUp => "the client gave up connecting".to_owned(),
        End::Refused(reason) => format!("the broker refuses it: {reason}"),
        End::Unsubscribed => "it was unsubscribed".to_owned(),
        other => format!("{other:?}"),
    }
}

/// A subscription that stands.
struct Running {
    filter: Arc<str>,
    /// The client, if it is the target's own.
    own: Option<Client>,
    member: Member,
    state: SharedState,
    /// Dropped, it stops the worker.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Subscribed for Running {
    fn state(&self) -> SourceState {
        self.state.is()
    }

    fn end(self: Box<Self>) -> Later<'static, ()> {
        let Self { filter, own, mut member, stop, task, .. } = *self;
        // Asked for at once: nobody else has this filter. In a session that stays dropping the stream would not do.
        let unsubscribed = own.filter(|_| member.leave()).map(|client| client.unsubscribe(&filter));
        Box::pin(async move {
            drop(stop);
            let _ = tokio::time::timeout(PARTING, task).await;
            if let Some(unsubscribed) = unsubscribed {
                let _ = unsubscribed.timeout(PARTING).await;
            }
        })
    }
}
