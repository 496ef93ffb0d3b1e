//! Handlers by subscription id.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;

use super::protocol::{Later, Loopback, Received, Source, SourceError, SourceState, Subscribed};
use super::{HandlerError, Inbox, MessageBroker, MessageError, Phase};

/// A handler that is in place. To be given back with [`MessageBroker::unsubscribe`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token(u64);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a handler stands with one target.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SubscriptionStatus {
    /// The handler.
    pub token: Token,
    /// What it is subscribed to.
    pub subscription_id: Arc<str>,
    /// The target; `loopback` for what is published here.
    pub target: Arc<str>,
    /// How it stands.
    pub state: SourceState,
}

#[derive(Default)]
pub(super) struct Subscriptions(Mutex<Table>);

#[derive(Default)]
pub(super) struct Table {
    last: u64,
    pub(super) entries: BTreeMap<Token, Entry>,
}

pub(super) struct Entry {
    pub(super) inbox: Inbox,
    pub(super) sources: Vec<Joined>,
}

/// Messages come from a target.
pub(super) struct Joined {
    pub(super) target: Arc<str>,
    /// By which they come, if the configuration has it.
    pub(super) source: Option<Arc<dyn Source>>,
    pub(super) subscribed: Box<dyn Subscribed>,
}

impl Joined {
    pub(super) fn is_by(&self, other: &Arc<dyn Source>) -> bool {
        self.source.as_ref().is_some_and(|source| Arc::ptr_eq(source, other))
    }
}

/// Lets messages of a target come to an inbox.
pub(super) async fn join(
    target: Arc<str>,
    source: Arc<dyn Source>,
    inbox: Inbox,
    limit: Duration,
) -> Result<Joined, (Arc<str>, SourceError)> {
    match source.subscribe(inbox.of_target(target.clone()), limit).await {
        Ok(subscribed) => Ok(Joined { target, source: Some(source), subscribed }),
        Err(error) => Err((target, error)),
    }
}

pub(super) async fn end(sources: Vec<Joined>) {
    join_all(sources.into_iter().map(|joined| joined.subscribed.end())).await;
}

impl Subscriptions {
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, entry: Entry) -> Token {
        let mut table = self.lock();
        table.last += 1;
        let token = Token(table.last);
        table.entries.insert(token, entry);
        token
    }

    /// Ends one. False: there is no such token.
    pub(super) async fn end(&self, token: Token) -> bool {
        let entry = self.lock().entries.remove(&token);
        let known = entry.is_some();
        if let Some(entry) = entry {
            end(entry.sources).await;
        }
        known
    }

    pub(super) async fn end_all(&self) {
        let entries = std::mem::take(&mut self.lock().entries);
        let ends = entries.into_values().map(|entry| -> Later<'static, ()> { Box::pin(end(entry.sources)) });
        join_all(ends).await;
    }
}

impl MessageBroker {
    /// Calls `handler` with every message that arrives for a subscription id: from each target that has it, and with what
    /// is published here under the same message id. There may be several handlers; each gets one message after the
    /// other from each target, and those of different targets at the same time.
    ///
    /// Retained messages come to the first handler of a subscription id, as the broker sends them when it is asked; a later one
    /// takes part in what is subscribed already, and gets what comes from then on.
    ///
    /// A message is acknowledged when its handler is done with it. One that panics has had its message.
    ///
    /// An error if a target refuses. One that is away is asked when it comes back: see
    /// [`subscriptions`](Self::subscriptions).
    pub async fn subscribe<F>(
        &self,
        subscription_id: &str,
        handler: impl Fn(Received) -> F + Send + Sync + 'static,
    ) -> Result<Token, HandlerError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        if subscription_id.is_empty() {
            return Err(MessageError::EmptyId.into());
        }
        let _steady = self.inner.changing.read().await;
        let plan = self.inner.plan()?;
        let here: Arc<str> = Loopback::NAME.into();
        let inbox = Inbox::new(subscription_id.into(), here.clone(), handler);
        let subscribed: Box<dyn Subscribed> = Box::new(self.inner.loopback.join(inbox.clone()));
        let mut sources = vec![Joined { target: here, source: None, subscribed }];
        let asked = plan.targets.iter().filter_map(|(name, planned)| {
            let source = planned.source(subscription_id)?.clone();
            let asked = join(name.clone(), source, inbox.clone(), self.inner.limit);
            Some(Box::pin(asked) as Later<'static, _>)
        });
        let mut refused: Option<(Arc<str>, SourceError)> = None;
        for answer in join_all(asked).await {
            match answer {
                Ok(joined) => sources.push(joined),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        if let Some((target, error)) = refused {
            end(sources).await;
            let (target, subscription_id) = (target.to_string(), subscription_id.to_owned());
            return Err(HandlerError::Refused { target, subscription_id, error });
        }
        self.keep(Entry { inbox, sources }).await
    }

    /// Unless the broker was closed meanwhile.
    async fn keep(&self, entry: Entry) -> Result<Token, HandlerError> {
        let late = {
            let state = self.inner.state();
            if matches!(state.phase, Phase::Running(_)) {
                return Ok(self.inner.subscriptions.insert(entry));
            }
            entry
        };
        end(late.sources).await;
        Err(MessageError::Closed.into())
    }

    /// Takes a handler back: waits for the message in hand and for the brokers, at most 5 s each. False: there is no such
    /// token.
    pub async fn unsubscribe(&self, token: Token) -> bool {
        self.inner.subscriptions.end(token).await
    }

    /// How each handler stands with each of its targets.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<SubscriptionStatus> {
        let table = self.inner.subscriptions.lock();
        let each = table.entries.iter().flat_map(|(token, entry)| {
            entry.sources.iter().map(|joined| SubscriptionStatus {
                token: *token,
                subscription_id: entry.inbox.subscription_id.clone(),
                target: joined.target.clone(),
                state: joined.subscribed.state(),
            })
        });
        each.collect()
    }
}
