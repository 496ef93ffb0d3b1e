//! A connection on which packets are said one by one, also those that a client would know better than to send.

use std::collections::VecDeque;
use std::time::Duration;

use packetboat::{Io, Options, PropertiesBuf, QoS, Reason, Version};
use packetboat_core::wire::{
    Ack, AckKind, Connect, Decoded, Disconnect, FiltersBuf, MAXIMUM_PACKET, Packet, Publish, SubAckKind,
    Subscribe, SubscribeOptions, Will, connack_of_3_1_1, decode, encode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::trouble::Trouble;

/// Who connects, and how.
#[derive(Clone, Debug)]
pub(super) struct Greeting {
    pub(super) version: Version,
    pub(super) id: String,
    pub(super) clean: bool,
    pub(super) keep_alive: u16,
    pub(super) will: Option<String>,
    pub(super) properties: PropertiesBuf,
}

/// What a caller needs to know to connect.
pub(super) struct Desk {
    pub(super) options: Options,
    pub(super) username: Option<String>,
    pub(super) password: Option<Vec<u8>>,
    pub(super) patience: Duration,
}

/// What CONNACK said.
#[derive(Clone, Debug)]
pub(super) struct Welcome {
    pub(super) session_present: bool,
    pub(super) properties: PropertiesBuf,
    /// To the byte stream, and from there to CONNACK.
    pub(super) took: (Duration, Duration),
}

/// A message that came.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) identifiers: Vec<u32>,
}

/// What else comes.
#[derive(Debug)]
enum Answer {
    Suback(Vec<Reason>),
    Ack(AckKind, u16, Reason),
    Pong,
    Nothing,
}

pub(super) struct Line {
    io: Box<dyn Io>,
    version: Version,
    patience: Duration,
    bytes: Vec<u8>,
    id: u16,
    arrivals: VecDeque<Arrival>,
}

impl Desk {
    pub(super) async fn call(&self, greeting: &Greeting) -> Result<(Line, Welcome), Trouble> {
        let attempt = self.options.attempt().map_err(|error| Trouble::Dial(error.to_string()))?;
        let begin = Instant::now();
        let io = timeout(self.patience, self.options.dial(&attempt)).await;
        let io = io.map_err(|_| Trouble::Silence)?.map_err(|error| Trouble::Dial(error.to_string()))?;
        let dialed = begin.elapsed();
        let mut line = Line {
            io,
            version: greeting.version,
            patience: self.patience,
            bytes: Vec::new(),
            id: 0,
            arrivals: VecDeque::new(),
        };
        let nothing = PropertiesBuf::new();
        let will = greeting.will.as_deref().map(|topic| Will {
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            payload: b"will",
            properties: nothing.as_properties(),
        });
        line.send(&Packet::Connect(Connect {
            version: greeting.version,
            clean_start: greeting.clean,
            keep_alive: greeting.keep_alive,
            client_id: &greeting.id,
            will,
            username: self.username.as_deref(),
            password: self.password.as_deref(),
            properties: greeting.properties.as_properties(),
        }))
        .await?;
        let mut welcome = line.welcome().await?;
        welcome.took = (dialed, begin.elapsed().saturating_sub(dialed));
        Ok((line, welcome))
    }
}

impl Line {
    async fn send(&mut self, packet: &Packet<'_>) -> Result<(), Trouble> {
        match self.send_now(packet).await {
            // What it said before it hung up is worth more.
            Err(Trouble::Closed) => Err(self.last_word().await),
            sent => sent,
        }
    }

    async fn last_word(&mut self) -> Trouble {
        loop {
            match self.next(Instant::now() + self.patience).await {
                Ok(_) => {}
                Err(trouble) => return trouble,
            }
        }
    }

    /// Read a bit.
    async fn read(&mut self, until: Instant) -> Result<(), Trouble> {
        match timeout_at(until, self.io.read_buf(&mut self.bytes)).await {
            Err(_) => Err(Trouble::Silence),
            Ok(Ok(0) | Err(_)) => Err(Trouble::Closed),
            Ok(Ok(_)) => Ok(()),
        }
    }

