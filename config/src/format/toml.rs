//! TOML.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Problem;
use crate::node::{Node, Position, Value};

pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map(|span| Position::of(text, span.start));
        Problem::new(at, "", error.message().to_owned())
    })?;
    Ok(Node { at: None, value: self::table(text, table.get_ref())? })
}

fn table(text: &str, from: &DeTable<'_>) -> Result<Value, Problem> {
    let entries = from.iter().map(|(key, value)| {
        let at = Position::of(text, key.span().start);
        Ok((key.get_ref().to_string(), Node { at: Some(at), ..node(text, value)? }))
    });
    let mut entries: Vec<(String, Node)> = entries.collect::<Result<_, Problem>>()?;
    // As written.
    entries.sort_by_key(|(_, node)| node.at);
    Ok(Value::Table(entries))
}

fn node(text: &str, from: &Spanned<DeValue<'_>>) -> Result<Node, Problem> {
    let at = Position::of(text, from.span().start);
    let number = |text: &str| Problem::new(Some(at), "", format!("{text} is no number that can be used"));
    let value = match from.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(integer) => Value::Integer(
            i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| number(integer.as_str()))?,
        ),
        DeValue::Float(float) => Value::Float(float.as_str().parse().map_err(|_| number(float.as_str()))?),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(array) => {
            Value::List(array.iter().map(|element| node(text, element)).collect::<Result<_, _>>()?)
        }
        DeValue::Table(inner) => table(text, inner)?,
    };
    Ok(Node { at: Some(at), value })
}
