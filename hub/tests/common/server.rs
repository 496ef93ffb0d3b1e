//! A server of HTTP that answers as it is told.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};

/// A request as it came: head and body.
pub(crate) type Asked = (String, Vec<u8>);

/// A server that gives one answer for each request, whatever the connection.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) asked: mpsc::UnboundedReceiver<Asked>,
    /// Answers to come. Until there is one it is silent; one that is empty, or [`HALF`], closes the connection.
    pub(crate) answers: mpsc::UnboundedSender<String>,
}

/// A server with these answers, and no others.
pub(crate) async fn server(answers: &[&str]) -> (String, mpsc::UnboundedReceiver<Asked>) {
    let Server { url, asked, .. } = server_behind(answers, "http", |io| async { Some(io) }).await;
    (url, asked)
}

pub(crate) async fn server_behind<Io, F>(
    answers: &[&str],
    scheme: &str,
    layer: impl Fn(TcpStream) -> F + Send + 'static,
) -> Server
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Option<Io>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
    let (sender, asked) = mpsc::unbounded_channel();
    let (further, to_come) = mpsc::unbounded_channel();
    for answer in answers {
        further.send((*answer).to_owned()).unwrap();
    }
    let answers = Arc::new(Mutex::new(to_come));
    tokio::spawn(async move {
        while let Ok((io, _)) = listener.accept().await {
            let (sender, answers, io) = (sender.clone(), answers.clone(), layer(io));
            tokio::spawn(async move {
                if let Some(io) = io.await {
                    serve(io, &sender, &answers).await;
                }
            });
        }
    });
    Server { url, asked, answers: further }
}

async fn serve(
    mut io: impl AsyncRead + AsyncWrite + Unpin,
    sender: &mpsc::UnboundedSender<Asked>,
    answers: &Mutex<mpsc::UnboundedReceiver<String>>,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = io.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        io.read_exact(&mut body).await.unwrap();
        sender.send((head, body)).unwrap();
        let answer = answers.lock().await.recv().await;
        let Some(answer) = answer else { return std::future::pending().await };
        io.write_all(answer.as_bytes()).await.unwrap();
        if answer.is_empty() || answer == HALF {
            return;
        }
    }
}

pub(crate) const FINE: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// An answer in whose body the connection ends.
pub(crate) const HALF: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 100\r\n\r\nhalf";
