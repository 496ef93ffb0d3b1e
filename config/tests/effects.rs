//! What keys of a file do, seen from the other end of the connection.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use packetboat::{Client, ConnectError, DialError, Direction, Options, Packet, PacketType, Reason};
use packetboat_config::{Config, Format};
use packetboat_sim::broker::Refusal;
use packetboat_sim::net::{self, Broker};

fn options(toml: &str) -> Options {
    Config::parse(toml, Format::Toml).unwrap().options().unwrap_or_else(|error| panic!("{toml}: {error}"))
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), work).await.expect("within a minute")
}

/// A file that goes when it is dropped.
struct File(PathBuf);

impl File {
    fn new(name: &str, contents: &str) -> Self {
        let path = std::env::temp_dir().join(format!("packetboat-config-{}-{name}", std::process::id()));
        std::fs::write(&path, contents).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn what_a_file_says_of_the_connection_is_in_connect() {
    let broker = Broker::start().await.unwrap();
    let text = format!(
        "server = '{}'
        topic_alias_maximum = 7
        response_information = true
        inbound.messages = 9
        user_properties = {{ site = 'north', kind = 'boat' }}
        will = {{ topic = 'w', delay = 2.5, expiry = 60, content_type = 'text/plain' }}",
        broker.url()
    );
    let said = Arc::new(Mutex::new(None));
    let said_by = said.clone();
    let options = options(&text).on_packet(move |passing| {
        let (Direction::Sent, Some(Packet::Connect(connect))) = (passing.direction, passing.packet) else {
            return;
        };
        let own = connect.properties;
        let will = connect.will.unwrap().properties;
        let user: Vec<String> =
            own.user_properties().map(|(name, value)| format!("{name}={value}")).collect();
        *said_by.lock().unwrap() = Some(format!(
            "{user:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            own.topic_alias_maximum(),
            own.request_response_information(),
            own.receive_maximum(),
            will.will_delay_interval(),
            will.message_expiry_interval(),
            will.content_type(),
        ));
    });
    let client = within(Client::connect(options)).await.unwrap();
    client.disconnect().await.unwrap();
    let expected =
        "[\"site=north\", \"kind=boat\"] Some(7) Some(true) Some(9) Some(3) Some(60) Some(\"text/plain\")";
    assert_eq!(said.lock().unwrap().take().unwrap(), expected);
}

#[tokio::test]
async fn a_password_file_is_read_anew_for_every_attempt() {
    let file = File::new("password", "old\r\n");
    let broker = net::Options::new().credentials("boat", "new\n").start().await.unwrap();
    let text = format!(
        "server = '{}'\nclient_id = 'boat'\nusername = 'boat'\npassword_file = '{}'\n\
         reconnect = {{ minimum = 0.01, maximum = 0.01, refusals = 'retry' }}",
        broker.url(),
        file.path()
    );
    let refused = within(Client::connect(options(&text))).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Refused { .. }), "{refused}");
    let client = Client::start(options(&text)).unwrap();
    within(broker.until(|broker| broker.stats().refused > 2)).await;
    // One end of a line is not of the password, a second one is.
    std::fs::write(&file.0, "new\n\n").unwrap();
    within(broker.until(|broker| broker.connection("boat").is_some())).await;
    within(client.flush()).await.unwrap();
    drop(file);
    broker.disconnect("boat", Reason::SERVER_BUSY);
    let mut events = client.events();
    let gone = loop {
        let event = format!("{:?}", within(events.next()).await.unwrap());
        if event.contains("packetboat-config") {
            break event;
        }
    };
    assert!(gone.contains("No such file") || gone.contains("os error"), "it names file and reason: {gone}");
}

