//! JSON with comments.

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use crate::Problem;
use crate::node::{Node, Position, Value};

pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options).map_err(|error| {
        let at = Position { line: error.line_display(), column: error.column_display() };
        Problem::new(Some(at), "", error.kind().to_string())
    })?;
    match parsed.value {
        Some(value) => node(text, &value),
        None => Ok(Value::Table(Vec::new()).into()),
    }
}

fn node(text: &str, from: &ast::Value<'_>) -> Result<Node, Problem> {
    let at = Position::of(text, from.range().start);
    let value = match from {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::StringLit(literal) => Value::Text(literal.value.to_string()),
        ast::Value::NumberLit(literal) => number(literal.value)
            .ok_or_else(|| Problem::new(Some(at), "", format!("{} is no number", literal.value)))?,
        ast::Value::Array(array) => {
            Value::List(array.elements.iter().map(|element| node(text, element)).collect::<Result<_, _>>()?)
        }
        ast::Value::Object(object) => {
            let mut entries: Vec<(String, Node)> = Vec::new();
            for property in &object.properties {
                let key = property.name.as_str();
                let at = Position::of(text, property.range.start);
                if entries.iter().any(|(other, _)| other == key) {
                    return Err(Problem::new(Some(at), key, "is there twice".to_owned()));
                }
                entries.push((key.to_owned(), Node { at: Some(at), ..node(text, &property.value)? }));
            }
            Value::Table(entries)
        }
    };
    Ok(Node { at: Some(at), value })
}

fn number(text: &str) -> Option<Value> {
    text.parse().map(Value::Integer).ok().or_else(|| text.parse().map(Value::Float).ok())
}
