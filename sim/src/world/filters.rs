//! What the application subscribed to and what it was told.

use std::collections::{BTreeMap, BTreeSet};

use packetboat_core::session::Tag;
use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::{QoS, Reason, RetainHandling, SubscribeOptions};

use super::{Promise, World};
use crate::pair::CLIENT;

const FILTERS: [&str; 4] = ["a/#", "b", "a/first", "a/+"];

/// Subscriptions as the application sees them.
#[derive(Debug, Default)]
pub(super) struct Filters {
    /// How many want each filter.
    wanted: BTreeMap<&'static str, usize>,
    /// Requests not yet answered.
    subscribing: BTreeMap<u64, &'static str>,
    unsubscribing: BTreeSet<u64>,
}

impl Filters {
    pub(super) fn crashed(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_idle(&self) -> bool {
        self.subscribing.is_empty() && self.unsubscribing.is_empty()
    }

    pub(super) fn subscribed(&mut self, tag: u64, reason: Reason) -> Promise {
        let filter = self.subscribing.remove(&tag).ok_or(format!("SUBSCRIBE {tag} is answered again"))?;
        if reason.is_error() {
            self.drop_one(filter);
        }
        Ok(())
    }

    pub(super) fn unsubscribed(&mut self, tag: u64) -> Promise {
        if self.unsubscribing.remove(&tag) {
            Ok(())
        } else {
            Err(format!("UNSUBSCRIBE {tag} is answered again"))
        }
    }

    pub(super) fn lost(&mut self, filter: &str) {
        self.wanted.retain(|wanted, _| *wanted != filter);
    }

    fn drop_one(&mut self, filter: &'static str) {
        if let Some(count) = self.wanted.get_mut(filter) {
            *count -= 1;
            if *count == 0 {
                self.wanted.remove(filter);
            }
        }
    }
}

impl World {
    pub(super) fn subscribe_or_unsubscribe(&mut self) {
        let name = self.dice.pick(&FILTERS);
        if self.dice.percent(70) { self.subscribe(name) } else { self.unsubscribe(name) }
    }

    pub(super) fn subscribe(&mut self, name: &'static str) {
        let tag = self.next_tag();
        let Ok(filter) = TopicFilter::new(name) else { return };
        let options = SubscribeOptions {
            qos: self.dice.pick(&[QoS::AtLeastOnce, QoS::ExactlyOnce, QoS::ExactlyOnce]),
            // Retained messages would arrive a second time and nobody could tell.
            retain_handling: if self.plan.options.version.has_properties() {
                RetainHandling::DoNotSend
            } else {
                RetainHandling::Send
            },
            ..SubscribeOptions::default()
        };
        let accepted = self.pair.client.session.subscribe(&filter, options, Tag(tag));
        self.tell(|| format!("subscribe {name} ({tag}): {accepted:?}"));
        if accepted.is_ok() {
            *self.filters.wanted.entry(name).or_default() += 1;
            self.filters.subscribing.insert(tag, name);
        }
    }

    fn unsubscribe(&mut self, name: &'static str) {
        let tag = self.next_tag();
        let Ok(filter) = TopicFilter::new(name) else { return };
        self.tell(|| format!("unsubscribe {name} ({tag})"));
        self.pair.client.session.unsubscribe(&filter, Tag(tag));
        self.filters.drop_one(name);
        self.filters.unsubscribing.insert(tag);
    }

    /// The broker has what the application wants, and nothing else.
    pub(super) fn check_filters(&self) -> Promise {
        if !self.filters.is_idle() {
            return Err(format!("requests without an answer: {:?}", self.filters));
        }
        let wanted: BTreeSet<&str> = self.filters.wanted.keys().copied().collect();
        let has: BTreeSet<&str> = self.pair.broker.subscriptions(CLIENT).into_iter().collect();
        // A process that died took with it what it wanted; the broker still has that.
        let fine = if self.crashes > 0 { has.is_superset(&wanted) } else { has == wanted };
        if fine { Ok(()) } else { Err(format!("wanted are {wanted:?}, the broker has {has:?}")) }
    }
}
