//! The limit: a client that sends pre-encoded bytes and only counts what comes back.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Instant;

use rustls::{ClientConnection, StreamOwned};

use crate::frames::{self, Block};
use crate::job::{Error, Job, Workload};
use crate::link::Link;
use crate::measure::{Measured, Meter};
use crate::tls;

pub fn run(job: &Job) -> Result<Measured, Error> {
    match job.workload {
        Workload::Publish(qos) if job.tls => publish(job, qos, connect_tls(job)?(&job.client_id())?),
        Workload::Publish(qos) => publish(job, qos, connect(job, &job.client_id())?),
        Workload::Receive(qos) | Workload::Mixed(qos) => receive(job, qos),
        Workload::RoundTrip(qos) => round_trip(job, qos),
        Workload::Idle(_) if job.tls => idle(job, connect_tls(job)?),
        Workload::Idle(_) => idle(job, |client_id| connect(job, client_id)),
        other => Err(format!("not for bare sockets: {other}").into()),
    }
}

fn connect(job: &Job, client_id: &str) -> Result<Link, Error> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, job.port))?;
    stream.set_nodelay(true)?;
    begin(Link::over(stream), client_id)
}

type Secured = StreamOwned<ClientConnection, TcpStream>;

/// All with one configuration, which is half of what TLS needs.
fn connect_tls(job: &Job) -> Result<impl Fn(&str) -> Result<Link<Secured>, Error>, Error> {
    let (config, port) = (tls::client()?, job.port);
    Ok(move |client_id: &str| {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        begin(Link::over(tls::connect(config.clone(), stream)?), client_id)
    })
}

fn begin<S: Read + Write>(mut link: Link<S>, client_id: &str) -> Result<Link<S>, Error> {
    link.stream.write_all(&frames::connect(client_id))?;
    link.wait()?.ok_or("no CONNACK")?;
    Ok(link)
}

fn publish<S: Read + Write>(job: &Job, qos: u8, mut link: Link<S>) -> Result<Measured, Error> {
    let block = Block::new(qos, job.payload, 4, None);
    let meter = Meter::start();
    link.send(&block, qos, job.count, job.window.into())?;
    meter.published(job)
}

fn receive(job: &Job, qos: u8) -> Result<Measured, Error> {
    let mut link = connect(job, &job.client_id())?;
    let meter = Meter::start();
    link.stream.write_all(&frames::subscribe(qos))?;
    link.receive(job.count, |_, _| true)?.ok_or("the sink closed the connection")?;
    Ok(meter.finish(job.count))
}

fn round_trip(job: &Job, qos: u8) -> Result<Measured, Error> {
    let mut link = connect(job, &job.client_id())?;
    link.stream.write_all(&frames::subscribe(0))?;
    link.wait()?.ok_or("no SUBACK")?;
    let block = Block::new(qos, job.payload, 4, None);
    let mut meter = Meter::start();
    for sent in 0..job.count as usize {
        let before = Instant::now();
        link.stream.write_all(block.next(sent, 1).1)?;
        while link.next().is_none() {
            link.fill()?;
        }
        meter.lap(before);
    }
    Ok(meter.finish(job.count))
}

fn idle<S>(job: &Job, connect: impl Fn(&str) -> Result<Link<S>, Error>) -> Result<Measured, Error> {
    let meter = Meter::start();
    let links: Result<Vec<Link<S>>, Error> =
        (0..job.count as u32).map(|index| connect(&job.client_id_of(index))).collect();
    let measured = meter.finish(job.count);
    drop(links?);
    Ok(measured)
}
