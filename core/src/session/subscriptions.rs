//! Subscriptions: what is wanted, what the broker has, and the requests between the two.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::Session;
use super::event::{Breach, Event, Tag, kept};
use super::handle::Handle;
use super::ids::RESERVED;
use super::messages::REQUEST;
use super::refusal::SubscribeError;
use super::requests::{Kind, Request, Sent};
use super::wanted::Wanted;
use crate::time::Instant;
use crate::topic::TopicFilter;
use crate::wire::{
    Place, Properties, PropertiesBuf, Reason, RetainHandling, SubAckKind, Suback, SubscribeOptions,
};

/// One filter that is wanted.
#[derive(Debug)]
struct Subscription {
    options: SubscribeOptions,
    references: u32,
    /// What the broker granted, while it has it.
    granted: Option<Reason>,
    /// How many SUBSCRIBEs for it wait or are out.
    pending: u32,
    /// Tells it from an earlier one with the same filter, whose answer may still come.
    serial: u64,
    /// User properties of its SUBSCRIBE.
    properties: Option<Box<PropertiesBuf>>,
}

/// All subscriptions of the session. They live as long as it does.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    wanted: Wanted<Subscription>,
    /// Absent while there are none.
    requests: Option<Box<Requests>>,
    restoring: usize,
    /// Of the latest subscription.
    serial: u64,
}

/// Requests that are not answered.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) waiting: VecDeque<Request>,
    // ---- one connection
    sent: Vec<Sent>,
}

impl<P: Handle> Session<P> {
    /// Want a filter; once more, if it is wanted already. One [`Event::Subscribed`] follows.
    ///
    /// A filter the broker has is asked for again only when that raises its QoS or brings retained messages.
    pub fn subscribe(
        &mut self,
        filter: &TopicFilter,
        options: SubscribeOptions,
        tag: Tag,
    ) -> Result<(), SubscribeError> {
        self.subscribe_with(filter, options, Properties::EMPTY, tag)
    }

    /// Want a filter once more that the broker has already or is being asked for, with these options or more, without asking
    /// for anything. False: there is no such filter.
    pub fn join(&mut self, filter: &TopicFilter, options: SubscribeOptions) -> bool {
        let Some(known) = self.subscriptions.wanted.get_mut(filter).filter(|_| !self.ended) else {
            return false;
        };
        let stands = known.granted.is_some() || known.pending > 0;
        let joins = stands && known.options.qos >= options.qos && is_alike(known.options, options);
        known.references += u32::from(joins);
        joins
    }

    /// [`subscribe`](Self::subscribe) with user properties (5.0). They go with every SUBSCRIBE for this filter, until
    /// others are given; no other properties are the caller's to set.
    pub fn subscribe_with(
        &mut self,
        filter: &TopicFilter,
        options: SubscribeOptions,
        properties: Properties<'_>,
        tag: Tag,
    ) -> Result<(), SubscribeError> {
        self.may_subscribe(filter, options)?;
        let properties = self.user_properties(properties).map_err(|()| SubscribeError::NeedsVersion5)?;
        let Subscriptions { wanted, requests, serial, .. } = &mut self.subscriptions;
        let known = wanted.or_insert_with(filter, || {
            *serial += 1;
            let (properties, serial) = (None, *serial);
            Subscription { options, references: 0, granted: None, pending: 0, serial, properties }
        });
        if properties.is_some() {
            known.properties.clone_from(&properties);
        }
        known.references += 1;
        let raised = options.qos > known.options.qos;
        known.options.qos = known.options.qos.max(options.qos);
        match known.granted {
            Some(reason) if !raised && options.retain_handling != RetainHandling::Send => {
                self.events.push_back(Event::Subscribed { tag, reason, properties: None });
            }
            _ => {
                known.pending += 1;
                let kind = Kind::Subscribe(SubscribeOptions { qos: known.options.qos, ..options });
                let (filter, serial) = (filter.clone(), known.serial);
                requests.get_or_insert_default().waiting.push_back(Request {
                    filter,
                    kind,
                    tag,
                    serial,
                    properties: known.properties.clone(),
                });
            }
        }
        Ok(())
    }

    /// Want a filter once less. One [`Event::Unsubscribed`] follows; the last one goes to the broker first. So does
    /// one nobody wants here: the session may have it from an earlier process.
    pub fn unsubscribe(&mut self, filter: &TopicFilter, tag: Tag) {
        self.unsubscribe_as(filter, None, tag);
    }

