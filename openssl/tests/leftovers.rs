//! Handshakes with a pre-shared key that are broken off, and what is left of them: counted. A program of its own, since
//! descriptors and memory are the process's.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

#[path = "../../client/tests/common/leftovers.rs"]
mod leftovers;
#[allow(dead_code, reason = "each test program uses a part")]
#[path = "../../client/tests/common/memory.rs"]
mod memory;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use openssl::ssl::{Ssl, SslContext, SslMethod, SslVersion};
use packetboat::Options;
use packetboat_openssl::OpenSsl;
use tokio::sync::oneshot;

const ROUNDS: usize = 5;

/// A server's socket on which so many bytes go out; then somebody is told, and it waits until the client has left.
#[derive(Debug)]
struct Until {
    socket: TcpStream,
    left: usize,
    written: usize,
    tell: Option<oneshot::Sender<()>>,
}

impl Until {
    fn tell(&mut self) {
        if let Some(tell) = self.tell.take() {
            tell.send(()).unwrap();
        }
    }
}

impl Read for Until {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buffer)
    }
}

impl Write for Until {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.left);
        if count == 0 {
            self.tell();
            // An end, or a reset where something was not read.
            let _ = self.socket.read_to_end(&mut Vec::new());
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.left -= count;
        self.written += count;
        self.socket.write_all(&bytes[..count])?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn context() -> SslContext {
    let mut builder = SslContext::builder(SslMethod::tls_server()).unwrap();
    builder.set_psk_server_callback(|_, identity, key| {
        assert_eq!(identity, Some(&b"boat"[..]));
        let mut secret = memory::secret(0);
        key[..secret.len()].copy_from_slice(&secret);
        secret.fill(0);
        Ok(secret.len())
    });
    builder.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
    builder.set_cipher_list("PSK").unwrap();
    builder.build()
}

/// One attempt that is dropped once so many bytes were said to it. How many the server said.
async fn broken_off(context: SslContext, left: usize) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtts://{}", listener.local_addr().unwrap());
    let (tell, told) = oneshot::channel();
    let server = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let until = Until { socket, left, written: 0, tell: Some(tell) };
        match Ssl::new(&context).unwrap().accept(until) {
            // The whole handshake: CONNECT is what comes next.
            Ok(mut stream) => {
                assert!(stream.read(&mut [0; 256]).unwrap() > 0);
                stream.get_mut().tell();
                let _ = stream.get_mut().socket.read_to_end(&mut Vec::new());
                stream.get_ref().written
            }
            Err(openssl::ssl::HandshakeError::Failure(stream)) => stream.get_ref().written,
            Err(other) => panic!("{other}"),
        }
    });
    let tls = OpenSsl::new().psk("boat", memory::secret(0));
    let options = Options::new(&url).transport(tls).connect_timeout(Duration::from_mins(1));
    leftovers::attempt_until(options, told, &left.to_string()).await;
    server.join().unwrap()
}

#[test]
fn handshakes_broken_off_anywhere_leave_no_task_no_descriptor_no_memory_and_no_key() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let context = context();
    let whole = runtime.block_on(broken_off(context.clone(), usize::MAX));
    // Inside of every record and between them, and after the last.
    let points: Vec<usize> = (0..12).map(|part| whole * part / 12).chain([3, whole - 1, whole]).collect();
    runtime.block_on(leftovers::leave_nothing(ROUNDS, async || {
        for &left in &points {
            let written = broken_off(context.clone(), left).await;
            assert_eq!(written, left, "of {whole}");
        }
    }));
    assert_eq!(memory::copies(0), 0, "the key");
}
