//! What is left of secrets in the memory of the process once they are dropped.
#![cfg(all(target_os = "linux", feature = "tls", feature = "websocket"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../common/certificates.rs"]
mod certificates;
mod elsewhere;
mod keys;
#[path = "../common/memory.rs"]
mod memory;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use elsewhere::Elsewhere;
use memory::{LENGTH, copies, copies_of, letter, secret};
use packetboat::{Client, ConnectError, Credentials, Options, Proxy, VersionChoice, WebSocket};
use zeroize::{Zeroize, Zeroizing};

/// One test at a time: a search that reads what another test still holds leaves some of it on its stack, where that test finds it.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A server that says these things, each once something was said to it, keeps nothing of what it hears, and goes when it is left.
fn server(answers: &'static [&'static [u8]]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        for answer in answers {
            let heard = socket.read(&mut buffer).unwrap();
            buffer.zeroize();
            assert!(heard > 0, "it left too soon");
            socket.write_all(answer).unwrap();
        }
        while socket.read(&mut buffer).unwrap_or(0) > 0 {
            buffer.zeroize();
        }
    });
    (address, serving)
}

const ACCEPTED: &[u8] = &[0x20, 3, 0, 0, 0];

/// Secrets in memory while it is connected, and when it is gone.
fn over<F: Future<Output = Result<Client, ConnectError>>>(
    number: u8,
    serving: JoinHandle<()>,
    connecting: impl FnOnce() -> F,
) -> (usize, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connected = runtime.block_on(async {
        let client = connecting().await.unwrap();
        let connected = copies(number);
        client.disconnect().await.unwrap();
        connected
    });
    serving.join().unwrap();
    (connected, copies(number))
}

#[test]
fn the_search_finds_what_is_there() {
    let _alone = alone();
    let kept = secret(0);
    assert_eq!(copies(0), 1);
    let also = kept.clone();
    assert_eq!(copies(0), 2);
    drop((Zeroizing::new(kept), Zeroizing::new(also)));
    assert_eq!(copies(0), 0);
}

#[test]
fn a_password_is_there_once_while_it_may_be_needed_and_then_no_more() {
    let _alone = alone();
    let (address, serving) = server(&[ACCEPTED]);
    let connect = || {
        let options = Options::new(&format!("mqtt://{address}")).username("boat").password(secret(1));
        Client::connect(options)
    };
    assert_eq!(over(1, serving, connect), (1, 0));
}

#[test]
fn what_a_provider_gave_is_not_kept() {
    let _alone = alone();
    let (address, serving) = server(&[ACCEPTED]);
    let connect = || {
        let provide =
            |_| async { Ok::<_, std::io::Error>(Credentials::new().username("boat").password(secret(2))) };
        Client::connect(Options::new(&format!("mqtt://{address}")).credentials_from(provide))
    };
    assert_eq!(over(2, serving, connect), (0, 0));
}

/// `scheme://boat:secret@address`.
fn url(scheme: &str, number: u8, address: &str) -> Zeroizing<String> {
    let mut url = Zeroizing::new(String::with_capacity(200));
    url.push_str(scheme);
    url.push_str("://ab:");
    (0..LENGTH).for_each(|at| url.push(letter(number, at).into()));
    url.push('@');
    url.push_str(address);
    url
}

#[test]
fn a_password_in_an_address_is_kept_apart_from_it() {
    let _alone = alone();
    let (address, serving) = server(&[ACCEPTED]);
    let connect = || Client::connect(Options::new(&url("mqtt", 3, &address)));
    assert_eq!(over(3, serving, connect), (1, 0));
}

#[test]
fn a_password_that_went_in_a_frame_is_left_in_none() {
    const UPGRADE: &[u8] = b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
        Sec-WebSocket-Accept: nobody knows\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    let _alone = alone();
    // The answer depends on the request, so that the handshake fails: with credentials in its headers.
    let (address, serving) = server(&[UPGRADE]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = Options::new(&url("ws", 4, &address));
        assert!(Client::connect(options).await.is_err());
    });
    serving.join().unwrap();
    assert_eq!(copies(4), 0);
}

