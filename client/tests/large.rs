//! Large payloads: what they cost in memory, and that streamed ones arrive whole, again if need be, or fail alone.
//!
//! `PACKETBOAT_LARGE` is the size in bytes of those whose memory is measured; by default it is small, to be quick. In a full
//! run it is the largest that MQTT knows.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails so")]

mod common;
#[path = "../examples/large_files.rs"]
#[allow(dead_code, unreachable_pub, reason = "its main is not called here")]
mod large_files;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::mosquitto::mosquitto;
use common::{ALL_QOS, LONG, VERSIONS, on_both_runtimes, options, within};
use packetboat::{
    Client, PublishError, QoS, ReadAt, RejectReason, StreamedPayload, Uncertainty, VersionChoice, Withdrawal,
};
use packetboat_core::wire::PacketType;
use packetboat_sim::broker::Direction;
use packetboat_sim::net::{self, Broker};

/// The bytes of every test: no two chunks alike.
fn byte(at: usize) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16)).to_le_bytes()[0]
}

fn fill(buffer: &mut [u8], offset: usize) {
    for (at, slot) in buffer.iter_mut().enumerate() {
        *slot = byte(offset + at);
    }
}

fn is_right(bytes: &[u8], offset: usize) -> bool {
    bytes.iter().enumerate().all(|(at, value)| *value == byte(offset + at))
}

/// A file of such bytes, gone when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn path(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("packetboat-{}-{name}", std::process::id())))
    }

    fn of(name: &str, size: usize) -> Self {
        let this = Self::path(name);
        let (mut file, mut chunk) = (std::fs::File::create(&this.0).unwrap(), vec![0; 1 << 20]);
        for offset in (0..size).step_by(chunk.len()) {
            let count = chunk.len().min(size - offset);
            fill(&mut chunk[..count], offset);
            file.write_all(&chunk[..count]).unwrap();
        }
        this
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The same bytes without a file; reading fails from `fails_from` on, in the reading of this number and all later ones.
struct Pattern {
    fails_from: usize,
    fails_at_reading: usize,
    readings: AtomicUsize,
}

impl Pattern {
    fn failing(fails_from: usize, fails_at_reading: usize) -> Self {
        Self { fails_from, fails_at_reading, readings: AtomicUsize::new(0) }
    }
}

impl ReadAt for Pattern {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        let reading =
            self.readings.fetch_add(usize::from(offset == 0), Ordering::Relaxed) + usize::from(offset == 0);
        if reading >= self.fails_at_reading && offset + buffer.len() > self.fails_from {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was cut short"));
        }
        fill(buffer, offset);
        Ok(())
    }
}

async fn logging_broker() -> Broker {
    net::Options::new().keep_log().start().await.unwrap()
}

const SIZE: usize = 1_500_001;

#[test]
fn a_file_is_sent_whole_at_every_qos_and_in_its_place_among_others() {
    let file = std::sync::Arc::new(Temporary::of("streamed", SIZE));
    on_both_runtimes(move || {
        let file = file.clone();
        async move {
            let broker = logging_broker().await;
            for version in VERSIONS {
                let client = options(&broker.url()).version(version).client_id(format!("{version:?}"));
                let client = Client::connect(client).await.unwrap();
                let mut receipts = Vec::new();
                for qos in ALL_QOS {
                    let payload = StreamedPayload::open(&file.0).unwrap();
                    assert_eq!(payload.len(), SIZE);
                    receipts.push(client.publish("a", "before").qos(qos).enqueue().await.unwrap());
                    receipts.push(client.publish("a", payload).qos(qos).enqueue().await.unwrap());
                    receipts.push(client.publish("a", vec![7; 20_000]).qos(qos).enqueue().await.unwrap());
                }
                for receipt in receipts {
                    receipt.await.unwrap();
                }
                client.flush().await.unwrap();
                client.disconnect().await.unwrap();
                let accepted = broker.accepted(&format!("{version:?}"));
                let sizes: Vec<_> = accepted.iter().map(|accepted| accepted.message.payload.len()).collect();
                assert_eq!(sizes, [6, SIZE, 20_000].repeat(3));
                assert!(accepted.iter().skip(1).step_by(3).all(|one| is_right(&one.message.payload, 0)));
            }
            assert!(broker.violations().is_empty(), "{:?}", broker.violations());
        }
    });
}

