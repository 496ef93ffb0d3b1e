//! Through real proxies (tinyproxy, dante) to the strict broker, and through false ones.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::time::Duration;

use common::proxy::{RunningProxy, dante, dante_with_password, tinyproxy};
use common::{LONG, next, within};
use packetboat::{
    Client, ConnectError, ConnectStage, DialError, Options, Proxy, ProxyError, ProxyUrlError, QoS,
};
use packetboat_sim::net::Broker;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

fn options(broker: &str, proxy: &str) -> Options {
    Options::new(broker).proxy(proxy.parse::<Proxy>().unwrap())
}

/// There and back again.
async fn works(options: Options) {
    let client = within(LONG, Client::connect(options)).await.unwrap();
    let mut stream = client.subscribe("through/#").await.unwrap();
    client.publish("through/it", "x".repeat(100_000)).qos(QoS::ExactlyOnce).await.unwrap();
    assert_eq!(next(&mut stream).await.payload().len(), 100_000);
    client.disconnect().await.unwrap();
}

async fn proxy_error(options: Options) -> ProxyError {
    let error = within(LONG, Client::connect(options)).await.expect_err("it is refused");
    let text = error.to_string();
    assert!(text.contains("the proxy") && !text.contains("secret"), "{text}");
    match error {
        ConnectError::Unreachable { error: DialError::Proxy { error, .. }, .. } => error,
        other => panic!("{other:?}"),
    }
}

fn url(scheme: &str, userinfo: &str, proxy: &RunningProxy) -> String {
    format!("{scheme}://{userinfo}127.0.0.1:{}", proxy.port)
}

#[tokio::test]
async fn tinyproxy_opens_the_way_and_resolves_the_name() {
    let Some(proxy) = tinyproxy("") else { return };
    let broker = Broker::start().await.unwrap();
    works(options(&broker.url(), &url("http", "", &proxy))).await;
    // The name is not looked up here: only the proxy is asked for it.
    works(options(&format!("mqtt://localhost:{}", broker.port()), &url("http", "", &proxy))).await;
    assert!(broker.violations().is_empty());
}

#[tokio::test]
async fn tinyproxy_tells_its_status() {
    let Some(proxy) = tinyproxy("BasicAuth user secret\nConnectPort 1883") else { return };
    let broker = Broker::start().await.unwrap();
    let with = |userinfo| options(&broker.url(), &url("http", userinfo, &proxy));
    assert!(matches!(proxy_error(with("")).await, ProxyError::Credentials { were_given: false }));
    let wrong = proxy_error(with("user:wrong-secret@")).await;
    assert!(matches!(wrong, ProxyError::Credentials { were_given: true }), "{wrong:?}");
    // The port is not among those it allows.
    assert!(matches!(proxy_error(with("user:secret@")).await, ProxyError::Refused { code: 403, .. }));
    let Some(proxy) = tinyproxy("BasicAuth user secret") else { return };
    works(options(&broker.url(), &url("http", "user:secret@", &proxy))).await;
    let unknown = options("mqtt://no-such-host.invalid", &url("http", "user:secret@", &proxy));
    assert!(matches!(proxy_error(unknown).await, ProxyError::Refused { code: 500..=599, .. }));
}

#[tokio::test]
async fn dante_opens_the_way_and_tells_its_reply() {
    let Some(proxy) = dante() else { return };
    let broker = Broker::start().await.unwrap();
    works(options(&broker.url(), &url("socks5h", "", &proxy))).await;
    works(options(&format!("mqtt://localhost:{}", broker.port()), &url("socks5", "", &proxy))).await;
    // Its rules forbid this address.
    let forbidden = proxy_error(options("mqtt://127.0.0.77", &url("socks5", "", &proxy))).await;
    assert!(matches!(forbidden, ProxyError::Refused { code: 2, .. }), "{forbidden:?}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("mqtt://{}", listener.local_addr().unwrap());
    drop(listener);
    let refused = proxy_error(options(&closed, &url("socks5", "", &proxy))).await;
    assert!(matches!(refused, ProxyError::Refused { code: 5, .. }), "{refused:?}");
    let unknown = proxy_error(options("mqtt://no-such-host.invalid", &url("socks5", "", &proxy))).await;
    assert!(matches!(unknown, ProxyError::Refused { code: 1 | 4, .. }), "{unknown:?}");
}

#[tokio::test]
async fn dante_wants_a_user_of_its_system() {
    let Some(proxy) = dante_with_password() else { return };
    let broker = Broker::start().await.unwrap();
    let with = |userinfo| options(&broker.url(), &url("socks5", userinfo, &proxy));
    assert!(matches!(proxy_error(with("")).await, ProxyError::Credentials { were_given: false }));
    let wrong = proxy_error(with("packetboat:wrong-secret@")).await;
    assert!(matches!(wrong, ProxyError::Credentials { were_given: true }), "{wrong:?}");
    works(with("packetboat:secret@")).await;
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_to_blame_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://u:secret@{}", listener.local_addr().unwrap());
    drop(listener);
    assert!(matches!(proxy_error(options("mqtt://h", &proxy)).await, ProxyError::Unreachable(_)));
    let unknown = proxy_error(options("mqtt://h", "socks5://no-such-proxy.invalid")).await;
    assert!(matches!(unknown, ProxyError::Unreachable(_)));
    // No wrong URL gets as far as a connection.
    assert_eq!("ftp://h".parse::<Proxy>(), Err(ProxyUrlError::Scheme));
}

/// Cut off in the middle of the proxy's handshake, nothing stays: the proxy sees the end.
#[tokio::test]
async fn a_silent_proxy_costs_the_limit_has_its_own_answer_and_leaves_nothing_behind() {
    for scheme in ["http", "socks5"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = format!("{scheme}://{}", listener.local_addr().unwrap());
        let options = options("mqtt://h", &proxy).connect_timeout(Duration::from_secs(1));
        let (error, ()) = tokio::join!(Client::connect(options.clone()), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut said = Vec::new();
            within(LONG, stream.read_to_end(&mut said)).await.unwrap();
            assert!(!said.is_empty());
        });
        let error = error.unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut { stage: ConnectStage::Proxy, .. }), "{error:?}");
        // The caller loses interest.
        let long = options.connect_timeout(Duration::from_mins(1));
        let connecting = tokio::spawn(Client::connect(long));
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        connecting.abort();
        let mut rest = Vec::new();
        within(LONG, stream.read_to_end(&mut rest)).await.unwrap();
    }
}
