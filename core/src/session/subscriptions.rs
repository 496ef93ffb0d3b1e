//! Subscriptions: what is wanted, what the broker has, and the requests between the two.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::Session;
use super::event::{Breach, Event, SubscribeError, Tag};
use super::ids::RESERVED;
use super::limits::Limits;
use super::messages::REQUEST;
use crate::time::Instant;
use crate::topic::TopicFilter;
use crate::wire::{
    FiltersBuf, Packet, Properties, PropertiesBuf, Reason, RetainHandling, SubAckKind, Suback, Subscribe,
    SubscribeOptions, TopicFiltersBuf, Unsubscribe, encoded_len,
};

/// Filters in one packet where nothing needs them apart: the least of the limits known of brokers (AWS IoT).
const FILTERS_PER_PACKET: usize = 8;

/// One filter that is wanted.
#[derive(Debug)]
struct Subscription {
    options: SubscribeOptions,
    references: u32,
    /// What the broker granted, while it has it.
    granted: Option<Reason>,
    /// A SUBSCRIBE for it waits or is out.
    requested: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Subscribe(SubscribeOptions),
    /// Ours, after a reconnect: nobody's tag.
    Restore(SubscribeOptions),
    Unsubscribe,
}

#[derive(Clone, Debug)]
struct Request {
    filter: TopicFilter,
    kind: Kind,
    tag: Tag,
}

/// A SUBSCRIBE or UNSUBSCRIBE that is out.
#[derive(Debug)]
struct Sent {
    id: u16,
    since: Instant,
    requests: Vec<Request>,
}

/// All subscriptions of the session. They live as long as it does.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    wanted: BTreeMap<TopicFilter, Subscription>,
    waiting: VecDeque<Request>,
    restoring: usize,
    // ---- one connection
    sent: Vec<Sent>,
}

impl<P: AsRef<[u8]> + Clone> Session<P> {
    /// Want a filter; once more, if it is wanted already. One [`Event::Subscribed`] follows.
    ///
    /// A filter the broker has is asked for again only when that raises its QoS or brings retained messages.
    pub fn subscribe(
        &mut self,
        filter: &TopicFilter,
        options: SubscribeOptions,
        tag: Tag,
    ) -> Result<(), SubscribeError> {
        self.may_subscribe(filter, options)?;
        let known = self.subscriptions.wanted.entry(filter.clone()).or_insert(Subscription {
            options,
            references: 0,
            granted: None,
            requested: false,
        });
        known.references += 1;
        let raised = options.qos > known.options.qos;
        known.options.qos = known.options.qos.max(options.qos);
        match known.granted {
            Some(reason) if !raised && options.retain_handling != RetainHandling::Send => {
                self.events.push_back(Event::Subscribed { tag, reason, properties: None });
            }
            _ => {
                known.requested = true;
                let options = SubscribeOptions { qos: known.options.qos, ..options };
                self.subscriptions.ask(filter, Kind::Subscribe(options), tag);
            }
        }
        Ok(())
    }

    /// Want a filter once less. One [`Event::Unsubscribed`] follows; the last one goes to the broker first.
    pub fn unsubscribe(&mut self, filter: &TopicFilter, tag: Tag) {
        let reason = match self.subscriptions.wanted.get_mut(filter) {
            None => Reason::NO_SUBSCRIPTION_EXISTED,
            Some(subscription) if subscription.references > 1 => {
                subscription.references -= 1;
                Reason::SUCCESS
            }
            Some(_) => {
                self.subscriptions.wanted.remove(filter);
                return self.subscriptions.ask(filter, Kind::Unsubscribe, tag);
            }
        };
        self.events.push_back(Event::Unsubscribed { tag, reason });
    }

    /// Compare what is wanted with what the broker has, and ask for the difference.
    pub(super) fn restore_subscriptions(&mut self, session_present: bool) {
        let subscriptions = &mut self.subscriptions;
        subscriptions.restoring = 0;
        if !session_present {
            subscriptions.wanted.values_mut().for_each(|subscription| subscription.granted = None);
            self.events.extend(subscriptions.drop_needless_unsubscribes());
        }
        let missing = |(_, subscription): &(&TopicFilter, &mut Subscription)| {
            subscription.granted.is_none() && !subscription.requested
        };
        for (filter, subscription) in subscriptions.wanted.iter_mut().filter(missing) {
            subscription.requested = true;
            subscriptions.restoring += 1;
            let kind = Kind::Restore(subscription.options);
            subscriptions.waiting.push_back(Request { filter: filter.clone(), kind, tag: Tag::NONE });
        }
    }

