//! How the cost of a message grows with what a client has to remember, in instructions.

use crate::counts;
use crate::job::Workload::{self, Filters, Publish, Queue};
use crate::job::{Error, Job, Runtime};
use crate::peers::{CORE, OURS};

/// Instructions per message over a size.
pub struct Curve {
    /// Of its file.
    pub name: &'static str,
    pub title: String,
    pub axis: &'static str,
    pub points: Vec<(u32, f64)>,
}

struct Asked {
    name: &'static str,
    title: &'static str,
    axis: &'static str,
    peer: &'static str,
    workload: Workload,
    sizes: &'static [u32],
}

const FILTERS: &[u32] = &[1, 10, 100, 1000, 10_000, 100_000];

const ASKED: &[Asked] = &[
    Asked {
        name: "filters-known",
        title: "Receiving at QoS 0, topics the router knows: instructions per message in the engine",
        axis: "filters",
        peer: CORE,
        workload: Filters(0),
        sizes: FILTERS,
    },
    Asked {
        name: "filters-new",
        title: "Receiving at QoS 0, each topic unknown to the router: instructions per message in the engine",
        axis: "filters",
        peer: CORE,
        workload: Filters(1),
        sizes: FILTERS,
    },
    Asked {
        name: "window",
        title: "Publishing at QoS 1: instructions per message",
        axis: "messages in flight",
        peer: OURS,
        workload: Publish(1),
        sizes: &[10, 100, 1000, 10_000, 65_535],
    },
    Asked {
        name: "queue",
        title: "Publishing at QoS 1, a window of 100: instructions per message",
        axis: "messages waiting behind the window",
        peer: OURS,
        workload: Queue(1),
        sizes: &[10, 100, 1000, 10_000, 100_000],
    },
];

/// Counts all curves.
pub fn curves() -> Result<Vec<Curve>, Error> {
    ASKED.iter().map(curve).collect()
}

fn curve(asked: &Asked) -> Result<Curve, Error> {
    let point = |(index, &size): (usize, &u32)| {
        let window = if asked.workload == Publish(1) { size.min(65_535) as u16 } else { 100 };
        let job = Job {
            peer: asked.peer.into(),
            workload: asked.workload,
            runtime: Runtime::Current,
            count: 0,
            payload: 64,
            window,
            size,
            port: 0,
            serial: 2 * index as u32,
            tls: false,
        };
        // The tables have to be as large as they get before the first count ends.
        let few = if asked.peer == CORE { 20_000 } else { 20_000_u64.max(2 * u64::from(size)) };
        let counts = counts::count(&job, few, few + 20_000)?;
        eprintln!("{} {size}: {:.0} instructions", asked.name, counts.instructions);
        Ok((size, counts.instructions))
    };
    let points: Result<_, Error> = asked.sizes.iter().enumerate().map(point).collect();
    Ok(Curve { name: asked.name, title: asked.title.into(), axis: asked.axis, points: points? })
}
