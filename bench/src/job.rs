//! One measurement: who does what, how often. Jobs travel as arguments of worker processes.

use std::fmt;
use std::str::FromStr;

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What is measured. The number a name ends with is the QoS, but for `idle`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Workload {
    /// A loop that publishes, at this QoS.
    Publish(u8),
    /// A loop that takes messages from a subscription, at this QoS.
    Receive(u8),
    /// The same, of as many topics in turn as the job's size.
    Mixed(u8),
    /// One message in flight: published and echoed (QoS 0), published and acknowledged (QoS 1).
    RoundTrip(u8),
    /// As many tasks as the job's size publish through one client.
    Tasks(u8),
    /// Both directions flooded at once, beside each alone.
    Floods,
    /// Many clients in one process, of which one in a hundred gets busy.
    Fleet,
    /// Connections that do nothing, with so many subscriptions each.
    Idle(u8),
    /// Receiving with as many filters as the job's size: of topics the router knows (0), of ever new ones (1).
    Filters(u8),
    /// Publishing with as many messages as the job's size waiting for a window of 100, at this QoS.
    Queue(u8),
}

impl Workload {
    /// Nobody else is asked for it.
    pub fn is_ours_alone(self) -> bool {
        matches!(self, Self::Tasks(_) | Self::Floods | Self::Fleet | Self::Queue(_))
    }
}

type Named = (&'static str, fn(u8) -> Workload);

const NAMES: &[Named] = &[
    ("publish", Workload::Publish),
    ("receive", Workload::Receive),
    ("mixed", Workload::Mixed),
    ("roundtrip", Workload::RoundTrip),
    ("tasks", Workload::Tasks),
    ("floods", |_| Workload::Floods),
    ("fleet", |_| Workload::Fleet),
    ("idle", Workload::Idle),
    ("filters", Workload::Filters),
    ("queue", Workload::Queue),
];

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, number) = match self {
            Self::Publish(qos) => ("publish", qos),
            Self::Receive(qos) => ("receive", qos),
            Self::Mixed(qos) => ("mixed", qos),
            Self::RoundTrip(qos) => ("roundtrip", qos),
            Self::Tasks(qos) => ("tasks", qos),
            Self::Idle(subscriptions) => ("idle", subscriptions),
            Self::Filters(missed) => ("filters", missed),
            Self::Queue(qos) => ("queue", qos),
            Self::Floods => return f.write_str("floods"),
            Self::Fleet => return f.write_str("fleet"),
        };
        write!(f, "{name}{number}")
    }
}

impl FromStr for Workload {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let unknown = || format!("no such workload: {text}");
        let (_, make) = NAMES.iter().find(|known| known.0 == name).ok_or_else(unknown)?;
        let workload = make(text[name.len()..].parse().ok().filter(|number| *number <= 2).unwrap_or(0));
        if workload.to_string() == text { Ok(workload) } else { Err(unknown().into()) }
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
    /// What the workload says: topics, tasks, clients, filters.
    pub size: u32,
    /// Where the sink listens; 0: in the client's own process, in memory.
    pub port: u16,
    /// Tells the connections of different jobs apart.
    pub serial: u32,
    pub tls: bool,
}

impl Job {
    /// The client id, by which the sink knows what this connection is for.
    pub fn client_id(&self) -> String {
        self.client_id_of(0)
    }

    /// The client id of one of many connections.
    pub fn client_id_of(&self, index: u32) -> String {
        let Self { workload, count, payload, window, size, serial, .. } = self;
        format!("{workload}.{count}.{payload}.{window}.{size}.{serial}.{index}")
    }

    pub fn arguments(&self) -> Vec<String> {
        let Self { peer, workload, runtime, count, payload, window, size, port, serial, tls } = self;
        let numbers = [
            *count,
            *payload as u64,
            (*window).into(),
            (*size).into(),
            (*port).into(),
            (*serial).into(),
            (*tls).into(),
        ];
        let mut arguments = vec!["worker".into(), peer.clone(), workload.to_string(), runtime.to_string()];
        arguments.extend(numbers.iter().map(ToString::to_string));
        arguments
    }

    pub fn from_arguments(arguments: &[String]) -> Result<Self, Error> {
        let [peer, workload, runtime, count, payload, window, size, port, serial, tls] = arguments else {
            return Err(
                "a worker takes peer workload runtime count payload window size port serial tls".into()
            );
        };
        Ok(Self {
            peer: peer.clone(),
            workload: workload.parse()?,
            runtime: runtime.parse()?,
            count: count.parse()?,
            payload: payload.parse()?,
            window: window.parse()?,
            size: size.parse()?,
            port: port.parse()?,
            serial: serial.parse()?,
            tls: tls == "1",
        })
    }

    pub fn payload(&self) -> Vec<u8> {
        (0..self.payload).map(|index| b'a' + (index % 26) as u8).collect()
    }
}

/// As many as the router's cache has room for, and so many that it has forgotten each when it comes again.
pub const KNOWN_TOPICS: usize = 500;
pub const NEW_TOPICS: usize = 4000;

impl Plan {
    /// The QoS of messages to be sent to this client once it subscribes.
    pub fn sends(&self) -> Option<u8> {
        match self.workload {
            Workload::Receive(qos) | Workload::Mixed(qos) => Some(qos),
            Workload::Filters(_) | Workload::Floods => Some(0),
            _ => None,
        }
    }
}

/// What a connection is for, as its client id says.
pub struct Plan {
    pub workload: Workload,
    pub count: u64,
    pub payload: usize,
    pub window: usize,
    /// In how many topics messages come.
    pub topics: usize,
}

impl FromStr for Plan {
    type Err = Error;

    fn from_str(client_id: &str) -> Result<Self, Error> {
        let mut parts = client_id.split('.');
        let mut next = || parts.next().ok_or("a client id of workload.count.payload.window...");
        let mut plan = Self {
            workload: next()?.parse()?,
            count: next()?.parse()?,
            payload: next()?.parse()?,
            window: next()?.parse()?,
            topics: 1,
        };
        match plan.workload {
            Workload::Mixed(_) => plan.topics = next()?.parse()?,
            Workload::Filters(missed) => plan.topics = if missed == 0 { KNOWN_TOPICS } else { NEW_TOPICS },
            _ => {}
        }
        Ok(plan)
    }
}