    /// Put waiting requests on the wire, as many as have identifiers reserved.
    pub(super) fn send_requests(&mut self, now: Instant) {
        while self.subscriptions.sent.len() < RESERVED {
            let Some(requests) = self.subscriptions.next_packet(&self.link.limits) else { return };
            let Some(id) = self.outbound.source.next(&self.outbound.ids) else {
                return requests.into_iter().rev().for_each(|one| self.subscriptions.waiting.push_front(one));
            };
            match self.encode_requests(id, &requests) {
                Ok(()) => {
                    self.outbound.ids.insert(id, REQUEST);
                    self.subscriptions.sent.push(Sent { id, since: now, requests });
                }
                Err(reason) => {
                    for request in requests {
                        self.answer(request, reason, None);
                    }
                }
            }
        }
    }

    /// SUBACK or UNSUBACK came.
    pub(super) fn on_suback(&mut self, suback: &Suback<'_>) -> Result<(), Breach> {
        let unsubscribed = suback.kind == SubAckKind::Unsuback;
        let is_it = |sent: &Sent| {
            sent.id == suback.id && (sent.requests[0].kind == Kind::Unsubscribe) == unsubscribed
        };
        let at = self.subscriptions.sent.iter().position(is_it);
        let at = at.ok_or(Breach::protocol("SUBACK or UNSUBACK for nothing that was asked"))?;
        let requests = self.subscriptions.sent.remove(at).requests;
        self.outbound.ids.remove(suback.id);
        let reasons = suback.reasons.len();
        if reasons != requests.len() && !(unsubscribed && reasons == 0) {
            return Err(Breach::protocol("SUBACK with another number of reasons than filters"));
        }
        for (index, request) in requests.into_iter().enumerate() {
            let reason = suback.reasons.get(index).map_or(Reason::SUCCESS, |byte| Reason(*byte));
            self.answer(request, reason, Some(suback.properties));
        }
        Ok(())
    }

    fn may_subscribe(&self, filter: &TopicFilter, options: SubscribeOptions) -> Result<(), SubscribeError> {
        if self.ended {
            return Err(SubscribeError::Closed);
        }
        let plain = SubscribeOptions::from(options.qos);
        if options != plain && self.is_fixed_without_properties() {
            return Err(SubscribeError::NeedsVersion5);
        }
        let shared = filter.share_name().is_some();
        if shared && options.no_local {
            return Err(SubscribeError::SharedNoLocal);
        }
        if let Some(known) = self.subscriptions.wanted.get(filter) {
            let told = |options: &SubscribeOptions| (options.no_local, options.retain_as_published);
            return if told(&known.options) == told(&options) {
                Ok(())
            } else {
                Err(SubscribeError::ConflictingOptions)
            };
        }
        let told_apart = self.link.limits.subscription_identifier_available;
        let overlaps =
            |other: &TopicFilter| (shared || other.share_name().is_some()) && filter.overlaps(other);
        if !told_apart && self.subscriptions.wanted.keys().any(overlaps) {
            return Err(SubscribeError::OverlapsShared);
        }
        Ok(())
    }

    fn encode_requests(&mut self, id: u16, requests: &[Request]) -> Result<(), Reason> {
        let limits = &self.link.limits;
        let mut properties = PropertiesBuf::default();
        let (mut filters, mut names) = (FiltersBuf::default(), TopicFiltersBuf::default());
        for request in requests {
            match request.kind {
                Kind::Unsubscribe => names.push(request.filter.as_str()),
                Kind::Subscribe(options) | Kind::Restore(options) => {
                    limits.check_filter(&request.filter)?;
                    filters.push(request.filter.as_str(), options);
                    if limits.subscription_identifier_available {
                        let _ = properties.subscription_identifier(request.filter.subscription_identifier());
                    }
                }
            }
        }
        let packet = if names.is_empty() {
            let properties = properties.as_properties();
            Packet::Subscribe(Subscribe { id, properties, filters: filters.as_filters() })
        } else {
            Packet::Unsubscribe(Unsubscribe {
                id,
                properties: Properties::EMPTY,
                filters: names.as_filters(),
            })
        };
        if encoded_len(self.link.version, &packet) > limits.maximum_packet_size as usize {
            return Err(Reason::PACKET_TOO_LARGE);
        }
        self.link.reply(&packet);
        Ok(())
    }

