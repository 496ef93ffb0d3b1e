//! Topics with named levels and payloads with a type, on top of publishing and subscribing.
//!
//! ```no_run
//! use packetboat::typed::TypedTopic;
//! use packetboat::{Client, QoS};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Sensor {
//!     room: String,
//!     id: u32,
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Reading {
//!     celsius: f64,
//! }
//!
//! # async fn run(client: Client) -> Result<(), Box<dyn std::error::Error>> {
//! let readings = TypedTopic::<Sensor, Reading>::new("sensors/{room}/{id}/temperature")?;
//! let mut stream = client.subscribe(readings.filter()).await?.typed(&readings);
//!
//! let message = readings.message(&Sensor { room: "kitchen".into(), id: 7 }, &Reading { celsius: 21.5 })?;
//! client.publish_typed(&message).qos(QoS::AtLeastOnce).await?;
//!
//! while let Some(item) = stream.next().await {
//!     match item {
//!         Ok(reading) => println!("{}: {}", reading.levels.room, reading.payload.celsius),
//!         Err(error) => eprintln!("{error}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! On 5.0 a message carries its content type, and one that arrives with another is not read. 3.1.1 has no content types:
//! there messages go out without, and what arrives is read as it is, which is also what happens to messages of 5.0 whose
//! publisher said nothing.

mod format;
mod levels;
mod stream;
mod template;

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use packetboat_core::topic::{TopicError, TopicName};
use packetboat_core::wire::PropertiesBuf;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Client, Message, Publish};
pub use format::Format;
pub use stream::TypedSubscriber;
use template::Template;
pub use template::TemplateError;

/// A topic whose levels have names, `sensors/{room}/{id}/temperature`, and whose payloads have a type.
///
/// `L` has a field for each name: a text, a number, a `bool`, a `char`, or an enum of names. `P` is whatever serde can write
/// and read. The format is JSON unless [`format`](Self::format) says otherwise.
///
/// ```
/// use packetboat::typed::TypedTopic;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Sensor {
///     room: String,
///     id: u32,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let readings = TypedTopic::<Sensor, f64>::new("sensors/{room}/{id}/temperature")?;
/// assert_eq!(readings.filter(), "sensors/+/+/temperature");
/// assert_eq!(readings.levels("sensors/kitchen/7/temperature")?.id, 7);
/// # Ok(())
/// # }
/// ```
pub struct TypedTopic<L, P> {
    template: Template,
    format: Format,
    types: PhantomData<fn() -> (L, P)>,
}

impl<L, P> TypedTopic<L, P> {
    /// A name in braces stands for one whole level; everything else stands for itself.
    pub fn new(template: &str) -> Result<Self, TemplateError> {
        Ok(Self { template: Template::new(template)?, format: Format::default(), types: PhantomData })
    }

    /// How payloads are written.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// The filter that matches it: `+` for each name.
    #[must_use]
    pub fn filter(&self) -> &str {
        self.template.filter()
    }
}

impl<L: Serialize, P: Serialize> TypedTopic<L, P> {
    /// A message, ready to be published.
    pub fn message(&self, levels: &L, payload: &P) -> Result<TypedMessage, EncodeError> {
        let topic = self.topic(levels)?;
        let payload = self.format.encode(payload).map_err(EncodeError::Payload)?;
        Ok(TypedMessage { topic, payload: payload.into(), format: self.format })
    }
}

impl<L: Serialize, P> TypedTopic<L, P> {
    /// The topic with these levels.
    pub fn topic(&self, levels: &L) -> Result<String, EncodeError> {
        let values = levels::write(levels).map_err(EncodeError::Levels)?;
        let topic = self.template.fill(&values)?;
        TopicName::new(&topic).map_err(EncodeError::Topic)?;
        Ok(topic)
    }
}

impl<L: DeserializeOwned, P: DeserializeOwned> TypedTopic<L, P> {
    /// What a message says.
    pub fn read(&self, message: Message) -> Result<Typed<L, P>, DecodeError> {
        let read = || {
            let levels = self.levels(message.topic())?;
            let said = message.properties();
            if let Some(content_type) = said.content_type()
                && !self.format.is(content_type)
            {
                return Err(Problem::ContentType(content_type.to_owned()));
            }
            Ok((levels, self.format.decode(message.payload()).map_err(Problem::Payload)?))
        };
        match read() {
            Ok((levels, payload)) => Ok(Typed { levels, payload, message }),
            Err(problem) => Err(DecodeError { problem, message: Box::new(message) }),
        }
    }