    async fn welcome(&mut self) -> Result<Welcome, Trouble> {
        let until = Instant::now() + self.patience;
        loop {
            // A broker that has never heard of 5.0 answers as one of 3.1.1.
            if let Some((connack, 4)) = connack_of_3_1_1(&self.bytes).filter(|(connack, _)| {
                self.version.has_properties() && connack.reason.is_error() && self.bytes.len() == 4
            }) {
                return Err(Trouble::Refused(connack.reason));
            }
            match decode(self.version, &self.bytes, MAXIMUM_PACKET) {
                Ok(Decoded::Packet { packet: Packet::Connack(connack), size }) => {
                    if connack.reason.is_error() {
                        return Err(Trouble::Refused(connack.reason));
                    }
                    let mut properties = PropertiesBuf::new();
                    properties.copy_from(connack.properties);
                    let session_present = connack.session_present;
                    self.bytes.drain(..size);
                    return Ok(Welcome { session_present, properties, took: Default::default() });
                }
                Ok(Decoded::Packet { packet: Packet::Disconnect(bye), .. }) => {
                    return Err(Trouble::Disconnected(bye.reason));
                }
                Ok(Decoded::Packet { .. }) => {
                    return Err(Trouble::Nonsense("the answer is no CONNACK".into()));
                }
                Ok(Decoded::Incomplete { .. }) => self.read(until).await?,
                Err(error) => return Err(Trouble::Nonsense(format!("CONNACK is wrong: {error}"))),
            }
        }
    }

    /// The next packet. Messages are acknowledged and put by.
    async fn next(&mut self, until: Instant) -> Result<Answer, Trouble> {
        loop {
            match decode(self.version, &self.bytes, MAXIMUM_PACKET) {
                Ok(Decoded::Packet { packet, size }) => {
                    let (answer, reply, arrival) = taken(&packet)?;
                    self.bytes.drain(..size);
                    self.arrivals.extend(arrival);
                    if let Some(reply) = reply {
                        self.send_now(&Packet::Ack(reply)).await?;
                    }
                    return Ok(answer);
                }
                Ok(Decoded::Incomplete { .. }) => self.read(until).await?,
                Err(error) => return Err(Trouble::Nonsense(format!("the broker sends nonsense: {error}"))),
            }
        }
    }

