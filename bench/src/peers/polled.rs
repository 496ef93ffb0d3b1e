//! rumqttc and its successors: a handle that queues requests, and an event loop that the user polls.

use std::future::Future;

use bytes::Bytes;

use super::Peer;
use crate::job::{Error, Job};

/// Requests that may wait for the event loop.
pub(super) const CHANNEL: usize = 1000;

/// Requests taken in one iteration of the event loop, where that can be said.
pub(super) const BATCH: usize = 256;

/// Messages larger than the benchmark's largest are not expected.
pub(super) const LARGEST_PACKET: u32 = 16 << 20;

/// What one turn of an event loop yields.
pub(super) enum Happening {
    Connected,
    Subscribed,
    Message,
    /// PUBACK or PUBCOMP.
    Acknowledged,
    /// A PUBLISH was written.
    Sent,
    Other,
}

/// One of the family.
pub(super) trait EventLoop: Sized + Send + 'static {
    type Handle: Clone + Send + Sync + 'static;

    fn open(job: &Job, client_id: String) -> (Self::Handle, Self);

    fn publish(
        handle: &Self::Handle,
        qos: u8,
        payload: &Bytes,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    fn subscribe(handle: &Self::Handle, qos: u8) -> impl Future<Output = Result<(), Error>> + Send;

    fn turn(&mut self) -> impl Future<Output = Result<Happening, Error>> + Send;
}

/// The three have the same shape and no type in common: each file says how it opens and publishes, the rest is alike.
macro_rules! event_loop {
    ($library:ident) => {
        pub(super) struct Loop($library::EventLoop);

        fn quality(qos: u8) -> $library::QoS {
            use $library::QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};
            [AtMostOnce, AtLeastOnce, ExactlyOnce][usize::from(qos)]
        }

        impl crate::peers::polled::EventLoop for Loop {
            type Handle = $library::AsyncClient;

            fn open(job: &Job, client_id: String) -> (Self::Handle, Self) {
                let (handle, events) = open(job, client_id);
                (handle, Self(events))
            }

            async fn publish(handle: &Self::Handle, qos: u8, payload: &Bytes) -> Result<(), Error> {
                publish(handle, quality(qos), payload.clone()).await
            }

            async fn subscribe(handle: &Self::Handle, qos: u8) -> Result<(), Error> {
                Ok(handle.subscribe(crate::frames::FILTER, quality(qos)).await?)
            }

            async fn turn(&mut self) -> Result<crate::peers::polled::Happening, Error> {
                use crate::peers::polled::Happening;
                use $library::{Event, Outgoing, Packet};
                Ok(match self.0.poll().await? {
                    Event::Incoming(Packet::Publish(publish)) => {
                        std::hint::black_box(&publish.payload);
                        Happening::Message
                    }
                    Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => Happening::Acknowledged,
                    Event::Incoming(Packet::ConnAck(_)) => Happening::Connected,
                    Event::Incoming(Packet::SubAck(_)) => Happening::Subscribed,
                    Event::Outgoing(Outgoing::Publish(_)) => Happening::Sent,
                    _ => Happening::Other,
                })
            }
        }
    };
}
pub(super) use event_loop;

pub(super) struct Polled<L: EventLoop> {
    handle: L::Handle,
    events: L,
    payload: Bytes,
}

impl<L: EventLoop> Polled<L> {
    async fn until(&mut self, count: u64, wanted: impl Fn(&Happening) -> bool + Send) -> Result<(), Error> {
        let mut seen = 0;
        while seen < count {
            seen += u64::from(wanted(&self.events.turn().await?));
        }
        Ok(())
    }
}

impl<L: EventLoop> Peer for Polled<L> {
    const DRIVEN: bool = true;

    async fn connect(job: &Job, client_id: String) -> Result<Self, Error> {
        let (handle, events) = L::open(job, client_id);
        let mut polled = Self { handle, events, payload: job.payload().into() };
        polled.until(1, |happening| matches!(happening, Happening::Connected)).await?;
        Ok(polled)
    }

    async fn subscribe(&mut self, qos: u8) -> Result<(), Error> {
        L::subscribe(&self.handle, qos).await?;
        self.until(1, |happening| matches!(happening, Happening::Subscribed)).await
    }

    /// Many messages are published by a task of their own, as the documentation of all of them has it.
    async fn publish(&mut self, qos: u8, count: u64) -> Result<(), Error> {
        if count == 1 {
            L::publish(&self.handle, qos, &self.payload).await?;
        } else {
            let (handle, payload) = (self.handle.clone(), self.payload.clone());
            tokio::spawn(async move {
                for _ in 0..count {
                    if L::publish(&handle, qos, &payload).await.is_err() {
                        return;
                    }
                }
            });
        }
        let is_done = move |happening: &Happening| match happening {
            Happening::Sent => qos == 0,
            Happening::Acknowledged => qos > 0,
            _ => false,
        };
        self.until(count, is_done).await
    }

    async fn receive(&mut self, count: u64) -> Result<(), Error> {
        self.until(count, |happening| matches!(happening, Happening::Message)).await
    }

    async fn drive(&mut self) {
        while self.events.turn().await.is_ok() {}
    }
}
