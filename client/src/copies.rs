//! Which messages a broker sent several times because several filters of one stream match.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use packetboat_core::topic::TopicFilter;

use crate::Message;

/// A broker that sends one copy for each filter sends them in a row; others come between where a window was full.
const RECENT: usize = 32;

/// What a stream leaves out.
#[derive(Debug, Default)]
pub(crate) struct Sieve {
    /// Of several filters: what tells the copies of a message.
    pub(crate) copies: Option<Copies>,
    retained: bool,
}

impl Sieve {
    pub(crate) fn of(copies: Option<Copies>, retained: bool) -> Option<Box<Self>> {
        (retained || copies.is_some()).then(|| Box::new(Self { copies, retained }))
    }

    pub(crate) fn holds_back(&mut self, message: &Message) -> bool {
        self.retained && message.retain()
            || self.copies.as_mut().is_some_and(|copies| copies.are_joined_by(message))
    }
}

/// The messages that came last, by what tells copies apart: each carries the identifier of another filter.
///
/// Of each kind of equal messages there have been as many as came for the filter that got most, in whatever order the copies
/// come: one for a filter that is behind it is a copy. Only where filters change this may be wrong for once, since the broker
/// had others then. A message is not lost for good: the next of its kind is none.
#[derive(Debug)]
pub(crate) struct Copies {
    /// The identifiers of the stream's filters.
    identifiers: Vec<u32>,
    /// Of those it had: copies for them may still come.
    former: VecDeque<u32>,
    recent: VecDeque<Kind>,
    hashing: RandomState,
}

/// Equal messages.
#[derive(Debug)]
struct Kind {
    hash: u64,
    messages: u64,
    /// How many copies came, by filter.
    copies: Vec<(u32, u64)>,
}

impl Copies {
    /// Only of several filters. Shared ones do not count: what came for another client's sake is no copy.
    pub(crate) fn of(filters: &[TopicFilter]) -> Option<Self> {
        let copies = Self::among(filters);
        (copies.identifiers.len() > 1).then_some(copies)
    }

    /// Of whatever filters: those of a stream that changes them.
    pub(crate) fn among(filters: &[TopicFilter]) -> Self {
        Self {
            identifiers: identifiers(filters),
            former: VecDeque::new(),
            recent: VecDeque::new(),
            hashing: RandomState::new(),
        }
    }

    /// Other filters from now on.
    pub(crate) fn go_on_with(&mut self, filters: &[TopicFilter]) {
        let before = std::mem::replace(&mut self.identifiers, identifiers(filters));
        for identifier in before {
            if !self.identifiers.contains(&identifier) && !self.former.contains(&identifier) {
                self.former.truncate(RECENT - 1);
                self.former.push_front(identifier);
            }
        }
        self.recent.iter_mut().for_each(Kind::settle);
    }

    /// Is it a copy of an earlier one? It is remembered either way.
    pub(crate) fn are_joined_by(&mut self, message: &Message) -> bool {
        let ours = |named: &u32| self.identifiers.contains(named) || self.former.contains(named);
        let mut named: Vec<u32> = message.properties().subscription_identifiers().filter(ours).collect();
        if named.is_empty() {
            return false;
        }
        named.sort_unstable();
        named.dedup();
        let hash = self.hash(message);
        let known =
            self.recent.iter().position(|kind| kind.hash == hash).and_then(|at| self.recent.remove(at));
        let mut kind = known.unwrap_or(Kind { hash, messages: 0, copies: Vec::new() });
        let is_copy = kind.add(&named);
        self.recent.truncate(RECENT - 1);
        self.recent.push_front(kind);
        is_copy
    }

    /// All that copies share: not their QoS, which is the filter's, nor the time they have left.
    fn hash(&self, message: &Message) -> u64 {
        let mut hasher = self.hashing.build_hasher();
        let properties = message.properties();
        (message.topic(), message.payload(), message.retain()).hash(&mut hasher);
        (properties.payload_format_indicator(), properties.content_type()).hash(&mut hasher);
        (properties.response_topic(), properties.correlation_data()).hash(&mut hasher);
        properties.user_properties().for_each(|property| property.hash(&mut hasher));
        hasher.finish()
    }
}

impl Kind {
    /// One came for these filters. Is it a copy of an earlier one?
    fn add(&mut self, named: &[u32]) -> bool {
        let mut most = self.messages;
        for &identifier in named {
            if let Some((_, count)) = self.copies.iter_mut().find(|(known, _)| *known == identifier) {
                *count += 1;
                most = most.max(*count);
            } else {
                self.copies.push((identifier, 1));
                most = most.max(1);
            }
        }
        let is_copy = most == self.messages;
        self.messages = most;
        is_copy
    }

    /// What is behind by more than one may stay so: expect one copy.
    fn settle(&mut self) {
        self.copies.retain(|(_, count)| *count == self.messages);
        self.copies.iter_mut().for_each(|(_, count)| *count = 1);
        self.messages = 1;
    }
}

fn identifiers(filters: &[TopicFilter]) -> Vec<u32> {
    let plain = filters.iter().filter(|filter| filter.share_name().is_none());
    plain.map(TopicFilter::subscription_identifier).collect()
}
