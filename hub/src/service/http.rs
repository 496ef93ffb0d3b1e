//! Health, readiness and metrics over HTTP: three small answers, and nothing else.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{Board, metrics};

/// Requests at once. More wait in the backlog of the socket.
const AT_ONCE: usize = 32;
/// A request has a head of at most so many bytes, and its body is not read.
const HEAD: usize = 8 * 1024;
/// And may take so long.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn serve(listener: TcpListener, board: Arc<Board>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // Never closed.
        let Ok(place) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let board = board.clone();
                tokio::spawn(async move {
                    // Who asked and went away is not to be told.
                    let _ = timeout(LIMIT, answer(stream, &board)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no HTTP connection");
                // Out of descriptors, most likely.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, board: &Board) -> io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= HEAD {
            return respond(&mut stream, false, "431 Request Header Fields Too Large", TEXT, "too long\n")
                .await;
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0")) = (method, target, version) else {
        return respond(&mut stream, false, "400 Bad Request", TEXT, "this is HTTP/1.1\n").await;
    };
    let is_head = method == "HEAD";
    if !is_head && method != "GET" {
        return respond(&mut stream, false, "405 Method Not Allowed", TEXT, "GET and HEAD only\n").await;
    }
    let path = target.split('?').next().unwrap_or_default();
    match path {
        "/health" => respond(&mut stream, is_head, "200 OK", TEXT, "ok\n").await,
        "/ready" => {
            let missing = board.missing();
            if missing.is_empty() {
                return respond(&mut stream, is_head, "200 OK", TEXT, "ready\n").await;
            }
            let text = missing.join("\n") + "\n";
            respond(&mut stream, is_head, "503 Service Unavailable", TEXT, &text).await
        }
        "/metrics" => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            respond(&mut stream, is_head, "200 OK", kind, &metrics::text(board)).await
        }
        _ => {
            respond(&mut stream, is_head, "404 Not Found", TEXT, "there are /health, /ready and /metrics\n")
                .await
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

async fn respond(
    stream: &mut TcpStream,
    is_head: bool,
    status: &str,
    kind: &str,
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    if !is_head {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}
