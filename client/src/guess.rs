//! What answers, if it is not what was expected.

/// What speaks first, or answers nonsense, in a way that is well known.
pub(crate) fn guess(first: [u8; 8]) -> Option<&'static str> {
    Some(match first {
        [b'H', b'T', b'T', b'P', ..] => "a web server",
        [b'S', b'S', b'H', b'-', ..] => "an SSH server",
        [0x15 | 0x16, 3, ..] => "a server that expects TLS",
        [b'2', b'2', b'0', b' ' | b'-', ..] => "a mail or file server",
        [b'A', b'M', b'Q', b'P', ..] => "an AMQP broker",
        [b'-', b'E', b'R', b'R', ..] => "a Redis server",
        _ => return None,
    })
}