    fn answer(&mut self, request: Request, reason: Reason, properties: Option<Properties<'_>>) {
        let Request { filter, kind, tag } = request;
        if kind == Kind::Unsubscribe {
            if tag != Tag::NONE {
                self.events.push_back(Event::Unsubscribed { tag, reason });
            }
            return;
        }
        let wanted = &mut self.subscriptions.wanted;
        let restored = matches!(kind, Kind::Restore(_));
        if let Some(subscription) = wanted.get_mut(&filter) {
            subscription.requested = false;
            if !reason.is_error() {
                subscription.granted = Some(reason);
            } else if restored || subscription.references <= 1 {
                wanted.remove(&filter);
            } else {
                subscription.references -= 1;
            }
        }
        if restored {
            if reason.is_error() {
                self.events.push_back(Event::SubscriptionLost { filter, reason });
            }
            self.subscriptions.restoring = self.subscriptions.restoring.saturating_sub(1);
            if self.subscriptions.restoring == 0 {
                self.events.push_back(Event::SubscriptionsRestored);
            }
        } else if tag != Tag::NONE {
            let properties = properties.filter(|block| !block.is_empty());
            let properties = properties.map(|block| Box::new(PropertiesBuf::from(block)));
            self.events.push_back(Event::Subscribed { tag, reason, properties });
        }
    }
}

impl Limits {
    /// Does the broker take such a filter?
    fn check_filter(&self, filter: &TopicFilter) -> Result<(), Reason> {
        if filter.share_name().is_some() && !self.shared_subscription_available {
            return Err(Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        if filter.filter().contains(['+', '#']) && !self.wildcard_subscription_available {
            return Err(Reason::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED);
        }
        Ok(())
    }
}

impl Subscriptions {
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty()
    }

    /// Requests that were out are asked again, but for those that a new connection compares anyway.
    pub(super) fn link_lost(&mut self) {
        for request in self.sent.drain(..).flat_map(|sent| sent.requests).rev() {
            self.waiting.push_front(request);
        }
        let wanted = &mut self.wanted;
        self.waiting.retain(|request| {
            let restore = matches!(request.kind, Kind::Restore(_));
            if let Some(subscription) = wanted.get_mut(&request.filter).filter(|_| restore) {
                subscription.requested = false;
            }
            !restore
        });
    }

    pub(super) fn deadline(&self, limit: Duration, written: Instant) -> Option<Instant> {
        self.sent.iter().map(|sent| sent.since.max(written) + limit).min()
    }

    pub(super) fn is_overdue(&self, now: Instant, limit: Duration, written: Instant) -> bool {
        self.deadline(limit, written).is_some_and(|at| at <= now)
    }

    /// The broker has no session: there is nothing to unsubscribe from, unless a waiting SUBSCRIBE comes first.
    fn drop_needless_unsubscribes(&mut self) -> Vec<Event> {
        let mut asked = BTreeSet::new();
        let mut answers = Vec::new();
        self.waiting.retain(|request| {
            if request.kind != Kind::Unsubscribe {
                asked.insert(request.filter.clone());
                return true;
            }
            let needless = !asked.contains(&request.filter);
            if needless && request.tag != Tag::NONE {
                answers.push(Event::Unsubscribed { tag: request.tag, reason: Reason::SUCCESS });
            }
            !needless
        });
        answers
    }

    fn ask(&mut self, filter: &TopicFilter, kind: Kind, tag: Tag) {
        self.waiting.push_back(Request { filter: filter.clone(), kind, tag });
    }

    /// The requests that go into one packet: a subscription identifier belongs to a whole SUBSCRIBE, so that with
    /// identifiers each filter has its own.
    fn next_packet(&mut self, limits: &Limits) -> Option<Vec<Request>> {
        let first = self.waiting.pop_front()?;
        let unsubscribe = first.kind == Kind::Unsubscribe;
        let alone = !unsubscribe && limits.subscription_identifier_available;
        let most = if alone { 1 } else { FILTERS_PER_PACKET };
        let mut requests = alloc::vec![first];
        while requests.len() < most {
            let same = |next: &mut Request| (next.kind == Kind::Unsubscribe) == unsubscribe;
            let Some(next) = self.waiting.pop_front_if(same) else { break };
            requests.push(next);
        }
        Some(requests)
    }
}
