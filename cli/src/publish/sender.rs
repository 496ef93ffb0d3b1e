//! Sending: as many messages on the way as the client takes, and the result of each.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use packetboat::{Client, PropertiesBuf, PublishError, Published, QoS, Receipt};

use super::payload::{self, Payload};
use super::progress::Progress;
use crate::failure::{Exit, Failure};
use crate::report::Report;

/// Receipts kept; more than the client has on the way, so that nobody waits for the oldest without need.
const RECEIPTS: usize = 8192;

/// Failures told of one by one.
const TOLD: u64 = 10;

/// Sends messages and keeps the books.
#[derive(Debug)]
pub(crate) struct Sender<'a> {
    client: &'a Client,
    report: Report,
    progress: Progress,
    receipts: VecDeque<(u64, Receipt)>,
    /// Messages begun.
    number: u64,
    delivered: u64,
    failed: u64,
    first: Option<Failure>,
}

/// A message, but for its payload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) topic: String,
    /// Unless given it is as the client's options have it.
    pub(crate) qos: Option<QoS>,
    pub(crate) retain: bool,
    pub(crate) properties: PropertiesBuf,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) delivered: u64,
    /// Accepted and without a result.
    pub(crate) open: usize,
    pub(crate) failure: Option<Failure>,
}

impl<'a> Sender<'a> {
    pub(crate) fn new(client: &'a Client, report: Report) -> Self {
        Self {
            client,
            report,
            progress: Progress::none(),
            receipts: VecDeque::new(),
            number: 0,
            delivered: 0,
            failed: 0,
            first: None,
        }
    }

    /// Send everything in each of the envelopes and wait for every result. May be dropped at any time.
    pub(super) async fn send(&mut self, payload: Payload, envelopes: &[Envelope]) -> Result<(), Failure> {
        if !(self.report.quiet || self.report.debug || payload.count() == Some(1)) {
            let topics = envelopes.len() as u64;
            self.progress = Progress::new(payload.count().map(|count| count * topics));
        }
        match payload {
            Payload::Same { bytes, times, delay } => {
                for time in 0..times {
                    if let (Some(delay), 1..) = (delay, time) {
                        self.settle_all().await;
                        tokio::time::sleep(delay).await;
                    }
                    self.publish(&bytes, envelopes).await;
                }
            }
            Payload::Lines(mut lines) => loop {
                let batch = tokio::select! {
                    batch = lines.next() => batch,
                    () = self.settle_one(), if !self.receipts.is_empty() => continue,
                };
                let Some(batch) = batch else { break };
                for line in batch.map_err(|error| payload::no_input(&error))? {
                    self.publish(&line, envelopes).await;
                }
            },
        }
        self.finish_all().await
    }

    /// Wait for every result.
    pub(crate) async fn finish_all(&mut self) -> Result<(), Failure> {
        self.settle_all().await;
        // At QoS 0 the socket is as far as anybody can see.
        self.client.flush().await.map_err(|error| Failure::new(Exit::NotDelivered, error))
    }

    /// Take the progress away.
    pub(crate) fn finish(&self) {
        self.progress.finish();
    }

    pub(crate) fn summary(self) -> Summary {
        let mut failure = self.first;
        if let Some(failure) = failure.as_mut().filter(|_| self.failed > 1) {
            let total = self.delivered + self.failed;
            failure.message =
                format!("{} of {total} messages failed; the first: {}", self.failed, failure.message);
        }
        Summary { delivered: self.delivered, open: self.receipts.len(), failure }
    }

    /// To each topic. Waits only for room.
    pub(crate) async fn publish(&mut self, payload: &Bytes, envelopes: &[Envelope]) {
        self.number += 1;
        let number = self.number;
        for envelope in envelopes {
            let accepted = self.hand_over(payload, envelope).await;
            let length = payload.len();
            self.report.debug(format_args!("message {number}: {length} bytes to {}", envelope.topic));
            match accepted {
                Ok(receipt) => self.receipts.push_back((number, receipt)),
                Err(error) => self.record(number, Err(error)),
            }
        }
        if self.receipts.len().is_multiple_of(64) {
            poll_fn(|cx| Poll::Ready(self.settle_ready(cx))).await;
        }
        while self.receipts.len() > RECEIPTS {
            self.settle_one().await;
        }
        // Where there is always room, the clock and the signals must be looked at all the same.
        tokio::task::consume_budget().await;
    }

    async fn hand_over(&self, payload: &Bytes, envelope: &Envelope) -> Result<Receipt, PublishError> {
        let mut publish = self.client.publish(&envelope.topic, payload);
        if let Some(qos) = envelope.qos {
            publish = publish.qos(qos);
        }
        if envelope.retain {
            publish = publish.retain(true);
        }
        if !envelope.properties.is_empty() {
            publish = publish.properties(envelope.properties.clone());
        }
        publish.enqueue().await
    }

    async fn settle_all(&mut self) {
        while !self.receipts.is_empty() {
            self.settle_one().await;
        }
    }

    /// Wait for the oldest result, and take those that are there with it.
    async fn settle_one(&mut self) {
        poll_fn(|cx| if self.settle_ready(cx) > 0 { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Take results from the oldest on, as long as they are there; say how many.
    fn settle_ready(&mut self, cx: &mut Context<'_>) -> usize {
        let mut settled = 0;
        while let Some((number, receipt)) = self.receipts.front_mut() {
            let number = *number;
            let Poll::Ready(result) = Pin::new(receipt).poll(cx) else { break };
            self.receipts.pop_front();
            self.record(number, result);
            settled += 1;
        }
        self.progress.set(self.delivered);
        settled
    }

    fn record(&mut self, number: u64, result: Result<Published, PublishError>) {
        match result {
            Ok(published) => {
                self.delivered += 1;
                if published.possible_duplicate {
                    let text =
                        "the broker lost the session and the message was sent again: it may arrive twice";
                    self.report.warn(format_args!("message {number}: {text}"));
                }
                self.report.debug(format_args!("message {number}: {}", published.reason));
            }
            Err(error) => {
                self.failed += 1;
                if self.failed > 1 && self.failed <= TOLD {
                    self.report.error(format_args!("message {number}: {error}"));
                }
                if self.first.is_none() {
                    let failure = Failure::from(error);
                    let message = format!("message {number}: {}", failure.message);
                    self.first = Some(Failure { message, ..failure });
                }
            }
        }
    }
}
