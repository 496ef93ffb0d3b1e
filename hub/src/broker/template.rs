//! Texts with `${name}` in them: read backwards they say which message ids a pipe takes, forwards what its options become.

use std::fmt;
use std::sync::Arc;

use super::protocol::MACROS;
use crate::config::{Key, Table};

/// What stands for `${name}`, by name. Clones share it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Variables(Arc<[(String, String)]>);

impl Variables {
    /// The value of a variable.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A text with variables in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Variable(String),
}

impl Template {
    /// Reads a text. An error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, behind)) = after.split_once('}') else {
                return Err(format!("has `${{{after}` without `}}`"));
            };
            if name.is_empty() {
                return Err("has `${}`, a variable without a name".to_owned());
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Variable(name.to_owned()));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// A key of a table: a text that must be there, and may have these variables in it and those of every message.
    pub(crate) fn needed(table: &Table<'_>, key: impl Key, why: &str, variables: &[&str]) -> Option<Self> {
        let wrong = match Self::parse(table.needed(key, why)?) {
            Err(wrong) => wrong,
            Ok(template) => {
                let known = |name: &str| variables.contains(&name) || MACROS.contains(&name);
                let Some(unknown) = template.names().find(|name| !known(name)) else { return Some(template) };
                let all: Vec<String> =
                    variables.iter().chain(&MACROS).map(|name| format!("${{{name}}}")).collect();
                format!("has `${{{unknown}}}`, which nothing says here: there are {}", all.join(", "))
            }
        };
        table.wrong(key, wrong);
        None
    }

    /// A text without variables, whatever it is.
    pub(crate) fn fixed(text: &str) -> Self {
        let parts = if text.is_empty() { Vec::new() } else { vec![Part::Text(text.to_owned())] };
        Self { text: text.to_owned(), parts }
    }

    /// The names of its variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(&**name),
            Part::Text(_) => None,
        })
    }

    /// The text up to the first variable.
    #[must_use]
    pub fn beginning(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// With a value for each variable; an unknown one stays as it is written.
    #[must_use]
    pub fn expand<V: fmt::Display>(&self, value: impl Fn(&str) -> Option<V>) -> String {
        use fmt::Write;
        let mut out = String::with_capacity(self.text.len());
        for part in &self.parts {
            let _ = match part {
                Part::Text(text) => out.write_str(text),
                Part::Variable(name) => match value(name) {
                    Some(value) => write!(out, "{value}"),
                    None => write!(out, "${{{name}}}"),
                },
            };
        }
        out
    }

    /// What its variables must be for it to be this text; `None`: it cannot be. Where there is a choice, earlier variables
    /// take as much as they can. A variable may be empty.
    #[must_use]
    pub fn match_text(&self, text: &str) -> Option<Variables> {
        let mut found = Vec::new();
        let mut end = text.len();
        for (at, part) in self.parts.iter().enumerate().rev() {
            match part {
                Part::Text(literal) if at == 0 => {
                    if text.get(..end)? != literal {
                        return None;
                    }
                    end = 0;
                }
                // Nothing variable behind it: it ends the text.
                Part::Text(literal) if at + 1 == self.parts.len() => {
                    end = text.strip_suffix(&**literal)?.len();
                }
                // The variable behind it has taken what it needs: handled there.
                Part::Text(literal) => end -= literal.len(),
                Part::Variable(name) => {
                    let start = match at.checked_sub(1).map(|before| (before, &self.parts[before])) {
                        None => 0,
                        Some((0, Part::Text(literal))) => {
                            let rest = text.get(..end)?.strip_prefix(&**literal)?;
                            end - rest.len()
                        }
                        // Behind the last place where the text before it stands.
                        Some((_, Part::Text(literal))) => text.get(..end)?.rfind(&**literal)? + literal.len(),
                        Some((_, Part::Variable(_))) => end,
                    };
                    found.push((name.clone(), text.get(start..end)?.to_owned()));
                    end = start;
                }
            }
        }
        found.reverse();
        (end == 0).then(|| found.into_iter().collect())
    }
}

/// As it was written.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(pattern: &str, text: &str) -> Option<Vec<String>> {
        let variables = Template::parse(pattern).unwrap().match_text(text)?;
        Some(variables.iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn a_pattern_is_anchored_and_nothing_in_it_is_a_wildcard() {
        assert_eq!(matched("data", "data"), Some(vec![]));
        for other in ["big_data", "data2", "dat", "", "DATA"] {
            assert_eq!(matched("data", other), None, "{other}");
        }
        assert_eq!(matched("a.c", "a.c"), Some(vec![]));
        assert_eq!(matched("a.c", "abc"), None);
        assert_eq!(matched("[x]*(y)", "[x]*(y)"), Some(vec![]));
        assert_eq!(matched("", ""), Some(vec![]));
        assert_eq!(matched("", "a"), None);
    }

    #[test]
    fn variables_take_what_is_between() {
        let all = |pairs: &[&str]| Some(pairs.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(matched("image_${camera}", "image_left"), all(&["camera=left"]));
        assert_eq!(matched("image_${camera}", "an image_left"), None);
        assert_eq!(matched("${a}-${b}", "1-2"), all(&["a=1", "b=2"]));
        assert_eq!(matched("${a}-${b}", "1-2-3"), all(&["a=1-2", "b=3"]));
        assert_eq!(matched("x-${a}-${b}.jpg", "x-1-2-3.jpg"), all(&["a=1-2", "b=3"]));
        assert_eq!(matched("x-${a}-${b}.jpg", "x-1.jpg"), None);
        assert_eq!(matched("x-${a}-y", "x-y"), None);
        assert_eq!(matched("x-${a}-y", "x--y"), all(&["a="]));
        assert_eq!(matched("${a}${b}", "123"), all(&["a=123", "b="]));
        assert_eq!(matched("ä${a}ö", "ä€ö"), all(&["a=€"]));
        assert_eq!(matched("aa${x}aa", "aaa"), None);
        assert_eq!(
            matched("file-target_${workflow-path}-${ext}", "file-target_/tmp/a-b-jpg").unwrap().len(),
            2
        );
    }

    #[test]
    fn a_template_is_filled_in() {
        let template = Template::parse("up/${device}/${x}$").unwrap();
        assert_eq!(template.names().collect::<Vec<_>>(), ["device", "x"]);
        assert_eq!(template.beginning(), "up/");
        assert_eq!(template.expand(|name| (name == "device").then_some("d7")), "up/d7/${x}$");
        assert_eq!(template.to_string(), "up/${device}/${x}$");
    }

    #[test]
    fn wrong_templates_say_what_is_wrong() {
        assert!(Template::parse("a/${b").unwrap_err().contains("without `}`"));
        assert!(Template::parse("a/${}").unwrap_err().contains("without a name"));
    }
}
