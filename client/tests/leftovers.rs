//! Attempts that are broken off in the middle of every handshake, and what is left of them: counted. A program of its own,
//! since descriptors and memory are the process's.
#![cfg(all(target_os = "linux", feature = "tls", feature = "websocket"))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

#[path = "common/leftovers.rs"]
mod leftovers;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use packetboat::{Options, Proxy, Tls};
use tokio::sync::oneshot;

const ROUNDS: usize = 40;

/// What the client gets to hear before nothing more comes, in each handshake.
const ROADS: [(&str, &[&[u8]]); 5] = [
    ("mqtt", &[b"", b"\x20", b"\x20\x03\x00"]),
    (
        "ws",
        &[b"", b"HTTP", b"HTTP/1.1 101 x\r\nUpgrade: webso", b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r"],
    ),
    ("http", &[b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\n\r", b"HTTP/1.1 200 OK\r\n\r\n"]),
    (
        "socks5",
        &[b"", b"\x05", b"\x05\x00", b"\x05\x00\x05\x00\x00", b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0"],
    ),
    ("mqtts", &[b"", b"\x16\x03\x03", b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc"]),
];

fn options(road: &str, port: u16) -> Options {
    let server = format!("127.0.0.1:{port}");
    let options = match road {
        "http" | "socks5" => Options::new("mqtt://broker.example")
            .proxy(format!("{road}://{server}").parse::<Proxy>().unwrap()),
        "mqtts" => Options::new(&format!("mqtts://{server}")).tls(Tls::new().danger_accept_any_certificate()),
        _ => Options::new(&format!("{road}://{server}")),
    };
    options.connect_timeout(Duration::from_mins(1))
}

/// One attempt that is dropped once this was said to it. The server waits for its end.
async fn broken_off(road: &str, said: &'static [u8]) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = oneshot::channel();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(said).unwrap();
        tell.send(()).unwrap();
        // An end, or a reset where something was not read.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    leftovers::attempt_until(options(road, port), told, road).await;
    server.join().unwrap();
}

#[test]
fn attempts_broken_off_in_every_handshake_leave_no_task_no_descriptor_and_no_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(leftovers::leave_nothing(ROUNDS, async || {
        for (road, points) in ROADS {
            for said in points {
                broken_off(road, said).await;
            }
        }
    }));
}