#[test]
fn credentials_of_proxies_are_kept_by_the_options_alone() {
    const HTTP: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\n\r\n", ACCEPTED];
    const SOCKS: &[&[u8]] = &[&[5, 2], &[1, 0], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0], ACCEPTED];
    let _alone = alone();
    for (number, scheme, answers) in [(5, "http", HTTP), (6, "socks5", SOCKS)] {
        let (address, serving) = server(answers);
        let connect = || {
            let proxy: Proxy = url(scheme, number, &address).parse().unwrap();
            Client::connect(Options::new("mqtt://broker.example").proxy(proxy))
        };
        let (connected, after) = over(number, serving, connect);
        assert_eq!((connected, after), (1, 0), "{scheme}");
        // `ab:` is three bytes, so that the rest is encoded by itself.
        let encoded = |at: usize| {
            let three = at / 4 * 3;
            let bits = (0..3).fold(0_u32, |bits, more| bits << 8 | u32::from(letter(number, three + more)));
            let six = usize::try_from(bits >> (18 - 6 * (at % 4)) & 0x3f).unwrap();
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[six]
        };
        assert_eq!(copies_of(32, |at| encoded(16 + at)), 0, "{scheme}");
    }
}

/// On every road, and with 5.0 and 3.1.1: while it is connected the options have it, and then nobody.
#[test]
fn a_password_is_left_in_no_frame_and_no_record() {
    let _alone = alone();
    let versions = [(VersionChoice::V5, 0), (VersionChoice::V311, 10)];
    let ways = [("ws", 8), ("mqtts", 9), ("wss", 10)];
    for (door, number, version) in ways
        .into_iter()
        .flat_map(|(door, number)| versions.map(|(version, more)| (door, number + more, version)))
    {
        let elsewhere = Elsewhere::start(door);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connected = runtime.block_on(async {
            let options = elsewhere.options(door).version(version).username("boat").password(secret(number));
            let client = Client::connect(options).await.unwrap();
            let mut stream = client.subscribe("there/and/back").await.unwrap();
            client.publish("there/and/back", "again").await.unwrap();
            stream.next().await.unwrap();
            let connected = copies(number);
            client.disconnect().await.unwrap();
            connected
        });
        assert_eq!((connected, copies(number)), (1, 0), "{door}, {version:?}");
    }
}

#[test]
fn attempts_that_fail_leave_no_password() {
    let _alone = alone();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plain = Elsewhere::start("ws");
    let (url, limit) =
        (|scheme: &str, port| format!("{scheme}://127.0.0.1:{port}"), Duration::from_millis(300));
    // No connection, no TLS, no MQTT, no answer.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let places = [
        (url("mqtt", closed.port()), 11),
        (url("mqtts", plain.port), 12),
        (url("mqtt", plain.port), 13),
        (url("wss", silent.local_addr().unwrap().port()), 14),
        (url("mqtt", silent.local_addr().unwrap().port()), 15),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (url, number) in places {
        runtime.block_on(async {
            let options = Options::new(&url).username("boat").password(secret(number)).connect_timeout(limit);
            assert!(Client::connect(options).await.is_err(), "{url}");
        });
        assert_eq!(copies(number), 0, "{url}");
    }
}

#[test]
fn secrets_in_headers_of_a_websocket_are_kept_by_the_options_alone() {
    let _alone = alone();
    let elsewhere = Elsewhere::start("ws");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let token = |number| String::from_utf8(secret(number)).unwrap();
    let connected = runtime.block_on(async {
        let fresh = move |_| async move { Ok::<_, std::io::Error>(vec![("X-Fresh".to_owned(), token(17))]) };
        let websocket = WebSocket::new().header("Authorization", token(16)).headers_from(fresh);
        let client = Client::connect(elsewhere.options("ws").websocket(websocket)).await.unwrap();
        let connected = [copies(16), copies(17)];
        client.disconnect().await.unwrap();
        connected
    });
    assert_eq!((connected, [copies(16), copies(17)]), ([1, 0], [0, 0]));
}
