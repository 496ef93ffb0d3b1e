//! `packetboat doctor`: what a broker can do, by trying.

mod certificates;
mod debts;
mod findings;
mod limits;
mod line;
mod trials;
mod trouble;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use packetboat::{
    Client, Direction, Options, Packet, PropertiesBuf, QoS, SessionMode, Version, VersionChoice,
};
use tokio::time::{Instant, timeout};

use crate::arguments::Doctor;
use crate::failure::{Exit, Failure};
use crate::options::Settings;
use crate::report::{Report, version_name};
use crate::signals::Stop;
use debts::Debts;
use findings::{Chart, Finding};
use line::{Desk, Greeting, Letter, Line};
use trials::{Trials, judged};
use trouble::Trouble;

/// Exchanges that are timed.
const TIMED: usize = 21;

pub(crate) async fn run(mut arguments: Doctor) -> Result<Exit, Failure> {
    if let Some(address) = arguments.address.take() {
        arguments.connection.url = Some(address);
    }
    let connection = &arguments.connection;
    let report = Report { debug: connection.debug, quiet: connection.quiet };
    connection.properties.only(&[])?;
    let options = Settings::of(connection)?.options;
    let mut stop = Stop::listen(report)?;
    let run = RandomState::new().build_hasher().finish();
    let names = connection.id.clone().unwrap_or_else(|| format!("pb-doc-{:06x}", run >> 40));
    let topic = arguments.topic.clone().or_else(|| connection.url.as_ref().and_then(|url| url.topic.clone()));
    let topic = topic.unwrap_or_else(|| format!("packetboat/doctor/{run:016x}"));
    packetboat::TopicName::new(&topic)
        .map_err(|error| Failure::usage(format_args!("the topic {topic:?} is wrong: {error}")))?;
    let mut chart = Chart::default();
    let desk = tokio::select! {
        desk = admit(&arguments, options, &names, &mut chart, report) => desk?,
        () = stop.asked() => return Err(Failure::new(Exit::Connection, "stopped before there was a connection")),
    };
    let debts = Debts::default();
    let examined = tokio::select! {
        () = examine(&arguments, &desk, &debts, (&topic, &names), &mut chart, report) => true,
        () = stop.asked() => false,
    };
    // Whatever is left of it, for as long as it takes within reason.
    let cleaned = timeout(desk.patience * 3, debts.settle(&desk, &names)).await;
    chart.left_behind = cleaned.unwrap_or_else(|_| vec![format!("what is below {topic}: no answer")]);
    let text = if arguments.json { format!("{:#}\n", chart.json()) } else { chart.text() };
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::output(&error))?;
    if !examined {
        return Err(Failure::new(Exit::NotDelivered, "stopped before the end"));
    }
    Ok(if chart.differences().next().is_some() { Exit::Differs } else { Exit::Success })
}

/// User name and password.
type Login = (Option<String>, Option<Vec<u8>>);

/// The connection a client would make: its errors say best what is wrong, and its CONNECT as whom to come.
async fn admit(
    arguments: &Doctor,
    options: Options,
    names: &str,
    chart: &mut Chart,
    report: Report,
) -> Result<Desk, Failure> {
    match certificates::look(&options, arguments.patience).await {
        None => {}
        Some(Ok(chain)) => (chart.tls_lines, chart.tls) = (chain.lines(), Some(chain.json())),
        Some(Err(why)) => chart.tls_lines = vec![format!("the certificates cannot be looked at: {why}")],
    }
    let login: Arc<Mutex<Login>> = Arc::default();
    let seen = login.clone();
    let first = options.clone().client_id(format!("{names}first")).session(SessionMode::UntilDisconnect);
    let first = first.on_packet(move |passing| {
        if let (Direction::Sent, Some(Packet::Connect(connect))) = (passing.direction, passing.packet) {
            let login = (connect.username.map(str::to_owned), connect.password.map(<[u8]>::to_vec));
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = login;
        }
    });
    let client = match Client::connect(first).await {
        Ok(client) => client,
        Err(error) => {
            // They may be the reason.
            chart.tls_lines.iter().for_each(|line| report.note(line));
            return Err(error.into());
        }
    };
    if let packetboat::State::Connected(connected) = client.state() {
        chart.broker = connected.server.to_string();
    }
    let _ = client.disconnect().await;
    let (username, password) = std::mem::take(&mut *login.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Desk { options, username, password, patience: arguments.patience })
}

