//! Topics rewritten by named levels: `plant/{line}/temp` to `all/{line}`.

use std::fmt;
use std::ops::Range;

use packetboat::{TopicError, TopicFilter};

/// A filter whose levels may have names.
#[derive(Clone, Debug)]
pub struct Route {
    levels: Vec<Level>,
    filter: TopicFilter,
}

/// A topic to be made of the parts that a [`Route`] found.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<Part>,
    filter: TopicFilter,
}

#[derive(Clone, Debug)]
enum Level {
    Given(Box<str>),
    /// `+`, or a name.
    Any(Option<Box<str>>),
    /// `#`.
    Rest,
}

#[derive(Clone, Debug)]
enum Part {
    Given(Box<str>),
    /// The level at this place among those with wildcards.
    Found(usize),
    Rest,
}

/// Where in a topic the levels with wildcards are.
#[derive(Debug, Default)]
pub(super) struct Found {
    levels: Vec<Range<usize>>,
    rest: Option<Range<usize>>,
}

impl Route {
    /// Levels are plain text, `+`, `{name}` (a `+` with a name) and, at the end, `#`.
    pub fn new(filter: &str) -> Result<Self, RouteError> {
        let mut levels: Vec<Level> = Vec::new();
        for level in filter.split('/') {
            levels.push(match level {
                "+" => Level::Any(None),
                "#" => Level::Rest,
                _ => match name(level)? {
                    Some(name) if levels.iter().any(|known| known.is_called(name)) => {
                        return Err(RouteError::Twice(name.to_owned()));
                    }
                    Some(name) => Level::Any(Some(name.into())),
                    None => Level::Given(level.into()),
                },
            });
        }
        let plain: Vec<&str> = levels
            .iter()
            .map(|level| match level {
                Level::Given(text) => &**text,
                Level::Any(_) => "+",
                Level::Rest => "#",
            })
            .collect();
        let filter = TopicFilter::new(plain.join("/")).map_err(RouteError::Topic)?;
        if filter.share_name().is_some() {
            return Err(RouteError::Shared);
        }
        Ok(Self { levels, filter })
    }

    /// What is subscribed.
    #[must_use]
    pub fn filter(&self) -> &TopicFilter {
        &self.filter
    }

    /// A topic that is made of what this route finds: its levels by their names, and `#` for all that its `#` stands for.
    pub fn template(&self, topic: &str) -> Result<Template, RouteError> {
        let mut parts = Vec::new();
        for (at, level) in topic.split('/').enumerate() {
            if at > 0 {
                parts.push(Part::Given("/".into()));
            }
            parts.push(match level {
                "#" if matches!(self.levels.last(), Some(Level::Rest)) => Part::Rest,
                "#" => return Err(RouteError::NoRest),
                _ if level.contains(['+', '#']) => return Err(RouteError::Level(level.to_owned())),
                _ => match name(level)? {
                    Some(name) => Part::Found(self.place(name)?),
                    None => Part::Given(level.into()),
                },
            });
        }
        let plain: Vec<&str> =
            topic.split('/').map(|level| if level.starts_with('{') { "+" } else { level }).collect();
        let filter = TopicFilter::new(plain.join("/")).map_err(RouteError::Topic)?;
        Ok(Template { parts, filter })
    }

    fn place(&self, name: &str) -> Result<usize, RouteError> {
        let mut wild = self.levels.iter().filter(|level| matches!(level, Level::Any(_)));
        wild.position(|level| level.is_called(name)).ok_or_else(|| RouteError::Unknown(name.to_owned()))
    }

    /// The names of its levels.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().filter_map(|level| match level {
            Level::Any(Some(name)) => Some(&**name),
            _ => None,
        })
    }

    /// Names of levels, and what they are in this topic.
    pub(super) fn values<'a>(
        &'a self,
        topic: &'a str,
        found: &'a Found,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let wild = self.levels.iter().filter_map(|level| match level {
            Level::Any(name) => Some(name.as_deref()),
            _ => None,
        });
        let places = found.levels.iter().map(|place| topic.get(place.clone()).unwrap_or_default());
        wild.zip(places).filter_map(|(name, value)| Some((name?, value)))
    }

    /// Where the levels with wildcards are; `None` where the topic is none of these.
    pub(super) fn find(&self, topic: &str) -> Option<Found> {
        let mut found = Found::default();
        let mut at = 0;
        let mut parts = topic.split('/');
        for level in &self.levels {
            if matches!(level, Level::Rest) {
                // The parent level has none: [MQTT-4.7.1-2] lets `a/#` match `a`.
                found.rest = (at <= topic.len()).then_some(at..topic.len());
                return Some(found);
            }
            let part = parts.next()?;
            let place = at..at + part.len();
            at = place.end + 1;
            match level {
                Level::Given(text) if **text == *part => {}
                Level::Any(_) => found.levels.push(place),
                _ => return None,
            }
        }
        parts.next().is_none().then_some(found)
    }
}