    /// Without asking for a last word, which would ask for this.
    async fn send_now(&mut self, packet: &Packet<'_>) -> Result<(), Trouble> {
        let mut bytes = Vec::new();
        encode(self.version, packet, &mut bytes);
        let write = async {
            self.io.write_all(&bytes).await?;
            self.io.flush().await
        };
        match timeout(self.patience, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Trouble::Closed),
            Err(_) => Err(Trouble::Silence),
        }
    }

    async fn answer<T>(&mut self, mut wanted: impl FnMut(Answer) -> Option<T>) -> Result<T, Trouble> {
        let until = Instant::now() + self.patience;
        loop {
            let answer = self.next(until).await?;
            if let Some(found) = wanted(answer) {
                return Ok(found);
            }
        }
    }

    fn next_id(&mut self) -> u16 {
        self.id = self.id.checked_add(1).unwrap_or(1);
        self.id
    }

    /// The reason the broker gives.
    pub(super) async fn subscribe(
        &mut self,
        filter: &str,
        qos: QoS,
        properties: &PropertiesBuf,
    ) -> Result<Reason, Trouble> {
        let mut filters = FiltersBuf::default();
        filters.push(filter, SubscribeOptions { qos, ..SubscribeOptions::default() });
        let id = self.next_id();
        let packet = Subscribe { id, properties: properties.as_properties(), filters: filters.as_filters() };
        self.send(&Packet::Subscribe(packet)).await?;
        let reasons = self.answer(|answer| match answer {
            Answer::Suback(reasons) => Some(reasons),
            _ => None,
        });
        Ok(reasons.await?.first().copied().unwrap_or(Reason::UNSPECIFIED_ERROR))
    }

    /// Publish, and go all the way to the last acknowledgement.
    pub(super) async fn publish(&mut self, letter: &Letter<'_>) -> Result<Reason, Trouble> {
        let id = self.begin(letter).await?;
        let Some(id) = id else {
            // Whether it was taken shows in what comes behind it.
            self.ping().await?;
            return Ok(Reason::SUCCESS);
        };
        if letter.qos == QoS::AtLeastOnce {
            return self.acknowledged(AckKind::Puback, id).await;
        }
        let reason = self.acknowledged(AckKind::Pubrec, id).await?;
        if reason.is_error() {
            return Ok(reason);
        }
        self.release(id).await?;
        Ok(reason)
    }

    /// Send it, no more. Its identifier is returned.
    pub(super) async fn begin(&mut self, letter: &Letter<'_>) -> Result<Option<u16>, Trouble> {
        let id = (letter.qos != QoS::AtMostOnce).then(|| self.next_id());
        let publish = Publish {
            dup: false,
            retain: letter.retain,
            qos: letter.qos,
            topic: letter.topic,
            id,
            properties: letter.properties.as_properties(),
            payload: letter.payload,
        };
        self.send(&Packet::Publish(publish)).await?;
        Ok(id)
    }

    pub(super) async fn acknowledged(&mut self, kind: AckKind, wanted: u16) -> Result<Reason, Trouble> {
        self.answer(|answer| match answer {
            Answer::Ack(what, id, reason) if (what, id) == (kind, wanted) => Some(reason),
            _ => None,
        })
        .await
    }

    pub(super) async fn release(&mut self, id: u16) -> Result<(), Trouble> {
        self.send(&Packet::Ack(Ack::new(AckKind::Pubrel, id))).await?;
        self.acknowledged(AckKind::Pubcomp, id).await.map(drop)
    }

    pub(super) async fn ping(&mut self) -> Result<Duration, Trouble> {
        let begin = Instant::now();
        self.send(&Packet::PingReq).await?;
        self.answer(|answer| matches!(answer, Answer::Pong).then_some(())).await?;
        Ok(begin.elapsed())
    }

    /// The next message, if one comes.
    pub(super) async fn arrival(&mut self) -> Result<Option<Arrival>, Trouble> {
        let until = Instant::now() + self.patience;
        loop {
            if let Some(arrival) = self.arrivals.pop_front() {
                return Ok(Some(arrival));
            }
            match self.next(until).await {
                Err(Trouble::Silence) => return Ok(None),
                other => drop(other?),
            }
        }
    }

    /// What has come so far, as far as the broker sends things in their order.
    pub(super) async fn arrived(&mut self) -> Result<Vec<Arrival>, Trouble> {
        self.ping().await?;
        Ok(self.arrivals.drain(..).collect())
    }

    /// Until the broker ends the connection: how long that took.
    pub(super) async fn until_closed(&mut self, limit: Duration) -> Option<Duration> {
        let begin = Instant::now();
        loop {
            match self.next(begin + limit).await {
                Ok(_) => {}
                Err(Trouble::Silence) => return None,
                Err(_) => return Some(begin.elapsed()),
            }
        }
    }

    /// A proper end. That it cannot be said any more is no news.
    pub(super) async fn goodbye(mut self) {
        let _ = self.send_now(&Packet::Disconnect(Disconnect::new(Reason::NORMAL_DISCONNECTION))).await;
        let _ = timeout(self.patience, self.io.shutdown()).await;
    }
}

/// A message to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letter<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) properties: &'a PropertiesBuf,
}

type Taken = (Answer, Option<Ack<'static>>, Option<Arrival>);

/// What a packet means, what is to be said to it, and the message in it.
fn taken(packet: &Packet<'_>) -> Result<Taken, Trouble> {
    Ok(match packet {
        Packet::Publish(publish) => {
            let arrival = Arrival {
                topic: publish.topic.to_owned(),
                payload: publish.payload.to_vec(),
                qos: publish.qos,
                retain: publish.retain,
                identifiers: publish.properties.subscription_identifiers().collect(),
            };
            let kind = if publish.qos == QoS::AtLeastOnce { AckKind::Puback } else { AckKind::Pubrec };
            (Answer::Nothing, publish.id.map(|id| Ack::new(kind, id)), Some(arrival))
        }
        Packet::Ack(ack) if ack.kind == AckKind::Pubrel => {
            (Answer::Nothing, Some(Ack::new(AckKind::Pubcomp, ack.id)), None)
        }
        Packet::Ack(ack) => (Answer::Ack(ack.kind, ack.id, ack.reason), None, None),
        Packet::Suback(suback) if suback.kind == SubAckKind::Suback => {
            (Answer::Suback(suback.reasons().collect()), None, None)
        }
        Packet::PingResp => (Answer::Pong, None, None),
        Packet::Disconnect(bye) => return Err(Trouble::Disconnected(bye.reason)),
        _ => (Answer::Nothing, None, None),
    })
}
