//! The published JSON Schema: a validator and the reader of files judge alike.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use packetboat_config::{Config, Format, json_schema};
use serde_json::json;

/// What is published, as the first test shows.
fn schema() -> serde_json::Value {
    serde_json::from_str(&json_schema()).expect("it is JSON without comments")
}

#[test]
fn the_published_schema_is_that_of_this_code_and_a_schema() {
    let published = concat!(env!("CARGO_MANIFEST_DIR"), "/packetboat.schema.json");
    if std::env::var_os("PACKETBOAT_WRITE_SCHEMA").is_some() {
        std::fs::write(published, json_schema()).unwrap();
    }
    let text = std::fs::read_to_string(published).unwrap();
    assert!(
        text == json_schema(),
        "write it anew: PACKETBOAT_WRITE_SCHEMA=1 cargo test -p packetboat-config --test schema"
    );
    let schema = serde_json::from_str(&text).unwrap();
    jsonschema::meta::validate(&schema).expect("it keeps to the schema of schemas");
}

/// Does the validator take it? Does the reader?
fn judge(validator: &jsonschema::Validator, instance: &serde_json::Value) -> bool {
    let by_schema = validator.is_valid(instance);
    let text = instance.to_string();
    let read = Config::parse(&text, Format::Json);
    assert_eq!(by_schema, read.is_ok(), "{text}: {read:?}, and the schema says {by_schema}");
    by_schema
}

/// In our keys, though some of them are another system's, too.
fn with(path: &str, value: &serde_json::Value) -> serde_json::Value {
    path.rsplit('.').fold(value.clone(), |inner, name| json!({ name: inner }))
}

/// Every key with the values that its type allows, just allows, and does not allow.
#[test]
fn the_schema_and_the_reader_take_and_refuse_the_same_values_of_every_key() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let long = u64::from(u32::MAX);
    let all = [
        json!(null),
        json!(true),
        json!(false),
        json!(-1),
        json!(0),
        json!(0.5),
        json!(-0.5),
        json!(1),
        json!(2),
        json!(3),
        json!(15),
        json!(16),
        json!(127),
        json!(128),
        json!(255),
        json!(256),
        json!(65_535),
        json!(65_536),
        json!(268_435_460),
        json!(268_435_461),
        json!(long),
        json!(long + 1),
        json!(1e300),
        json!(i64::MAX),
        json!(""),
        json!("x"),
        json!("yes"),
        json!("auto"),
        json!("1.3"),
        json!("full"),
        json!("clean"),
        json!("wait"),
        json!("stop"),
        json!([]),
        json!(["x"]),
        json!(["x", 1]),
        json!(["0f".repeat(32)]),
        json!([vec!["0F"; 32].join(":")]),
        json!(["0f".repeat(31)]),
        json!(["0g".repeat(32)]),
        json!(["0f".repeat(33)]),
        json!(["+f".repeat(32)]),
        json!(["ä".repeat(32)]),
        json!({}),
        json!({ "x": "y" }),
        json!({ "x": 1 }),
        json!({ "x": {} }),
        json!({ "x": { "qos": 2 } }),
        json!({ "x": { "qos": 3 } }),
        json!({ "x": { "retain": true } }),
        json!({ "x": { "retain": "yes" } }),
        json!({ "x": { "qso": 2 } }),
    ];
    let paths = paths(&schema);
    assert!(paths.len() > 90, "{paths:?}");
    for path in paths {
        let judged: Vec<bool> = all.iter().map(|value| judge(&validator, &with(&path, value))).collect();
        assert!(judged.contains(&true) && judged.contains(&false), "{path}: {judged:?}");
    }
    for wrong in [json!([]), json!("x"), json!({ "tls": 3 }), json!({ "tls": { "x": 1 } }), json!({ "x": 1 })]
    {
        assert!(!judge(&validator, &wrong), "{wrong}");
    }
}

/// The samples, whatever their format: what is in them, held against the schema.
#[test]
fn the_schema_takes_the_samples() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let samples = [
        (include_str!("../examples/boat.toml"), Format::Toml),
        (include_str!("samples/everything.toml"), Format::Toml),
        (include_str!("samples/everything.json"), Format::Json),
        (include_str!("samples/everything.yaml"), Format::Yaml),
    ];
    let mut written = Vec::new();
    for (text, format) in samples {
        let config = Config::parse(text, format).unwrap_or_else(|error| panic!("{format:?}: {error}"));
        assert_eq!(config.warnings(), []);
        config.options().unwrap_or_else(|error| panic!("{format:?}: {error}"));
        let said = Format::Json.write(&format.parse(text).unwrap());
        let instance = serde_json::from_str(&said).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&instance).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{format:?}: {wrong:?}");
        written.push(config.write(Format::Json));
    }
    assert!(written[1] == written[2] && written[2] == written[3], "{written:?}");
    let said: serde_json::Value = serde_json::from_str(&written[1]).unwrap();
    let unsaid: Vec<String> = paths(&schema())
        .into_iter()
        .filter(|path| path.split('.').try_fold(&said, |table, name| table.get(name)).is_none())
        .collect();
    // Those of OpenSSL do not go together with the others, nor do password and file.
    let alone = ["password", "tls.cipher_suites", "tls.ciphers", "tls.psk_identity", "tls.psk_key"];
    assert_eq!(unsaid, alone, "the samples say all the others");
}

/// All keys, sorted.
fn paths(schema: &serde_json::Value) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, property) in schema["properties"].as_object().unwrap() {
        match property["properties"].as_object() {
            Some(inner) => paths.extend(inner.keys().map(|key| format!("{name}.{key}"))),
            // Also a table whose keys are the user's.
            None => paths.push(name.clone()),
        }
    }
    paths
}
