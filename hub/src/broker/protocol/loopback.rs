//! Messages that stay in the process: what is published here reaches who subscribed here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use packetboat_config::{Node, Problem};

use super::{
    Delivered, DeliveryError, Destination, Later, Outgoing, Protocol, SUBSCRIPTION_ID, SourceState,
    Subscribed, Target, TargetDescription, exclusively,
};
use crate::broker::template::Template;
use crate::broker::{Inbox, Panicked};
use crate::config::table;

/// The protocol that is always there. Clones lead to the same subscribers.
///
/// Every message id leads to the subscribers of the same name without being configured. A target of this protocol is for
/// those who want more: its destinations name a `subscription_id`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loopback {
    subscribers: Arc<Mutex<Subscribers>>,
}

/// By subscription id.
type Subscribers = BTreeMap<Arc<str>, Vec<Arc<Subscriber>>>;

/// One subscriber. Messages are handed over one after the other, in the order in which they came.
#[derive(Debug)]
struct Subscriber {
    inbox: Inbox,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Loopback {
    pub(crate) const NAME: &str = "loopback";

    /// Where messages for this subscription id go; `None`: nobody is there.
    pub(crate) fn destination_of(&self, subscription_id: &str) -> Option<Arc<dyn Destination>> {
        let here = self.lock().contains_key(subscription_id);
        let template = here.then(|| Template::fixed(subscription_id))?;
        Some(Arc::new(Local { loopback: self.clone(), subscription_id: template }))
    }

    /// An inbox gets what is published for its subscription id, until the answer is dropped.
    pub(crate) fn join(&self, inbox: Inbox) -> Joined {
        let id = inbox.subscription_id.clone();
        let subscriber = Arc::new(Subscriber { inbox, turn: Arc::default() });
        self.lock().entry(id).or_default().push(subscriber.clone());
        Joined { loopback: self.clone(), subscriber }
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody is subscribed.
#[derive(Debug)]
pub(crate) struct Joined {
    loopback: Loopback,
    subscriber: Arc<Subscriber>,
}

impl Drop for Joined {
    fn drop(&mut self) {
        let mut subscribers = self.loopback.lock();
        let id = &self.subscriber.inbox.subscription_id;
        if let Some(list) = subscribers.get_mut(id) {
            list.retain(|other| !Arc::ptr_eq(other, &self.subscriber));
            if list.is_empty() {
                subscribers.remove(id);
            }
        }
    }
}

impl Subscribed for Joined {
    fn state(&self) -> SourceState {
        SourceState::Active
    }

    fn end(self: Box<Self>) -> Later<'static, ()> {
        let subscriber = self.subscriber.clone();
        drop(self);
        Box::pin(async move {
            // The message in hand.
            let _ = subscriber.turn.lock().await;
        })
    }
}

impl Protocol for Loopback {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn target(&self, description: &TargetDescription<'_>) -> Result<Arc<dyn Target>, Vec<Problem>> {
        table::read(description.options, |_| Some(Arc::new(self.clone()) as Arc<dyn Target>))
    }
}

impl Target for Loopback {
    fn destination(&self, options: &Node, variables: &[&str]) -> Result<Arc<dyn Destination>, Vec<Problem>> {
        table::read(options, |table| {
            let why = "say whose handlers get the messages";
            let subscription_id = Template::needed(table, SUBSCRIPTION_ID, why, variables)?;
            Some(Arc::new(Local { loopback: self.clone(), subscription_id }) as Arc<dyn Destination>)
        })
    }
}

/// A destination: the subscribers of an id.
struct Local {
    loopback: Loopback,
    subscription_id: Template,
}

impl Destination for Local {
    fn publish(&self, message: Outgoing) -> Later<'static, Result<Delivered, DeliveryError>> {
        let id = self.subscription_id.expand(|name| message.value(name));
        let subscribers = self.loopback.lock().get(&*id).cloned().unwrap_or_default();
        Box::pin(async move {
            let each = subscribers.into_iter().map(|subscriber| hand_over(subscriber, &message));
            let all = join_all(each).await;
            all.into_iter().collect::<Result<Vec<()>, _>>().map(|_| Delivered::new())
        })
    }
}

/// Whoever publishes may stop waiting: a handler that has begun goes on.
fn hand_over(subscriber: Arc<Subscriber>, message: &Outgoing) -> Later<'static, Result<(), DeliveryError>> {
    let (payload, limit) = (message.payload.clone(), message.limit);
    Box::pin(async move {
        let id = subscriber.inbox.subscription_id.clone();
        let turn = subscriber.turn.clone();
        let done = exclusively(turn, limit, async move { subscriber.inbox.put(payload, None).await });
        let done: Result<(), Panicked> = done.await?;
        done.map_err(|panicked| DeliveryError::refused(format!("the handler of `{id}`: {panicked}")))
    })
}
