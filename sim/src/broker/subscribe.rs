//! SUBSCRIBE and UNSUBSCRIBE.

use std::sync::Arc;

use packetboat_core::time::Instant;
use packetboat_core::topic::{TopicFilter, matches};
use packetboat_core::wire::{Reason, RetainHandling, SubAckKind, Subscribe, SubscribeOptions, Unsubscribe};

use super::connection::{Answer, Phase};
use super::rules;
use super::session::{Delivery, InboundState, Share, Subscription};
use super::{Broker, Client, ConnectionId, Message};

impl Broker {
    pub(super) fn handle_subscribe(&mut self, id: ConnectionId, subscribe: &Subscribe<'_>, now: Instant) {
        let Some(mut client) = self.client(id, now) else { return };
        client.check_request("SUBSCRIBE", subscribe.id);
        let identifier = subscribe.properties.subscription_identifiers().next();
        if identifier.is_some() && !client.connection.limits.subscription_identifiers_available {
            client.breach(&rules::SUBSCRIPTION_IDENTIFIERS, format!("{identifier:?}"));
        }
        let mut reasons = Vec::new();
        let mut wanted = Vec::new();
        for (filter, options) in subscribe.filters.iter() {
            let (reason, retained) = client.subscribe(filter, options, identifier);
            reasons.push(reason.0);
            wanted.extend(retained);
        }
        if client.connection.phase != Phase::Online {
            return;
        }
        client.connection.watch.requests.insert(subscribe.id);
        client.answer(Answer::Suback { kind: SubAckKind::Suback, id: subscribe.id, reasons });
        for (filter, subscription) in wanted {
            self.send_retained(id, &filter, subscription, now);
        }
    }

    /// The retained messages a new subscription gets.
    fn send_retained(
        &mut self,
        id: ConnectionId,
        filter: &TopicFilter,
        subscription: Subscription,
        now: Instant,
    ) {
        self.retained.retain(|_, message| !message.is_expired(now));
        let matching = self.retained.values().filter(|message| matches(filter.filter(), &message.topic));
        let messages: Vec<Arc<Message>> = matching.cloned().collect();
        let Some(mut client) = self.client(id, now) else { return };
        for message in messages {
            if subscription.options.no_local && message.publisher == client.session.client {
                continue;
            }
            let share = Share { retain: true, ..subscription.share(&message) };
            client.enqueue(Delivery::new(&message, share));
        }
        client.pump();
    }
}

type Wanted = Option<(TopicFilter, Subscription)>;

impl Client<'_> {
    /// Enter one subscription; say what is granted, and whether retained messages are to follow.
    fn subscribe(
        &mut self,
        text: &str,
        options: SubscribeOptions,
        identifier: Option<u32>,
    ) -> (Reason, Wanted) {
        // The wire has judged the filter already.
        let Ok(filter) = TopicFilter::new(text) else { return (Reason::TOPIC_FILTER_INVALID, None) };
        let limits = self.connection.limits;
        let (wildcards, shared) = (limits.wildcards_available, limits.shared_available);
        let granted = options.qos.min(limits.maximum_qos);
        if self.desk.config.is_denied(filter.filter()) {
            return (Reason::NOT_AUTHORIZED, None);
        }
        // Older versions cannot be told beforehand: a refusal is all they get [MQTT-3.8.3-2 of 3.1.1].
        let told = self.connection.version.has_properties();
        if !wildcards && filter.filter().contains(['+', '#']) {
            if told {
                self.breach(&rules::WILDCARDS, format!("{text:?}"));
            }
            return (Reason::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, None);
        }
        if !shared && filter.share_name().is_some() {
            if told {
                self.breach(&rules::SHARED, format!("{text:?}"));
            }
            return (Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, None);
        }
        let subscription = Subscription { options: SubscribeOptions { qos: granted, ..options }, identifier };
        let is_new = self.session.subscriptions.insert(filter.clone(), subscription).is_none();
        let wanted = match options.retain_handling {
            // No retained messages over shared subscriptions (4.8.2).
            _ if filter.share_name().is_some() => false,
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        (Reason(granted as u8), wanted.then_some((filter, subscription)))
    }

    pub(super) fn handle_unsubscribe(&mut self, unsubscribe: &Unsubscribe<'_>) {
        self.check_request("UNSUBSCRIBE", unsubscribe.id);
        if self.connection.phase != Phase::Online {
            return;
        }
        let mut reasons = Vec::new();
        for filter in unsubscribe.filters.iter() {
            let existed = self.session.subscriptions.remove(filter).is_some();
            let reason = if existed { Reason::SUCCESS } else { Reason::NO_SUBSCRIPTION_EXISTED };
            reasons.push(reason.0);
        }
        self.connection.watch.requests.insert(unsubscribe.id);
        self.answer(Answer::Suback { kind: SubAckKind::Unsuback, id: unsubscribe.id, reasons });
    }

    /// The identifier must be free [MQTT-2.2.1-3].
    fn check_request(&mut self, packet: &str, id: u16) {
        let unfinished = |entry: &super::session::Inbound| entry.state != InboundState::Finished;
        let message = self.session.inbound.get(&id).is_some_and(unfinished);
        if message || self.connection.watch.requests.contains(&id) {
            let other = if message { "a message" } else { "another request" };
            self.breach(&rules::UNUSED_ID, format!("{packet} {id} while it stands for {other}"));
        }
    }
}
