use core::error::Error;
use core::fmt;

/// Why a text is no topic name or no topic filter.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TopicError {
    /// The text is empty `[MQTT-4.7.3-1]`.
    Empty,
    /// The text is longer than 65,535 bytes of UTF-8 `[MQTT-4.7.3-3]`.
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The text contains U+0000 `[MQTT-4.7.3-2]`.
    NullCharacter,
    /// A topic name contains `+` or `#` `[MQTT-4.7.0-1]`.
    WildcardInName,
    /// `#` is not the last level, or not alone in it `[MQTT-4.7.1-1]`.
    MultiLevelWildcard,
    /// `+` is not alone in its level `[MQTT-4.7.1-2]`.
    SingleLevelWildcard,
    /// The share name of `$share/{name}/{filter}` is empty or has a wildcard in it `[MQTT-4.8.2-1]`, `[MQTT-4.8.2-2]`.
    ShareName,
    /// `$share/{name}` is not followed by `/` and a filter `[MQTT-4.8.2-2]`.
    ShareWithoutFilter,
}

impl fmt::Display for TopicError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::TooLong { length } => {
                return write!(formatter, "{length} bytes are too long: use at most 65,535 bytes");
            }
            Self::Empty => "it is empty: use at least one character",
            Self::NullCharacter => "it contains the character U+0000: remove it",
            Self::WildcardInName => {
                "a topic name cannot contain + or #: wildcards are for subscriptions only"
            }
            Self::MultiLevelWildcard => "# must be the last character and alone in its level, as in a/#",
            Self::SingleLevelWildcard => "+ must be alone in its level, as in a/+/b",
            Self::ShareName => "the share name must be non-empty and without + and #: use $share/name/filter",
            Self::ShareWithoutFilter => "a filter must follow the share name: use $share/name/filter",
        };
        formatter.write_str(text)
    }
}

/// What a `main` that returns it prints.
impl fmt::Debug for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for TopicError {}