#[tokio::test]
async fn pins_and_revocation_lists_decide_on_certificates() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let broker = net::Options::new().tls(&certificate, &key).start().await.unwrap();
    let server = format!("server = 'mqtts://localhost:{}'\n", broker.port());
    let digest = ring::digest::digest(&ring::digest::SHA256, made.cert.der());
    let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let pinned = |pin: &str| format!("{server}tls = {{ verify = false, pins = ['{pin}'] }}");
    for pin in [pairs.join(":"), pairs.concat().to_lowercase()] {
        let client = within(Client::connect(options(&pinned(&pin)))).await.unwrap();
        client.disconnect().await.unwrap();
    }
    let tls_error = async |text: &str| match within(Client::connect(options(text))).await {
        Err(ConnectError::Unreachable { error: DialError::Tls(error), .. }) => error,
        other => panic!("{other:?}"),
    };
    let error = tls_error(&pinned(&"00".repeat(32))).await;
    assert!(error.to_string().contains("pin"), "{error}");
    let error = tls_error(&format!("{server}tls.revocation_lists = ['/nowhere.pem']")).await;
    assert!(error.to_string().contains("/nowhere.pem"), "{error}");
    let authority = File::new("authority.pem", &certificate);
    let old = "tls = { oldest = '1.2', newest = '1.2', authority = ";
    let text = format!("{server}{old}'{}' }}", authority.path());
    within(Client::connect(options(&text))).await.unwrap();
    let both =
        format!("{server}tls = {{ oldest = '1.3', newest = '1.2', authority = '{}' }}", authority.path());
    let error = within(Client::connect(options(&both))).await.unwrap_err();
    assert!(error.to_string().contains("version"), "{error}");
}

#[tokio::test]
async fn tcp_goes_from_the_address_and_through_the_interface_that_are_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("server = 'mqtt://{}'\n", listener.local_addr().unwrap());
    // Linux has the whole network of it.
    let local = if cfg!(target_os = "linux") { "127.0.0.2" } else { "127.0.0.1" };
    let text = format!(
        "{server}tcp = {{ bind_address = '{local}', no_delay = false, keep_alive = 60, keep_alive_interval = 5, \
         keep_alive_count = 2, connect_timeout = 5 }}"
    );
    let _client = Client::start(options(&text)).unwrap();
    let (_, peer) = within(listener.accept()).await.unwrap();
    assert_eq!(peer.ip().to_string(), local);
    for (wrong, named) in [("bind_address = '192.0.2.7'", "192.0.2.7"), ("interface = 'none7'", "none7")] {
        let error = within(Client::connect(options(&format!("{server}tcp.{wrong}")))).await.unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test]
async fn connections_are_renewed_and_the_first_server_is_returned_to() {
    let (first, second) = (Broker::start().await.unwrap(), Broker::start().await.unwrap());
    first.faults().refuse(1, Refusal::Close).refuse(1, Refusal::Code(Reason::SERVER_BUSY));
    let text = format!(
        "server = '{}'
        servers = ['{}']
        client_id = 'boat'
        version = '5.0'
        [reconnect]
        minimum = 0.01
        maximum = 0.01
        return_after = 0.3
        renew_after = 0.5",
        first.url(),
        second.url()
    );
    let _client = Client::start(options(&text)).unwrap();
    within(second.until(|broker| broker.stats().accepted == 1)).await;
    within(first.until(|broker| broker.stats().accepted == 3)).await;
    assert_eq!(second.stats().received(PacketType::Connect), 1, "the first one is kept, and renewed");
}

#[tokio::test]
async fn refusals_stop_the_client_where_the_file_says_so() {
    let broker = net::Options::new().credentials("boat", "right").start().await.unwrap();
    let text = format!(
        "server = '{}'\nusername = 'boat'\npassword = 'wrong'\nreconnect = {{ refusals = 'stop', minimum = 0.01 }}",
        broker.url()
    );
    let client = Client::start(options(&text)).unwrap();
    assert!(within(client.publish("a", "b")).await.is_err());
    assert_eq!(broker.stats().refused, 1);
}
