//! The tables of the guides for people who come from elsewhere: what stands in the columns of ours is there.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::items::Items;

/// Names that are Rust's, or another crate's.
const NOT_OURS: [&str; 10] = ["None", "Ok", "Vec", "String", "Bytes", "await", "parse", "vec", "Some", "Err"];

pub(super) fn violations(root: &Path, items: &Items) -> Result<Vec<String>, String> {
    let read = |path: &str| fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"));
    let schema: Value = serde_json::from_str(&read("config/packetboat.schema.json")?)
        .map_err(|error| format!("the schema: {error}"))?;
    let mut names: Vec<String> = fs::read_dir(root.join("docs"))
        .map_err(|error| format!("docs: {error}"))?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name.strip_prefix("from-").is_some_and(|rest| rest.strip_suffix(".md").is_some()))
        .collect();
    names.sort();
    let mut findings = Vec::new();
    for name in names {
        let page = format!("docs/{name}");
        let known = Known { items, schema: &schema };
        findings.extend(
            known
                .unknown(&read(&page)?)
                .into_iter()
                .map(|(line, span, what)| format!("{page}:{line}: `{span}`: there is no public `{what}`")),
        );
    }
    Ok(findings)
}

struct Known<'a> {
    items: &'a Items,
    schema: &'a Value,
}

impl Known<'_> {
    /// The line, what stands there, and the name in it that is none.
    fn unknown(&self, page: &str) -> Vec<(usize, String, String)> {
        let mut findings = Vec::new();
        let mut header: Vec<String> = Vec::new();
        for (number, line) in page.lines().enumerate() {
            if !line.starts_with('|') {
                header.clear();
                continue;
            }
            let cells = cells(line);
            if header.is_empty() {
                header = cells;
                continue;
            }
            let ours = header.iter().position(|title| matches!(title.as_str(), "Here" | "Ours"));
            let Some(cell) = ours.and_then(|column| cells.get(column)) else { continue };
            // The hub has keys of its own beside those of the schema.
            let keys = header[0] == "Key" && header.iter().any(|title| title == "Ours");
            let mut section = String::new();
            for span in cell.split('`').skip(1).step_by(2) {
                let wrong = if keys && is_key(span) {
                    let key =
                        if span.starts_with('.') { format!("{section}{span}") } else { span.to_owned() };
                    key.split('.').next().unwrap_or_default().clone_into(&mut section);
                    (!is_in(self.schema, &key)).then_some(key)
                } else {
                    self.missing(span)
                };
                findings.extend(wrong.map(|what| (number + 1, span.to_owned(), what)));
            }
        }
        findings
    }

    /// The first name in a piece of code that nothing has: of what is called, named by a path, or stands alone.
    fn missing(&self, span: &str) -> Option<String> {
        if span.starts_with("packetboat ") || span.contains("://") || span.starts_with(['<', '/', '"', '&']) {
            return None;
        }
        let (words, alone) = (words(span), span.chars().all(|c| c.is_alphanumeric() || c == '_'));
        words.iter().enumerate().find_map(|(index, (before, word, after))| {
            let is_name = alone
                || matches!(before.as_str(), "." | "::")
                || after == "("
                || word.starts_with(char::is_uppercase);
            if !is_name || NOT_OURS.contains(&word.as_str()) || word.starts_with(|c: char| c.is_ascii_digit())
            {
                return None;
            }
            let last = index.checked_sub(1).map(|index| &words[index]);
            let owner = last.map(|(_, owner, _)| owner.as_str());
            let of_type = owner
                .filter(|owner| before == "::" && owner.len() > 1 && owner.starts_with(char::is_uppercase));
            // A variable is called as what it holds: `client.publish(..)`.
            let holds =
                last.filter(|(head, _, next)| before == "." && next == "." && head != "." && head != "::");
            let holds = holds.map(|(_, owner, _)| camel(owner)).filter(|kind| self.items.has_kind(kind));
            let is_known = match (of_type, holds) {
                (Some(owner), _) => self.items.has_member(owner, word),
                (None, Some(kind)) => self.items.kind_has_member(&kind, word),
                // Keys of the hub's configuration stand alone.
                _ => self.items.has(word) || alone && self.items.has_quoted(word),
            };
            (!is_known).then(|| match owner {
                Some(owner) if before == "::" => format!("{owner}::{word}"),
                _ => word.clone(),
            })
        })
    }
}

