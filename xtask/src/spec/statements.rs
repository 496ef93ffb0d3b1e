//! The tables in `conformance/`.

use std::fs;
use std::path::Path;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Version {
    V311,
    V5,
}

impl Version {
    pub(super) const ALL: [Self; 2] = [Self::V311, Self::V5];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Client,
    Server,
    Both,
}

impl Side {
    pub(super) fn binds_a_client(self) -> bool {
        self != Self::Server
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Both => "both",
        }
    }
}

#[derive(Debug, Eq, PartialEq)]
pub(super) struct Statement {
    pub(super) version: Version,
    pub(super) id: String,
    pub(super) side: Side,
    /// In our own words.
    pub(super) text: String,
    pub(super) note: String,
    /// Why no test can show it, or empty.
    pub(super) untested: String,
}

/// The statements of both versions, in the order of the tables.
pub(super) fn read(root: &Path) -> Result<Vec<Statement>, String> {
    let mut statements = Vec::new();
    for version in Version::ALL {
        let path = format!("conformance/mqtt-{}.csv", version.name());
        let text = fs::read_to_string(root.join(&path)).map_err(|error| format!("{path}: {error}"))?;
        for (index, line) in text.lines().enumerate().skip(1) {
            let statement =
                parse(version, line).ok_or_else(|| format!("{path}:{}: not a statement", index + 1))?;
            if statements.iter().any(|one: &Statement| one.version == version && one.id == statement.id) {
                return Err(format!("{path}:{}: {} is there twice", index + 1, statement.id));
            }
            statements.push(statement);
        }
    }
    Ok(statements)
}

fn parse(version: Version, line: &str) -> Option<Statement> {
    let [id, side, text, note, untested] = fields(line)?.try_into().ok()?;
    let side = match side.as_str() {
        "client" => Side::Client,
        "server" => Side::Server,
        "both" => Side::Both,
        _ => return None,
    };
    let is_whole = id.starts_with("MQTT-") && !text.is_empty();
    is_whole.then_some(Statement { version, id, side, text, note, untested })
}

/// One line of CSV, with quotes where there are any. None: a quote that does not end.
fn fields(line: &str) -> Option<Vec<String>> {
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    (!is_quoted).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_statement() {
        let line = "MQTT-1.5.4-1,both,\"Text, \"\"well-formed\"\".\",,\"Why not.\"";
        let statement = parse(Version::V5, line).unwrap();
        assert_eq!((statement.id.as_str(), statement.side), ("MQTT-1.5.4-1", Side::Both));
        assert_eq!(statement.text, "Text, \"well-formed\".");
        assert_eq!((statement.note.as_str(), statement.untested.as_str()), ("", "Why not."));
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            "MQTT-1,both,text,note",
            "MQTT-1,nobody,text,,",
            "1,both,text,,",
            "MQTT-1,both,,,",
            "MQTT-1,both,\"text,,",
        ] {
            assert_eq!(parse(Version::V5, line), None, "{line}");
        }
    }
}
