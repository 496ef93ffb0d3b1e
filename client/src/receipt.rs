//! What became of an accepted message.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use packetboat_core::session::{self, Outcome, Ticket};
use packetboat_core::wire::{PropertiesBuf, Reason};

use crate::shared::Shared;
use crate::{PublishError, Uncertainty, Withdrawal};

/// A message was delivered.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Published {
    /// What the broker said, for example that nobody subscribes to the topic; success on 3.1.1 and for QoS 0.
    pub reason: Reason,
    /// Properties of its answer, without the user properties if they are larger than 64 KiB in all; empty on 3.1.1.
    pub properties: PropertiesBuf,
    /// The broker lost the session and an exactly-once message was sent anew: it may arrive twice.
    pub possible_duplicate: bool,
}

impl Published {
    #[inline]
    pub(crate) fn of(reason: Reason) -> Self {
        Self { reason, properties: PropertiesBuf::new(), possible_duplicate: false }
    }
}

/// Where an accepted message is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stage {
    /// Waiting, not encoded: it can still be cancelled.
    Accepted,
    /// On its way to the broker, or there.
    Written,
    /// The broker confirmed it; for QoS 0, it was written.
    Acknowledged,
    /// It ended otherwise; await the receipt to see how.
    Failed,
}

/// Stands for an accepted message: await it to learn how it ended. Dropping it forgets the result, not the message. Awaited
/// by reference (`&mut receipt`), in a `select!` for example, it tells the same again whenever it is asked.
///
/// ```no_run
/// use packetboat::QoS;
///
/// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let mut receipts = Vec::new();
/// for number in 0..100 {
///     let payload = number.to_string();
///     receipts.push(client.publish("numbers", payload).qos(QoS::AtLeastOnce).enqueue().await?);
/// }
/// for receipt in receipts {
///     receipt.await?;
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a receipt tells how the message ended; drop it explicitly if that does not matter"]
pub struct Receipt {
    shared: Arc<Shared>,
    /// Of no message once its outcome was taken.
    ticket: Ticket,
    /// That outcome, if there is more to say of it than that the message was delivered.
    ended: Option<Box<Outcome>>,
}

impl Receipt {
    pub(crate) fn new(shared: Arc<Shared>, ticket: Ticket) -> Self {
        Self { shared, ticket, ended: None }
    }

    /// Of a message of QoS 0 that was sent at once.
    pub(crate) fn done(shared: Arc<Shared>) -> Self {
        Self::new(shared, Ticket::DELIVERED)
    }

    /// Where the message is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        let inner = self.shared.lock();
        match inner.session.stage(self.ticket) {
            Some(session::Stage::Written(_) | session::Stage::Received(_)) => return Stage::Written,
            Some(session::Stage::Accepted) => return Stage::Accepted,
            None => {}
        }
        match self.ended.as_deref().or_else(|| inner.session.outcome(self.ticket)) {
            None | Some(Outcome::Sent) => Stage::Acknowledged,
            Some(Outcome::Acknowledged { reason, .. }) if !reason.is_error() => Stage::Acknowledged,
            Some(_) => Stage::Failed,
        }
    }

    /// The packet identifier, while it has one.
    #[must_use]
    pub fn packet_id(&self) -> Option<u16> {
        let inner = self.shared.lock();
        match inner.session.stage(self.ticket)? {
            session::Stage::Written(id) | session::Stage::Received(id) => Some(id),
            session::Stage::Accepted => None,
        }
    }

    /// Withdraw the message. False: too late, it was encoded. The receipt then ends with
    /// [`Withdrawal::Cancelled`].
    #[allow(clippy::must_use_candidate, reason = "the receipt tells as well")]
    pub fn cancel(&self) -> bool {
        self.shared.lock().cancel(self.ticket)
    }
}

impl Future for Receipt {
    type Output = Result<Published, PublishError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let receipt = self.get_mut();
        if receipt.ended.is_none() && receipt.shared.is_settled(receipt.ticket) {
            return Poll::Ready(Ok(Published::of(Reason::SUCCESS)));
        }
        receipt.ask(cx)
    }
}

impl Receipt {
    fn ask(&mut self, cx: &Context<'_>) -> Poll<Result<Published, PublishError>> {
        if let Some(outcome) = self.ended.as_deref() {
            return Poll::Ready(result_of(outcome.clone()));
        }
        let mut inner = self.shared.lock();
        if let Some(outcome) = inner.outcome(self.ticket, cx.waker()) {
            // The slot is free: dropping the receipt need not take the lock for it.
            self.ticket = Ticket::DELIVERED;
            if !matches!(outcome, Outcome::Sent | Outcome::DELIVERED) {
                self.ended = Some(Box::new(outcome.clone()));
            }
            return Poll::Ready(result_of(outcome));
        }
        if inner.closed { Poll::Ready(Err(PublishError::Closed)) } else { Poll::Pending }
    }
}

impl Drop for Receipt {
    #[inline]
    fn drop(&mut self) {
        if !self.shared.is_settled(self.ticket) {
            self.shared.lock().forget(self.ticket);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("stage", &self.stage()).finish_non_exhaustive()
    }
}

pub(crate) fn result_of(outcome: Outcome) -> Result<Published, PublishError> {
    let withdrawal = match outcome {
        Outcome::Sent => return Ok(Published::of(Reason::SUCCESS)),
        Outcome::Acknowledged { reason, properties, possible_duplicate } => {
            let properties = properties.map_or_else(PropertiesBuf::new, |boxed| *boxed);
            return if reason.is_error() {
                Err(PublishError::Refused { reason, properties })
            } else {
                Ok(Published { reason, properties, possible_duplicate })
            };
        }
        Outcome::Unresolved => return Err(PublishError::Uncertain(Uncertainty::SessionLost)),
        Outcome::Poison { connections } => {
            return Err(PublishError::Uncertain(Uncertainty::Poison { connections }));
        }
        Outcome::Expired => Withdrawal::Expired,
        Outcome::Dropped => Withdrawal::Dropped,
        Outcome::Cancelled => Withdrawal::Cancelled,
        Outcome::NotAllowed(reason) => Withdrawal::NotAllowed(reason),
        Outcome::PayloadLost { may_have_arrived: true } => {
            return Err(PublishError::Uncertain(Uncertainty::PayloadLost));
        }
        Outcome::PayloadLost { may_have_arrived: false } => Withdrawal::PayloadLost,
        Outcome::NotStored => Withdrawal::NotStored,
    };
    Err(PublishError::Withdrawn(withdrawal))
}
