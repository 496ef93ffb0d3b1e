//! How a listener is declared.

use std::fmt;
use std::sync::Arc;

use packetboat::{PropertiesBuf, QoS, StreamPolicy, TopicError, TopicFilter};

use super::record::{Core, Wishes};
use super::{Arrival, Listener};
use crate::{Hub, PropertyFilter};

/// One filter or several: text, or a list of texts.
pub trait Filters {
    /// As they are written.
    fn into_filters(self) -> Vec<String>;
}

impl Filters for &str {
    fn into_filters(self) -> Vec<String> {
        vec![self.to_owned()]
    }
}

impl Filters for String {
    fn into_filters(self) -> Vec<String> {
        vec![self]
    }
}

impl<T: AsRef<str>> Filters for &[T] {
    fn into_filters(self) -> Vec<String> {
        self.iter().map(|filter| filter.as_ref().to_owned()).collect()
    }
}

impl<T: AsRef<str>, const N: usize> Filters for [T; N] {
    fn into_filters(self) -> Vec<String> {
        self.as_slice().into_filters()
    }
}

impl<T: AsRef<str>> Filters for Vec<T> {
    fn into_filters(self) -> Vec<String> {
        self.as_slice().into_filters()
    }
}

/// Each once, in their order.
pub(super) fn parse(filters: impl Filters) -> Result<Arc<[TopicFilter]>, TopicError> {
    let mut parsed: Vec<TopicFilter> = Vec::new();
    for filter in filters.into_filters() {
        let filter = TopicFilter::new(filter)?;
        if !parsed.contains(&filter) {
            parsed.push(filter);
        }
    }
    Ok(parsed.into())
}

/// A listener to be put in place; comes from [`Hub::listener`].
///
/// ```no_run
/// # async fn example(hub: packetboat_hub::Hub) -> Result<(), Box<dyn std::error::Error>> {
/// use packetboat::QoS;
///
/// hub.listener(["machines/+/temperature", "alarms/#"])
///     .qos(QoS::AtLeastOnce)
///     .call(async |arrival| println!("{}: {}", arrival.broker(), arrival.topic()))?
///     .keep();
/// # Ok(())
/// # }
/// ```
#[must_use = "a listener is in place once `call` gave it"]
pub struct ListenerBuilder<'a> {
    hub: &'a Hub,
    filters: Result<Arc<[TopicFilter]>, TopicError>,
    name: Option<String>,
    on: PropertyFilter,
    wishes: Wishes,
}

impl<'a> ListenerBuilder<'a> {
    pub(crate) fn new(hub: &'a Hub, filters: impl Filters) -> Self {
        let filters = parse(filters);
        Self { hub, filters, name: None, on: PropertyFilter::all(), wishes: Wishes::default() }
    }

    /// A name, for logs and figures. Default: its first filter.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only at connections whose `id`, `host` and `port` match; see [`Connection::properties`](crate::Connection::properties).
    /// When an update changes them, the listener follows. Default: all.
    pub fn on(mut self, connections: PropertyFilter) -> Self {
        self.on = connections;
        self
    }

    /// The highest delivery guarantee wanted. Default: QoS 2, so that messages come as they were published.
    pub fn qos(mut self, qos: QoS) -> Self {
        self.wishes.qos = qos;
        self
    }

    /// Whether retained messages are wanted: those there are when the listener comes, or a broker does. Default: false, so that
    /// the listener is told of news alone, and coming late costs the broker nothing where others have the same filter.
    pub fn retained(mut self, wanted: bool) -> Self {
        self.wishes.retained = wanted;
        self
    }

    /// Leave out what its connection publishes itself (5.0). Default: false.
    pub fn no_local(mut self, no_local: bool) -> Self {
        self.wishes.no_local = no_local;
        self
    }

    /// Keep the retain flag as it was published (5.0). Default: false.
    pub fn retain_as_published(mut self, keep: bool) -> Self {
        self.wishes.retain_as_published = keep;
        self
    }

    /// User properties of its SUBSCRIBE (5.0). Default: none.
    pub fn properties(mut self, properties: PropertiesBuf) -> Self {
        self.wishes.properties = properties;
        self
    }

    /// What happens when more messages of one broker wait than there is [room](Self::room) for. Default:
    /// [`StreamPolicy::DropOldest`].
    ///
    /// With [`StreamPolicy::Wait`] a message is acknowledged when its call has returned, whatever that takes. Acknowledgements go
    /// in the order of arrival, so that a listener that is slow then slows down all that comes over the same connections.
    ///
    /// With the others no listener keeps another waiting: once 64 messages wait for it, or one has waited for a second, they are
    /// acknowledged and kept in memory until it has caught up. A process that dies meanwhile loses them.
    pub fn policy(mut self, policy: StreamPolicy) -> Self {
        self.wishes.policy = policy;
        self
    }

    /// How many messages of one broker may wait, and how many bytes. Default: 1,024 and 16 MiB.
    pub fn room(mut self, messages: usize, bytes: usize) -> Self {
        (self.wishes.messages, self.wishes.bytes) = (messages.max(1), bytes);
        self
    }

    /// Puts it in place: `handler` is called with each message that arrives, once, however many of the filters match. For one
    /// broker its calls come one after the other, in the order of arrival; for several they may run at the same time. One that
    /// panics is called again with the next message. To be called within a tokio runtime.
    ///
    /// A handler that blocks its thread belongs in [`call_blocking`](Self::call_blocking).
    pub fn call<H, F>(self, handler: H) -> Result<Listener, TopicError>
    where
        H: Fn(Arrival) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let filters = self.filters?;
        let name = self.name.or_else(|| filters.first().map(ToString::to_string)).unwrap_or_default();
        let core = Core::new(name, self.wishes, Box::new(move |arrival| Box::pin(handler(arrival))));
        Ok(self.hub.listen(core, self.on, filters))
    }

    /// As [`call`](Self::call), for a handler that takes its thread's time: it is called on threads for such work.
    pub fn call_blocking<H>(self, handler: H) -> Result<Listener, TopicError>
    where
        H: Fn(Arrival) + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        self.call(move |arrival| {
            let handler = handler.clone();
            async move {
                if let Err(error) = tokio::task::spawn_blocking(move || handler(arrival)).await
                    && let Ok(panic) = error.try_into_panic()
                {
                    std::panic::resume_unwind(panic);
                }
            }
        })
    }
}

impl fmt::Debug for ListenerBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerBuilder").field("filters", &self.filters).finish_non_exhaustive()
    }
}
