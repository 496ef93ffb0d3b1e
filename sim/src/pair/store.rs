//! A store in memory that commits late: what a disk would hold if the process died now.

use packetboat_core::session::{StoreOperation, StoreSequence};
use packetboat_core::wire::QoS;

/// One operation, kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Kept {
    Message {
        sequence: u64,
        topic: String,
        properties: Vec<u8>,
        payload: Vec<u8>,
        qos: QoS,
        retain: bool,
        drop_properties: bool,
    },
    Identifier {
        sequence: u64,
        id: u16,
    },
    Received {
        sequence: u64,
    },
    Done {
        sequence: u64,
    },
    Inbound {
        id: u16,
    },
    InboundDone {
        id: u16,
    },
}

impl Kept {
    fn of(operation: &StoreOperation<'_>) -> Self {
        match *operation {
            StoreOperation::Message {
                sequence,
                topic,
                properties,
                payload,
                qos,
                retain,
                drop_properties,
            } => Self::Message {
                sequence,
                topic: topic.to_owned(),
                properties: properties.to_vec(),
                payload: payload.to_vec(),
                qos,
                retain,
                drop_properties,
            },
            StoreOperation::Identifier { sequence, id } => Self::Identifier { sequence, id },
            StoreOperation::Received { sequence } => Self::Received { sequence },
            StoreOperation::Done { sequence } => Self::Done { sequence },
            StoreOperation::Inbound { id } => Self::Inbound { id },
            StoreOperation::InboundDone { id } => Self::InboundDone { id },
        }
    }

    pub(crate) fn operation(&self) -> StoreOperation<'_> {
        match self {
            Self::Message { sequence, topic, properties, payload, qos, retain, drop_properties } => {
                StoreOperation::Message {
                    sequence: *sequence,
                    topic,
                    properties,
                    payload,
                    qos: *qos,
                    retain: *retain,
                    drop_properties: *drop_properties,
                }
            }
            Self::Identifier { sequence, id } => StoreOperation::Identifier { sequence: *sequence, id: *id },
            Self::Received { sequence } => StoreOperation::Received { sequence: *sequence },
            Self::Done { sequence } => StoreOperation::Done { sequence: *sequence },
            Self::Inbound { id } => StoreOperation::Inbound { id: *id },
            Self::InboundDone { id } => StoreOperation::InboundDone { id: *id },
        }
    }

    /// Does this end what the other one began?
    fn ends(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Done { sequence: ended },
                Self::Message { sequence, .. }
                | Self::Identifier { sequence, .. }
                | Self::Received { sequence },
            ) => ended == sequence,
            (Self::InboundDone { id: ended }, Self::Inbound { id }) => ended == id,
            _ => false,
        }
    }
}

/// The store: a log, of which only a beginning is safe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    /// What survives a crash.
    committed: Vec<Kept>,
    /// What does not.
    staged: Vec<(StoreSequence, Kept)>,
}

impl Store {
    pub(crate) fn put(&mut self, sequence: StoreSequence, operation: &StoreOperation<'_>) {
        self.staged.push((sequence, Kept::of(operation)));
    }

    /// Make the oldest `count` operations safe. What the session is to be told.
    pub(crate) fn commit(&mut self, count: usize) -> Option<StoreSequence> {
        let count = count.min(self.staged.len());
        let up_to = self.staged.get(count.checked_sub(1)?)?.0;
        for (_, operation) in self.staged.drain(..count) {
            self.committed.retain(|kept| !operation.ends(kept));
            if !matches!(operation, Kept::Done { .. } | Kept::InboundDone { .. }) {
                self.committed.push(operation);
            }
        }
        Some(up_to)
    }

    pub(crate) fn staged(&self) -> usize {
        self.staged.len()
    }

    /// An inbound identifier was forgotten and the store does not know it yet.
    pub(crate) fn has_unforgotten(&self) -> bool {
        self.staged.iter().any(|(_, kept)| matches!(kept, Kept::InboundDone { .. }))
    }

    /// The process died: what is left.
    pub(crate) fn crash(&mut self) -> &[Kept] {
        self.staged.clear();
        &self.committed
    }

    pub(crate) fn committed(&self) -> &[Kept] {
        &self.committed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.staged.is_empty()
    }
}
