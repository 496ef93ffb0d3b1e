//! What a client must not do, as far as a broker can see it.

use packetboat_core::wire::{Reason, Version};

/// A rule for clients.
///
/// Most are numbered statements of the specification. Some are prose there, cited by section; a few are this
/// project's own and stricter: their statement is `house`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rule {
    v5: &'static str,
    v311: &'static str,
    /// What the rule demands.
    pub(super) text: &'static str,
    /// What a 5.0 client is told when it breaks the rule.
    pub(super) reason: Reason,
}

impl Rule {
    /// The number of the statement in this version's specification, or `section x.y.z`, or `house`.
    pub(super) fn statement(&self, version: Version) -> &'static str {
        if version.has_properties() { self.v5 } else { self.v311 }
    }
}

const fn rule(v5: &'static str, v311: &'static str, reason: Reason, text: &'static str) -> Rule {
    Rule { v5, v311, text, reason }
}

const PROTOCOL_ERROR: Reason = Reason::PROTOCOL_ERROR;

// Connections

pub(super) const FIRST_PACKET: Rule =
    rule("MQTT-3.1.0-1", "MQTT-3.1.0-1", PROTOCOL_ERROR, "the first packet must be CONNECT");
pub(super) const ONE_CONNECT: Rule =
    rule("MQTT-3.1.0-2", "MQTT-3.1.0-2", PROTOCOL_ERROR, "a second CONNECT is an error");
pub(super) const WELL_FORMED: Rule =
    rule("MQTT-4.13.1-1", "MQTT-4.8.0-1", Reason::MALFORMED_PACKET, "packets must be well formed");
pub(super) const CONNECT_WELL_FORMED: Rule =
    rule("MQTT-3.1.4-1", "MQTT-3.1.4-1", Reason::MALFORMED_PACKET, "CONNECT must be well formed");
pub(super) const DIRECTION: Rule =
    rule("section 2.1.2", "section 2.2.1", PROTOCOL_ERROR, "only servers send this packet");
pub(super) const EMPTY_IDENTIFIER: Rule = rule(
    "section 3.1.3.1",
    "MQTT-3.1.3-7",
    Reason::CLIENT_IDENTIFIER_NOT_VALID,
    "an empty client identifier demands a clean session",
);
pub(super) const BEFORE_CONNACK: Rule = rule(
    "house",
    "house",
    PROTOCOL_ERROR,
    "nothing but CONNECT and AUTH before CONNACK: what the broker allows is not known yet",
);
pub(super) const AUTH_WITHOUT_METHOD: Rule = rule(
    "MQTT-4.12.0-7",
    "section 2.2.1",
    PROTOCOL_ERROR,
    "no AUTH without an authentication method in CONNECT",
);
pub(super) const AUTH_METHOD: Rule = rule(
    "MQTT-4.12.0-5",
    "section 2.2.1",
    PROTOCOL_ERROR,
    "every AUTH names the method of CONNECT (MQTT-4.12.1-1 when authenticating again)",
);
pub(super) const AUTH_TURN: Rule = rule(
    "MQTT-4.12.0-3",
    "section 2.2.1",
    PROTOCOL_ERROR,
    "AUTH answers an AUTH with Continue authentication, or begins again while connected",
);
pub(super) const WHILE_AUTHENTICATING: Rule = rule(
    "MQTT-3.1.2-30",
    "section 2.2.1",
    PROTOCOL_ERROR,
    "nothing but AUTH and DISCONNECT before the CONNACK that ends an exchange",
);
pub(super) const AFTER_DISCONNECT: Rule =
    rule("MQTT-3.14.4-1", "MQTT-3.14.4-2", PROTOCOL_ERROR, "nothing may follow DISCONNECT");
pub(super) const EXPIRY_RAISED: Rule = rule(
    "section 3.14.2.2.2",
    "section 3.14",
    PROTOCOL_ERROR,
    "a session expiry of zero in CONNECT cannot be raised at DISCONNECT",
);
pub(super) const KEEP_ALIVE: Rule = rule(
    "MQTT-3.1.2-20",
    "MQTT-3.1.2-23",
    Reason::KEEP_ALIVE_TIMEOUT,
    "packets must not be further apart than the keep-alive interval",
);

// Limits

pub(super) const RECEIVE_MAXIMUM: Rule = rule(
    "MQTT-3.3.4-7",
    "section 4.4",
    Reason::RECEIVE_MAXIMUM_EXCEEDED,
    "no more unacknowledged PUBLISH packets than the receive maximum",
);
pub(super) const PACKET_SIZE: Rule = rule(
    "MQTT-3.2.2-15",
    "section 2.2.3",
    Reason::PACKET_TOO_LARGE,
    "no packet larger than the maximum packet size",
);
pub(super) const MAXIMUM_QOS: Rule =
    rule("MQTT-3.2.2-11", "section 3.3.1.2", Reason::QOS_NOT_SUPPORTED, "no PUBLISH above the maximum QoS");