/// `message_broker` is `MessageBroker`.
fn camel(snake: &str) -> String {
    let big = |part: &str| {
        part.chars().take(1).flat_map(char::to_uppercase).chain(part.chars().skip(1)).collect::<String>()
    };
    snake.split('_').map(big).collect()
}

/// Of a row of a table; a bar behind a backslash is text.
fn cells(line: &str) -> Vec<String> {
    let line = line.replace("\\|", "\u{0}");
    let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// `reconnect.maximum`, `.maximum`, `tls.*`.
fn is_key(span: &str) -> bool {
    span.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '.' | '*'))
}

fn is_in(schema: &Value, key: &str) -> bool {
    key.trim_end_matches(".*")
        .split('.')
        .try_fold(schema, |schema, part| schema.get("properties").and_then(|properties| properties.get(part)))
        .is_some()
}

/// The words of a piece of code that are not in quotes, with the signs right before and behind them.
fn words(span: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let quoted: String = span
        .split('"')
        .enumerate()
        .map(|(index, part)| if index % 2 == 0 { part.to_owned() } else { " ".repeat(part.len()) })
        .collect();
    // `..` is what is left out.
    let code: Vec<char> = quoted.replace("..", "  ").chars().collect();
    let is_word = |character: &char| character.is_alphanumeric() || *character == '_';
    let mut at = 0;
    while at < code.len() {
        let length = code[at..].iter().take_while(|character| is_word(character)).count();
        if length > 0 {
            let before = match (at.checked_sub(2).map(|at| code[at]), at.checked_sub(1).map(|at| code[at])) {
                (Some(':'), Some(':')) => "::".to_owned(),
                (_, Some(character)) => character.to_string(),
                _ => String::new(),
            };
            let after = code.get(at + length).map(char::to_string).unwrap_or_default();
            found.push((before, code[at..at + length].iter().collect(), after));
        }
        at += length.max(1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    #[test]
    fn the_guides_of_this_project_name_what_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let items = Items::of(&super::super::source::read_all(&root).unwrap_or_default());
        assert_eq!(Ok(Vec::new()), violations(&root, &items));
    }

    #[test]
    fn names_that_are_not_there_are_found_in_the_columns_of_ours() {
        let text = "pub struct Options { pub will: u8 }\nimpl Options { pub fn new() {} pub fn tls(self) {} }\n\
                    pub enum Reason { Full }\nimpl Client { pub fn publish(&self) {} }\n";
        let items = Items::of(&[Source::new("client/src/a.rs", text)]);
        let schema = serde_json::json!({"properties": {"tls": {"properties": {"key": {}}}}});
        let known = Known { items: &items, schema: &schema };
        let rows = |head: &str, rows: &[&str]| {
            let table: Vec<String> = rows.iter().map(|row| format!("| x | {row} | `gone()` |")).collect();
            known.unknown(&format!("| {head} | |\n| --- | --- | --- |\n{}\n", table.join("\n")))
        };
        let good = [
            "`Options::new(url).tls(..)`, `options.tls(..)`, `client.publish(topic, \"a.b()\").await`, `Reason::Full`, `will`",
            "`packetboat pub`, `mqtt://host/path`, nothing",
        ];
        assert_eq!(rows("Other | Here", &good), []);
        for bad in [
            "`Options::full`",
            "`client.publisch(topic)`",
            "`client.tls(..)`",
            "`options.publish`",
            "`tls(Tls::new())`",
            "`keep`",
            "`Reason::tls`",
        ] {
            assert_eq!(rows("Other | Here", &[bad]).len(), 1, "{bad}");
            assert_eq!(rows("Other | There", &[bad]).len(), 0, "{bad}");
        }
        assert_eq!(rows("Key | Ours", &["`tls.key`, `.key`, `tls.*`, `Options::new`"]), []);
        for bad in ["`tls.certificate`", "`tls.key`, `.pin`", "`key`"] {
            assert_eq!(rows("Key | Ours", &[bad]).len(), 1, "{bad}");
        }
    }
}
