//! YAML.

use saphyr::{LoadableYamlNode, MarkedYaml, Marker, Scalar, YamlData};

use crate::Problem;
use crate::node::{Node, Position, Value};

/// Deeper is no configuration.
const DEPTH: usize = 32;

pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let documents = MarkedYaml::load_from_str(text)
        .map_err(|error| Problem::new(Some(position(error.marker())), "", error.info().to_owned()))?;
    match documents.as_slice() {
        [] => Ok(Value::Table(Vec::new()).into()),
        [one] => node(one, DEPTH),
        [_, second, ..] => {
            let at = position(&second.span.start);
            Err(Problem::new(Some(at), "", "a second document begins: one is enough".to_owned()))
        }
    }
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

fn node(from: &MarkedYaml<'_>, depth: usize) -> Result<Node, Problem> {
    let at = position(&from.span.start);
    let wrong = |what: &str| Problem::new(Some(at), "", what.to_owned());
    if depth == 0 {
        return Err(wrong("too deep"));
    }
    let value = match &from.data {
        YamlData::Value(Scalar::Null) => Value::Null,
        YamlData::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        YamlData::Value(Scalar::Integer(value)) => Value::Integer(*value),
        YamlData::Value(Scalar::FloatingPoint(value)) => Value::Float(value.into_inner()),
        YamlData::Value(Scalar::String(text)) => Value::Text(text.to_string()),
        YamlData::Sequence(list) => {
            Value::List(list.iter().map(|element| node(element, depth - 1)).collect::<Result<_, _>>()?)
        }
        YamlData::Mapping(mapping) => {
            let mut entries = Vec::new();
            for (key, value) in mapping {
                let YamlData::Value(Scalar::String(name)) = &key.data else {
                    let at = position(&key.span.start);
                    return Err(Problem::new(Some(at), "", "a key must be text".to_owned()));
                };
                let at = Some(position(&key.span.start));
                entries.push((name.to_string(), Node { at, ..node(value, depth - 1)? }));
            }
            Value::Table(entries)
        }
        _ => return Err(wrong("tags, aliases and the like have no meaning here")),
    };
    Ok(Node { at: Some(at), value })
}
