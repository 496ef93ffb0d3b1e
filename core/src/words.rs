//! Short texts, eight bytes at a time.

/// Fewer than eight bytes as one word. With the length known, overlapping reads lose nothing.
#[inline]
pub(crate) fn short_word(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    bytes.iter().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Are the texts the same? In place, since calling `memcmp` costs more than comparing texts as short as topics.
#[allow(clippy::inline_always, reason = "every message received: a call costs as much as comparing does")]
#[inline(always)]
pub(crate) fn is_same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let (Some(left_last), Some(right_last)) = (left.last_chunk::<8>(), right.last_chunk::<8>()) else {
        return short_word(left) == short_word(right);
    };
    let (left_words, _) = left.as_chunks::<8>();
    let (right_words, _) = right.as_chunks::<8>();
    left_words.iter().zip(right_words).all(|(left_word, right_word)| left_word == right_word)
        && left_last == right_last
}
