//! One measurement: who does what, how often. Jobs travel as arguments of worker processes.

use std::fmt;
use std::str::FromStr;

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Workload {
    /// A loop that publishes, at this QoS.
    Publish(u8),
    /// A loop that takes messages from a subscription, at this QoS.
    Receive(u8),
    /// One message in flight: published and echoed (QoS 0), published and acknowledged (QoS 1).
    RoundTrip(u8),
    /// Connections that do nothing.
    Idle,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish(qos) => write!(f, "publish{qos}"),
            Self::Receive(qos) => write!(f, "receive{qos}"),
            Self::RoundTrip(qos) => write!(f, "roundtrip{qos}"),
            Self::Idle => f.write_str("idle"),
        }
    }
}

impl FromStr for Workload {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, qos) = text.split_at(text.trim_end_matches(|letter: char| letter.is_ascii_digit()).len());
        let qos = || qos.parse().ok().filter(|qos| *qos <= 2).ok_or("a QoS of 0, 1 or 2 must follow");
        Ok(match name {
            "publish" => Self::Publish(qos()?),
            "receive" => Self::Receive(qos()?),
            "roundtrip" => Self::RoundTrip(qos()?),
            "idle" => Self::Idle,
            _ => return Err(format!("no such workload: {text}").into()),
        })
    }
}

/// Where the client's futures run. The loop under test is a spawned task in both.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Runtime {
    /// All on one thread.
    Current,
    /// Two worker threads.
    Multi,
    /// No runtime: blocking sockets.
    Blocking,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Current => "current",
            Self::Multi => "multi",
            Self::Blocking => "blocking",
        })
    }
}

impl FromStr for Runtime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "current" => Self::Current,
            "multi" => Self::Multi,
            "blocking" => Self::Blocking,
            _ => return Err(format!("no such runtime: {text}").into()),
        })
    }
}

#[derive(Clone, Debug)]
pub struct Job {
    pub peer: String,
    pub workload: Workload,
    pub runtime: Runtime,
    pub count: u64,
    pub payload: usize,
    pub window: u16,
    /// Where the sink listens; 0: in the client's own process, in memory.
    pub port: u16,
    /// Tells the connections of different jobs apart.
    pub serial: u32,
}

impl Job {
    /// The client id, by which the sink knows what this connection is for.
    pub fn client_id(&self) -> String {
        self.client_id_of(0)
    }

    /// The client id of one of many connections.
    pub fn client_id_of(&self, index: u32) -> String {
        format!("{}.{}.{}.{}.{}.{index}", self.workload, self.count, self.payload, self.window, self.serial)
    }

    pub fn arguments(&self) -> Vec<String> {
        let Self { peer, workload, runtime, count, payload, window, port, serial } = self;
        let numbers = [*count, *payload as u64, (*window).into(), (*port).into(), (*serial).into()];
        let mut arguments = vec!["worker".into(), peer.clone(), workload.to_string(), runtime.to_string()];
        arguments.extend(numbers.iter().map(ToString::to_string));
        arguments
    }

    pub fn from_arguments(arguments: &[String]) -> Result<Self, Error> {
        let [peer, workload, runtime, count, payload, window, port, serial] = arguments else {
            return Err("a worker takes peer workload runtime count payload window port serial".into());
        };
        Ok(Self {
            peer: peer.clone(),
            workload: workload.parse()?,
            runtime: runtime.parse()?,
            count: count.parse()?,
            payload: payload.parse()?,
            window: window.parse()?,
            port: port.parse()?,
            serial: serial.parse()?,
        })
    }

    pub fn payload(&self) -> Vec<u8> {
        (0..self.payload).map(|index| b'a' + (index % 26) as u8).collect()
    }
}

/// What a connection is for, as its client id says.
pub struct Plan {
    pub workload: Workload,
    pub count: u64,
    pub payload: usize,
    pub window: usize,
}

impl FromStr for Plan {
    type Err = Error;

    fn from_str(client_id: &str) -> Result<Self, Error> {
        let mut parts = client_id.split('.');
        let mut next = || parts.next().ok_or("a client id of workload.count.payload.window...");
        Ok(Self {
            workload: next()?.parse()?,
            count: next()?.parse()?,
            payload: next()?.parse()?,
            window: next()?.parse()?,
        })
    }
}