    /// [`unsubscribe`](Self::unsubscribe) with user properties (5.0).
    pub fn unsubscribe_with(
        &mut self,
        filter: &TopicFilter,
        properties: Properties<'_>,
        tag: Tag,
    ) -> Result<(), SubscribeError> {
        let properties = self.user_properties(properties).map_err(|()| SubscribeError::NeedsVersion5)?;
        self.unsubscribe_as(filter, properties, tag);
        Ok(())
    }

    fn unsubscribe_as(&mut self, filter: &TopicFilter, properties: Option<Box<PropertiesBuf>>, tag: Tag) {
        match self.subscriptions.wanted.get_mut(filter) {
            Some(subscription) if subscription.references > 1 => {
                subscription.references -= 1;
                self.events.push_back(Event::Unsubscribed { tag, reason: Reason::SUCCESS, properties: None });
            }
            _ => {
                self.subscriptions.wanted.remove(filter);
                self.subscriptions.ask_to_unsubscribe(filter.clone(), properties, tag);
            }
        }
    }

    /// What may go with a request; an error where that is known to be nothing.
    fn user_properties(&self, properties: Properties<'_>) -> Result<Option<Box<PropertiesBuf>>, ()> {
        if properties.is_empty() {
            return Ok(None);
        }
        let mut kept = PropertiesBuf::from(properties);
        kept.keep_only(Place::Unsubscribe);
        match kept.is_empty() {
            true => Ok(None),
            false if self.is_fixed_without_properties() => Err(()),
            false => Ok(Some(Box::new(kept))),
        }
    }

    /// Compare what is wanted with what the broker has, and ask for the difference.
    pub(super) fn restore_subscriptions(&mut self, session_present: bool) {
        let subscriptions = &mut self.subscriptions;
        subscriptions.restoring = 0;
        if !session_present {
            subscriptions.wanted.iter_mut().for_each(|(_, subscription)| subscription.granted = None);
            self.events.extend(subscriptions.drop_needless_unsubscribes());
        }
        let missing = |(_, subscription): &(&TopicFilter, &mut Subscription)| {
            subscription.granted.is_none() && subscription.pending == 0
        };
        for (filter, subscription) in subscriptions.wanted.iter_mut().filter(missing) {
            subscription.pending += 1;
            subscriptions.restoring += 1;
            let (kind, serial) = (Kind::Restore(subscription.options), subscription.serial);
            let (filter, properties) = (filter.clone(), subscription.properties.clone());
            let request = Request { filter, kind, tag: Tag::NONE, serial, properties };
            subscriptions.requests.get_or_insert_default().waiting.push_back(request);
        }
    }

