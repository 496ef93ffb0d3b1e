//! The sink for many connections: a task for each, on one thread, with the protocol of the sink in memory.

use std::io;
use std::net::Ipv4Addr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::job::Error;
use crate::memory::Memory;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// Starts it and returns its port. It ends with the process.
pub fn start() -> Result<u16, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(async { listen() })?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            // Refused for want of descriptors: the client says so, and the next may have one.
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream));
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

async fn serve(mut stream: TcpStream) -> Result<(), Error> {
    stream.set_nodelay(true)?;
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
