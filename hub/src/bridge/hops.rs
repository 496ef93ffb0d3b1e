//! Loops: each pipe a message has passed is in a user property of it (5.0).

use packetboat::{Properties, PropertiesBuf};

/// `hub/connection/pipe`, once for each pipe passed: the connection is the one it came from.
pub(crate) const HOP: &str = "packetboat-hop";

/// More pipes than this no message passes.
const MAXIMUM: usize = 32;

/// What a pipe is called in that property.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    hub: String,
    source: String,
    pipe: String,
    word: String,
}

impl Hop {
    pub(super) fn new(hub: &str, source: &str, pipe: &str) -> Self {
        let word = format!("{hub}/{source}/{pipe}");
        Self { hub: hub.to_owned(), source: source.to_owned(), pipe: pipe.to_owned(), word }
    }

    /// Has the message been here?
    pub(super) fn was_passed(&self, properties: Properties<'_>) -> bool {
        let mut count = 0;
        hops(properties).any(|(hub, _, pipe)| {
            count += 1;
            count >= MAXIMUM || (hub == self.hub && pipe == self.pipe)
        })
    }

    /// Has the message been on this connection's broker? To send it there would be an echo. What a pipe renames on its own
    /// broker is none.
    pub(super) fn comes_from(&self, connection: &str, properties: Properties<'_>) -> bool {
        connection != self.source
            && hops(properties).any(|(hub, source, _)| hub == self.hub && source == connection)
    }

    /// The message's properties and this hop.
    pub(super) fn add(&self, properties: Properties<'_>) -> PropertiesBuf {
        let mut all = PropertiesBuf::new();
        all.copy_from(properties);
        // Names of hub, connection and pipe are short; without the property the message could only go round once more.
        let _ = all.user_property(HOP, &self.word);
        all
    }
}

fn hops(properties: Properties<'_>) -> impl Iterator<Item = (&str, &str, &str)> {
    let words = properties.user_properties().filter(|(name, _)| *name == HOP);
    words.filter_map(|(_, word)| {
        let (hub, rest) = word.split_once('/')?;
        let (source, pipe) = rest.rsplit_once('/')?;
        Some((hub, source, pipe))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_known_by_the_pipes_it_passed() {
        let up = Hop::new("hub", "plant", "up");
        let down = Hop::new("hub", "cloud", "down");
        let fresh = PropertiesBuf::new();
        assert!(!up.was_passed(fresh.as_properties()));
        let sent = up.add(fresh.as_properties());
        assert!(up.was_passed(sent.as_properties()));
        assert!(!down.was_passed(sent.as_properties()));
        assert!(down.comes_from("plant", sent.as_properties()), "an echo");
        assert!(!down.comes_from("other", sent.as_properties()));
        assert!(!up.comes_from("plant", sent.as_properties()), "renamed on its own broker");
        let other = Hop::new("other hub", "plant", "up");
        assert!(!other.was_passed(sent.as_properties()));
    }
}