#[tokio::test]
async fn an_empty_payload_and_one_past_the_longest_need_no_reading() {
    let broker = logging_broker().await;
    let client = Client::connect(options(&broker.url()).client_id("ends")).await.unwrap();
    let never = || Pattern::failing(0, 0);
    client.publish("a", StreamedPayload::new(0, never())).qos(QoS::AtLeastOnce).await.unwrap();
    assert_eq!(broker.accepted("ends").len(), 1);
    // 2 bytes of length, the topic, 2 of identifier, 1 of properties: what is left of 268,435,455.
    let longest = 268_435_455 - 2 - 1 - 2 - 1;
    match client.publish("a", StreamedPayload::new(longest + 1, never())).qos(QoS::AtLeastOnce).await {
        Err(PublishError::Rejected { reason: RejectReason::TooLarge { size, .. }, payload: None }) => {
            assert_eq!(size, 5 + 268_435_456);
        }
        other => panic!("{other:?}"),
    }
    let endless = client.publish("a", StreamedPayload::new(usize::MAX, never())).qos(QoS::AtLeastOnce).await;
    assert!(matches!(
        endless,
        Err(PublishError::Rejected { reason: RejectReason::TooLarge { .. }, payload: None })
    ));
    client.disconnect().await.unwrap();
}

/// The length of a pipe would be told as nothing, and an empty message be sent in its place.
#[test]
fn what_has_no_length_is_not_opened() {
    for path in [std::env::temp_dir(), "/dev/null".into()] {
        let error = StreamedPayload::open(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{path:?} {error}");
    }
    let missing = StreamedPayload::open("there/is/no/such/file").unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_file_that_was_cut_off_is_read_again_for_the_next_connection() {
    let file = std::sync::Arc::new(Temporary::of("again", SIZE));
    on_both_runtimes(move || {
        let file = file.clone();
        async move {
            for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
                let broker = logging_broker().await;
                let client = Client::connect(options(&broker.url()).client_id("again")).await.unwrap();
                broker.faults().cut_after_bytes(Direction::ToBroker, 1_000_000);
                let payload = StreamedPayload::open(&file.0).unwrap();
                client.publish("a", payload).qos(qos).await.unwrap();
                let accepted = broker.accepted("again");
                assert_eq!(accepted.len(), 1);
                assert!(
                    accepted[0].message.payload.len() == SIZE && is_right(&accepted[0].message.payload, 0)
                );
                assert!(broker.stats().connections >= 2, "{:?}", broker.stats());
                client.disconnect().await.unwrap();
                assert!(broker.violations().is_empty(), "{:?}", broker.violations());
            }
        }
    });
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_fails_alone() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let broker = logging_broker().await;
        let client = Client::connect(options(&broker.url()).client_id("lost")).await.unwrap();
        let payload = StreamedPayload::new(SIZE, Pattern::failing(1_000_000, 1));
        let lost = client.publish("a", payload.clone()).qos(qos).enqueue().await.unwrap();
        let others = client.publish("a", "next").qos(qos).enqueue().await.unwrap();
        match within(LONG, lost).await {
            Err(PublishError::Withdrawn(Withdrawal::PayloadLost)) => {}
            other => panic!("{other:?}"),
        }
        assert_eq!(payload.failure().unwrap().kind(), io::ErrorKind::UnexpectedEof);
        within(LONG, others).await.unwrap();
        let accepted = broker.accepted("lost");
        assert_eq!(accepted.len(), 1, "half a message is none");
        assert_eq!(accepted[0].message.payload, b"next");
        client.disconnect().await.unwrap();
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    }
}

#[tokio::test]
async fn one_that_was_sent_whole_before_it_was_lost_may_have_arrived() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let broker = logging_broker().await;
        let answer = if qos == QoS::AtLeastOnce { PacketType::Puback } else { PacketType::Pubrec };
        broker.faults().drop_next(Direction::ToClient, answer, 1);
        let options =
            options(&broker.url()).client_id("twice").acknowledgement_timeout(Duration::from_millis(500));
        let client = Client::connect(options).await.unwrap();
        let payload = StreamedPayload::new(SIZE, Pattern::failing(1_000_000, 2));
        match within(LONG, client.publish("a", payload).qos(qos)).await {
            Err(PublishError::Uncertain(Uncertainty::PayloadLost)) => {}
            other => panic!("{other:?}"),
        }
        client.publish("a", "next").qos(qos).await.unwrap();
        assert_eq!(broker.accepted("twice").len(), 2);
        client.disconnect().await.unwrap();
        assert!(broker.violations().is_empty(), "{:?}", broker.violations());
    }
}

