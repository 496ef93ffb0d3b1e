//! Writing. Text is quoted as in JSON, which TOML and YAML understand alike.

use std::fmt::Write;

use crate::node::{Node, Value};

pub(super) fn json(node: &Node) -> String {
    json_at(node, 0)
}

fn json_at(node: &Node, depth: usize) -> String {
    match &node.value {
        Value::Table(entries) if !entries.is_empty() => {
            let inner = "  ".repeat(depth + 1);
            let lines = entries
                .iter()
                .map(|(key, value)| format!("{inner}{}: {}", quoted(key), json_at(value, depth + 1)));
            format!("{{\n{}\n{}}}", lines.collect::<Vec<_>>().join(",\n"), "  ".repeat(depth))
        }
        _ => inline(node),
    }
}

/// On one line, as JSON.
pub(crate) fn inline(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Text(text) => quoted(text),
        Value::List(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", quoted(key), inline(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

pub(super) fn toml(node: &Node) -> String {
    let mut out = String::new();
    toml_table(node, "", &mut out);
    out
}

fn toml_table(node: &Node, path: &str, out: &mut String) {
    let Value::Table(entries) = &node.value else { return };
    let (tables, plain): (Vec<_>, Vec<_>) =
        entries.iter().partition(|(_, node)| matches!(node.value, Value::Table(_)));
    if !plain.is_empty() && !path.is_empty() {
        let _ = writeln!(out, "{}[{path}]", if out.is_empty() { "" } else { "\n" });
    }
    for (key, value) in plain {
        let _ = writeln!(out, "{} = {}", bare(key), inline(value));
    }
    for (key, table) in tables {
        let path = if path.is_empty() { bare(key) } else { format!("{path}.{}", bare(key)) };
        toml_table(table, &path, out);
    }
}

pub(super) fn yaml(node: &Node) -> String {
    let mut out = String::new();
    yaml_table(node, 0, &mut out);
    out
}

fn yaml_table(node: &Node, depth: usize, out: &mut String) {
    let Value::Table(entries) = &node.value else { return };
    for (key, value) in entries {
        let _ = write!(out, "{}{}:", "  ".repeat(depth), bare(key));
        match &value.value {
            Value::Table(inner) if !inner.is_empty() => {
                out.push('\n');
                yaml_table(value, depth + 1, out);
            }
            _ => {
                let _ = writeln!(out, " {}", inline(value));
            }
        }
    }
}

/// A key as it stands if it can, quoted if not.
fn bare(key: &str) -> String {
    let is_word = |text: &str| !matches!(text, "true" | "false" | "null");
    let fine = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && is_word(key)
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if fine { key.to_owned() } else { quoted(key) }
}

pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}
