//! Where an answer goes, and what kind of answer it is: in properties, or in the topic.

use packetboat_core::topic::{TopicFilter, TopicName};
use packetboat_core::wire::{PropertiesBuf, Property};

use crate::Message;

/// What stands between the topic of a request and its response topic. The last one counts: what is asked may have a level of
/// this name, the response topic may not.
const REQUEST: &str = "/$request/";

/// The user property that says that an answer is none.
const STATUS: &str = "response-status";

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    Done,
    Failed,
    Busy,
}

impl Status {
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Failed => Some("error"),
            Self::Busy => Some("busy"),
        }
    }

    /// A word nobody has agreed on is an error.
    fn of(word: Option<&str>) -> Self {
        match word {
            None => Self::Done,
            Some("busy") => Self::Busy,
            Some(_) => Self::Failed,
        }
    }
}

/// Where a request without properties is published.
pub(super) fn request_topic(topic: &str, response_topic: &str, number: u64) -> String {
    format!("{topic}{REQUEST}{response_topic}/{number:x}")
}

/// May answers to requests without properties come there?
pub(super) fn fits_in_topic(response_topic: &str) -> bool {
    !format!("/{response_topic}/").contains(REQUEST)
}

/// The filter of requests whose address is in their topic; `None`: they match the responder's own filter.
pub(super) fn request_filter(filter: &TopicFilter) -> Option<String> {
    let text = filter.as_str();
    (!text.ends_with('#')).then(|| format!("{text}{REQUEST}#"))
}

/// The topic that was asked, whatever else the message's topic carries.
pub(super) fn asked_topic(message: &Message) -> &str {
    let topic = message.topic();
    let in_topic = message.properties().response_topic().is_none();
    topic.rsplit_once(REQUEST).filter(|_| in_topic).map_or(topic, |(asked, _)| asked)
}

/// Where the answer to a request goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ReturnAddress {
    pub(super) topic: String,
    correlation: Option<Vec<u8>>,
    /// Whoever asked knows no properties.
    pub(super) in_topic: bool,
}

impl ReturnAddress {
    /// `None`: the message is no request, or has an address that no topic can be.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let properties = message.properties();
        let (topic, in_topic) = match properties.response_topic() {
            Some(topic) => (topic, false),
            None => (message.topic().rsplit_once(REQUEST)?.1, true),
        };
        TopicName::new(topic).ok()?;
        let correlation = properties.correlation_data().map(<[u8]>::to_vec);
        Some(Self { topic: topic.to_owned(), correlation, in_topic })
    }

    /// Topic and properties of an answer that has these to say besides.
    pub(super) fn answer(&self, status: Status, mut properties: PropertiesBuf) -> (String, PropertiesBuf) {
        properties.remove(Property::CorrelationData);
        let mut topic = self.topic.clone();
        if let Some(correlation) = self.correlation.as_deref().filter(|_| !self.in_topic) {
            // It was that long when it came.
            let _ = properties.correlation_data(correlation);
        }
        match status.word() {
            Some(word) if self.in_topic => {
                topic.push('/');
                topic.push_str(word);
            }
            Some(word) => {
                let _ = properties.user_property(STATUS, word);
            }
            None => {}
        }
        (topic, properties)
    }
}

/// The number of the request that this answers, and how.
pub(super) fn answered(message: &Message, response_topic: &str) -> Option<(u64, Status)> {
    let properties = message.properties();
    if let Some(correlation) = properties.correlation_data() {
        let word = properties.user_properties().find(|(name, _)| *name == STATUS).map(|(_, word)| word);
        return Some((u64::from_be_bytes(correlation.try_into().ok()?), Status::of(word)));
    }
    let rest = message.topic().strip_prefix(response_topic)?.strip_prefix('/')?;
    let (number, word) = match rest.split_once('/') {
        Some((number, word)) => (number, Some(word)),
        None => (rest, None),
    };
    Some((u64::from_str_radix(number, 16).ok()?, Status::of(word)))
}
