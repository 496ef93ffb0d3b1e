//! What became of a message.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Payload;
use super::inbox::caught;
use super::plan::Bound;
use super::protocol::{Delivered, DeliveryError, Later, Outgoing};

/// Destinations may take this much longer than they were told before they are given up.
const GRACE: Duration = Duration::from_secs(1);

/// What became of a message at one destination.
#[derive(Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// The message id it was published with.
    pub message_id: Arc<str>,
    /// The name of the target; `loopback` for the handlers in this process.
    pub target: Arc<str>,
    /// The name of its protocol.
    pub protocol: Arc<str>,
    /// What was published.
    pub payload: Payload,
    /// What became of it.
    pub outcome: Result<Delivered, DeliveryError>,
}

impl Delivery {
    /// Was it delivered?
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcome.is_ok()
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` to `{}` ({}): ", self.message_id, self.target, self.protocol)?;
        match &self.outcome {
            Ok(_) => f.write_str("delivered"),
            Err(error) => error.fmt(f),
        }
    }
}

impl Bound {
    /// Sends a message, and says in any case what became of it.
    pub(crate) fn deliver(&self, message: Outgoing) -> Later<'static, Delivery> {
        let Self { target, protocol, destination, expands } = self.clone();
        let (message_id, payload, limit) =
            (message.message_id.clone(), message.payload.clone(), message.limit);
        Box::pin(async move {
            let publish = async {
                let mut outcome = Ok(Delivered::new());
                for payload in if expands { payload.unfolded() } else { vec![payload.clone()] } {
                    outcome = Ok(destination.publish(Outgoing { payload, ..message.clone() }).await?);
                }
                outcome
            };
            let outcome = match tokio::time::timeout(limit + GRACE, caught(publish)).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(panicked)) => Err(DeliveryError::unknown(panicked)),
                Err(_) => Err(DeliveryError::unknown(format!("it was not done within {limit:?}"))),
            };
            Delivery { message_id, target, protocol, payload, outcome }
        })
    }
}

/// What became of a message at each of its destinations, in the order of the configuration; before them that of the
/// handlers in this process, if there are any. A message id that no pipe takes has no destinations.
#[must_use = "it says whether the message was delivered"]
#[derive(Debug)]
pub struct Report {
    deliveries: Vec<Delivery>,
}

impl Report {
    pub(crate) fn new(deliveries: Vec<Delivery>) -> Self {
        Self { deliveries }
    }

    /// All of them.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// All of them, to keep.
    #[must_use]
    pub fn into_deliveries(self) -> Vec<Delivery> {
        self.deliveries
    }

    /// Those that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter().filter(|delivery| !delivery.is_ok())
    }

    /// Did none fail?
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures().next().is_none()
    }

    /// All of them, or an error if one failed. It has the others, too.
    pub fn into_result(self) -> Result<Vec<Delivery>, Failed> {
        if self.is_ok() { Ok(self.deliveries) } else { Err(Failed(self)) }
    }
}

/// At least one destination did not get the message.
pub struct Failed(
    /// What became of it everywhere.
    pub Report,
);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, failure) in self.0.failures().enumerate() {
            write!(f, "{}{failure}", if place > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

packetboat::readable_debug!(Failed);

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let outcome = self.0.failures().next().and_then(|failure| failure.outcome.as_ref().err());
        outcome.map(|error| error as &(dyn Error + 'static))
    }
}
