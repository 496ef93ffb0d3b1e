//! MQTT in WebSocket frames: mosquitto, the strict broker, and servers that frame, refuse and lie as they like.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]
#![cfg(feature = "websocket")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::mosquitto::mosquitto_with;
use common::port::free_port;
use common::{ALL_QOS, LONG, VERSIONS, disconnected, next, options, within};
use packetboat::{
    Cause, Client, ConnectError, ConnectStage, DialError, Disconnection, Options, OptionsError, QoS,
    WebSocket, WebSocketError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Every QoS there and back, small and large.
async fn works(options: Options, largest: usize) {
    let client = within(LONG, Client::connect(options)).await.unwrap();
    let mut stream = client.subscribe("ws/#").await.unwrap();
    for qos in ALL_QOS {
        for size in [0, 1, 125, 126, 1000, 70_000, 1_000_000].into_iter().filter(|size| *size <= largest) {
            client.publish("ws/it", "x".repeat(size)).qos(qos).await.unwrap();
            assert_eq!(next(&mut stream).await.payload().len(), size);
        }
    }
    client.publish("away", "x".repeat(1_000_000)).qos(QoS::AtLeastOnce).await.unwrap();
    client.disconnect().await.unwrap();
}

/// mosquitto 2.0.11 writes 4 KiB to a WebSocket in each round of its loop, which then waits for 100 ms (seen with strace):
/// a large message comes whole, at 40 KB/s. In the other direction there is no such limit.
#[tokio::test]
async fn mosquitto_takes_and_gives_every_message() {
    let port = free_port();
    let listener = format!("listener {port} 127.0.0.1\nprotocol websockets\n");
    let Some(_broker) = mosquitto_with(&listener) else { return };
    for version in VERSIONS {
        works(options(&format!("ws://127.0.0.1:{port}/mqtt")).version(version), 1000).await;
    }
    let client = Client::connect(options(&format!("ws://127.0.0.1:{port}/mqtt"))).await.unwrap();
    let mut stream = client.subscription("large").qos(QoS::AtLeastOnce).await.unwrap();
    let large: Vec<u8> = (0..70_000_u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
    client.publish("large", large.as_slice()).qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(next(&mut stream).await.payload(), large);
    client.disconnect().await.unwrap();
}

#[tokio::test]
async fn the_strict_broker_takes_every_message() {
    let broker = packetboat_sim::net::Options::new().websocket().start().await.unwrap();
    assert!(broker.url().starts_with("ws://"));
    for version in VERSIONS {
        works(options(&broker.url()).version(version), usize::MAX).await;
    }
    assert!(broker.violations().is_empty(), "{:?}", broker.violations());
}

async fn refusal(options: Options) -> WebSocketError {
    let error = within(LONG, Client::connect(options)).await.expect_err("it is refused");
    assert!(error.to_string().len() > 30, "{error}");
    match error {
        ConnectError::Unreachable { error: DialError::WebSocket(error), .. } => error,
        other => panic!("{other:?}"),
    }
}

/// Reads a request up to its empty line.
async fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

/// What the client asks of a server that answers so, and what it makes of that.
async fn talk(options: impl FnOnce(&str) -> Options, answer: &'static str) -> (String, WebSocketError) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        request
    });
    let error = refusal(options(&address)).await;
    (server.await.unwrap(), error)
}

fn plain(address: &str) -> Options {
    Options::new(&format!("ws://{address}/"))
}

// Spec 3.1.1: MQTT-6.0.0-3
// Spec 5.0: MQTT-6.0.0-3
#[tokio::test]
async fn the_request_says_what_it_must_and_what_was_asked_for() {
    let with = |address: &str| {
        let asked = Arc::new(AtomicUsize::new(0));
        let websocket =
            WebSocket::new().header("X-Fixed", "one").headers_from(move |server| {
                let count = asked.fetch_add(1, Ordering::Relaxed);
                async move {
                    Ok::<_, std::io::Error>(vec![("X-Fresh".into(), format!("{} {count}", server.host()))])
                }
            });
        Options::new(&format!("ws://{address}/a/b?c=d%20e")).websocket(websocket)
    };
    let (request, _) = talk(with, "HTTP/1.1 400 no\r\n\r\n").await;
    assert!(request.starts_with("GET /a/b?c=d%20e HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
    for line in [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: mqtt",
        "X-Fixed: one",
        "X-Fresh: 127.0.0.1 0",
    ] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line} is not in {request}");
    }
    assert!(!request.to_lowercase().contains("extensions"), "nothing is compressed: {request}");
}

