//! What a program says that ends with an error of ours: in words, as `main` prints it, and without secrets.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use std::error::Error;
use std::process::Command;
use std::sync::Arc;
use std::{fmt, io};

use packetboat::{
    Client, ConnectError, DialError, Options, OptionsError, PropertiesBuf, Proxy, PublishError, Reason,
    SubscribeError, TlsError, TopicError, TopicFilter, TopicName, UrlError,
};

const CHILD: &str = "PACKETBOAT_TEST_READABLE";

/// What a program prints whose main is the function of that name below.
fn printed_by(main: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let output =
        Command::new(program).args(["--exact", main, "--nocapture"]).env(CHILD, "1").output().unwrap();
    assert!(!output.status.success());
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let line = text.lines().find_map(|line| line.split_once("Error: "));
    line.unwrap_or_else(|| panic!("no error: {text}")).1.to_owned()
}

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

#[tokio::test]
async fn boxed() -> Result<(), Box<dyn Error>> {
    if is_child() {
        Client::connect("mqtt://boat:hunter2@127.0.0.1:1").await?;
    }
    Ok(())
}

#[tokio::test]
async fn own() -> Result<(), ConnectError> {
    if is_child() {
        Client::connect("mqtt://boat:hunter2@127.0.0.1:1").await?;
    }
    Ok(())
}

#[test]
fn topic() -> Result<(), TopicError> {
    if is_child() {
        TopicName::new("a/#")?;
    }
    Ok(())
}

#[test]
fn main_prints_an_error_in_words_whatever_type_it_returns() {
    let refused = io::Error::from_raw_os_error(111);
    for main in ["boxed", "own"] {
        let expected = format!(
            "127.0.0.1:1: it does not take connections ({refused}): check port and firewall, is the broker up?"
        );
        assert_eq!(printed_by(main), expected);
    }
    assert_eq!(
        printed_by("topic"),
        "a topic name cannot contain + or #: wildcards are for subscriptions only"
    );
}

/// Says little itself.
#[derive(Debug)]
struct Terse(io::Error);

impl fmt::Display for Terse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the vault is shut")
    }
}

impl Error for Terse {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[tokio::test]
async fn debug_has_each_cause_once_also_those_that_display_leaves_out() {
    let options = Options::new("mqtt://broker.example").credentials_from(async |_| {
        Err::<packetboat::Credentials, _>(Terse(io::Error::other("who has the key?")))
    });
    let error = Client::connect(options).await.unwrap_err();
    assert_eq!(error.to_string(), "no credentials for broker.example:1883: the vault is shut");
    assert_eq!(format!("{error:?}"), format!("{error}: who has the key?"));
    let told = DialError::Tls(TlsError::Io(Arc::new(io::Error::other("cut off"))));
    assert_eq!(format!("{told:?}"), told.to_string());
    assert_eq!(told.to_string().matches("cut off").count(), 1);
}

#[test]
fn debug_is_words_for_every_kind_and_never_has_what_is_secret() {
    let wrong = TopicFilter::new("a/#/b").unwrap_err();
    let errors: [&dyn Error; 7] = [
        &PublishError::Rejected { reason: packetboat::RejectReason::Full, payload: Some("hunter2".into()) },
        &PublishError::Topic(wrong),
        &SubscribeError::Filter(wrong),
        &SubscribeError::Refused { reason: Reason::NOT_AUTHORIZED, properties: PropertiesBuf::default() },
        &OptionsError::PasswordWithoutUsername,
        &UrlError::NoHost,
        &"socks9://boat:hunter2@proxy.example".parse::<Proxy>().unwrap_err(),
    ];
    for error in errors {
        let (debug, display) = (format!("{error:?}"), error.to_string());
        assert_eq!(debug, display);
        assert_eq!(format!("{error:#?}"), display);
        assert!(debug.contains(' ') && !debug.contains(" { ") && !debug.contains("hunter2"), "{debug}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_told_without_its_password() {
    for url in [
        "mqtt//boat:hunter2@broker.example",
        "mqtt://boat:hunter2@broker.example:port",
        "mqtt://boat:hunter2@",
    ] {
        let error = Client::connect(Options::new(url)).await.unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"), "{error}");
    }
}
