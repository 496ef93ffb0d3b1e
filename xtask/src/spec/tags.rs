//! Tags: comments above a test that name the statements it shows.
//!
//! ```text
//! // Spec 3.1.1: MQTT-3.1.2-23
//! // Spec 5.0: MQTT-3.1.2-20 MQTT-3.1.2-21
//! #[test]
//! ```

use super::statements::Version;

#[derive(Debug, Eq, PartialEq)]
pub(super) struct Tag {
    pub(super) version: Version,
    pub(super) id: String,
    /// `file::name` of the test.
    pub(super) test: String,
    /// `file:line` of the comment.
    pub(super) place: String,
}

/// The tags of a file, and what is wrong with others.
pub(super) fn find(path: &str, text: &str) -> (Vec<Tag>, Vec<String>) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let (mut tags, mut wrong) = (Vec::new(), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        let Some(rest) = line.strip_prefix("// Spec ") else { continue };
        let place = format!("{path}:{}", index + 1);
        let Some((version, ids)) = parse(rest) else {
            wrong.push(format!("{place}: not a tag (// Spec 5.0: MQTT-3.1.2-20)"));
            continue;
        };
        let Some(name) = test_beneath(&lines[index..]) else {
            wrong.push(format!("{place}: no test beneath this tag"));
            continue;
        };
        tags.extend(ids.into_iter().map(|id| Tag {
            version,
            id: id.to_owned(),
            test: format!("{path}::{name}"),
            place: place.clone(),
        }));
    }
    (tags, wrong)
}

fn parse(tag: &str) -> Option<(Version, Vec<&str>)> {
    let (name, ids) = tag.split_once(": ")?;
    let version = Version::ALL.into_iter().find(|version| version.name() == name)?;
    let ids: Vec<&str> = ids.split_whitespace().collect();
    let are_ids = !ids.is_empty() && ids.iter().all(|id| id.starts_with("MQTT-"));
    are_ids.then_some((version, ids))
}

/// The name of the test that the first line belongs to: comments and attributes are all that is between.
fn test_beneath<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let end = lines.iter().position(|line| !line.starts_with("//") && !line.starts_with("#["))?;
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    if !lines[..end].iter().any(is_test) {
        return None;
    }
    let head = lines[end].strip_prefix("async ").unwrap_or(lines[end]);
    head.strip_prefix("fn ")?.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_its_test() {
        let text = "/// Why.\n// Spec 3.1.1: MQTT-1\n// Spec 5.0: MQTT-2 MQTT-3\n#[tokio::test(start_paused = true)]\n\
                    async fn it_is_so() {}\n";
        let (tags, wrong) = find("a.rs", text);
        assert!(wrong.is_empty(), "{wrong:?}");
        let seen: Vec<_> = tags.iter().map(|tag| (tag.version.name(), tag.id.as_str())).collect();
        assert_eq!(seen, [("3.1.1", "MQTT-1"), ("5.0", "MQTT-2"), ("5.0", "MQTT-3")]);
        assert!(tags.iter().all(|tag| tag.test == "a.rs::it_is_so"));
        assert_eq!(tags[2].place, "a.rs:3");
    }

    #[test]
    fn a_tag_that_helps_nobody_is_found() {
        for text in [
            "// Spec 5.0: MQTT-1\nfn no_test() {}\n",
            "// Spec 5.0: MQTT-1\n\n#[test]\nfn apart() {}\n",
            "// Spec 5.0: MQTT-1\n",
            "// Spec 4.0: MQTT-1\n#[test]\nfn a() {}\n",
            "// Spec 5.0: 1.2.3-4\n#[test]\nfn a() {}\n",
            "// Spec 5.0: \n#[test]\nfn a() {}\n",
            "// Spec 5.0 MQTT-1\n#[test]\nfn a() {}\n",
        ] {
            let (tags, wrong) = find("a.rs", text);
            assert_eq!((tags.len(), wrong.len()), (0, 1), "{text}");
        }
    }
}
