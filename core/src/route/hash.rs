//! A fast hash for short texts, after rustc's `FxHasher`.
//!
//! Whoever chooses texts can make them collide. So no peer may choose what is stored under these hashes without bound:
//! the cache gives a colliding topic the place of another, and the tree stores only the user's own filters.

use crate::words::short_word;

const MULTIPLIER: u64 = 0xF135_7AEA_2E62_A9C5;

/// The hash of a topic name together with the subscription identifiers of its message.
#[inline]
pub(super) fn of_message(topic: &[u8], identifiers: &[u32]) -> u64 {
    finish(identifiers.iter().fold(of_bytes(topic), |hash, &identifier| step(hash, u64::from(identifier))))
}

/// The hash of one level below a node of the tree.
#[inline]
pub(super) fn of_edge(level: u64, parent: u32) -> u64 {
    finish(step(level, u64::from(parent)))
}

/// The unfinished hash of a text: its length, eight bytes at a time, the last eight (which may overlap).
#[inline]
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    let hash = bytes.len() as u64;
    let Some(last) = bytes.last_chunk::<8>() else {
        return step(hash, short_word(bytes));
    };
    let (words, _) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(hash, |hash, word| step(hash, u64::from_le_bytes(*word)));
    step(hash, u64::from_le_bytes(*last))
}

#[inline]
const fn step(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(MULTIPLIER)
}

/// Multiplying moves differences up only: fold the upper half back.
#[inline]
const fn finish(hash: u64) -> u64 {
    (hash ^ (hash >> 32)).wrapping_mul(MULTIPLIER)
}
