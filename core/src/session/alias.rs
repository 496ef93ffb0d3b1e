//! Topic aliases: ours towards the broker, chosen when a PUBLISH is encoded and gone with the connection.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::event::Breach;
use crate::wire::Reason;

/// Aliases in use towards the broker; the least recently used makes room.
#[derive(Debug, Default)]
pub(super) struct Outgoing(Option<Box<Table>>);

#[derive(Debug, Default)]
struct Table {
    maximum: u16,
    /// Topic to alias and time of last use.
    topics: BTreeMap<Box<str>, (u16, u64)>,
    /// Time of last use to topic: the first is the least recently used.
    uses: BTreeMap<u64, Box<str>>,
    clock: u64,
}

/// How a topic goes out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Alias {
    /// Without an alias.
    None,
    /// With its topic, which the alias stands for from now on.
    New(u16),
    /// Instead of its topic.
    Known(u16),
}

/// Shorter topics gain nothing from an alias property of three bytes.
const WORTH: usize = 4;

impl Outgoing {
    pub(super) fn new(maximum: u16) -> Self {
        Self((maximum > 0).then(|| Box::new(Table { maximum, ..Table::default() })))
    }

    #[inline]
    pub(super) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// How `topic` goes out; an alias not yet in use only if the packet `may_add` it.
    pub(super) fn assign(&mut self, topic: &str, may_add: bool) -> Alias {
        let table = self.0.as_mut().filter(|_| topic.len() >= WORTH);
        table.map_or(Alias::None, |table| table.assign(topic, may_add))
    }
}

impl Table {
    fn assign(&mut self, topic: &str, may_add: bool) -> Alias {
        self.clock += 1;
        if let Some((alias, used)) = self.topics.get_mut(topic) {
            if let Some(topic) = self.uses.remove(used) {
                self.uses.insert(self.clock, topic);
            }
            *used = self.clock;
            return Alias::Known(*alias);
        }
        if !may_add {
            return Alias::None;
        }
        let alias = if self.topics.len() < usize::from(self.maximum) {
            u16::try_from(self.topics.len() + 1).unwrap_or(u16::MAX)
        } else {
            let oldest = self.uses.pop_first().and_then(|(_, topic)| self.topics.remove(&topic));
            let Some((alias, _)) = oldest else { return Alias::None };
            alias
        };
        self.uses.insert(self.clock, topic.into());
        self.topics.insert(topic.into(), (alias, self.clock));
        Alias::New(alias)
    }
}

/// Aliases the broker uses towards us.
#[derive(Debug)]
pub(super) struct Incoming {
    maximum: u16,
    /// Made as far as they are given.
    topics: Box<[Option<Arc<str>>]>,
}

impl Incoming {
    pub(super) fn new(maximum: u16) -> Self {
        Self { maximum, topics: Box::default() }
    }

    /// Note `topic` under `alias`, or give the topic noted there when `topic` is empty.
    pub(super) fn resolve(&mut self, alias: u16, topic: &str) -> Result<Option<Arc<str>>, Breach> {
        if alias == 0 || alias > self.maximum {
            return Err(Breach {
                reason: Reason::TOPIC_ALIAS_INVALID,
                what: "topic alias above our maximum",
            });
        }
        let index = usize::from(alias) - 1;
        if topic.is_empty() {
            let known = self.topics.get(index).and_then(Clone::clone);
            return known.map(Some).ok_or(Breach::protocol("topic alias never given a topic"));
        }
        if self.topics.len() <= index {
            let mut topics = core::mem::take(&mut self.topics).into_vec();
            // A broker gives them out in ascending order, mostly.
            topics.resize((index + 1).next_power_of_two(), None);
            self.topics = topics.into_boxed_slice();
        }
        let slot = &mut self.topics[index];
        if slot.as_deref() != Some(topic) {
            *slot = Some(topic.into());
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_makes_room() {
        let mut aliases = Outgoing::new(2);
        assert_eq!(aliases.assign("topic/a", true), Alias::New(1));
        assert_eq!(aliases.assign("topic/b", true), Alias::New(2));
        assert_eq!(aliases.assign("topic/a", true), Alias::Known(1));
        assert_eq!(aliases.assign("topic/c", true), Alias::New(2));
        assert_eq!(aliases.assign("topic/b", true), Alias::New(1));
        assert_eq!(aliases.assign("topic/c", true), Alias::Known(2));
        assert_eq!(aliases.assign("abc", true), Alias::None);
        assert_eq!(aliases.assign("topic/d", false), Alias::None);
        assert_eq!(aliases.assign("topic/c", false), Alias::Known(2));
    }

    #[test]
    fn incoming_aliases_are_bounded_and_must_be_introduced() {
        let mut aliases = Incoming::new(2);
        assert_eq!(aliases.resolve(0, "a").unwrap_err().reason, Reason::TOPIC_ALIAS_INVALID);
        assert_eq!(aliases.resolve(3, "a").unwrap_err().reason, Reason::TOPIC_ALIAS_INVALID);
        assert_eq!(aliases.resolve(2, "").unwrap_err().reason, Reason::PROTOCOL_ERROR);
        assert_eq!(aliases.resolve(2, "a"), Ok(None));
        assert_eq!(aliases.resolve(2, "").unwrap().as_deref(), Some("a"));
        assert_eq!(aliases.resolve(2, "b"), Ok(None));
        assert_eq!(aliases.resolve(2, "").unwrap().as_deref(), Some("b"));
    }
}
