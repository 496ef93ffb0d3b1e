//! A stretch of network that can refuse, cut and delay, between clients and one broker.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What the network does now.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Weather {
    /// New connections are closed at once.
    pub(crate) refuse: bool,
    /// Every chunk of bytes takes so much longer.
    pub(crate) delay: Duration,
    /// Connections of an older generation are broken.
    pub(crate) generation: u64,
}

/// The stretch of network.
#[derive(Clone)]
pub(crate) struct Proxy {
    /// Which of the brokers it leads to.
    pub(crate) broker: usize,
    port: u16,
    weather: Arc<watch::Sender<Weather>>,
}

impl Proxy {
    pub(crate) async fn start(broker: usize, target: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (weather, watch) = watch::channel(Weather::default());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !watch.borrow().refuse {
                    tokio::spawn(carry(client, target, watch.clone()));
                }
            }
        });
        Ok(Self { broker, port, weather: Arc::new(weather) })
    }

    /// The user name says which broker it is, for those who see only packets.
    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}@127.0.0.1:{}", self.broker, self.port)
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// Break every connection.
    pub(crate) fn cut(&self) {
        self.change(|weather| weather.generation += 1);
    }
}

async fn carry(client: TcpStream, target: u16, mut weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let generation = weather.borrow().generation;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // When one direction ends, the other is dropped: both sockets close at once.
    tokio::select! {
        () = copy(from_client, to_server, weather.clone()) => {}
        () = copy(from_server, to_client, weather.clone()) => {}
        _ = weather.wait_for(|weather| weather.generation != generation) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, weather: watch::Receiver<Weather>) {
    let mut buffer = vec![0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let delay = weather.borrow().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
