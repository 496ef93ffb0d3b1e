//! The sink for many connections: a task for each, on one thread, with the protocol of the sink in memory.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::job::Error;
use crate::memory::Memory;
use crate::tls;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// Starts it and returns its port. It ends with the process.
pub fn start(config: Arc<ServerConfig>) -> Result<u16, Error> {
    let acceptor = TlsAcceptor::from(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(async { listen() })?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            // Refused for want of descriptors: the client says so, and the next may have one.
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(accept(stream, acceptor.clone()));
                }
            }
        });
    });
    Ok(port)
}

fn listen() -> io::Result<tokio::net::TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(stream: TcpStream, acceptor: TlsAcceptor) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    stream.peek(&mut first).await?;
    if first[0] == tls::HANDSHAKE { serve_tls(stream, acceptor).await } else { serve(stream).await }
}

async fn serve_tls(stream: TcpStream, acceptor: TlsAcceptor) -> Result<(), Error> {
    let mut stream = acceptor.accept(stream).await?;
    let (mut server, mut buffer) = (Memory::new(), vec![0; 2048]);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        server.take(&buffer[..read])?;
        while server.is_ready() {
            let given = server.give(&mut buffer);
            stream.write_all(&buffer[..given]).await?;
        }
        stream.flush().await?;
    }
}

async fn serve(mut stream: TcpStream) -> Result<(), Error> {
    let mut server = Memory::new();
    loop {
        stream.readable().await?;
        // Nothing is kept while nothing comes.
        let mut buffer = vec![0; 16 * 1024];
        let read = match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        };
        server.take(&buffer[..read])?;
        while server.is_ready() {
            let given = server.give(&mut buffer);
            stream.write_all(&buffer[..given]).await?;
        }
    }
}