impl Level {
    fn is_called(&self, name: &str) -> bool {
        matches!(self, Self::Any(Some(known)) if **known == *name)
    }
}

impl Template {
    /// All topics it can make.
    #[must_use]
    pub fn filter(&self) -> &TopicFilter {
        &self.filter
    }

    pub(super) fn fill(&self, topic: &str, found: &Found) -> String {
        let text = |place: &Range<usize>| topic.get(place.clone()).unwrap_or_default();
        let mut out = String::with_capacity(topic.len() + 16);
        for part in &self.parts {
            match (part, &found.rest) {
                (Part::Given(given), _) => out.push_str(given),
                (Part::Found(at), _) => out.push_str(found.levels.get(*at).map_or("", text)),
                (Part::Rest, Some(rest)) => out.push_str(text(rest)),
                // Nothing follows, not even an empty level.
                (Part::Rest, None) => out.truncate(out.trim_end_matches('/').len().max(1)),
            }
        }
        out
    }
}

/// The name in `{name}`; `None` for plain text.
fn name(level: &str) -> Result<Option<&str>, RouteError> {
    let name = level.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let fine = match name {
        Some(name) => {
            !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter))
        }
        None => !level.contains(['{', '}']),
    };
    if fine { Ok(name) } else { Err(RouteError::Level(level.to_owned())) }
}

/// Why a filter or topic with named levels is none.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum RouteError {
    /// A level is neither plain text nor one name in braces.
    Level(String),
    /// A name stands twice.
    Twice(String),
    /// The filter has no level of this name.
    Unknown(String),
    /// The topic ends in `#` and the filter does not.
    NoRest,
    /// The filter begins with `$share`.
    Shared,
    /// As a filter it is wrong.
    Topic(TopicError),
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => {
                write!(f, "has the level {level:?}, which is neither plain text nor one {{name}}")
            }
            Self::Twice(name) => write!(f, "has the name {name:?} twice"),
            Self::Unknown(name) => write!(f, "names {{{name}}}, and the filter has no such level"),
            Self::NoRest => f.write_str("ends in `#`, and the filter does not"),
            Self::Shared => {
                f.write_str("begins with $share: say `share = \"group\"` beside the filter instead")
            }
            Self::Topic(error) => write!(f, "is no topic filter: {error}"),
        }
    }
}

packetboat::readable_debug!(RouteError);

impl std::error::Error for RouteError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(filter: &str, topic: &str, arrived: &str) -> Option<String> {
        let route = Route::new(filter).unwrap();
        let template = route.template(topic).unwrap();
        route.find(arrived).map(|found| template.fill(arrived, &found))
    }

    #[test]
    fn topics_are_made_of_named_levels_and_tails() {
        for (filter, topic, arrived, wanted) in [
            ("plant/{line}/temp", "all/{line}", "plant/7/temp", Some("all/7")),
            ("plant/{line}/temp", "all/{line}", "plant/7/hum", None),
            ("plant/{line}/temp", "all/{line}", "plant/7/temp/x", None),
            ("{a}/+/{b}", "{b}/{a}/{b}", "x/y/z", Some("z/x/z")),
            ("plant/{line}/#", "all/{line}/#", "plant/7/a/b", Some("all/7/a/b")),
            ("plant/{line}/#", "all/{line}/#", "plant/7/", Some("all/7/")),
            ("plant/{line}/#", "all/{line}/#", "plant/7", Some("all/7")),
            ("#", "from/plant/#", "a/b", Some("from/plant/a/b")),
            ("#", "fixed", "a/b", Some("fixed")),
            ("{a}/x", "t/{a}", "/x", Some("t/")),
        ] {
            assert_eq!(rewritten(filter, topic, arrived).as_deref(), wanted, "{filter} {topic} {arrived}");
        }
    }

    #[test]
    fn what_is_no_route_is_told() {
        let route = |filter| Route::new(filter).unwrap_err();
        assert_eq!(route("a/{b"), RouteError::Level("{b".into()));
        assert_eq!(route("{b}/{b}"), RouteError::Twice("b".into()));
        assert!(matches!(route("#/a"), RouteError::Topic(_)));
        assert_eq!(route("$share/g/a"), RouteError::Shared);
        let template = |topic| Route::new("a/{b}").unwrap().template(topic).unwrap_err();
        assert_eq!(template("x/{c}"), RouteError::Unknown("c".into()));
        assert_eq!(template("x/#"), RouteError::NoRest);
        assert_eq!(template("x/+"), RouteError::Level("+".into()));
    }
}
