//! `sensors/{id}/temperature`.

use std::fmt;

use packetboat_core::topic::{TopicError, TopicFilter};

use super::EncodeError;

/// Levels that are given, and levels that have names.
#[derive(Clone, Debug)]
pub(super) struct Template {
    levels: Box<[Level]>,
    filter: TopicFilter,
}

#[derive(Clone, Debug)]
enum Level {
    Given(Box<str>),
    Named(Box<str>),
}

impl Template {
    pub(super) fn new(template: &str) -> Result<Self, TemplateError> {
        let mut levels: Vec<Level> = Vec::new();
        for level in template.split('/') {
            let name = level.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            let plain = name.unwrap_or(level);
            if plain.contains(['{', '}', '+', '#']) || name == Some("") {
                return Err(TemplateError::Level(level.to_owned()));
            }
            let twice = |known: &Level| matches!((known, name), (Level::Named(known), Some(name)) if **known == *name);
            if levels.iter().any(twice) {
                return Err(TemplateError::Twice(plain.to_owned()));
            }
            let plain = plain.into();
            levels.push(if name.is_some() { Level::Named(plain) } else { Level::Given(plain) });
        }
        let filter: Vec<&str> = levels
            .iter()
            .map(|level| match level {
                Level::Given(text) => &**text,
                Level::Named(_) => "+",
            })
            .collect();
        let filter = TopicFilter::new(filter.join("/")).map_err(TemplateError::Topic)?;
        if filter.share_name().is_some() {
            return Err(TemplateError::Shared);
        }
        Ok(Self { levels: levels.into(), filter })
    }

    pub(super) fn filter(&self) -> &str {
        self.filter.as_str()
    }

    /// The topic with these values.
    pub(super) fn fill(&self, values: &[(String, String)]) -> Result<String, EncodeError> {
        let mut topic = String::new();
        for (at, level) in self.levels.iter().enumerate() {
            if at > 0 {
                topic.push('/');
            }
            match level {
                Level::Given(text) => topic.push_str(text),
                Level::Named(name) => {
                    let value = values.iter().find(|(known, _)| **known == **name);
                    let (_, value) = value.ok_or_else(|| EncodeError::Missing(name.to_string()))?;
                    if value.is_empty() || value.contains('/') || at == 0 && value.starts_with('$') {
                        return Err(EncodeError::Level(name.to_string()));
                    }
                    topic.push_str(value);
                }
            }
        }
        Ok(topic)
    }

    /// Names and values of this topic, if it is one of these.
    pub(super) fn values<'a>(&'a self, topic: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let mut values = Vec::new();
        let mut parts = topic.split('/');
        for level in &self.levels {
            let part = parts.next()?;
            match level {
                Level::Given(text) if **text == *part => {}
                Level::Given(_) => return None,
                Level::Named(name) => values.push((&**name, part)),
            }
        }
        if parts.next().is_some() { None } else { Some(values) }
    }
}

/// Why a template is none.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum TemplateError {
    /// This level is neither plain text nor one name in braces.
    Level(String),
    /// This name stands twice.
    Twice(String),
    /// As a filter it is wrong.
    Topic(TopicError),
    /// It is a shared subscription's, `$share/group/...`: no message has such a topic.
    Shared,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => {
                write!(f, "the level {level:?} is neither plain text without wildcards nor one {{name}}")
            }
            Self::Twice(name) => write!(f, "the name {name:?} stands twice"),
            Self::Topic(error) => error.fmt(f),
            Self::Shared => f.write_str(
                "messages have no topics under $share: leave group and $share out here, and put them before the filter when \
                 subscribing",
            ),
        }
    }
}

impl std::error::Error for TemplateError {}