#[tokio::test]
async fn headers_are_computed_anew_for_every_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let websocket = WebSocket::new().headers_from(move |_| {
        let count = asked.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, std::io::Error>(vec![("X-Token".into(), count.to_string())]) }
    });
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let _client = Client::start(options(&url).websocket(websocket)).unwrap();
    for count in 0..3 {
        let (mut stream, _) = within(LONG, listener.accept()).await.unwrap();
        let request = request(&mut stream).await;
        assert!(request.contains(&format!("\r\nX-Token: {count}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn a_refusal_gives_status_and_start_of_the_body() {
    let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\ngo away!\n and the next response";
    let (_, error) = talk(plain, answer).await;
    assert!(
        matches!(&error, WebSocketError::Refused { status: 403, reason, body }
            if reason == "Forbidden" && body == "go away!"),
        "{error:?}"
    );
    let long = Box::leak(format!("HTTP/1.1 500 x\r\n\r\n{}", "y".repeat(100_000)).into_boxed_str());
    let (_, error) = talk(plain, long).await;
    assert!(matches!(&error, WebSocketError::Refused { body, .. } if body.len() == 256), "{error:?}");
}

#[tokio::test]
async fn false_answers_are_refused() {
    let upgrade = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    for answer in
        [upgrade, "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "HTTP/1.1 101 x\r\n\r\n"]
    {
        let (_, error) = talk(plain, answer).await;
        assert!(matches!(error, WebSocketError::Answer(_)), "{answer}: {error:?}");
    }
    let (_, error) = talk(plain, "SSH-2.0-OpenSSH\r\n").await;
    assert!(matches!(error, WebSocketError::NotHttp { .. }), "{error:?}");
    let (_, error) = talk(plain, "").await;
    assert!(matches!(error, WebSocketError::Lost(_)), "{error:?}");
    let (_, error) = talk(plain, "HTTP/1.1 101").await;
    assert!(matches!(error, WebSocketError::Lost(_)), "{error:?}");
}

#[tokio::test]
async fn headers_that_cannot_be_sent_are_refused_before_anything_is() {
    for (name, value) in [("a b", "x"), ("", "x"), ("A", "x\r\nB: y"), ("Upgrade", "x"), ("Ä", "x")] {
        let options = plain("127.0.0.1:1").websocket(WebSocket::new().header(name, value));
        let error = Client::connect(options).await.unwrap_err();
        assert!(matches!(error, ConnectError::Options(OptionsError::Header(_))), "{error:?}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let fresh = WebSocket::new()
        .headers_from(|_| async { Ok::<_, std::io::Error>(vec![("A".into(), "x\nsecret".into())]) });
    let error = refusal(plain(&address).websocket(fresh)).await;
    assert!(matches!(&error, WebSocketError::Header(name) if name == "A"), "{error:?}");
    let failing = WebSocket::new().headers_from(|_| async { Err(std::io::Error::other("no token")) });
    let error = refusal(plain(&address).websocket(failing)).await;
    assert!(error.to_string().contains("no token"), "{error}");
}

#[tokio::test]
async fn a_silent_server_costs_the_limit_has_its_own_answer_and_leaves_nothing_behind() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = plain(&listener.local_addr().unwrap().to_string());
    let (error, ()) =
        tokio::join!(Client::connect(options.clone().connect_timeout(Duration::from_secs(1))), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            // An end, or a reset: the request was not read.
            let _ = within(LONG, stream.read_to_end(&mut Vec::new())).await;
        });
    let error = error.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut { stage: ConnectStage::WebSocket, .. }), "{error:?}");
    // The caller loses interest in the middle of the answer.
    let connecting = tokio::spawn(Client::connect(options.connect_timeout(Duration::from_mins(1))));
    let (mut stream, _) = listener.accept().await.unwrap();
    request(&mut stream).await;
    stream.write_all(b"HTTP/1.1 101 Switching").await.unwrap();
    connecting.abort();
    // An end, or a reset where something was not read.
    let _ = within(LONG, stream.read_to_end(&mut Vec::new())).await;
}

mod framing {
    //! A server of these tests' own, frame by frame.

    use super::*;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    type Socket = WebSocketStream<TcpStream>;

    const CONNACK: &[u8] = &[0x20, 3, 0, 0, 0];

    /// Takes the WebSocket and CONNECT.
    pub(super) async fn accept(listener: &TcpListener) -> TcpStream {
        let (mut stream, _) = listener.accept().await.unwrap();
        let text = request(&mut stream).await;
        let key = text.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    }

    /// A client frame: its first byte and its payload, unmasked.
    pub(super) async fn read(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
        let first = stream.read_u8().await.ok()?;
        let second = stream.read_u8().await.ok()?;
        assert!(second & 0x80 != 0, "a client masks");
        let length = match second & 0x7f {
            126 => usize::from(stream.read_u16().await.ok()?),
            127 => usize::try_from(stream.read_u64().await.ok()?).unwrap(),
            short => usize::from(short),
        };
        let mask = stream.read_u32().await.ok()?.to_be_bytes();
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.ok()?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        Some((first, payload))
    }

    pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        assert!(payload.len() < 126);
        [&[first, u8::try_from(payload.len()).unwrap()], payload].concat()
    }

    pub(super) async fn server() -> (TcpListener, Options) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = options(&format!("ws://{}/mqtt", listener.local_addr().unwrap()));
        (listener, options.version(packetboat::VersionChoice::V5))
    }

    // Spec 3.1.1: MQTT-6.0.0-1 MQTT-6.0.0-2
    // Spec 5.0: MQTT-6.0.0-1 MQTT-6.0.0-2
    #[tokio::test]
    async fn bounds_of_frames_mean_nothing_and_pings_are_answered() {
        let (listener, options) = server().await;
        let (client, mut stream) = tokio::join!(Client::connect(options), async {
            let mut stream = accept(&listener).await;
            let (first, packet) = read(&mut stream).await.unwrap();
            assert_eq!((first, packet[0]), (0x82, 0x10), "CONNECT in a binary frame");
            // CONNACK byte by byte: in frames of one message, then in messages, with empty ones and a ping between.
            for part in [
                frame(0x02, &CONNACK[..1]),
                frame(0x00, &CONNACK[1..2]),
                frame(0x89, b"are you there"),
                frame(0x00, b""),
                frame(0x80, &CONNACK[2..3]),
                frame(0x82, b""),
                frame(0x82, &CONNACK[3..]),
            ] {
                stream.write_all(&part).await.unwrap();
            }
            assert_eq!(read(&mut stream).await.unwrap(), (0x8a, b"are you there".to_vec()));
            stream
        });
        let client = client.unwrap();
        let mut messages = client.messages();
        // Many packets in one frame, and the last one goes on in the next.
        let publish = |text: &[u8]| {
            [&[0x30, 4 + 1 + u8::try_from(text.len()).unwrap(), 0, 2][..], b"ab", &[0], text].concat()
        };
        let all = [publish(b"one"), publish(b"two"), publish(b"three")].concat();
        let (one, other) = all.split_at(all.len() - 2);
        stream.write_all(&[frame(0x82, one), frame(0x82, other)].concat()).await.unwrap();
        for expected in ["one", "two", "three"] {
            assert_eq!(next(&mut messages).await.payload(), expected.as_bytes());
        }
        // At the end MQTT's goodbye comes first, then that of the WebSocket.
        let (ended, ()) = tokio::join!(client.disconnect(), async {
            let (first, packet) = read(&mut stream).await.unwrap();
            assert_eq!((first, packet[0]), (0x82, 0xe0));
            let (first, _) = read(&mut stream).await.unwrap();
            assert_eq!(first, 0x88);
        });
        ended.unwrap();
    }

    /// What ends the connection once the broker says this.
    async fn end(last: &[u8]) -> Disconnection {
        let (listener, options) = server().await;
        let (client, mut stream) = tokio::join!(Client::connect(options), async {
            let mut stream = accept(&listener).await;
            read(&mut stream).await.unwrap();
            stream.write_all(&frame(0x82, CONNACK)).await.unwrap();
            stream
        });
        let client = client.unwrap();
        let mut events = client.events();
        stream.write_all(last).await.unwrap();
        let cause = disconnected(&mut events).await;
        // It closes, too.
        within(LONG, async { while read(&mut stream).await.is_some() {} }).await;
        cause
    }

    // Spec 3.1.1: MQTT-6.0.0-1
    // Spec 5.0: MQTT-6.0.0-1
    #[tokio::test]
    async fn text_and_broken_frames_end_the_connection() {
        let policy = frame(0x88, &[&[0x03, 0xf0][..], b"policy"].concat());
        for (last, words) in [
            // What would be a PUBLISH in a binary frame.
            (&frame(0x81, b"0\x06\0\x02ab\0x")[..], "text"),
            // A reserved bit, a length beyond all bounds, a continuation of nothing, a mask that only clients have.
            (&frame(0xc2, b"x"), "eserved"),
            (&[0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "too long"),
            (&frame(0x80, b"x"), "ontinue"),
            (&[0x82, 0x81, 0, 0, 0, 0, b'x'], "mask"),
            (&policy, "1008 \"policy"),
        ] {
            let cause = end(last).await;
            assert!(matches!(cause, Disconnection::Broken(_)), "{cause:?}");
            assert!(cause.to_string().contains(words), "{words:?} is not in {cause}");
        }
        // Goodbye is no complaint.
        let cause = end(&frame(0x88, &[0x03, 0xe8])).await;
        assert!(matches!(cause, Disconnection::Ended(Cause::Lost)), "{cause:?}");
    }

    /// The crate's own server role agrees with our framing, whatever the sizes.
    #[tokio::test]
    async fn tungstenite_as_a_server_understands_us() {
        let (listener, options) = server().await;
        let _ = tokio::join!(Client::connect(options.connect_timeout(Duration::from_secs(1))), async {
            let stream = accept(&listener).await;
            let mut socket: Socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
            let message = std::future::poll_fn(|cx| {
                futures_core::Stream::poll_next(std::pin::Pin::new(&mut socket), cx)
            });
            assert!(message.await.unwrap().unwrap().is_binary());
        });
    }
}
