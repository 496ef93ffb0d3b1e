//! The properties of 5.0, kept folded: one validated block of bytes, read only when asked.

mod buffer;
mod getters;
mod table;

use core::ops::Range;

use super::DecodeError;
use super::reader::{Reader, variable};
pub use buffer::PropertiesBuf;
use table::{Kind, Row, row};
pub use table::{Place, Property};

/// As on the wire, where it is compared before the table is looked at.
const SUBSCRIPTION_IDENTIFIER: u8 = Property::SubscriptionIdentifier as u8;

/// A property block, validated and borrowed. Empty on 3.1.1 and mostly on 5.0.
#[derive(Clone, Copy, Default, Eq, Hash, PartialEq)]
pub struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self(&[]);

    /// Validate a block (without its length): identifiers, place, repetition, types, values.
    #[inline]
    pub fn parse(block: &'a [u8], place: Place) -> Result<Self, DecodeError> {
        if place == Place::Publish && Self(block).is_one_subscription_identifier() {
            return Ok(Self(block));
        }
        Self::parse_each(block, place)
    }

    /// The block nearly every message has that came through a subscription with an identifier: worth its own test.
    #[inline]
    fn is_one_subscription_identifier(self) -> bool {
        let [SUBSCRIPTION_IDENTIFIER, value @ ..] = self.0 else { return false };
        // A last byte that is not 0 makes it minimal and not zero.
        let Some((1..=0x7f, before)) = value.split_last() else { return false };
        before.len() < 4 && before.iter().all(|byte| *byte >= 0x80)
    }

    fn parse_each(block: &'a [u8], place: Place) -> Result<Self, DecodeError> {
        let mut r = Reader::new(block);
        let mut seen = 0_u64;
        while !r.is_empty() {
            let Row { property, kind, .. } = next_row(&mut r, place)?;
            check_value(kind, &mut r)?;
            let bit = 1 << property as u8;
            if seen & bit != 0 && !property.may_repeat_in(place) {
                return Err(DecodeError::ProtocolError("a property is there more than once"));
            }
            seen |= bit;
        }
        Ok(Self(block))
    }

    /// A block that was validated when it was kept.
    #[inline]
    pub(crate) const fn trusted(block: &'a [u8]) -> Self {
        Self(block)
    }

    /// Where the four bytes of the message expiry interval begin, for who counts them down in place.
    pub(crate) fn offset_of_message_expiry_interval(self) -> Option<usize> {
        self.position(Property::MessageExpiryInterval).map(|range| range.start + 1)
    }

    /// Where the first such property is, identifier and value.
    fn position(self, wanted: Property) -> Option<Range<usize>> {
        let mut start = 0;
        for (property, value) in self.walk() {
            let end = start + 1 + value.len();
            if property == wanted {
                return Some(start..end);
            }
            start = end;
        }
        None
    }

    /// The first property that does not belong at `place`, if there is one.
    #[must_use]
    pub fn misplaced(self, place: Place) -> Option<Property> {
        self.walk().map(|(property, _)| property).find(|property| !property.is_allowed_in(place))
    }

    /// The block as it is on the wire, without its length: for a store, or for another connection.
    #[inline]
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// The identifier's row. An identifier that is unknown or does not belong here is malformed (2.2.2.2).
#[inline]
fn next_row(r: &mut Reader<'_>, place: Place) -> Result<Row, DecodeError> {
    let row = row(r.byte()?).ok_or(DecodeError::Malformed("an unknown property"))?;
    if !row.allows(place) {
        return Err(DecodeError::Malformed("a property that does not belong in this packet"));
    }
    Ok(row)
}

/// Read over one value. Its type is a matter of encoding, its range of the protocol.
#[inline]
fn check_value(kind: Kind, r: &mut Reader<'_>) -> Result<(), DecodeError> {
    const ZERO: DecodeError = DecodeError::ProtocolError("a property is zero that must not be");
    let in_range = match kind {
        Kind::Flag if r.byte()? > 1 => {
            return Err(DecodeError::ProtocolError("a property is neither 0 nor 1"));
        }
        Kind::Flag => true,
        Kind::Two => r.two().map(|_| true)?,
        Kind::TwoNotZero => r.two()? != 0,
        Kind::Four => r.four().map(|_| true)?,
        Kind::FourNotZero => r.four()? != 0,
        Kind::VariableNotZero => r.variable()? != 0,
        Kind::Binary => r.binary().map(|_| true)?,
        Kind::Text => r.text().map(|_| true)?,
        Kind::TopicName => r.topic_name().map(|_| true)?,
        Kind::TextPair => {
            r.text()?;
            r.text().map(|_| true)?
        }
    };
    if in_range { Ok(()) } else { Err(ZERO) }
}

/// Walks a validated block without looking into its values.
#[derive(Clone)]
struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Walk<'a> {
    /// A property and its value as it is on the wire.
    type Item = (Property, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (&identifier, rest) = self.rest.split_first()?;
        let Row { property, kind, .. } = row(identifier)?;
        let (value, rest) = rest.split_at_checked(value_len(kind, rest)?)?;
        self.rest = rest;
        Some((property, value))
    }
}

#[inline]
fn value_len(kind: Kind, bytes: &[u8]) -> Option<usize> {
    Some(match kind {
        Kind::Flag => 1,
        Kind::Two | Kind::TwoNotZero => 2,
        Kind::Four | Kind::FourNotZero => 4,
        Kind::VariableNotZero => variable(bytes).ok()??.size,
        Kind::Binary | Kind::Text | Kind::TopicName => field_len(bytes)?,
        Kind::TextPair => {
            let name = field_len(bytes)?;
            name + field_len(bytes.get(name..)?)?
        }
    })
}

#[inline]
fn field_len(bytes: &[u8]) -> Option<usize> {
    Some(2 + usize::from(u16::from_be_bytes(*bytes.first_chunk()?)))
}
