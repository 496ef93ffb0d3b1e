//! Targets that are no brokers of MQTT: files and servers of HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use common::folder::{Folder, files};
use common::server::{FINE, Server, server, server_behind};
use common::within;
use packetboat_hub::broker::{DeliveryError, Failed};
use packetboat_hub::{MessageBroker, Payload};
use tokio::sync::mpsc;

async fn initialised(config: String) -> MessageBroker {
    let broker = MessageBroker::builder().config(config).unique(true).create().unwrap();
    broker.initialise().await.unwrap_or_else(|error| panic!("{error}"));
    broker
}

/// One target and its pipes: message id, options.
fn config(protocol: &str, options: &str, pipes: &[(&str, &str)]) -> String {
    let pipes: Vec<String> = pipes
        .iter()
        .map(|(id, message)| {
            format!(
                r#"{{ "message_id": "{id}", "destinations": [
                    {{ "target_name": "t", "{protocol}_message_options": {{ {message} }} }}] }}"#
            )
        })
        .collect();
    format!(
        r#"{{ "targets": [{{ "protocol": "{protocol}", "name": "t", "{protocol}_options": {{ {options} }} }}],
             "pipes": [{}] }}"#,
        pipes.join(",")
    )
}

async fn delivered(broker: &MessageBroker, id: &str, payload: impl Into<Payload>) {
    within(broker.publish(id, payload))
        .await
        .unwrap()
        .into_result()
        .unwrap_or_else(|error| panic!("{error}"));
}

async fn failed(broker: &MessageBroker, id: &str, payload: impl Into<Payload>) -> DeliveryError {
    let failed = within(broker.publish(id, payload)).await.unwrap().into_result().unwrap_err();
    let Failed(report) = failed;
    report.into_deliveries().remove(0).outcome.unwrap_err()
}

