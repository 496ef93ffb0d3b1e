//! The subscribing side: what arrived, how late, and what came twice.

use std::sync::{Arc, Mutex};

use packetboat::{Message, Subscriber};

use super::histogram::Histogram;
use super::stamp::Stamp;
use super::{Board, locked};

/// Messages taken at once.
const BATCH: usize = 256;

/// What one subscriber heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) messages: u64,
    pub(super) twice: u64,
    /// Not of this run.
    pub(super) foreign: u64,
    pub(super) latency: Histogram,
    /// Of each publisher a bit for each message.
    seen: Vec<Vec<u64>>,
}

impl Heard {
    pub(super) fn of(publishers: u32) -> Self {
        Self { seen: vec![Vec::new(); publishers as usize], ..Self::default() }
    }

    fn take_all(&mut self, board: &Board, batch: &[Message]) {
        for message in batch {
            self.take(board, message.payload());
        }
    }

    fn take(&mut self, board: &Board, payload: &[u8]) {
        let stamp =
            Stamp::read(payload).filter(|stamp| stamp.run == board.run && stamp.due <= board.elapsed());
        // Only what was sent can come: whoever else writes such stamps does not decide on our memory.
        let stamp = stamp.filter(|stamp| u64::from(stamp.sequence) < board.begun());
        let Some((stamp, seen)) =
            stamp.and_then(|stamp| Some((stamp, self.seen.get_mut(stamp.publisher as usize)?)))
        else {
            self.foreign += 1;
            return;
        };
        let (word, bit) = (stamp.sequence as usize / 64, 1 << (stamp.sequence % 64));
        if seen.len() <= word {
            seen.resize(word + 1, 0);
        }
        if seen[word] & bit != 0 {
            self.twice += 1;
            return;
        }
        seen[word] |= bit;
        self.messages += 1;
        self.latency.add(board.elapsed().saturating_sub(stamp.due));
    }
}

pub(super) async fn listen(mut stream: Subscriber, board: Arc<Board>, heard: Arc<Mutex<Heard>>) {
    loop {
        let batch = stream.next_batch(BATCH).await;
        if batch.is_empty() {
            return;
        }
        locked(&heard).take_all(&board, &batch);
        tokio::task::consume_budget().await;
    }
}
