//! Enhanced authentication: at connecting, again while connected, and when it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{LONG, connected, disconnected, options, within};
use packetboat::{
    AuthenticationError, Authenticator, Cause, Client, ConnectError, ConnectStage, Disconnection, Exchange,
    Options, OptionsError, QoS, Reason, ReauthenticateError, Version, VersionChoice,
};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::{self, Config, Method, Step};
use packetboat_sim::net::{self, Broker};

/// Counts down together: the client says a number, the broker the next, until zero is reached.
#[derive(Clone, Debug)]
struct Countdown {
    from: u8,
    /// The broker refuses.
    refuse: Arc<AtomicBool>,
    /// The broker never answers.
    silent: Arc<AtomicBool>,
}

fn countdown(from: u8) -> Countdown {
    Countdown { from, refuse: Arc::default(), silent: Arc::default() }
}

impl Authenticator for Countdown {
    fn method(&self) -> &'static str {
        "COUNTDOWN"
    }

    fn begin(&self) -> Result<Box<dyn Exchange>, AuthenticationError> {
        Ok(Box::new(Counting(self.from)))
    }
}

struct Counting(u8);

impl Exchange for Counting {
    fn first(&mut self) -> Result<Option<Vec<u8>>, AuthenticationError> {
        Ok(Some(vec![self.0]))
    }

    fn step(&mut self, data: Option<&[u8]>) -> Result<Option<Vec<u8>>, AuthenticationError> {
        if data != Some(&[self.0 - 1]) {
            return Err(AuthenticationError::new(format_args!("the broker cannot count: {data:?}")));
        }
        self.0 -= 2;
        Ok(Some(vec![self.0]))
    }

    fn finish(&mut self, data: Option<&[u8]>) -> Result<(), AuthenticationError> {
        let right = data == Some(b"zero");
        right.then_some(()).ok_or_else(|| AuthenticationError::new("the broker does not know the last word"))
    }
}

impl Method for Countdown {
    fn name(&self) -> &'static str {
        "COUNTDOWN"
    }

    fn begin(&self) -> Box<dyn broker::Exchange> {
        Box::new(self.clone())
    }
}

impl broker::Exchange for Countdown {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        match data {
            _ if self.refuse.load(Ordering::Relaxed) => Step::Refuse,
            // A wrong number: the client is to leave.
            _ if self.silent.load(Ordering::Relaxed) => Step::Continue(vec![200]),
            Some([0]) => Step::Accept(Some(b"zero".to_vec())),
            Some([number]) => Step::Continue(vec![number - 1]),
            _ => Step::Refuse,
        }
    }
}

async fn broker_with(method: impl Method + 'static) -> Broker {
    let config = Config { methods: vec![Arc::new(method)], ..Config::default() };
    net::Options::new().config(config).keep_log().start().await.unwrap()
}

