//! Requests to subscribe and to unsubscribe, and which of them go into one packet.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Session;
use super::event::Tag;
use super::handle::Handle;
use super::limits::Limits;
use super::subscriptions::Requests;
use crate::time::Instant;
use crate::topic::TopicFilter;
use crate::wire::{
    FiltersBuf, Packet, PropertiesBuf, Reason, Subscribe, SubscribeOptions, TopicFiltersBuf, Unsubscribe,
};

/// Filters in one packet where nothing needs them apart: the least of the limits known of brokers (AWS IoT).
const FILTERS_PER_PACKET: usize = 8;

/// Bytes of a SUBSCRIBE without identifier, or an UNSUBSCRIBE, besides its filters, at most.
const REQUEST_OVERHEAD: usize = 5 + 2 + 1;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Subscribe(SubscribeOptions),
    /// Ours, after a reconnect: nobody's tag.
    Restore(SubscribeOptions),
    Unsubscribe,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) filter: TopicFilter,
    pub(super) kind: Kind,
    pub(super) tag: Tag,
    /// The subscription's; zero for UNSUBSCRIBE.
    pub(super) serial: u64,
    /// User properties, if there are any.
    pub(super) properties: Option<Box<PropertiesBuf>>,
}

/// A SUBSCRIBE or UNSUBSCRIBE that is out.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) id: u16,
    pub(super) since: Instant,
    pub(super) requests: Vec<Request>,
}

impl<P: Handle> Session<P> {
    /// Put them into one packet.
    pub(super) fn encode_requests(&mut self, id: u16, requests: &[Request]) -> Result<(), Reason> {
        let limits = &self.link.limits;
        let said = requests.first().and_then(|request| request.properties.as_deref());
        let mut properties = said.cloned().unwrap_or_default();
        let (mut filters, mut names) = (FiltersBuf::default(), TopicFiltersBuf::default());
        for request in requests {
            match request.kind {
                Kind::Unsubscribe => {
                    limits.check_request(request)?;
                    names.push(request.filter.as_str());
                }
                Kind::Subscribe(options) | Kind::Restore(options) => {
                    limits.check_request(request)?;
                    filters.push(request.filter.as_str(), options);
                    if limits.subscription_identifier_available {
                        let _ = properties.subscription_identifier(request.filter.subscription_identifier());
                    }
                }
            }
        }
        let properties = properties.as_properties();
        let packet = if names.is_empty() {
            Packet::Subscribe(Subscribe { id, properties, filters: filters.as_filters() })
        } else {
            Packet::Unsubscribe(Unsubscribe { id, properties, filters: names.as_filters() })
        };
        if !self.link.takes(&packet) {
            return Err(Reason::PACKET_TOO_LARGE);
        }
        self.link.reply(&packet);
        Ok(())
    }
}

impl Request {
    /// Bytes it takes in a packet, at most: filter, its length and its options.
    fn size(&self) -> usize {
        self.filter.as_str().len() + 3
    }
}

impl Limits {
    /// Does the broker take such a filter, and can its options be told? It lets go of any.
    pub(super) fn check_request(&self, request: &Request) -> Result<(), Reason> {
        let Request { filter, kind, .. } = request;
        if self.properties_missing(request) {
            return Err(Reason::UNSUPPORTED_PROTOCOL_VERSION);
        }
        let (Kind::Subscribe(options) | Kind::Restore(options)) = *kind else { return Ok(()) };
        if !self.properties && options != options.qos.into() {
            return Err(Reason::UNSUPPORTED_PROTOCOL_VERSION);
        }
        if filter.share_name().is_some() && !self.shared_subscription_available {
            return Err(Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        if filter.filter().contains(['+', '#']) && !self.wildcard_subscription_available {
            return Err(Reason::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        Ok(())
    }

    fn properties_missing(&self, request: &Request) -> bool {
        !self.properties && request.properties.is_some()
    }
}

impl Requests {
    /// The requests that go into one packet: a subscription identifier belongs to a whole SUBSCRIBE, so that with
    /// identifiers each filter has its own. So do user properties.
    pub(super) fn next_packet(&mut self, limits: &Limits) -> Option<Vec<Request>> {
        let first = self.waiting.pop_front()?;
        let unsubscribe = first.kind == Kind::Unsubscribe;
        let alone = !unsubscribe && limits.subscription_identifier_available;
        let alone = alone || first.properties.is_some() || limits.check_request(&first).is_err();
        let most = if alone { 1 } else { FILTERS_PER_PACKET };
        let mut room = (limits.maximum_packet_size as usize).saturating_sub(REQUEST_OVERHEAD + first.size());
        let mut requests = alloc::vec![first];
        while requests.len() < most {
            // What is refused is refused alone.
            let joins = |next: &mut Request| {
                let same = (next.kind == Kind::Unsubscribe) == unsubscribe;
                let plain = next.properties.is_none();
                same && plain && next.size() <= room && limits.check_request(next).is_ok()
            };
            let Some(next) = self.waiting.pop_front_if(joins) else { break };
            room -= next.size();
            requests.push(next);
        }
        Some(requests)
    }
}
