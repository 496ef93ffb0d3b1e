//! Large payloads: where their bytes lie when the transport is handed them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use common::ALL_QOS;
use common::inside::{Host, Inside, Network, patient};
use packetboat::{Attempt, Client, Dialing, Io, Options, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Where the bytes lay that a transport took: address and length.
type Taken = Arc<Mutex<Vec<(usize, usize)>>>;

/// Looks at what is written to the network.
struct Watching(Network, Taken);

impl Transport for Watching {
    fn dial(&self, attempt: &Attempt) -> Dialing {
        let (dialing, taken) = (self.0.dial(attempt), self.1.clone());
        Box::pin(async move { Ok(Box::new(Watched(dialing.await?, taken)) as Box<dyn Io>) })
    }
}

struct Watched(Box<dyn Io>, Taken);

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut *self.0).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = wrote {
            self.1.lock().unwrap().push((bytes.as_ptr().addr(), count));
        }
        wrote
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = parts.iter().find(|part| !part.is_empty()).expect("something to write");
        self.poll_write(cx, first)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

/// Bytes taken from inside this payload, and from elsewhere.
fn split(taken: &Taken, payload: &Bytes) -> (usize, usize) {
    let inside = payload.as_ptr().addr()..payload.as_ptr().addr() + payload.len();
    let taken = std::mem::take(&mut *taken.lock().unwrap());
    let total: usize = taken.iter().map(|(_, count)| count).sum();
    let own = taken.iter().filter(|(at, _)| inside.contains(at)).map(|(_, count)| count).sum();
    (own, total - own)
}

#[tokio::test(start_paused = true)]
async fn large_owned_payloads_are_written_from_where_they_lie_and_lent_ones_from_one_copy() {
    let broker = Inside::new();
    let network = Network::new([("broker", Host::Broker(broker.clone()))]);
    let taken = Taken::default();
    let options =
        Options::new("mqtt://broker").client_id("large").transport(Watching(network, taken.clone()));
    let client = patient(Client::connect(options)).await.unwrap();
    let payload = Bytes::from(vec![b'x'; 1 << 20]);
    let _ = split(&taken, &payload);
    for qos in ALL_QOS {
        for _ in 0..3 {
            patient(client.publish("a/b", payload.clone()).qos(qos)).await.unwrap();
        }
        patient(client.flush()).await.unwrap();
        let (own, other) = split(&taken, &payload);
        assert_eq!(own, 3 << 20, "{qos:?}: not all of it came from the payload");
        assert!(other < 200, "{qos:?}: {other} bytes besides the payloads");
    }
    // Bytes that are only lent have to be copied: the measure sees it.
    patient(client.publish("a/b", &payload[..])).await.unwrap();
    patient(client.flush()).await.unwrap();
    let (own, other) = split(&taken, &payload);
    assert!(own == 0 && other > 1 << 20, "{own}, {other}");
    patient(client.disconnect()).await.unwrap();
    let lengths: Vec<usize> = broker.payloads("large").iter().map(String::len).collect();
    assert_eq!(lengths, [1 << 20; 10]);
    broker.check();
}