fn assert_clean(broker: &Broker) {
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

// Spec 5.0: MQTT-4.12.0-3 MQTT-4.12.0-5 MQTT-4.12.1-1
#[tokio::test]
async fn an_exchange_of_many_steps_comes_before_connack_and_again_on_request() {
    let method = countdown(20);
    let broker = broker_with(method.clone()).await;
    let client = Client::connect(options(&broker.url()).authenticator(method)).await.unwrap();
    assert_eq!(client.version(), Version::V5);
    let auths = || broker.stats().received(PacketType::Auth);
    assert_eq!(auths(), 10);
    let mut stream = client.subscribe("a").await.unwrap();
    for round in 1..=3 {
        // Messages go on meanwhile.
        let publish = async { client.publish("a", "b").qos(QoS::ExactlyOnce).await.unwrap() };
        let (again, _) = within(LONG, async { (client.reauthenticate().await, publish.await) }).await;
        again.unwrap();
        assert_eq!(auths(), 10 + round * 11);
        assert_eq!(common::next(&mut stream).await.payload(), b"b");
    }
    let mut events = client.events();
    broker.faults().cut();
    disconnected(&mut events).await;
    connected(&mut events).await;
    assert_eq!(auths(), 10 + 3 * 11 + 10, "a new connection is authenticated anew");
    client.disconnect().await.unwrap();
    let error = client.reauthenticate().await.unwrap_err();
    assert_eq!(error, ReauthenticateError::NotPossible);
    assert_clean(&broker);
}

#[tokio::test]
async fn each_of_two_reauthentications_learns_its_own_end() {
    let method = countdown(4);
    let broker = broker_with(method.clone()).await;
    let client = Client::connect(options(&broker.url()).authenticator(method)).await.unwrap();
    let (first, second, third) = (client.reauthenticate(), client.reauthenticate(), client.reauthenticate());
    let (mut first, mut second, mut third) = (Box::pin(first), Box::pin(second), Box::pin(third));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    assert_eq!(third.as_mut().poll(&mut cx), Poll::Ready(Err(ReauthenticateError::UnderWay)));
    // The first one has ended, but nobody has asked yet when the second begins.
    within(LONG, broker.until(|core| core.stats().sent(PacketType::Auth) == 2 + 3)).await;
    client.ping().await.unwrap();
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert_eq!(first.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
    within(LONG, second).await.unwrap();
    assert_clean(&broker);
}

#[tokio::test]
async fn another_authenticator_takes_another_connection_and_the_same_one_does_not() {
    let method = countdown(4);
    let broker = broker_with(method.clone()).await;
    let client = Client::connect(options(&broker.url()).authenticator(method.clone())).await.unwrap();
    let mut events = client.events();
    client.reconfigure(client.options().window(7)).unwrap();
    client.publish("a", "b").qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(broker.stats().connections, 1);
    client.reconfigure(client.options().authenticator(countdown(8))).unwrap();
    connected(&mut events).await;
    assert_eq!((broker.stats().connections, broker.stats().received(PacketType::Auth)), (2, 2 + 4));
    assert_clean(&broker);
}

#[tokio::test]
async fn who_is_refused_or_names_an_unknown_method_is_told_so() {
    let method = countdown(4);
    let broker = broker_with(method.clone()).await;
    method.refuse.store(true, Ordering::Relaxed);
    let error = Client::connect(options(&broker.url()).authenticator(method)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { reason: Reason::NOT_AUTHORIZED, .. }), "{error}");
    let plain = Broker::start().await.unwrap();
    let error = Client::connect(options(&plain.url()).authenticator(countdown(4))).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Refused { reason: Reason::BAD_AUTHENTICATION_METHOD, .. }),
        "{error}"
    );
    assert_clean(&broker);
    assert_clean(&plain);
}

#[tokio::test]
async fn a_broker_that_fails_the_exchange_gets_nothing() {
    /// Accepts everybody at once, without the last word.
    #[derive(Debug)]
    struct Easy;
    impl Method for Easy {
        fn name(&self) -> &'static str {
            "COUNTDOWN"
        }
        fn begin(&self) -> Box<dyn broker::Exchange> {
            Box::new(Self)
        }
    }
    impl broker::Exchange for Easy {
        fn step(&mut self, _: Option<&[u8]>) -> Step {
            Step::Accept(None)
        }
    }
    let broker = broker_with(Easy).await;
    let connecting = options(&broker.url()).client_id("wary").authenticator(countdown(4));
    let error = Client::connect(connecting.clone()).await.unwrap_err();
    assert!(matches!(error, ConnectError::NotAuthenticated { .. }), "{error}");
    assert!(error.to_string().contains("the last word"), "{error}");
    // Nor does it get what waits for a connection.
    let client = Client::start(connecting).unwrap();
    let mut events = client.events();
    let receipt = client.publish("secret", "x").qos(QoS::AtLeastOnce).enqueue().await.unwrap();
    for _ in 0..3 {
        let cause = disconnected(&mut events).await;
        assert!(matches!(cause, Disconnection::Failed(ConnectError::NotAuthenticated { .. })), "{cause:?}");
    }
    assert!(receipt.cancel(), "it was never encoded");
    assert_eq!(broker.stats().received(PacketType::Publish), 0);
}