#[tokio::test]
async fn a_message_becomes_a_file_named_by_what_is_known_of_it() {
    let folder = Folder::new("file-names");
    let directory = folder.0.join("made/when/missing");
    let broker = initialised(config(
        "file",
        "",
        &[
            (
                "m",
                &format!(
                    r#""directory": "{}", "filename": "${{timestamp}}_${{id}}-${{c_id}}.txt""#,
                    directory.display()
                ),
            ),
            (
                "n",
                &format!(
                    r#""directory": "{}", "filename": "${{count}}.txt", "extension": ".ignored""#,
                    directory.display()
                ),
            ),
            (
                "x_${kind}_${ext}",
                &format!(r#""directory": "{}/${{kind}}", "filename": "all.${{ext}}""#, folder.0.display()),
            ),
        ],
    ))
    .await;
    let payload = Payload::new("hello world").correlation_id("c").timestamp(std::time::UNIX_EPOCH);
    delivered(&broker, "m", payload.clone()).await;
    delivered(&broker, "n", "first").await;
    delivered(&broker, "n", "second").await;
    delivered(&broker, "x_images_jpg", "old").await;
    delivered(&broker, "x_images_jpg", "new").await;
    let name = format!("made/when/missing/0_{}-c.txt", payload.id());
    assert_eq!(folder.file(&name), "hello world");
    assert_eq!(folder.file("made/when/missing/0.txt"), "first");
    assert_eq!(folder.file("made/when/missing/1.txt"), "second");
    assert_eq!(folder.file("images/all.jpg"), "new");
    assert_eq!(files(&folder.0).len(), 4, "nothing unfinished stays");
}

#[tokio::test]
async fn no_message_gets_out_of_its_directory() {
    let folder = Folder::new("file-inside");
    let inside = folder.0.join("in");
    let broker = initialised(config(
        "file",
        &format!(r#""directory": "{}""#, inside.display()),
        &[
            ("m", r#""filename": "${c_id}""#),
            ("d_${where}", &format!(r#""directory": "{}/${{where}}", "filename": "f""#, inside.display())),
        ],
    ))
    .await;
    for id in ["../out", "/tmp/packetboat-out", "..", "", "a/b", "a\\b", "a\nb"] {
        let error = failed(&broker, "m", Payload::new("x").correlation_id(id)).await;
        assert!(matches!(error, DeliveryError::Refused(_)), "{id:?}: {error}");
    }
    for id in ["d_..", "d_/tmp", "d_a/../../.."] {
        let error = failed(&broker, id, "x").await;
        assert!(error.to_string().contains("`${where}`"), "{id:?}: {error}");
    }
    delivered(&broker, "m", Payload::new("x").correlation_id("fine")).await;
    delivered(&broker, "d_a/b", "x").await;
    assert_eq!(files(&folder.0), ["in/a/b/f", "in/fine"]);
}

#[tokio::test]
async fn publishers_may_name_any_directory_if_the_target_says_so() {
    let folder = Folder::new("file-any");
    let broker = initialised(config(
        "file",
        r#""any_directory": true, "sync": false"#,
        &[(
            "file-target_${workflow-path}-${ext}",
            r#""directory": "${workflow-path}/", "filename": "${c_id}.${ext}""#,
        )],
    ))
    .await;
    let id = format!("file-target_{}-jpg", folder.0.display());
    delivered(&broker, &id, Payload::new("x").correlation_id("c")).await;
    assert_eq!(folder.file("c.jpg"), "x");
}

#[tokio::test]
async fn a_batch_is_its_manifest_and_if_wanted_its_payloads_too() {
    let folder = Folder::new("file-batches");
    let broker = initialised(config(
        "file",
        &format!(r#""directory": "{}""#, folder.0.display()),
        &[
            ("m", r#""filename": "${c_id}""#),
            ("all", r#""filename": "${c_id}", "batch_payload_expansion": true"#),
        ],
    ))
    .await;
    let part = |name: &str| Payload::new(format!("of {name}")).correlation_id(name);
    let batch = Payload::batch([part("a"), Payload::batch([part("b")]).correlation_id("inner")]);
    let batch = batch.correlation_id("outer");
    delivered(&broker, "m", batch.clone()).await;
    assert_eq!(files(&folder.0), ["outer"]);
    delivered(&broker, "all", batch.clone()).await;
    assert_eq!(files(&folder.0), ["a", "b", "inner", "outer"]);
    assert_eq!((folder.file("a"), folder.file("b")), ("of a".to_owned(), "of b".to_owned()));
    assert_eq!(folder.file("outer").as_bytes(), batch.bytes());
    assert!(folder.file("inner").contains("\"count\": 1"), "{}", folder.file("inner"));
    let error = failed(&broker, "all", Payload::batch([part("a/b")]).correlation_id("c")).await;
    assert!(error.to_string().contains("a/b"), "{error}");
}

#[tokio::test]
async fn a_disk_that_refuses_is_an_error_that_names_the_file() {
    let folder = Folder::new("file-refused");
    fs::write(folder.0.join("file"), "in the way").unwrap();
    fs::create_dir(folder.0.join("folder")).unwrap();
    let broker = initialised(config(
        "file",
        &format!(r#""directory": "{}""#, folder.0.display()),
        &[("m", r#""filename": "file/below""#), ("n", r#""filename": "folder""#)],
    ))
    .await;
    for (id, name) in [("m", "file/below"), ("n", "folder")] {
        let error = failed(&broker, id, "x").await.to_string();
        assert!(error.contains(&folder.0.join(name).display().to_string()), "{error}");
    }
    assert_eq!(files(&folder.0), ["file"], "nothing unfinished stays");
}

#[tokio::test]
async fn files_are_written_in_the_order_of_the_calls() {
    let folder = Folder::new("file-order");
    let broker = initialised(config(
        "file",
        &format!(r#""directory": "{}", "sync": false"#, folder.0.display()),
        &[("m", r#""filename": "f""#)],
    ))
    .await;
    let (sender, mut told) = mpsc::unbounded_channel();
    for number in 0..100 {
        let sender = sender.clone();
        broker
            .publish_async("m", number.to_string(), move |done| sender.send(done.is_ok()).unwrap())
            .unwrap();
    }
    for _ in 0..100 {
        assert!(within(told.recv()).await.unwrap());
    }
    assert_eq!(folder.file("f"), "99");
}

#[tokio::test]
async fn files_have_no_subscriptions_and_need_their_options() {
    let text = r#"{ "targets": [{ "protocol": "file", "name": "t", "file_options": {},
        "file_subscriptions": [{ "subscription_id": "s" }] }],
        "pipes": [{ "message_id": "m", "destinations": [
            { "target_name": "t", "file_message_options": { "filename": "a" } },
            { "target_name": "t", "file_message_options": { "directory": "a", "filename": "../b" } },
            { "target_name": "t", "file_message_options": { "directory": "a", "filename": "${nobody}" } }] }] }"#;
    let broker = MessageBroker::builder().config(text).unique(true).create().unwrap();
    let said = broker.initialise().await.unwrap_err().to_string();
    for part in [
        "`targets[0].file_subscriptions[0]` cannot be",
        "destinations[0].file_message_options.directory` is missing",
        "destinations[1].file_message_options.filename` is \"../b\", which is no file below a directory",
        "destinations[2].file_message_options.filename` has `${nobody}`",
    ] {
        assert!(said.contains(part), "{part}\n--\n{said}");
    }
}

#[tokio::test]
async fn a_message_becomes_a_post() {
    let (url, mut asked) = server(&[FINE, FINE]).await;
    let broker = initialised(config(
        "http",
        &format!(r#""url": "{url}/api", "headers": {{ "Authorization": "Bearer token", "X-One": "target" }}"#),
        &[
            ("m", ""),
            ("x_${id}", r#""path": "/in/${id}?c=${c_id}", "content_type": "text/plain", "headers": { "x-one": "pipe" }"#),
        ],
    ))
    .await;
    delivered(&broker, "m", vec![0, 255]).await;
    let (head, body) = within(asked.recv()).await.unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /api http/1.1\r\n"), "{head}");
    for line in [
        "authorization: bearer token",
        "x-one: target",
        "content-type: application/octet-stream",
        "content-length: 2",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}\n{head}");
    }
    assert_eq!(body, [0, 255]);
    delivered(&broker, "x_a b", Payload::new("text").correlation_id("1&2")).await;
    let (head, body) = within(asked.recv()).await.unwrap();
    assert!(head.starts_with("POST /api/in/a%20b?c=1%262 HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(
        head.contains("\r\ncontent-type: text/plain\r\n") && head.contains("\r\nx-one: pipe\r\n"),
        "{head}"
    );
    assert_eq!(body, b"text");
}

#[tokio::test]
async fn what_a_server_answers_decides_what_became_of_a_message() {
    let answers = [
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 12\r\n\r\nno such tea.",
        "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
        "SSH-2.0-none\r\n",
        FINE,
    ];
    let (url, _asked) = server(&answers).await;
    let broker = initialised(config("http", &format!(r#""url": "{url}""#), &[("m", "")])).await;
    let error = failed(&broker, "m", "x").await;
    assert!(
        matches!(error, DeliveryError::Refused(_))
            && error.to_string().contains("400 Bad Request: \"no such tea.\""),
        "{error}"
    );
    let error = failed(&broker, "m", "x").await;
    assert!(
        matches!(error, DeliveryError::Refused(_)) && error.to_string().contains("/elsewhere"),
        "{error}"
    );
    assert!(matches!(failed(&broker, "m", "x").await, DeliveryError::NotSent(_)));
    assert!(matches!(failed(&broker, "m", "x").await, DeliveryError::Unknown(_)));
    assert!(matches!(failed(&broker, "m", "x").await, DeliveryError::Unknown(_)));
    delivered(&broker, "m", "x").await;
}

#[tokio::test]
async fn a_server_that_is_away_or_silent_is_an_error_in_time() {
    let port = common::port::free_port();
    let broker =
        initialised(config("http", &format!(r#""url": "http://127.0.0.1:{port}""#), &[("m", "")])).await;
    assert!(matches!(failed(&broker, "m", "x").await, DeliveryError::NotSent(_)));
    let (url, mut asked) = server(&[]).await;
    let broker = initialised(config("http", &format!(r#""url": "{url}""#), &[("m", "")])).await;
    let report = within(broker.publish("m", "x").timeout(Duration::from_secs(1))).await.unwrap();
    assert!(matches!(report.deliveries()[0].outcome, Err(DeliveryError::Unknown(_))), "{report:?}");
    assert!(asked.try_recv().is_ok());
}

#[tokio::test]
async fn https_trusts_the_authority_it_is_given_and_no_other() {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = Folder::new("https");
    fs::write(folder.0.join("ca.pem"), certificate.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let layer = move |io| {
        let acceptor = acceptor.clone();
        async move { acceptor.accept(io).await.ok() }
    };
    let Server { url, mut asked, .. } = server_behind(&[FINE], "https", layer).await;
    let authority = folder.0.join("ca.pem");
    let options = format!(r#""url": "{url}", "authority": "{}""#, authority.display());
    let broker = initialised(config("http", &options, &[("m", "")])).await;
    delivered(&broker, "m", "secret").await;
    assert_eq!(within(asked.recv()).await.unwrap().1, b"secret");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&authority, other.cert.pem()).unwrap();
    let broker = initialised(config("http", &options, &[("m", "")])).await;
    assert!(matches!(failed(&broker, "m", "x").await, DeliveryError::NotSent(_)));
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn wrong_options_of_http_are_named_and_show_no_secret() {
    let text = r#"{ "targets": [
        { "protocol": "http", "name": "a", "http_options": { "url": "ftp://host" } },
        { "protocol": "http", "name": "b", "http_options": { "url": "http://user:secret@host" } },
        { "protocol": "http", "name": "c", "http_options": { "url": "http://host", "headers": { "a b": "secret" } } },
        { "protocol": "http", "name": "d", "http_options": { "url": "http://host" } }],
        "pipes": [{ "message_id": "m", "destinations": [
            { "target_name": "d", "http_message_options": { "path": "/../x" } }] }] }"#;
    let broker = MessageBroker::builder().config(text).unique(true).create().unwrap();
    let said = broker.initialise().await.unwrap_err().to_string();
    for part in [
        "`targets[0].http_options.url` is \"ftp://host\": it must begin with http:// or https://",
        "`targets[1].http_options.url` has a login in it",
        "`targets[2].http_options.headers.a b` is no header",
        "http_message_options.path` is \"/../x\", which leads elsewhere",
    ] {
        assert!(said.contains(part), "{part}\n--\n{said}");
    }
    assert!(!said.contains("secret"), "{said}");
}