async fn examine(
    arguments: &Doctor,
    desk: &Desk,
    debts: &Debts,
    (topic, names): (&str, &str),
    chart: &mut Chart,
    report: Report,
) {
    let mut timed = false;
    for version in versions(arguments.connection.protocol_version.map(|protocol| protocol.0)) {
        let name = version_name(version.level());
        let (id, properties) = (format!("{names}{}", version.level()), PropertiesBuf::new());
        let greeting = Greeting { version, id, clean: true, keep_alive: 60, will: None, properties };
        let (line, welcome) = match desk.call(&greeting).await {
            Ok(called) => called,
            Err(trouble) => {
                let tried = match trouble {
                    Trouble::Refused(reason) => Ok(Err(reason.to_string())),
                    trouble => Err(trouble),
                };
                chart.add(name, [judged("is spoken", None, tried)]);
                continue;
            }
        };
        chart.add(name, [Finding::of("is spoken", None, true, "")]);
        if std::mem::replace(&mut timed, true) {
            line.goodbye().await;
        } else {
            let (dialed, answered) = welcome.took;
            chart.times.push(("to a connection", dialed.as_secs_f64()));
            chart.times.push(("from CONNECT to CONNACK", answered.as_secs_f64()));
            chart.times.extend(times(line, topic).await);
        }
        // Beyond the first packet 3.1 is 3.1.1.
        if version.level() >= 4 {
            report.debug(format_args!("trying MQTT {name}"));
            let trials = Trials::new(desk, debts, version, (topic, names, arguments.largest), welcome);
            chart.add(name, try_all(&trials).await);
        }
    }
}

fn versions(choice: Option<VersionChoice>) -> Vec<Version> {
    match choice {
        Some(VersionChoice::V5) => vec![Version::V5],
        Some(VersionChoice::V311) => vec![Version::V311],
        Some(VersionChoice::V31) => vec![Version::V31],
        _ => vec![Version::V5, Version::V311, Version::V31],
    }
}

async fn try_all(trials: &Trials<'_>) -> Vec<Finding> {
    let work = async {
        let mut findings = trials.qos().await;
        findings.push(trials.retained().await);
        findings.push(trials.wildcards().await);
        findings.push(trials.shared().await);
        if trials.version.has_properties() {
            findings.push(trials.identifiers().await);
            findings.push(trials.aliases().await);
            findings.push(trials.largest_packet().await);
            findings.push(trials.receive_maximum().await);
        }
        findings.push(trials.sessions().await);
        findings.push(trials.will().await);
        findings.push(trials.nameless().await);
        findings
    };
    // That one waits, while the others work.
    let (mut findings, keep_alive) = tokio::join!(work, trials.keep_alive());
    findings.push(keep_alive);
    findings
}

/// What an exchange takes: the middle one, and the longest.
async fn times(mut line: Line, topic: &str) -> Vec<(&'static str, f64)> {
    let mut times = Vec::new();
    let mut pings = Vec::new();
    for _ in 0..TIMED {
        pings.extend(line.ping().await.ok());
    }
    times.extend(middle_and_longest(pings, ["for a ping, p50", "for a ping, max"]));
    let (nothing, mut publishes) = (PropertiesBuf::new(), Vec::new());
    for _ in 0..TIMED {
        let letter =
            Letter { topic, payload: b"time", qos: QoS::AtLeastOnce, retain: false, properties: &nothing };
        let begin = Instant::now();
        if line.publish(&letter).await.is_err() {
            break;
        }
        publishes.push(begin.elapsed());
    }
    times.extend(middle_and_longest(
        publishes,
        ["for a message of QoS 1, p50", "for a message of QoS 1, max"],
    ));
    line.goodbye().await;
    times
}

fn middle_and_longest(mut times: Vec<Duration>, names: [&'static str; 2]) -> Vec<(&'static str, f64)> {
    times.sort_unstable();
    let both = times.get(times.len() / 2).zip(times.last());
    both.map_or(Vec::new(), |(middle, longest)| {
        vec![(names[0], middle.as_secs_f64()), (names[1], longest.as_secs_f64())]
    })
}