// Spec 5.0: MQTT-4.12.1-2
#[tokio::test]
async fn a_broker_that_fails_a_step_while_connected_is_left_and_tried_again() {
    let method = countdown(4);
    let broker = broker_with(method.clone()).await;
    let client = Client::connect(options(&broker.url()).authenticator(method.clone())).await.unwrap();
    let mut events = client.events();
    method.silent.store(true, Ordering::Relaxed);
    let error = within(LONG, client.reauthenticate()).await.unwrap_err();
    assert!(matches!(&error, ReauthenticateError::Method(_)), "{error}");
    assert!(error.to_string().contains("cannot count"), "{error}");
    assert!(matches!(disconnected(&mut events).await, Disconnection::Ended(Cause::Breach(_))));
    method.silent.store(false, Ordering::Relaxed);
    connected(&mut events).await;
    within(LONG, client.reauthenticate()).await.unwrap();
    assert_clean(&broker);
}

// Spec 5.0: MQTT-4.12.1-2
#[tokio::test]
async fn a_refused_reauthentication_ends_the_connection_with_the_brokers_reason() {
    let method = countdown(4);
    let broker = broker_with(method.clone()).await;
    let client = Client::connect(options(&broker.url()).authenticator(method.clone())).await.unwrap();
    let mut events = client.events();
    method.refuse.store(true, Ordering::Relaxed);
    let error = within(LONG, client.reauthenticate()).await.unwrap_err();
    assert_eq!(error, ReauthenticateError::Disconnected);
    match disconnected(&mut events).await {
        Disconnection::Ended(Cause::ByBroker { reason, .. }) => assert_eq!(reason, Reason::NOT_AUTHORIZED),
        other => panic!("{other:?}"),
    }
    assert_clean(&broker);
}

/// A broker and a client that have always one more thing to say.
#[derive(Debug)]
struct Endless;

impl Authenticator for Endless {
    fn method(&self) -> &'static str {
        "ENDLESS"
    }

    fn begin(&self) -> Result<Box<dyn Exchange>, AuthenticationError> {
        Ok(Box::new(Self))
    }
}

impl Exchange for Endless {
    fn first(&mut self) -> Result<Option<Vec<u8>>, AuthenticationError> {
        Ok(None)
    }

    fn step(&mut self, _: Option<&[u8]>) -> Result<Option<Vec<u8>>, AuthenticationError> {
        Ok(None)
    }
}

impl Method for Endless {
    fn name(&self) -> &'static str {
        "ENDLESS"
    }

    fn begin(&self) -> Box<dyn broker::Exchange> {
        Box::new(Self)
    }
}

impl broker::Exchange for Endless {
    fn step(&mut self, _: Option<&[u8]>) -> Step {
        Step::Continue(Vec::new())
    }
}

#[tokio::test]
async fn an_exchange_without_an_end_costs_the_connect_limit_and_is_told_by_its_name() {
    let broker = broker_with(Endless).await;
    let stage_with = async |options: Options| {
        let options = options.authenticator(Endless).connect_timeout(Duration::from_secs(1));
        match Client::connect(options).await.unwrap_err() {
            ConnectError::TimedOut { stage, .. } => stage,
            other => panic!("{other}"),
        }
    };
    let stage = stage_with(options(&broker.url())).await;
    assert_eq!(stage, ConnectStage::Authentication);
    assert_eq!(stage.to_string(), "the broker did not bring the exchange of authentication to an end");
    // Who has not even begun has not answered.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", silent.local_addr().unwrap());
    assert_eq!(stage_with(options(&url)).await, ConnectStage::Answer);
    assert_clean(&broker);
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_the_connection() {
    let method = countdown(4);
    let broker = broker_with(method.clone()).await;
    let options = options(&broker.url()).acknowledgement_timeout(Duration::from_secs(1));
    let client = Client::connect(options.authenticator(method)).await.unwrap();
    let mut events = client.events();
    broker.faults().swallow(PacketType::Auth);
    let (first, second) = (client.reauthenticate(), client.reauthenticate());
    let first = within(LONG, async {
        let mut first = std::pin::pin!(first);
        let polled = std::future::poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx).is_pending()));
        assert!(polled.await);
        assert_eq!(second.await.unwrap_err(), ReauthenticateError::UnderWay);
        first.await
    });
    assert_eq!(first.await.unwrap_err(), ReauthenticateError::Disconnected);
    let cause = disconnected(&mut events).await;
    assert!(matches!(cause, Disconnection::Ended(Cause::NotAcknowledged)), "{cause:?}");
}

