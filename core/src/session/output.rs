//! Bytes on their way to the socket.

use alloc::vec::Vec;

use super::handle::Handle;

/// Encoded packets, with large payloads kept aside where they are and spliced in while writing.
#[derive(Debug)]
pub struct Output<P> {
    /// Encoded bytes.
    pub bytes: Vec<u8>,
    /// Payloads that belong in front of the byte at this offset of `bytes`, ascending: what they have in memory, then
    /// what they have not.
    pub splices: Vec<(usize, P)>,
    /// How many of the bytes are answers to the broker: acknowledgements, not publishes of ours.
    pub replies: usize,
}

impl<P> Default for Output<P> {
    fn default() -> Self {
        Self { bytes: Vec::new(), splices: Vec::new(), replies: 0 }
    }
}

impl<P: Handle> Output<P> {
    /// Nothing to write?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes to write, spliced payloads included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() + self.splices.iter().map(|(_, payload)| length(payload)).sum::<usize>()
    }

    /// Forget everything, keep the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.splices.clear();
        self.replies = 0;
    }

    /// QoS 0 messages that are not wholly among the first `written` bytes.
    #[must_use]
    pub fn unwritten_qos0(&self, written: usize) -> usize {
        let mut lost = 0;
        let (mut at, mut end, mut splices) = (0, 0, self.splices.iter().peekable());
        while let Some(&first) = self.bytes.get(at) {
            let (mut remaining, mut used) = (0_usize, 1);
            while let Some(&byte) = self.bytes.get(at + used) {
                remaining |= usize::from(byte & 0x7f) << (7 * (used - 1));
                used += 1;
                if byte & 0x80 == 0 || used > 4 {
                    break;
                }
            }
            end += used + remaining;
            let mut inline = used + remaining;
            if let Some((_, payload)) = splices.next_if(|(offset, _)| *offset <= at + inline && *offset > at)
            {
                inline -= length(payload);
            }
            at += inline;
            if first & 0xf6 == 0x30 && end > written {
                lost += 1;
            }
        }
        lost
    }
}

fn length<P: Handle>(payload: &P) -> usize {
    payload.resident().len() + payload.absent()
}
