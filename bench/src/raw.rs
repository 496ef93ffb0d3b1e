//! The limit: a client that sends pre-encoded bytes and only counts what comes back.

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Instant;

use crate::frames::{self, Block};
use crate::job::{Error, Job, Workload};
use crate::link::Link;
use crate::measure::{Measured, Meter};

pub fn run(job: &Job) -> Result<Measured, Error> {
    match job.workload {
        Workload::Publish(qos) => publish(job, qos),
        Workload::Receive(qos) | Workload::Mixed(qos) => receive(job, qos),
        Workload::RoundTrip(qos) => round_trip(job, qos),
        Workload::Idle(_) => idle(job),
        other => Err(format!("not for bare sockets: {other}").into()),
    }
}

fn connect(job: &Job, client_id: &str) -> Result<Link, Error> {
    let mut link = Link::new(TcpStream::connect((Ipv4Addr::LOCALHOST, job.port))?)?;
    link.stream.write_all(&frames::connect(client_id))?;
    link.wait()?.ok_or("no CONNACK")?;
    Ok(link)
}

fn publish(job: &Job, qos: u8) -> Result<Measured, Error> {
    let mut link = connect(job, &job.client_id())?;
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

fn idle(job: &Job) -> Result<Measured, Error> {
    let meter = Meter::start();
    let links: Result<Vec<Link>, Error> =
        (0..job.count as u32).map(|index| connect(job, &job.client_id_of(index))).collect();
    let measured = meter.finish(job.count);
    drop(links?);
    Ok(measured)
}