    /// Put waiting requests on the wire, as many as have identifiers reserved.
    pub(super) fn send_requests(&mut self, now: Instant) {
        while let Some(under_way) = &mut self.subscriptions.requests
            && under_way.sent.len() < RESERVED
        {
            let Some(requests) = under_way.next_packet(&self.link.limits) else { return };
            let Some(id) = self.outbound.source.next(&self.outbound.ids) else {
                return requests.into_iter().rev().for_each(|one| under_way.waiting.push_front(one));
            };
            match self.encode_requests(id, &requests) {
                Ok(()) => {
                    self.outbound.ids.insert(id, REQUEST);
                    self.subscriptions.requests().sent.push(Sent { id, since: now, requests });
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
        let sent = &mut self.subscriptions.requests().sent;
        let at = sent.iter().position(is_it);
        let at = at.ok_or(Breach::protocol("SUBACK or UNSUBACK for nothing that was asked"))?;
        let reasons = suback.reasons.len();
        if reasons != sent[at].requests.len() && !(unsubscribed && reasons == 0) {
            return Err(Breach::protocol("SUBACK with another number of reasons than filters"));
        }
        let requests = sent.remove(at).requests;
        self.outbound.ids.remove(suback.id);
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
        if filter.share_name().is_some() && options.no_local {
            return Err(SubscribeError::SharedNoLocal);
        }
        if let Some(known) = self.subscriptions.wanted.get(filter) {
            return if is_alike(known.options, options) {
                Ok(())
            } else {
                Err(SubscribeError::ConflictingOptions)
            };
        }
        if !self.link.limits.subscription_identifier_available && self.overlaps_shared(filter) {
            return Err(SubscribeError::OverlapsShared);
        }
        Ok(())
    }

    /// Does it overlap another filter, one of the two being shared?
    fn overlaps_shared(&self, filter: &TopicFilter) -> bool {
        let wanted = &self.subscriptions.wanted;
        if filter.share_name().is_some() {
            return wanted.filters().any(|other| filter.overlaps(other));
        }
        wanted.shared().any(|other| filter.overlaps(other))
    }

    fn answer(&mut self, request: Request, reason: Reason, properties: Option<Properties<'_>>) {
        let lost = self.subscriptions.answered(&request, reason);
        let Request { filter, kind, tag, .. } = request;
        let properties = properties.filter(|block| !block.is_empty());
        let properties = properties.map(|block| Box::new(kept(block)));
        match kind {
            Kind::Unsubscribe if tag != Tag::NONE => {
                self.events.push_back(Event::Unsubscribed { tag, reason, properties });
            }
            Kind::Subscribe(_) if tag != Tag::NONE => {
                self.events.push_back(Event::Subscribed { tag, reason, properties });
            }
            _ => {}
        }
        if lost {
            self.events.push_back(Event::SubscriptionLost { filter, reason });
        }
        if matches!(kind, Kind::Restore(_)) {
            self.subscriptions.restoring = self.subscriptions.restoring.saturating_sub(1);
            if self.subscriptions.restoring == 0 {
                self.events.push_back(Event::SubscriptionsRestored);
            }
        }
    }
}

/// Can one subscription be what both ask for?
fn is_alike(one: SubscribeOptions, other: SubscribeOptions) -> bool {
    one.no_local == other.no_local && one.retain_as_published == other.retain_as_published
}

impl Subscriptions {
    pub(super) fn is_idle(&self) -> bool {
        self.requests.as_ref().is_none_or(|requests| requests.waiting.is_empty() && requests.sent.is_empty())
    }

    pub(super) fn is_any_waiting(&self) -> bool {
        self.requests.as_ref().is_some_and(|requests| !requests.waiting.is_empty())
    }

    fn requests(&mut self) -> &mut Requests {
        self.requests.get_or_insert_default()
    }

    /// Nothing waits for an answer: give back what requests took.
    pub(super) fn rest(&mut self) {
        if self.is_idle() {
            self.requests = None;
        }
    }

    /// Requests that were out are asked again, but for those that a new connection compares anyway.
    pub(super) fn link_lost(&mut self) {
        let Self { wanted, requests: Some(requests), .. } = self else { return };
        for request in requests.sent.drain(..).flat_map(|sent| sent.requests).rev() {
            requests.waiting.push_front(request);
        }
        requests.waiting.retain(|request| {
            let restore = matches!(request.kind, Kind::Restore(_));
            let known = wanted.get_mut(&request.filter).filter(|one| restore && one.serial == request.serial);
            if let Some(subscription) = known {
                subscription.pending -= 1;
            }
            !restore
        });
    }

    pub(super) fn deadline(&self, limit: Duration, written: Instant) -> Option<Instant> {
        self.requests.as_ref()?.sent.iter().map(|sent| sent.since.max(written) + limit).min()
    }

    pub(super) fn is_overdue(&self, now: Instant, limit: Duration, written: Instant) -> bool {
        self.deadline(limit, written).is_some_and(|at| at <= now)
    }

    /// The broker has no session: there is nothing to unsubscribe from, unless a waiting SUBSCRIBE comes first.
    fn drop_needless_unsubscribes(&mut self) -> Vec<Event> {
        let mut asked = BTreeSet::new();
        let mut answers = Vec::new();
        self.requests().waiting.retain(|request| {
            if request.kind != Kind::Unsubscribe {
                asked.insert(request.filter.clone());
                return true;
            }
            let needless = !asked.contains(&request.filter);
            if needless && request.tag != Tag::NONE {
                answers.push(Event::Unsubscribed {
                    tag: request.tag,
                    reason: Reason::SUCCESS,
                    properties: None,
                });
            }
            !needless
        });
        answers
    }

    fn ask_to_unsubscribe(&mut self, filter: TopicFilter, properties: Option<Box<PropertiesBuf>>, tag: Tag) {
        let kind = Kind::Unsubscribe;
        self.requests().waiting.push_back(Request { filter, kind, tag, serial: 0, properties });
    }

    /// A request was answered. True: it was refused, and a subscription that relied on it has ended.
    fn answered(&mut self, request: &Request, reason: Reason) -> bool {
        let asked = self.wanted.get_mut(&request.filter).filter(|one| one.serial == request.serial);
        let Some(subscription) = asked else { return false };
        subscription.pending -= 1;
        if !reason.is_error() {
            subscription.granted = Some(reason);
            return false;
        }
        if matches!(request.kind, Kind::Subscribe(_)) {
            // Whoever asked learns it from the answer.
            subscription.references = subscription.references.saturating_sub(1);
        }
        let Subscription { references, granted, pending, .. } = *subscription;
        if references > 0 && (granted.is_some() || pending > 0) {
            return false;
        }
        self.wanted.remove(&request.filter);
        if granted.is_some() {
            self.ask_to_unsubscribe(request.filter.clone(), None, Tag::NONE);
        }
        references > 0
    }
}
