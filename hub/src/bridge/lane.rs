//! One destination of a pipe: a line of messages, several of them on the way.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::destination::{Delivery, Failure, Parcel, PipeEnd};
use super::hops::Hop;
use super::letter::Obituary;
use super::options::Retry;
use super::room::Room;
use super::route::Route;
use super::shipment::Shipment;
use super::stats::{LaneStats, Stats};

/// What is the same for all lanes of a pipe.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) pipe: String,
    pub(super) hop: Hop,
    pub(super) retry: Retry,
    pub(super) needs_hops: bool,
    pub(super) route: Route,
    pub(super) room: Room,
    pub(super) dead_letters: Option<PipeEnd>,
    pub(super) stats: Stats,
}

pub(super) struct Lane {
    way: Way,
    window: usize,
    /// Handed over, not confirmed, in their order.
    underway: VecDeque<(Arc<Shipment>, Delivery)>,
}

impl Lane {
    pub(super) fn new(common: Arc<Common>, number: usize, destination: PipeEnd, window: u16) -> Self {
        let window = destination.concurrency().min(window.into());
        let way = Way { common, number, destination };
        Self { way, window, underway: VecDeque::new() }
    }

    /// Until the pipe stops and all is delivered.
    pub(super) async fn run(mut self, mut line: mpsc::Receiver<Arc<Shipment>>) {
        let mut open = true;
        while open || !self.underway.is_empty() {
            let room = open && self.underway.len() < self.window;
            tokio::select! {
                biased;
                ended = first(&mut self.underway) => {
                    if let Some((shipment, _)) = self.underway.pop_front() {
                        match ended {
                            Ok(()) => self.arrived(&shipment),
                            Err(failure) => self.recover(&shipment, failure).await,
                        }
                    }
                }
                next = line.recv(), if room => match next {
                    Some(shipment) => self.take(shipment).await,
                    None => open = false,
                },
            }
        }
    }

    async fn take(&mut self, shipment: Arc<Shipment>) {
        if self.underway.is_empty() {
            self.way.stats().first(Some(shipment.arrived));
        }
        let properties = shipment.message.properties();
        if self.way.destination.is_broker()
            && self.way.common.hop.comes_from(&self.way.destination.name, properties)
        {
            self.way.stats().echoed();
            return self.done(&shipment);
        }
        match self.way.hand_over(&shipment).await {
            Ok(delivery) => self.underway.push_back((shipment, delivery)),
            Err(failure) => {
                // Those before it come first.
                self.settle().await;
                self.recover(&shipment, failure).await;
            }
        }
    }

    /// Wait for all that is on the way.
    async fn settle(&mut self) {
        while let Some((shipment, mut delivery)) = self.underway.pop_front() {
            match delivery.end().await {
                Ok(()) => self.arrived(&shipment),
                Err(failure) => Box::pin(self.recover(&shipment, failure)).await,
            }
        }
    }

    fn arrived(&self, shipment: &Shipment) {
        self.way.stats().delivered();
        self.done(shipment);
    }

    fn done(&self, shipment: &Shipment) {
        self.way.stats().went(self.underway.front().map(|(shipment, _)| shipment.arrived));
        shipment.arrived_at_one(&self.way.common.stats);
    }

    /// Try one message until it is delivered or a dead letter; nothing overtakes it. What had been handed over behind it
    /// goes again after it, so that what came last is last: at least once, in order.
    async fn recover(&mut self, shipment: &Arc<Shipment>, mut failure: Failure) {
        let mut attempts = 1;
        self.way.stats().first(Some(shipment.arrived));
        loop {
            self.way.stats().failed(&failure.error);
            let given_up = failure.permanent || attempts >= self.way.common.retry.attempts;
            if given_up && self.way.common.dead_letters.is_some() {
                self.way.bury(shipment, &failure, attempts).await;
                break;
            }
            let wait = self.way.common.retry.wait(attempts);
            let (pipe, destination) = (&self.way.common.pipe, &self.way.destination.name);
            tracing::warn!(pipe, %destination, attempts, error = %failure, retry_in = ?wait, "not delivered");
            sleep(wait).await;
            attempts = attempts.saturating_add(1);
            match self.way.attempt(shipment).await {
                Ok(()) => {
                    self.way.stats().recovered();
                    self.arrived(shipment);
                    return self.again().await;
                }
                Err(next) => failure = next,
            }
        }
        self.way.stats().recovered();
        self.done(shipment);
    }

    /// Hand over again all that is on the way.
    async fn again(&mut self) {
        let behind = std::mem::take(&mut self.underway);
        for (shipment, earlier) in behind {
            drop(earlier);
            match self.way.hand_over(&shipment).await {
                Ok(delivery) => self.underway.push_back((shipment, delivery)),
                Err(failure) => {
                    Box::pin(self.settle()).await;
                    Box::pin(self.recover(&shipment, failure)).await;
                }
            }
        }
    }
}

/// How messages get to the destination.
struct Way {
    common: Arc<Common>,
    number: usize,
    destination: PipeEnd,
}

impl Way {
    fn stats(&self) -> &LaneStats {
        &self.common.stats.lanes[self.number]
    }

    async fn hand_over(&self, shipment: &Shipment) -> Result<Delivery, Failure> {
        self.destination.hand_over(&Parcel { common: &self.common, shipment, obituary: None }).await
    }

    /// Once, to the end.
    async fn attempt(&self, shipment: &Shipment) -> Result<(), Failure> {
        self.hand_over(shipment).await?.end().await
    }

    async fn bury(&self, shipment: &Shipment, failure: &Failure, attempts: u32) {
        let Some(place) = &self.common.dead_letters else { return };
        let (pipe, destination) = (&self.common.pipe, &self.destination.name);
        let mut tries = 0;
        loop {
            let obituary = Obituary {
                pipe,
                destination,
                topic: shipment.message.topic(),
                error: &failure.error,
                attempts,
            };
            let parcel = Parcel { common: &self.common, shipment, obituary: Some(obituary) };
            let sent = match place.hand_over(&parcel).await {
                Ok(mut delivery) => delivery.end().await,
                Err(error) => Err(error),
            };
            tries += 1;
            match sent {
                Ok(()) => {
                    tracing::error!(pipe, %destination, topic = shipment.message.topic(), error = %failure, "dead letter");
                    return self.stats().died();
                }
                Err(error) => {
                    let wait = self.common.retry.wait(tries);
                    let error_of_letter = error.error;
                    self.stats().failed(&format!("{failure}; and the dead letter: {error_of_letter}"));
                    tracing::warn!(pipe, %destination, error = error_of_letter, retry_in = ?wait, "dead letter not taken");
                    sleep(wait).await;
                }
            }
        }
    }
}

/// How the first ends; never, if there is none.
async fn first(underway: &mut VecDeque<(Arc<Shipment>, Delivery)>) -> Result<(), Failure> {
    match underway.front_mut() {
        Some((_, delivery)) => delivery.end().await,
        None => std::future::pending().await,
    }
}
