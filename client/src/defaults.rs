//! QoS and retain flag of messages that do not say them.

use packetboat_core::topic::TopicFilter;
use packetboat_core::wire::QoS;

use crate::Options;

/// What messages to some topics have unless they say otherwise; for
/// [`Options::topic_defaults`](crate::Options::topic_defaults).
///
/// ```
/// use packetboat::{Options, QoS, TopicDefaults};
///
/// let state = TopicDefaults::new().qos(QoS::AtLeastOnce).retain(true);
/// let options = Options::new("mqtt://localhost").topic_defaults("+/state", state);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[must_use = "defaults are for Options::topic_defaults"]
pub struct TopicDefaults {
    qos: Option<QoS>,
    retain: Option<bool>,
}

impl TopicDefaults {
    /// Leaves both to less specific filters and general defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The delivery guarantee.
    pub fn qos(mut self, qos: QoS) -> Self {
        self.qos = Some(qos);
        self
    }

    /// The retain flag.
    pub fn retain(mut self, retain: bool) -> Self {
        self.retain = Some(retain);
        self
    }
}

impl Options {
    /// The defaults, if anybody needs to look at them.
    pub(crate) fn unusual_defaults(&self) -> Option<Box<Defaults>> {
        (!self.choices.defaults.are_usual()).then(|| Box::new(self.choices.defaults.clone()))
    }
}

/// All defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    /// The most specific first.
    topics: Vec<(TopicFilter, TopicDefaults)>,
}

impl Defaults {
    /// Later defaults of a filter take the place of earlier ones.
    pub(crate) fn add(&mut self, filter: TopicFilter, defaults: TopicDefaults) {
        self.topics.retain(|(other, _)| *other != filter);
        let place = self.topics.partition_point(|(other, _)| specificity(other) >= specificity(&filter));
        self.topics.insert(place, (filter, defaults));
    }

    /// None but the usual: nobody needs to look.
    fn are_usual(&self) -> bool {
        self.qos == QoS::AtMostOnce && !self.retain && self.topics.is_empty()
    }

    /// What a message has that says so much of it. Each of the two comes from the most specific filter that says it.
    #[cold]
    pub(crate) fn resolve(&self, topic: &str, qos: Option<QoS>, retain: Option<bool>) -> (QoS, bool) {
        let (mut by_topic, mut retain_by_topic) = (qos, retain);
        let matching =
            self.topics.iter().filter(|(filter, _)| packetboat_core::topic::matches(filter.filter(), topic));
        for (_, defaults) in matching {
            by_topic = by_topic.or(defaults.qos);
            retain_by_topic = retain_by_topic.or(defaults.retain);
        }
        (by_topic.unwrap_or(self.qos), retain_by_topic.unwrap_or(self.retain))
    }
}

/// Level by level, from the first: a name is more specific than `+`, that than `#`, and more levels than fewer.
fn specificity(filter: &TopicFilter) -> Vec<u8> {
    let level = |level: &str| match level {
        "#" => 0,
        "+" => 2,
        _ => 3,
    };
    // An end stands between `#` and everything else: `a` is more specific than `a/#`.
    filter.filter().split('/').map(level).chain([1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults(topics: &[(&str, TopicDefaults)]) -> Defaults {
        let mut defaults = Defaults { qos: QoS::AtLeastOnce, retain: true, ..Defaults::default() };
        for (filter, topic) in topics {
            defaults.add(filter.parse().unwrap_or_else(|error| panic!("{filter}: {error}")), *topic);
        }
        defaults
    }

    #[test]
    fn the_exact_filter_counts_first_and_then_the_most_specific_whatever_their_order() {
        let qos = |qos| TopicDefaults::new().qos(qos);
        let mut filters = vec![
            ("#", qos(QoS::AtMostOnce)),
            ("a/#", qos(QoS::AtMostOnce)),
            ("a/+/c", qos(QoS::AtLeastOnce)),
            ("a/b/#", qos(QoS::AtMostOnce)),
            ("a/b/+", qos(QoS::AtLeastOnce)),
            ("a/b/c", qos(QoS::ExactlyOnce)),
        ];
        for _ in 0..filters.len() {
            filters.rotate_left(1);
            let defaults = defaults(&filters);
            let order: Vec<&str> = defaults.topics.iter().map(|(filter, _)| filter.as_str()).collect();
            assert_eq!(order, ["a/b/c", "a/b/+", "a/b/#", "a/+/c", "a/#", "#"]);
            assert_eq!(defaults.resolve("a/b/c", None, None), (QoS::ExactlyOnce, true));
            assert_eq!(defaults.resolve("a/b/x", None, None), (QoS::AtLeastOnce, true));
            assert_eq!(defaults.resolve("a/x/c", None, None), (QoS::AtLeastOnce, true));
            assert_eq!(defaults.resolve("a/b", None, None), (QoS::AtMostOnce, true));
            assert_eq!(
                defaults.resolve("$SYS/x", None, None),
                (QoS::AtLeastOnce, true),
                "`#` does not match it"
            );
        }
    }

    /// amqtt 0.11: `default_retain` wins over `retain=False`; 0.10: `default_qos` over `qos=0`.
    #[test]
    fn what_a_message_says_wins_also_when_it_says_false_and_zero() {
        let topic = TopicDefaults::new().qos(QoS::ExactlyOnce).retain(true);
        let defaults = defaults(&[("a", topic)]);
        assert_eq!(defaults.resolve("a", Some(QoS::AtMostOnce), Some(false)), (QoS::AtMostOnce, false));
        assert_eq!(defaults.resolve("b", Some(QoS::AtMostOnce), None), (QoS::AtMostOnce, true));
        assert_eq!(defaults.resolve("a", None, Some(false)), (QoS::ExactlyOnce, false));
    }

    #[test]
    fn what_a_topic_does_not_say_is_left_to_the_next_that_does() {
        let defaults = defaults(&[
            ("a/b", TopicDefaults::new().retain(false)),
            ("a/+", TopicDefaults::new().qos(QoS::ExactlyOnce)),
        ]);
        assert_eq!(defaults.resolve("a/b", None, None), (QoS::ExactlyOnce, false));
        assert_eq!(
            defaults.resolve("c", None, None),
            (QoS::AtLeastOnce, true),
            "nobody says it: the general ones"
        );
    }
}
