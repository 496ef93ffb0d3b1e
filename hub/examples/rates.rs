//! How many messages a second pass a pipe, beside mosquitto's own bridge in the same run; and one source to ten destinations.
//!
//! `cargo run --release -p packetboat-hub --example rates [messages]`. Needs mosquitto. All of it is on one machine: source,
//! destination, publisher and reader share its processors with what is measured.

use std::io::{BufRead, BufReader, Error};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use packetboat::{Client, Options, QoS, Subscriber};
use packetboat_config::Format;
use packetboat_hub::{HubConfig, Service};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PAYLOAD: [u8; 100] = [b'x'; 100];
const ROUNDS: usize = 3;
const FAN: u32 = 10;

#[tokio::main]
async fn main() -> Outcome<()> {
    let messages = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(50_000);
    println!(
        "{} bytes, {messages} messages, {ROUNDS} rounds; messages a second from source to reader",
        PAYLOAD.len()
    );
    for (qos, name) in [(QoS::AtLeastOnce, "QoS 1"), (QoS::AtMostOnce, "QoS 0")] {
        for round in 1..=ROUNDS {
            let (hub_rate, bridge_rate) = (hub(messages, 1, qos).await?, bridge(messages, qos).await?);
            println!("{name}, round {round}: hub {hub_rate:.0}, mosquitto's bridge {bridge_rate:.0}");
            let fan = hub(messages / FAN, FAN, qos).await?;
            let out = fan * f64::from(FAN);
            println!(
                "{name}, round {round}: hub, one source to {FAN} destinations: {fan:.0} in, {out:.0} out"
            );
        }
    }
    Ok(())
}

/// Through the hub, to so many destinations.
async fn hub(messages: u32, fan: u32, qos: QoS) -> Outcome<f64> {
    let (source, sink) = (Mosquitto::start("")?, Mosquitto::start("")?);
    let text = format!("name = \"rates\"\n[connections.source]\nserver = \"{}\"\n", source.url());
    let (mut ends, mut pipes) = (Vec::new(), Vec::new());
    for number in 0..fan {
        ends.push(format!("[connections.sink{number}]\nserver = \"{}\"\n", sink.url()));
        pipes.push(format!(
            "[[pipes.destinations]]\ntarget_name = \"sink{number}\"\nmqtt_message_options = {{ topic = \"out/{number}/#\" }}\n"
        ));
    }
    let pipe = format!(
        "[[pipes]]\nname = \"pipe\"\nfrom = {{ connection = \"source\", filter = \"in/#\", qos = {} }}\n",
        qos as u8
    );
    let config =
        HubConfig::parse(&(text + &ends.concat() + &pipe + &pipes.concat()), Format::Toml, |_| None)?;
    let service = Service::start(config).await?;
    let rate = measured(&source, &sink, messages, fan, qos).await?;
    service.stop().await;
    Ok(rate)
}

/// Through mosquitto's own bridge, which is part of the source.
async fn bridge(messages: u32, qos: QoS) -> Outcome<f64> {
    let sink = Mosquitto::start("")?;
    let lines = format!(
        "connection rates\naddress 127.0.0.1:{}\ntopic # out {} in/ out/\ncleansession false\nbridge_protocol_version mqttv50\n",
        sink.port, qos as u8
    );
    let source = Mosquitto::start(&lines)?;
    measured(&source, &sink, messages, 1, qos).await
}

async fn measured(source: &Mosquitto, sink: &Mosquitto, messages: u32, fan: u32, qos: QoS) -> Outcome<f64> {
    let reader = Client::connect(Options::new(&sink.url())).await?;
    let mut stream = reader.subscription("out/#").qos(qos).capacity(1_000_000).await?;
    let publisher = Client::connect(Options::new(&source.url())).await?;
    // Until the way stands.
    loop {
        publisher.publish("in/ready", "").qos(qos).await?;
        if stream.next_within(Duration::from_millis(200)).await.is_ok() {
            break;
        }
    }
    while stream.next_within(Duration::from_millis(500)).await.is_ok() {}
    let start = Instant::now();
    let publishing = tokio::spawn(async move {
        let mut receipts = std::collections::VecDeque::new();
        for _ in 0..messages {
            receipts.push_back(publisher.publish("in/x", &PAYLOAD[..]).qos(qos).enqueue().await?);
            if receipts.len() > 500
                && let Some(receipt) = receipts.pop_front()
            {
                receipt.await?;
            }
        }
        for receipt in receipts {
            receipt.await?;
        }
        Ok::<(), packetboat::PublishError>(())
    });
    take(&mut stream, messages * fan).await?;
    let rate = f64::from(messages) / start.elapsed().as_secs_f64();
    publishing.await??;
    Ok(rate)
}

async fn take(stream: &mut Subscriber, messages: u32) -> Outcome<()> {
    let mut came = 0;
    while came < messages {
        let limit = Duration::from_mins(1);
        let Some(message) = stream.next_within(limit).await? else { return Err("the stream ended".into()) };
        came += u32::from(!message.topic().ends_with("ready"));
    }
    Ok(())
}

/// On a free port. Without a limit to what is on the way (0), a bridge of mosquitto 2.0.11 announces a receive maximum that is refused.
struct Mosquitto {
    child: Child,
    port: u16,
    file: std::path::PathBuf,
}

impl Mosquitto {
    fn start(lines: &str) -> Outcome<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let file = std::env::temp_dir().join(format!("packetboat-rates-{}-{port}.conf", std::process::id()));
        let settings = "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 1000\n";
        std::fs::write(&file, format!("listener {port} 127.0.0.1\n{settings}{lines}"))?;
        let paths = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let mut child = Command::new("mosquitto")
            .env("PATH", paths)
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(child.stderr.take().ok_or(Error::other("no log"))?);
        let mut said = String::new();
        while !said.contains("running") {
            if log.read_line(&mut said)? == 0 {
                return Err(format!("mosquitto does not start: {said}").into());
            }
        }
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Ok(Self { child, port, file })
    }

    fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}