    /// The levels of a topic.
    pub fn levels(&self, topic: &str) -> Result<L, Problem> {
        let values = self.template.values(topic).ok_or(Problem::Topic)?;
        levels::read(values).map_err(Problem::Levels)
    }
}

impl<L, P> Clone for TypedTopic<L, P> {
    fn clone(&self) -> Self {
        Self { template: self.template.clone(), format: self.format, types: PhantomData }
    }
}

impl<L, P> fmt::Debug for TypedTopic<L, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { template, format, types: _ } = self;
        f.debug_struct("TypedTopic").field("filter", &template.filter()).field("format", format).finish()
    }
}

/// A message on its way out; made by [`TypedTopic::message`], published by
/// [`Client::publish_typed`](Client::publish_typed).
#[derive(Clone, Debug)]
pub struct TypedMessage {
    topic: String,
    payload: Bytes,
    format: Format,
}

impl TypedMessage {
    /// Where it goes.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Its payload as written.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }
}

impl Client {
    /// Publish a message of a [`TypedTopic`]. On 5.0 it says its content type, and of JSON that it is text; on 3.1.1 it goes out
    /// without. [`Publish::properties`] would replace both.
    ///
    /// ```no_run
    /// use packetboat::typed::TypedTopic;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Room { room: String }
    ///
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let temperatures = TypedTopic::<Room, f64>::new("rooms/{room}/temperature")?;
    /// let message = temperatures.message(&Room { room: "kitchen".into() }, &21.5)?;
    /// client.publish_typed(&message).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_typed<'a>(&'a self, message: &'a TypedMessage) -> Publish<'a> {
        let mut properties = PropertiesBuf::new();
        // Both are short, and belong in PUBLISH.
        let _ = properties.content_type(message.format.content_type());
        if message.format.is_text() {
            let _ = properties.payload_format_indicator(true);
        }
        self.publish(&message.topic, &message.payload).properties(properties).drop_properties(true)
    }
}

/// A message that was read.
#[derive(Debug)]
#[non_exhaustive]
pub struct Typed<L, P> {
    /// The named levels of its topic.
    pub levels: L,
    /// Its payload.
    pub payload: P,
    /// The message itself: to acknowledge it in manual mode, for example.
    pub message: Message,
}

/// A message that could not be read. It is an item of the stream, which goes on.
///
/// It is acknowledged like any other when the next is taken; in manual mode, [`Message::reject`] it, or it comes again.
#[non_exhaustive]
pub struct DecodeError {
    /// What is wrong with it.
    pub problem: Problem,
    /// The message itself.
    pub message: Box<Message>,
}

/// What is wrong with a message. Its publisher is to blame, or the type it is read as.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// Its topic is not of this form.
    Topic,
    /// A level is not what its field holds.
    Levels(String),
    /// It says it is of another content type.
    ContentType(String),
    /// Its payload is not what the type is read from.
    Payload(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic => f.write_str("the topic is of another form"),
            Self::Levels(why) => write!(f, "a level of the topic is wrong: {why}"),
            Self::ContentType(said) => write!(f, "the content type is {said:?}"),
            Self::Payload(why) => write!(f, "the payload is wrong: {why}"),
        }
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message on {:?} cannot be read: {}", self.message.topic(), self.problem)
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.problem)
    }
}

/// Why no message came about.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The levels are not a struct of texts, numbers and the like.
    Levels(String),
    /// The template names a level for which there is no field.
    Missing(String),
    /// The value of this level is empty or holds `/`: it would be another level, or none. Or it is the first one and begins with
    /// `$`: the filter would not match it.
    Level(String),
    /// The topic is none: it is too long, or holds a wildcard or a null character.
    Topic(TopicError),
    /// The payload cannot be written in this format.
    Payload(String),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Levels(why) => write!(f, "the levels cannot be written: {why}"),
            Self::Missing(name) => write!(f, "there is no field for the level {name:?}"),
            Self::Level(name) => {
                write!(f, "the level {name:?} is empty, has a '/' in it or begins the topic with '$'")
            }
            Self::Topic(error) => write!(f, "the topic is wrong: {error}"),
            Self::Payload(why) => write!(f, "the payload cannot be written: {why}"),
        }
    }
}

impl std::error::Error for EncodeError {}
