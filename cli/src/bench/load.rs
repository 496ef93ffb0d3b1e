//! The publishing side: by a plan, or as much as gets through.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use packetboat::{Client, PublishError, Receipt};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::histogram::Histogram;
use super::stamp::Stamp;
use super::{Board, locked};

/// What became of what was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    /// Taken by the client.
    pub(super) accepted: u64,
    /// Of these, those whose end is known.
    pub(super) settled: u64,
    pub(super) confirmed: u64,
    pub(super) failed: u64,
    pub(super) bytes: u64,
    pub(super) first_failure: Option<String>,
    /// From the time it was due.
    pub(super) acknowledged: Histogram,
    /// How long after it was due each message was begun with.
    pub(super) late: Histogram,
}

impl Sent {
    fn settle(&mut self, result: Result<Duration, PublishError>) {
        self.settled += 1;
        match result {
            Ok(time) => {
                self.confirmed += 1;
                self.acknowledged.add(time);
            }
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, error: &PublishError) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| error.to_string());
    }
}

/// A connection that publishes.
#[derive(Debug)]
pub(super) struct Publisher {
    client: Client,
    number: u32,
    topic: String,
    next: u32,
    receipts: mpsc::UnboundedSender<(Duration, Receipt)>,
    permits: Arc<Semaphore>,
}

impl Publisher {
    pub(super) fn new(client: Client, number: u32, board: &Arc<Board>, sent: &Arc<Mutex<Sent>>) -> Self {
        let (receipts, waiting) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(board.in_flight as usize));
        tokio::spawn(settle(waiting, board.clone(), sent.clone(), permits.clone()));
        let topic = format!("{}/{number}", board.topic);
        Self { client, number, topic, next: 0, receipts, permits }
    }

    /// Waits for room, no more.
    async fn send(&mut self, board: &Board, due: Duration, sent: &Mutex<Sent>) {
        let size = board.sizes[self.next as usize % board.sizes.len()];
        let stamp = Stamp { run: board.run, publisher: self.number, sequence: self.next, due };
        self.next += 1;
        let publish = self.client.publish(&self.topic, stamp.payload(size)).qos(board.qos).retain(false);
        let result = publish.enqueue().await;
        let mut sent = locked(sent);
        match result {
            Ok(receipt) => {
                sent.accepted += 1;
                sent.bytes += size as u64;
                drop(sent);
                // It is there for as long as this is.
                let _ = self.receipts.send((due, receipt));
            }
            Err(error) => sent.fail(&error),
        }
    }
}

/// What became of each message, in their order.
async fn settle(
    mut waiting: mpsc::UnboundedReceiver<(Duration, Receipt)>,
    board: Arc<Board>,
    sent: Arc<Mutex<Sent>>,
    permits: Arc<Semaphore>,
) {
    while let Some((due, receipt)) = waiting.recv().await {
        let result = receipt.await;
        locked(&sent).settle(result.map(|_| board.elapsed().saturating_sub(due)));
        permits.add_permits(1);
    }
}

/// As much as gets through: each message is due when there is room for it.
pub(super) async fn flood(mut publisher: Publisher, board: Arc<Board>, sent: Arc<Mutex<Sent>>) {
    while !board.is_over(board.elapsed()) {
        let Ok(permit) = publisher.permits.clone().acquire_owned().await else { break };
        permit.forget();
        if board.begun.fetch_add(1, Ordering::AcqRel) >= board.count {
            break;
        }
        publisher.send(&board, board.elapsed(), &sent).await;
        tokio::task::consume_budget().await;
    }
    board.ended.fetch_add(1, Ordering::AcqRel);
}

/// By a plan that does not wait for anybody: a message that goes out late counts from when it was due. On a thread of its
/// own, whose sleep is finer than the milliseconds of the runtime's timer.
pub(super) fn pace(
    mut publishers: Vec<Publisher>,
    rate: f64,
    board: &Board,
    sent: &Mutex<Sent>,
    runtime: &Handle,
) {
    let interval = 1.0 / rate;
    for number in 0..board.count {
        #[allow(clippy::cast_precision_loss, reason = "a count that the time of a run allows")]
        let due = Duration::from_secs_f64(number as f64 * interval);
        while let Some(left) = due.checked_sub(board.elapsed()).filter(|left| !left.is_zero()) {
            if board.is_over(due) {
                break;
            }
            // Whoever stops it is heard soon.
            std::thread::sleep(left.min(Duration::from_millis(100)));
        }
        if board.is_over(due) {
            break;
        }
        let at = usize::try_from(number).unwrap_or(0) % publishers.len();
        board.begun.fetch_add(1, Ordering::AcqRel);
        locked(sent).late.add(board.elapsed().saturating_sub(due));
        let sending = publishers[at].send(board, due, sent);
        // A plan that cannot be followed any more is given up some time after its end.
        let limit = (board.time + board.patience).saturating_sub(board.elapsed());
        if runtime.block_on(async { timeout(limit, sending).await }).is_err() {
            break;
        }
    }
    board.ended.fetch_add(1, Ordering::AcqRel);
}
