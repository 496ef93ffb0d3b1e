//! What is done with whole trees: variables of the environment put in, and comparing.

use packetboat_config::{ConfigError, Format, Node, Value};

use super::table::Findings;

/// The tree of a file's text.
pub(crate) fn parsed(text: &str, format: Format, file: &str) -> Result<Node, ConfigError> {
    format.parse(text).map_err(|mut problem| {
        file.clone_into(&mut problem.source);
        ConfigError::Wrong(vec![problem])
    })
}

/// Where variables come from.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The tree with `${NAME}` and `${NAME:-otherwise}` replaced in all texts. A variable that is not set and has no other value
/// is a problem; with no findings it stays as it stands.
pub(super) fn expanded(node: &Node, path: &str, lookup: Lookup<'_>, findings: Option<&Findings>) -> Node {
    let value = match &node.value {
        Value::Text(text) => Value::Text(text_expanded(text, lookup, |name| {
            if let Some(findings) = findings {
                let message = format!(
                    "needs the variable `{name}` of the environment, which is not set: set it, or write `${{{name}:-otherwise}}`"
                );
                findings.wrong(node.at, path, message);
            }
        })),
        Value::List(list) => {
            Value::List(list.iter().map(|node| expanded(node, path, lookup, findings)).collect())
        }
        Value::Table(entries) => {
            let entry = |(key, node): &(String, Node)| {
                (key.clone(), expanded(node, &format!("{path}.{key}"), lookup, findings))
            };
            Value::Table(entries.iter().map(entry).collect())
        }
        other => other.clone(),
    };
    Node { at: node.at, value }
}

fn text_expanded(text: &str, lookup: Lookup<'_>, mut missing: impl FnMut(&str)) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let Some(length) = rest[start..].find('}') else { break };
        let (name, otherwise) = match rest[start + 2..start + length].split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (&rest[start + 2..start + length], None),
        };
        out.push_str(&rest[..start]);
        match lookup(name).filter(|value| !value.is_empty() || otherwise.is_none()) {
            Some(value) => out.push_str(&value),
            None if otherwise.is_some() => out.push_str(otherwise.unwrap_or_default()),
            None => {
                missing(name);
                out.push_str(&rest[start..=start + length]);
            }
        }
        rest = &rest[start + length + 1..];
    }
    out + rest
}

/// The environment, and `HOSTNAME` where shells keep it for themselves.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().or_else(|| {
        let system =
            (name == "HOSTNAME").then(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())??;
        Some(system.trim().to_owned())
    })
}

/// Do they say the same? Places and the order of keys do not count.
pub(crate) fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Table(entries), Value::Table(others)) => {
            entries.len() == others.len()
                && entries.iter().all(|(key, node)| other.key(key).is_some_and(|other| same(node, other)))
        }
        (one, other) => one == other,
    }
}

/// A table without some of its keys.
pub(crate) fn without(node: &Node, keys: &[&str]) -> Node {
    let Value::Table(entries) = &node.value else { return node.clone() };
    let kept = entries.iter().filter(|(key, _)| !keys.contains(&key.as_str())).cloned();
    Node { at: node.at, value: Value::Table(kept.collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in() {
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let mut missing = Vec::new();
        let mut expand = |text: &str| text_expanded(text, &lookup, |name| missing.push(name.to_owned()));
        for (text, wanted) in [
            ("x${A}y${A}", "x1y1"),
            ("${A:-2}", "1"),
            ("${B:-2}", "2"),
            ("${EMPTY:-2}${EMPTY}", "2"),
            ("${A", "${A"),
            ("$A {A}", "$A {A}"),
            ("${B}", "${B}"),
        ] {
            assert_eq!(expand(text), wanted, "{text}");
        }
        assert_eq!(missing, ["B"]);
    }
}
