/// The longest text that MQTT can carry, in bytes `[MQTT-4.7.3-3]`.
pub(super) const MAXIMUM_LENGTH: usize = 65_535;

/// The prefix that marks a shared subscription (5.0 section 4.8.2).
pub(super) const SHARE_PREFIX: &str = "$share/";

/// Does the topic filter `filter` match the topic name `topic`?
///
/// Both are taken as valid: a filter that is not matches no valid name (`a+` does not match `ab`). Of a shared
/// subscription `$share/{name}/{filter}` the inner filter is matched (5.0 section 4.8.2).
/// It takes linear time and allocates nothing.
///
/// ```
/// use packetboat_core::topic::matches;
///
/// assert!(matches("sport/tennis/#", "sport/tennis"));
/// assert!(matches("$share/workers/+/b", "a/b"));
/// assert!(!matches("+/monitor/Clients", "$SYS/monitor/Clients"));
/// ```
#[must_use]
pub fn matches(filter: &str, topic: &str) -> bool {
    let inner = filter.strip_prefix(SHARE_PREFIX).and_then(|shared| shared.split_once('/'));
    matches_unshared(inner.map_or(filter, |(_, inner)| inner), topic)
}

/// As [`matches`], for a filter without a share name.
pub(crate) fn matches_unshared(filter: &str, topic: &str) -> bool {
    if is_hidden_from(filter, topic) {
        return false;
    }
    let mut filter_levels = levels(filter);
    let mut topic_levels = levels(topic);
    loop {
        match (filter_levels.next(), topic_levels.next()) {
            (None, None) => return true,
            // With no level left in the topic this is the parent level, which `#` includes (section 4.7.1.2).
            (Some(b"#"), _) => return filter_levels.next().is_none(),
            (Some(b"+"), Some(_)) => {}
            (Some(filter_level), Some(topic_level)) if filter_level == topic_level => {}
            _ => return false,
        }
    }
}

/// Is there a topic name that both filters match? Neither has a share name.
pub(super) fn overlap_unshared(left: &str, right: &str) -> bool {
    if is_hidden_from(left, right) || is_hidden_from(right, left) {
        return false;
    }
    // What both match would be the empty name alone, which there is not `[MQTT-4.7.3-1]`.
    if matches!((left, right), ("+", "/#") | ("/#", "+")) {
        return false;
    }
    // The length of the shortest name that both match, plus one: it must still be short enough to exist.
    let mut length = 0;
    let (mut left_levels, mut right_levels) = (levels(left), levels(right));
    loop {
        let level_length = match (left_levels.next(), right_levels.next()) {
            (None | Some(b"#"), None) | (None, Some(b"#")) => return length <= MAXIMUM_LENGTH + 1,
            (Some(b"#"), Some(level)) => {
                return length + rest_length(level, right_levels) <= MAXIMUM_LENGTH + 1;
            }
            (Some(level), Some(b"#")) => {
                return length + rest_length(level, left_levels) <= MAXIMUM_LENGTH + 1;
            }
            (Some(b"+"), Some(b"+")) => 0,
            (Some(b"+"), Some(level)) | (Some(level), Some(b"+")) => level.len(),
            (Some(left_level), Some(right_level)) if left_level == right_level => left_level.len(),
            _ => return false,
        };
        length += level_length + 1;
    }
}

/// The levels of a filter or a name. An empty level is a level (section 4.7.1.1).
pub(crate) fn levels(text: &str) -> impl Iterator<Item = &[u8]> {
    text.as_bytes().split(|&byte| byte == b'/')
}

/// A wildcard in the first level does not match names that begin with `$` `[MQTT-4.7.2-1]`.
fn is_hidden_from(filter: &str, topic: &str) -> bool {
    topic.starts_with('$') && filter.starts_with(['+', '#'])
}

/// The length of the shortest name levels that `first` and `rest` match, each with a separator.
fn rest_length<'a>(first: &'a [u8], rest: impl Iterator<Item = &'a [u8]>) -> usize {
    let literal = |level: &[u8]| if level == b"+" { 1 } else { level.len() + 1 };
    core::iter::once(first).chain(rest).filter(|&level| level != b"#").map(literal).sum()
}
