//! MQTT: a client for each target, or a connection of the hub.

mod options;
mod source;

use std::any::Any;
use std::error::Error;
use std::sync::{Arc, OnceLock};

use packetboat::{
    Client, Options, PublishError, QoS, RejectReason, TopicError, TopicFilter, TopicName, Withdrawal,
};
use packetboat_config::{Node, Problem};

use super::{
    Delivered, DeliveryError, Destination, FailedStart, Later, Outgoing, Protocol, Source, Target,
    TargetDescription,
};
use crate::Hub;
use crate::broker::template::Template;
use crate::config::{Table, table};

pub use options::AwsEndpoint;
use source::{Filters, Subscription};

/// The protocol `mqtt`.
///
/// A target's `mqtt_options` have the keys of [`packetboat_config`], and a client of its own; or `connection`, the name of
/// one of the hub's; or `endpoint` and `region`, which name a broker at AWS.
///
/// ```
/// use packetboat_hub::MessageBroker;
/// use packetboat_hub::broker::Mqtt;
///
/// # fn signed(_region: &str, options: packetboat::Options) -> packetboat::Options { options }
/// // What signs each attempt at AWS: here a function of yours.
/// let mqtt = Mqtt::new().signed_by(|aws, options| Ok::<_, std::io::Error>(signed(aws.region, options)));
/// let broker = MessageBroker::builder().protocol(mqtt).create()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Mqtt {
    signer: Option<Arc<Signer>>,
}

type Signer =
    dyn Fn(&AwsEndpoint<'_>, Options) -> Result<Options, Box<dyn Error + Send + Sync>> + Send + Sync;

impl Mqtt {
    /// Without a way to AWS.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a way to AWS: completes the options of targets that have `endpoint` and `region`. They lead to
    /// `wss://<endpoint>:443/mqtt`; what signs each attempt goes in with [`Options::transport`],
    /// [`Options::websocket`] or [`Options::before_connect`].
    #[must_use]
    pub fn signed_by<E: Into<Box<dyn Error + Send + Sync>>>(
        mut self,
        sign: impl Fn(&AwsEndpoint<'_>, Options) -> Result<Options, E> + Send + Sync + 'static,
    ) -> Self {
        self.signer = Some(Arc::new(move |endpoint, options| sign(endpoint, options).map_err(Into::into)));
        self
    }
}

impl Protocol for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn target(&self, description: &TargetDescription<'_>) -> Result<Arc<dyn Target>, Vec<Problem>> {
        let link = if description.options.key("connection").is_some() {
            table::read(description.options, |table| {
                let id = table.needed("connection", "say which one of the hub's")?.to_owned();
                Some(Link::Hub { hub: description.hub.clone(), id })
            })?
        } else {
            let options = options::read(description, self.signer.as_deref())?;
            Link::Own { options: Box::new(options), client: OnceLock::new() }
        };
        Ok(Arc::new(Broker { link: Arc::new(link), filters: Filters::default() }))
    }
}

/// A client without a configuration, to publish and subscribe by topic.
#[derive(Clone)]
pub(crate) struct Direct {
    link: Arc<Link>,
    filters: Filters,
}

impl Direct {
    pub(crate) fn new(options: Options, client: Client) -> Self {
        let link = Link::Own { options: Box::new(options), client: client.into() };
        Self { link: Arc::new(link), filters: Filters::default() }
    }

    pub(crate) fn destination(&self, topic: &str) -> Arc<dyn Destination> {
        let (link, name) = (self.link.clone(), Template::fixed(topic));
        Arc::new(Topic { link, name, qos: QoS::AtLeastOnce, retain: None, drop_properties: false })
    }

    pub(crate) fn source(&self, filter: &str) -> Result<Arc<dyn Source>, TopicError> {
        Ok(Arc::new(Subscription::new(
            &self.link,
            &self.filters,
            &TopicFilter::new(filter)?,
            QoS::AtLeastOnce,
        )))
    }
}

/// A target.
struct Broker {
    link: Arc<Link>,
    filters: Filters,
}

/// The way to the broker.
enum Link {
    Own { options: Box<Options>, client: OnceLock<Client> },
    Hub { hub: Hub, id: String },
}

impl Link {
    fn client(&self) -> Result<Client, String> {
        match self {
            Self::Own { client, .. } => client.get().cloned().ok_or_else(|| "it was not started".to_owned()),
            Self::Hub { hub, id } => {
                let connection = hub.connection(id).map(|connection| connection.client().clone());
                connection.ok_or_else(|| format!("the hub has no connection `{id}`"))
            }
        }
    }
}

impl Target for Broker {
    fn destination(&self, options: &Node, variables: &[&str]) -> Result<Arc<dyn Destination>, Vec<Problem>> {
        table::read(options, |table| {
            let topic = Template::needed(table, "topic", "say where messages are published", variables);
            if let Some(topic) = &topic
                && let Err(error) = TopicName::new(&topic.expand(|_| Some("x")))
            {
                table.wrong("topic", format!("is no topic: {error}"));
            }
            let (qos, retain) = (qos(table), table.flag("retain"));
            let drop_properties = table.flag("drop_properties").unwrap_or_default();
            let topic = Topic { link: self.link.clone(), name: topic?, qos, retain, drop_properties };
            Some(Arc::new(topic) as Arc<dyn Destination>)
        })
    }

    fn source(&self, options: &Node) -> Result<Arc<dyn Source>, Vec<Problem>> {
        Subscription::read(options, &self.link, &self.filters)
    }

    fn start(&self) -> Result<(), FailedStart> {
        if let Link::Own { options, client } = &*self.link {
            let started = Client::start((**options).clone())?;
            let _ = client.set(started);
        }
        Ok(())
    }

    fn can_become(&self, next: &dyn Target) -> bool {
        own(next).is_some() && matches!(&*self.link, Link::Own { .. })
    }

    fn become_this(&self, next: &dyn Target) {
        if let Link::Own { client, .. } = &*self.link
            && let (Some(client), Some(options)) = (client.get(), own(next))
        {
            // They were checked when they were read.
            let _ = client.reconfigure(options.clone());
        }
    }

    fn close(&self) -> Later<'_, ()> {
        Box::pin(async move {
            if let Link::Own { client, .. } = &*self.link
                && let Some(client) = client.get()
            {
                // What it leaves behind is told to those who wait for it.
                let _ = client.disconnect().await;
            }
        })
    }
}

