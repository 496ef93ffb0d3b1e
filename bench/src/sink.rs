//! A server that is never the bottleneck: it counts, answers in batches, floods and echoes. Not a broker.
//!
//! It runs in a process of its own, one blocking thread for each connection; crowds of connections that do little go to
//! another port (`crowd`). What a connection is for it says in its client id. What was counted is asked for over another
//! connection, by a line `count CLIENT_ID`.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustls::ServerConfig;

use crate::crowd;
use crate::floods;
use crate::frames::{self, Block, Connect, Subscribe};
use crate::job::{Error, Plan, Workload};
use crate::link::{Counted, Frame, Link};
use crate::tls;

/// The sink's process; it ends with its handle.
pub struct Sink {
    child: Child,
    pub port: u16,
    /// For many connections.
    pub crowd_port: u16,
    /// What it shows to those who speak TLS.
    pub certificate: String,
}

impl Sink {
    pub fn start() -> Result<Self, Error> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("sink")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [port, crowd_port, certificate] = words[..] else {
            return Err("the sink names two ports and its certificate".into());
        };
        let (port, crowd_port) = (port.parse()?, crowd_port.parse()?);
        Ok(Self { child, port, crowd_port, certificate: certificate.into() })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the sink counted of this client's messages, when they are all there. Blocks.
pub fn counted(port: u16, client_id: &str) -> Result<Counted, Error> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(format!("count {client_id}\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let numbers: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [messages, nanos, reads, bytes] = numbers[..] else {
        return Err(format!("the sink said {line:?}").into());
    };
    Ok(Counted { messages, nanos, reads, bytes })
}

/// The sink itself: prints its port and serves until its input ends.
pub fn serve() -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (config, certificate) = tls::server()?;
    println!("{} {} {certificate}", listener.local_addr()?.port(), crowd::start(config.clone())?);
    let board = Arc::new(Board::default());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (board, config) = (board.clone(), config.clone());
            // A client that is gone is the end of its connection, not an error.
            thread::spawn(move || drop(accept(stream, config, &board)));
        }
    });
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Where finished counts are left for those who ask.
#[derive(Default)]
struct Board {
    finished: Mutex<HashMap<String, Counted>>,
    changed: Condvar,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Counted>> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, client_id: &str, counted: Counted) {
        self.lock().insert(client_id.into(), counted);
        self.changed.notify_all();
    }

    fn take(&self, client_id: &str) -> Counted {
        let mut finished = self.lock();
        loop {
            if let Some(counted) = finished.remove(client_id) {
                return counted;
            }
            finished = self.changed.wait(finished).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn accept(stream: TcpStream, config: Arc<ServerConfig>, board: &Board) -> Result<(), Error> {
    let mut first = [0];
    stream.peek(&mut first)?;
    if first[0] == b'c' {
        return answer(stream, board);
    }
    if first[0] == tls::HANDSHAKE {
        let mut link = Link::over(tls::accept(config, stream)?);
        let Some((connect, plan)) = greet(&mut link)? else { return Ok(()) };
        return Connection { link, connect, plan, board }.run();
    }
    let mut link = Link::new(stream)?;
    let Some((connect, plan)) = greet(&mut link)? else { return Ok(()) };
    if plan.workload == Workload::Floods {
        let probes = floods::serve(link, &connect, &plan)?;
        board.put(&connect.client_id, probes);
        return Ok(());
    }
    Connection { link, connect, plan, board }.run()
}

fn greet<S: Read + Write>(link: &mut Link<S>) -> Result<Option<(Connect, Plan)>, Error> {
    let Some((_, body)) = link.wait()? else { return Ok(None) };
    let connect = Connect::parse(&body).ok_or("not a CONNECT")?;
    let plan: Plan = connect.client_id.parse()?;
    link.stream.write_all(frames::connack(connect.level))?;
    Ok(Some((connect, plan)))
}

fn answer(mut stream: TcpStream, board: &Board) -> Result<(), Error> {
    let mut line = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut line)?;
    let Counted { messages, nanos, reads, bytes } = board.take(line.trim().trim_start_matches("count "));
    Ok(writeln!(stream, "{messages} {nanos} {reads} {bytes}")?)
}

struct Connection<'a, S> {
    link: Link<S>,
    connect: Connect,
    plan: Plan,
    board: &'a Board,
}

/// What a packet that is not a message asks for.
#[derive(Default)]
enum Asked {
    #[default]
    Nothing,
    End,
    Messages(Option<u32>),
}

impl<S: Read + Write> Connection<'_, S> {
    fn run(mut self) -> Result<(), Error> {
        let level = self.connect.level;
        let mut count = self.plan.count;
        loop {
            let mut asked = Asked::Nothing;
            let echoes = self.plan.workload == Workload::RoundTrip(0);
            let receives = self.plan.sends().is_some() || echoes;
            let counted = self.link.receive(count, |frame, replies| {
                asked = other(frame, level, receives, replies);
                matches!(asked, Asked::Nothing)
            })?;
            match (asked, counted) {
                (Asked::Messages(identifier), _) if echoes => self.echo(identifier)?,
                (Asked::Messages(identifier), _) => self.flood(identifier)?,
                (Asked::Nothing, Some(counted)) => {
                    self.board.put(&self.connect.client_id, counted);
                    // Whatever still comes is answered, and not counted again.
                    count = u64::MAX;
                }
                (Asked::End, _) | (Asked::Nothing, None) => return Ok(()),
            }
        }
    }

    fn flood(&mut self, identifier: Option<u32>) -> Result<(), Error> {
        let Some(qos) = self.plan.sends() else { return Ok(()) };
        let Plan { payload, topics, .. } = self.plan;
        let block = Block::of_topics(topics, qos, payload, self.connect.level, identifier);
        let window = self.plan.window.min(self.connect.receive_maximum.into());
        Ok(self.link.send(&block, qos, self.plan.count, window)?)
    }

    /// Every message comes back, one write for each.
    fn echo(&mut self, identifier: Option<u32>) -> Result<(), Error> {
        let block = Block::new(0, self.plan.payload, self.connect.level, identifier);
        let (_, bytes) = block.next(0, 1);
        loop {
            while let Some(frame) = self.link.next() {
                match frame.kind() {
                    frames::PUBLISH => self.link.stream.write_all(bytes)?,
                    frames::PINGREQ => self.link.stream.write_all(&[0xd0, 0])?,
                    frames::DISCONNECT => return Ok(()),
                    _ => {}
                }
            }
            if !self.link.fill()? {
                return Ok(());
            }
        }
    }
}

fn other(frame: &Frame<'_>, level: u8, receives: bool, replies: &mut Vec<u8>) -> Asked {
    match frame.kind() {
        frames::SUBSCRIBE => {
            let Some(subscribe) = Subscribe::parse(frame.body, level) else { return Asked::End };
            replies.extend_from_slice(&subscribe.answer);
            if receives {
                return Asked::Messages(subscribe.identifier);
            }
        }
        frames::UNSUBSCRIBE => replies.extend_from_slice(&frames::unsuback(frame.body, level)),
        frames::PINGREQ => replies.extend_from_slice(&[0xd0, 0]),
        frames::DISCONNECT => return Asked::End,
        _ => {}
    }
    Asked::Nothing
}