pub(super) const RETAIN_AVAILABLE: Rule = rule(
    "MQTT-3.2.2-14",
    "section 3.3.1.3",
    Reason::RETAIN_NOT_SUPPORTED,
    "no retained PUBLISH where retained messages are not available",
);
pub(super) const WILDCARDS: Rule = rule(
    "section 3.2.2.3.11",
    "MQTT-3.8.3-2",
    Reason::WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
    "no wildcards where they are not available",
);
pub(super) const SUBSCRIPTION_IDENTIFIERS: Rule = rule(
    "section 3.2.2.3.12",
    "section 3.8",
    Reason::SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
    "no subscription identifiers where they are not available",
);
pub(super) const SHARED: Rule = rule(
    "section 3.2.2.3.13",
    "section 3.8",
    Reason::SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
    "no shared subscriptions where they are not available",
);
pub(super) const ALIAS_MAXIMUM: Rule = rule(
    "MQTT-3.3.2-9",
    "section 3.3.2",
    Reason::TOPIC_ALIAS_INVALID,
    "no topic alias above the topic alias maximum",
);
pub(super) const ALIAS_UNKNOWN: Rule = rule(
    "section 3.3.2.3.4",
    "section 3.3.2",
    PROTOCOL_ERROR,
    "a topic alias must be given its topic on this connection before it stands for it",
);
pub(super) const IDENTIFIER_IN_PUBLISH: Rule = rule(
    "MQTT-3.3.4-6",
    "section 3.3.2",
    PROTOCOL_ERROR,
    "a client's PUBLISH carries no subscription identifier",
);

// Messages on their way to the broker

pub(super) const UNUSED_ID: Rule = rule(
    "MQTT-2.2.1-3",
    "MQTT-2.3.1-2",
    PROTOCOL_ERROR,
    "a new packet takes an identifier that is not in use",
);
pub(super) const DUP_ON_FIRST: Rule = rule(
    "MQTT-4.3.2-2",
    "MQTT-4.3.2-1",
    PROTOCOL_ERROR,
    "DUP is 0 the first time a PUBLISH is sent (MQTT-4.3.3-2 for QoS 2)",
);
pub(super) const DUP_ON_RESEND: Rule =
    rule("MQTT-3.3.1-1", "MQTT-3.3.1-1", PROTOCOL_ERROR, "DUP is 1 when a PUBLISH is sent again");
pub(super) const LIVE_RESEND: Rule =
    rule("MQTT-4.4.0-1", "MQTT-4.4.0-1", PROTOCOL_ERROR, "nothing is sent again but after a reconnect");
pub(super) const SAME_MESSAGE: Rule =
    rule("MQTT-4.4.0-1", "MQTT-2.3.1-3", PROTOCOL_ERROR, "what is sent again is the same message");
pub(super) const RESEND_ORDER: Rule =
    rule("MQTT-4.6.0-1", "MQTT-4.6.0-1", PROTOCOL_ERROR, "messages are sent again in their original order");
pub(super) const NEW_BEFORE_RESEND: Rule =
    rule("house", "house", PROTOCOL_ERROR, "what is to be sent again goes before what is new");
pub(super) const RESENT_AFTER_RELEASE: Rule =
    rule("MQTT-4.3.3-6", "MQTT-4.3.3-1", PROTOCOL_ERROR, "no PUBLISH again once its PUBREL was sent");
pub(super) const RELEASE_UNKNOWN: Rule =
    rule("MQTT-4.3.3-4", "MQTT-4.3.3-1", PROTOCOL_ERROR, "PUBREL answers a PUBREC, once");
pub(super) const RELEASE_ORDER: Rule =
    rule("MQTT-4.6.0-4", "MQTT-4.6.0-4", PROTOCOL_ERROR, "PUBREL packets go in the order of the PUBRECs");
pub(super) const UNFINISHED: Rule = rule(
    "MQTT-4.4.0-1",
    "MQTT-4.4.0-1",
    PROTOCOL_ERROR,
    "unacknowledged PUBLISH and PUBREL packets are sent again when a session is resumed",
);

// Messages on their way to the client

pub(super) const ACK_UNKNOWN: Rule = rule(
    "MQTT-2.2.1-5",
    "MQTT-2.3.1-6",
    PROTOCOL_ERROR,
    "an acknowledgement carries the identifier of a packet sent on this connection and not yet acknowledged",
);
pub(super) const ACK_KIND: Rule =
    rule("MQTT-3.3.4-1", "MQTT-3.3.4-1", PROTOCOL_ERROR, "the answer to a PUBLISH follows from its QoS");
pub(super) const PUBACK_ORDER: Rule =
    rule("MQTT-4.6.0-2", "MQTT-4.6.0-2", PROTOCOL_ERROR, "PUBACK packets go in the order of the PUBLISHes");
pub(super) const PUBREC_ORDER: Rule =
    rule("MQTT-4.6.0-3", "MQTT-4.6.0-3", PROTOCOL_ERROR, "PUBREC packets go in the order of the PUBLISHes");
pub(super) const PUBCOMP_ORDER: Rule =
    rule("house", "house", PROTOCOL_ERROR, "PUBCOMP packets go in the order of the PUBRELs");
pub(super) const NOT_FOUND: Rule = rule(
    "section 4.3.3",
    "section 4.3.3",
    PROTOCOL_ERROR,
    "a PUBREL on the connection of its PUBREC is not unknown to the client",
);
pub(super) const ACKNOWLEDGED: Rule =
    rule("MQTT-4.5.0-2", "MQTT-4.5.0-2", PROTOCOL_ERROR, "every PUBLISH and PUBREL is acknowledged");
pub(super) const REASON_CODE: Rule = rule(
    "section 2.4",
    "section 3",
    PROTOCOL_ERROR,
    "packets carry only the reason codes the specification gives them, and a client only its own",
);