#[cfg(feature = "websocket")]
#[tokio::test]
async fn a_file_goes_through_websockets() {
    let file = Temporary::of("websocket", SIZE);
    let broker = net::Options::new().websocket().keep_log().start().await.unwrap();
    let client = Client::connect(options(&broker.url()).client_id("frames")).await.unwrap();
    client.publish("a", StreamedPayload::open(&file.0).unwrap()).qos(QoS::ExactlyOnce).await.unwrap();
    assert!(is_right(&broker.accepted("frames")[0].message.payload, 0));
    client.disconnect().await.unwrap();
}

/// The quota holds up what comes next; it never keeps a message out, or the broker would send it again for ever.
#[tokio::test]
async fn a_message_larger_than_all_that_may_wait_arrives() {
    for version in VERSIONS {
        for qos in ALL_QOS {
            let broker = logging_broker().await;
            let options = options(&broker.url()).version(version).inbound(16, 1000).client_id("narrow");
            let client = Client::connect(options).await.unwrap();
            // Both count its bytes.
            let streams = [client.subscribe("a").await.unwrap(), client.subscribe("+").await.unwrap()];
            let take_three = async |mut stream: packetboat::Subscriber| {
                for _ in 0..3 {
                    assert!(is_right(common::next(&mut stream).await.payload(), 0));
                }
            };
            let [one, other] = streams.map(take_three);
            let publisher = Client::connect(common::options(&broker.url())).await.unwrap();
            let publish = async {
                for _ in 0..3 {
                    let payload = StreamedPayload::new(SIZE, Pattern::failing(0, usize::MAX));
                    publisher.publish("a", payload).qos(qos).await.unwrap();
                }
            };
            tokio::join!(one, other, publish);
            assert_eq!(broker.stats().connections, 2, "nobody was sent away: {version:?} {qos:?}");
            client.disconnect().await.unwrap();
            publisher.disconnect().await.unwrap();
            assert!(broker.violations().is_empty(), "{:?}", broker.violations());
        }
    }
}

#[tokio::test]
async fn the_example_goes_through_mosquitto_and_the_strict_broker() {
    let size = measured();
    let (from, to) = (Temporary::of("from", size), Temporary::path("to"));
    let strict = net::Options::new().maximum_packet_size(268_435_460).start().await.unwrap();
    let mosquitto = mosquitto();
    for url in std::iter::once(strict.url()).chain(mosquitto.as_ref().map(common::mosquitto::Mosquitto::url))
    {
        let began = std::time::Instant::now();
        let transferred = large_files::transfer(&url, &from.0, &to.0).await.unwrap();
        eprintln!("{transferred} bytes there and back through {url} in {:?}", began.elapsed());
        assert!(transferred == size && same(&from.0, &to.0));
    }
    assert!(strict.violations().is_empty(), "{:?}", strict.violations());
}

fn same(one: &Path, other: &Path) -> bool {
    std::fs::read(one).unwrap() == std::fs::read(other).unwrap()
}

// ---- Memory

/// How large the measured ones are.
fn measured() -> usize {
    std::env::var("PACKETBOAT_LARGE")
        .map_or(24 << 20, |size| size.parse().expect("PACKETBOAT_LARGE is bytes"))
}

/// Beside the payload: buffers, the runtime's threads, what the allocator keeps.
const BESIDE: usize = 6 << 20;

/// A broker that takes one PUBLISH of QoS 1 and looks at every byte of it, with a small buffer.
fn sink(listener: &TcpListener) {
    let size = measured();
    let mut socket = accepted(listener);
    let mut head = [0; 5];
    socket.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x32);
    let mut rest = [0; 2 + 1 + 2 + 1];
    socket.read_exact(&mut rest).unwrap();
    let (mut at, mut chunk) = (0, vec![0; 1 << 16]);
    while at < size {
        let count = chunk.len().min(size - at);
        socket.read_exact(&mut chunk[..count]).unwrap();
        assert!(is_right(&chunk[..count], at), "wrong after {at}");
        at += count;
    }
    socket.write_all(&[0x40, 2, rest[3], rest[4]]).unwrap();
    until_closed(&mut socket);
}

/// A broker that sends one PUBLISH of QoS 0.
fn source(listener: &TcpListener) {
    let size = measured();
    let mut socket = accepted(listener);
    let mut remaining = size + 2 + 1 + 1;
    let mut head = vec![0x30];
    for more in [true, true, true, false] {
        head.push(remaining.to_le_bytes()[0] & 0x7f | if more { 0x80 } else { 0 });
        remaining >>= 7;
    }
    head.extend([0, 1, b'a', 0]);
    socket.write_all(&head).unwrap();
    let mut chunk = vec![0; 1 << 16];
    for offset in (0..size).step_by(chunk.len()) {
        let count = chunk.len().min(size - offset);
        fill(&mut chunk[..count], offset);
        socket.write_all(&chunk[..count]).unwrap();
    }
    until_closed(&mut socket);
}

