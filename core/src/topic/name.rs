use core::fmt;

use super::TopicError;

/// A topic name, as a PUBLISH carries it: 1 to 65,535 bytes of UTF-8, no U+0000, no wildcard.
///
/// ```
/// use packetboat_core::topic::TopicName;
///
/// assert_eq!(TopicName::new("rooms/kitchen")?.as_str(), "rooms/kitchen");
/// assert!(TopicName::new("rooms/#").is_err());
/// # Ok::<(), packetboat_core::topic::TopicError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TopicName<'a>(&'a str);

impl<'a> TopicName<'a> {
    /// The name `text`, if it is one.
    #[inline]
    pub const fn new(text: &'a str) -> Result<Self, TopicError> {
        if text.is_empty()
            || text.len() > super::matching::MAXIMUM_LENGTH
            || has_forbidden_byte(text.as_bytes())
        {
            return Err(error_of(text));
        }
        Ok(Self(text))
    }

    /// The name as text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl fmt::Display for TopicName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl AsRef<str> for TopicName<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl<'a> TryFrom<&'a str> for TopicName<'a> {
    type Error = TopicError;

    fn try_from(text: &'a str) -> Result<Self, TopicError> {
        Self::new(text)
    }
}

/// Is there a U+0000, `+` or `#`?
///
/// Every publish asks, so eight bytes at a time are first asked something simpler: is a byte below 0x2C among them?
/// These are the three, and few that topic names are made of (space, `$`, `!`, `*`).
#[allow(
    clippy::inline_always,
    reason = "every message sent: the call would double it, and is made or not by chance"
)]
#[inline(always)]
const fn has_forbidden_byte(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        return has_forbidden_byte_exactly(bytes);
    };
    let mut found = below_comma(*last);
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        found |= below_comma(*word);
        rest = after;
    }
    found & HIGHS != 0 && has_forbidden_byte_exactly(bytes)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// Has a bit of `HIGHS` set exactly if one of the bytes is below `,` (Anderson, Bit Twiddling Hacks, "hasless").
#[inline]
const fn below_comma(bytes: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(bytes);
    word.wrapping_sub(ONES * b',' as u64) & !word
}

#[cold]
const fn has_forbidden_byte_exactly(mut bytes: &[u8]) -> bool {
    while let [byte, after @ ..] = bytes {
        if matches!(*byte, 0 | b'+' | b'#') {
            return true;
        }
        bytes = after;
    }
    false
}

/// What is wrong with a text that is known to be wrong.
#[cold]
const fn error_of(text: &str) -> TopicError {
    let mut bytes = text.as_bytes();
    if bytes.is_empty() {
        return TopicError::Empty;
    }
    if bytes.len() > super::matching::MAXIMUM_LENGTH {
        return TopicError::TooLong { length: bytes.len() };
    }
    while let [byte, after @ ..] = bytes {
        if *byte == 0 {
            return TopicError::NullCharacter;
        }
        bytes = after;
    }
    TopicError::WildcardInName
}