/// The options of a target of ours with a client of its own.
fn own(target: &dyn Target) -> Option<&Options> {
    match &*(target as &dyn Any).downcast_ref::<Broker>()?.link {
        Link::Own { options, .. } => Some(options),
        Link::Hub { .. } => None,
    }
}

/// Panorama knows no other than 1.
fn qos(table: &Table<'_>) -> QoS {
    table.qos("qos").unwrap_or(QoS::AtLeastOnce)
}

/// A destination.
struct Topic {
    link: Arc<Link>,
    name: Template,
    qos: QoS,
    retain: Option<bool>,
    drop_properties: bool,
}

impl Destination for Topic {
    fn publish(&self, message: Outgoing) -> Later<'static, Result<Delivered, DeliveryError>> {
        let topic = self.name.expand(|name| message.value(name));
        let (link, qos, retain, drop_properties) =
            (self.link.clone(), self.qos, self.retain, self.drop_properties);
        Box::pin(async move {
            let client = link.client().map_err(DeliveryError::not_sent)?;
            let mut publish = client.publish(&topic, message.payload.bytes()).qos(qos).timeout(message.limit);
            if let Some(retain) = retain {
                publish = publish.retain(retain);
            }
            if !message.properties.as_properties().is_empty() {
                publish = publish.properties(message.properties).drop_properties(drop_properties);
            }
            let published = publish.await.map_err(failed)?;
            Ok(Delivered { reason: published.reason })
        })
    }

    /// The client has its own bounds.
    fn concurrency(&self) -> usize {
        usize::MAX
    }
}

fn failed(error: PublishError) -> DeliveryError {
    let later = |reason: &RejectReason| matches!(reason, RejectReason::Full | RejectReason::Closed);
    match &error {
        PublishError::Topic(_) | PublishError::Refused { .. } => DeliveryError::refused(error),
        PublishError::Rejected { reason, .. } | PublishError::Withdrawn(Withdrawal::NotAllowed(reason)) => {
            if later(reason) {
                DeliveryError::not_sent(error)
            } else {
                DeliveryError::refused(error)
            }
        }
        PublishError::TimedOut { .. } | PublishError::Withdrawn(_) => DeliveryError::not_sent(error),
        _ => DeliveryError::unknown(error),
    }
}