#[tokio::test]
async fn older_versions_have_no_methods_and_are_not_fallen_back_to() {
    let wrong = Options::new("mqtt://localhost").version(VersionChoice::V311).authenticator(countdown(4));
    let error = Client::connect(wrong).await.unwrap_err();
    assert!(matches!(error, ConnectError::Options(OptionsError::AuthenticatorNeedsVersion5)), "{error}");
    let broker = net::Options::new().versions(&[Version::V311]).start().await.unwrap();
    let error = Client::connect(options(&broker.url()).authenticator(countdown(4))).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Refused { reason: Reason::UNSUPPORTED_PROTOCOL_VERSION, .. }),
        "{error}"
    );
    assert_eq!(broker.stats().connections, 1);
}

// Spec 5.0: MQTT-3.15.2-1 MQTT-4.12.0-5
#[tokio::test]
async fn auth_packets_that_must_not_come_end_the_connection() {
    // Success that nobody asked for, another method, a client's reason.
    for raw in [
        &b"\xf0\x0e\x00\x0c\x15\x00\x09COUNTDOWN"[..],
        b"\xf0\x0e\x18\x0c\x15\x00\x09COUNTDOWX",
        b"\xf0\x0e\x19\x0c\x15\x00\x09COUNTDOWN",
    ] {
        let method = countdown(4);
        let broker = broker_with(method.clone()).await;
        let connecting = options(&broker.url()).client_id("target").authenticator(method);
        let client = Client::connect(connecting).await.unwrap();
        let mut events = client.events();
        assert!(broker.send_raw("target", raw));
        let cause = disconnected(&mut events).await;
        assert!(matches!(cause, Disconnection::Ended(Cause::Breach(_))), "{cause:?}");
        connected(&mut events).await;
    }
}

#[cfg(feature = "scram")]
mod scram {
    use packetboat::{Scram, ScramHash};
    use packetboat_sim::broker::{Hash, Scram as Their};

    use super::*;

    const BOTH: [(ScramHash, Hash); 2] =
        [(ScramHash::Sha256, Hash::Sha256), (ScramHash::Sha512, Hash::Sha512)];

    #[tokio::test]
    async fn both_hashes_let_in_who_knows_the_password_and_again() {
        for (ours, theirs) in BOTH {
            let broker = broker_with(Their::new(theirs).user("bo=at,s", "pen=cil,ü")).await;
            let connect = |password: &str| {
                Client::connect(options(&broker.url()).authenticator(Scram::new(ours, "bo=at,s", password)))
            };
            let client = connect("pen=cil,ü").await.unwrap();
            within(LONG, client.reauthenticate()).await.unwrap();
            // SASLprep: a decomposed letter is the same password.
            connect("pen=cil,u\u{308}").await.unwrap();
            let error = connect("pen=cil").await.unwrap_err();
            assert!(matches!(error, ConnectError::Refused { reason: Reason::NOT_AUTHORIZED, .. }), "{error}");
            client.disconnect().await.unwrap();
            assert_clean(&broker);
        }
    }

    #[tokio::test]
    async fn a_broker_that_does_not_know_the_password_is_left() {
        for (ours, theirs) in BOTH {
            let broker = broker_with(Their::new(theirs).user("boat", "pencil").impostor()).await;
            let scram = Scram::new(ours, "boat", "pencil");
            let error = Client::connect(options(&broker.url()).authenticator(scram)).await.unwrap_err();
            assert!(matches!(error, ConnectError::NotAuthenticated { .. }), "{error}");
            assert!(error.to_string().contains("did not prove"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_broker_cannot_ask_for_less_or_for_endless_work() {
        for iterations in [1, 4095, 1_000_001] {
            let broker = broker_with(Their::new(Hash::Sha256).user("a", "b").iterations(iterations)).await;
            let scram = Scram::new(ScramHash::Sha256, "a", "b");
            let error = Client::connect(options(&broker.url()).authenticator(scram)).await.unwrap_err();
            assert!(error.to_string().contains("iterations"), "{error}");
        }
    }
}
