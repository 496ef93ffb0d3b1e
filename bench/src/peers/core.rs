//! The protocol engine alone, without handles, lock, task and socket: what of an instruction count is its own.

use packetboat_core::route::Router;
use packetboat_core::session::{
    Arrival, Config, ConnectOptions, Event, Outgoing, Output, Payload, PublishError, Received, Receiver,
    Release, Session, Tag, Verdict,
};
use packetboat_core::time::Instant;
use packetboat_core::topic::{TopicFilter, TopicName};
use packetboat_core::wire::{Properties, QoS, SubscribeOptions};

use crate::frames::{FILTER, TOPIC};
use crate::job::{Error, Job, Workload};
use crate::measure::{Measured, Meter};
use crate::memory::Memory;

const NOW: Instant = Instant(1);

/// A write when so many bytes wait, as the client has it.
const WRITE: u64 = 64 * 1024;

pub fn run(job: &Job) -> Result<Measured, Error> {
    let mut bench = Bench::connect(job)?;
    match job.workload {
        Workload::Publish(qos) => bench.publish(job, quality(qos)),
        Workload::Receive(qos) | Workload::Mixed(qos) => bench.receive(job, quality(qos)),
        Workload::Filters(_) => {
            bench.add_filters(job.size)?;
            bench.receive(job, QoS::AtMostOnce)
        }
        _ => Err("the engine alone only publishes and receives".into()),
    }
}

fn quality(qos: u8) -> QoS {
    [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)]
}

struct Bench {
    session: Session<Vec<u8>>,
    receiver: Receiver,
    router: Router<u32>,
    server: Memory,
    output: Output<Vec<u8>>,
    input: Vec<u8>,
    end: usize,
    received: u64,
    published: u64,
}

impl Bench {
    fn connect(job: &Job) -> Result<Self, Error> {
        let connect = ConnectOptions { client_id: job.client_id(), ..ConnectOptions::default() };
        let config = Config { window: job.window, ..Config::default() };
        let mut bench = Self {
            session: Session::new(config),
            receiver: Receiver::new(&connect),
            router: Router::new(),
            server: Memory::new(),
            output: Output::default(),
            input: vec![0; 64 * 1024],
            end: 0,
            received: 0,
            published: 0,
        };
        bench.session.handle_open(&connect);
        bench.turn()?;
        Ok(bench)
    }

    fn publish(&mut self, job: &Job, qos: QoS) -> Result<Measured, Error> {
        let payload = job.payload();
        let meter = Meter::start();
        let topic = TopicName::new(TOPIC)?;
        for sent in 0..job.count {
            let message = Outgoing {
                topic,
                payload: Payload::Borrowed(&payload),
                qos,
                retain: false,
                properties: Properties::EMPTY,
                drop_properties: false,
                tag: if qos == QoS::AtMostOnce { Tag::NONE } else { Tag(sent) },
            };
            loop {
                match self.session.publish(&message, NOW) {
                    Ok(_) => break,
                    Err(PublishError::Full) => self.turn()?,
                    Err(error) => return Err(error.into()),
                }
            }
            if self.session.unwritten() >= WRITE {
                self.turn()?;
            }
        }
        while self.server.received < job.count || qos != QoS::AtMostOnce && self.published < job.count {
            self.turn()?;
        }
        Ok(meter.finish(job.count))
    }

    /// Subscriptions of others on the way to the one that matches, and beside it.
    fn add_filters(&mut self, count: u32) -> Result<(), Error> {
        for index in 1..count {
            let filter = match index % 4 {
                0 => format!("plant/line{index}/+"),
                1 => format!("plant/+/other{index}"),
                2 => format!("plant/line7/part{index}/#"),
                _ => format!("site{}/plant{}/line{index}", index % 10, index % 100),
            };
            self.router.insert(&TopicFilter::new(filter)?, 7 + index);
        }
        Ok(())
    }

    fn receive(&mut self, job: &Job, qos: QoS) -> Result<Measured, Error> {
        let filter = TopicFilter::new(FILTER)?;
        self.router.insert(&filter, 7);
        let meter = Meter::start();
        self.session.subscribe(&filter, SubscribeOptions { qos, ..SubscribeOptions::default() }, Tag(0))?;
        while self.received < job.count {
            self.turn()?;
        }
        Ok(meter.finish(job.count))
    }

    /// Write, read, and take what came, as the client's task does in one turn.
    fn turn(&mut self) -> Result<(), Error> {
        if self.session.poll_transmit(&mut self.output, NOW) {
            peer_side_take(&mut self.server, &self.output.bytes)?;
            self.session.handle_written(self.output.len(), NOW);
            self.output.clear();
        }
        let read = peer_side_give(&mut self.server, &mut self.input[self.end..]);
        self.end += read;
        self.session.handle_read(NOW);
        let mut at = 0;
        loop {
            match self.receiver.next(&self.input[at..self.end]).map_err(|breach| breach.what)? {
                Received::Packet { packet, size } => {
                    self.session.handle_packet(&packet, NOW);
                    at += size;
                }
                Received::Publish { publish, size, .. } => {
                    at += size;
                    self.received += 1;
                    let identifiers = publish.properties.subscription_identifiers();
                    let holders = self.router.route(publish.topic, identifiers).len() as u16;
                    let arrival = Arrival { qos: publish.qos, id: publish.id, holders };
                    if let Verdict::Deliver(Some(token)) = self.session.handle_publish(arrival) {
                        self.session.release(token, Release::Acknowledge);
                    }
                }
                _ => break,
            }
        }
        self.input.copy_within(at..self.end, 0);
        self.end -= at;
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Published { .. } => self.published += 1,
                Event::Disconnected { cause, .. } => return Err(format!("{cause:?}").into()),
                _ => {}
            }
        }
        Ok(())
    }
}

#[inline(never)]
fn peer_side_take(server: &mut Memory, bytes: &[u8]) -> Result<(), Error> {
    server.take(bytes)
}

#[inline(never)]
fn peer_side_give(server: &mut Memory, space: &mut [u8]) -> usize {
    server.give(space)
}