fn accepted(listener: &TcpListener) -> TcpStream {
    let (mut socket, _) = listener.accept().unwrap();
    let mut head = [0; 2];
    socket.read_exact(&mut head).unwrap();
    let mut connect = vec![0; head[1].into()];
    socket.read_exact(&mut connect).unwrap();
    socket.write_all(&[0x20, 3, 0, 0, 0]).unwrap();
    socket
}

fn until_closed(socket: &mut TcpStream) {
    let _ = io::copy(socket, &mut io::sink());
}

/// How much memory the process takes at most meanwhile, beyond what it took before. One at a time.
fn peak(work: impl FnOnce()) -> Option<usize> {
    let before = status("VmRSS")?;
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    work();
    Some(status("VmHWM")?.saturating_sub(before))
}

fn status(field: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? << 10)
}

/// Runs `work` with a client of a broker, and says what it took.
fn cost<F: Future<Output = ()>>(
    what: &str,
    broker: impl FnOnce(&TcpListener) + Send,
    work: impl FnOnce(Client) -> F,
) -> Option<usize> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let taken = std::thread::scope(|scope| {
        scope.spawn(|| broker(&listener));
        peak(|| {
            runtime.block_on(async {
                let options = options(&url).version(VersionChoice::V5);
                let client = Client::connect(options).await.unwrap();
                within(Duration::from_mins(5), work(client.clone())).await;
                client.disconnect().await.unwrap();
            });
        })
    });
    match taken {
        Some(taken) => eprintln!("{what} of {} bytes takes {taken} bytes", measured()),
        None => eprintln!("SKIPPED: this system does not tell a process's peak of memory"),
    }
    taken
}

/// In a process of its own: what other tests take, and what the allocator kept of earlier ones, is not to be counted.
fn apart(test: &str, measure: impl FnOnce()) {
    if std::env::var_os("PACKETBOAT_APART").is_some() {
        return measure();
    }
    let this = std::env::current_exe().unwrap();
    let arguments = ["--exact", test, "--nocapture"];
    let status = std::process::Command::new(this).args(arguments).env("PACKETBOAT_APART", "1").status();
    assert!(status.unwrap().success());
}

async fn send(client: Client, payload: impl Into<packetboat::Body<'static>>) {
    let payload = payload.into();
    client.publish("a", payload).qos(QoS::AtLeastOnce).await.unwrap();
}

fn whole() -> Vec<u8> {
    let mut whole = vec![0; measured()];
    fill(&mut whole, 0);
    whole
}

#[test]
fn a_file_takes_no_memory() {
    apart("a_file_takes_no_memory", || {
        let file = Temporary::of("measured", measured());
        let payload = StreamedPayload::open(&file.0).unwrap();
        let taken = cost("sending a file", sink, |client| send(client, payload));
        assert!(taken.is_none_or(|taken| taken <= BESIDE), "{taken:?}");
    });
}

#[test]
fn owned_bytes_take_their_own_memory() {
    apart("owned_bytes_take_their_own_memory", || {
        let taken =
            cost("sending owned bytes", sink, async |client| send(client, Bytes::from(whole())).await);
        assert!(taken.is_none_or(|taken| taken <= measured() + BESIDE), "{taken:?}");
    });
}

#[test]
fn borrowed_bytes_take_theirs_and_a_copy() {
    apart("borrowed_bytes_take_theirs_and_a_copy", || {
        let taken = cost("sending borrowed bytes", sink, async |client| {
            let whole = whole();
            client.publish("a", &whole).qos(QoS::AtLeastOnce).await.unwrap();
        });
        assert!(taken.is_none_or(|taken| taken <= 2 * measured() + BESIDE), "{taken:?}");
    });
}

#[test]
fn a_message_that_arrives_takes_at_most_one_and_a_half_times_itself() {
    apart("a_message_that_arrives_takes_at_most_one_and_a_half_times_itself", || {
        let taken = cost("receiving", source, async |client| {
            let message = client.messages().next().await.unwrap();
            assert!(message.payload().len() == measured() && is_right(message.payload(), 0));
        });
        let most = measured() + measured() / 2 + BESIDE;
        assert!(taken.is_none_or(|taken| taken <= most), "{taken:?}");
    });
}
