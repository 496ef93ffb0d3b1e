//! Pipes that lead in a circle.

use std::collections::BTreeMap;

use packetboat::TopicFilter;

use super::connections::ConnectionSettings;
use super::pipes::{DestinationKind, PipeSettings};
use super::table::Findings;

/// Marks the pipes that are part of a circle. Where a broker of 3.1.1 is in it, nothing would end a message's way round:
/// that is refused.
pub(super) fn find(
    pipes: &mut [PipeSettings],
    connections: &BTreeMap<String, ConnectionSettings>,
    findings: &Findings,
) {
    let next: Vec<Vec<usize>> = pipes.iter().map(|pipe| followers(pipe, pipes, connections)).collect();
    let mut circles: Vec<Vec<usize>> = Vec::new();
    for start in 0..pipes.len() {
        if let Some(mut circle) = way_back(start, &next) {
            circle.sort_unstable();
            if !circles.contains(&circle) {
                circles.push(circle);
            }
        }
    }
    let server = |id: &String| connections.get(id).map(|connection| &connection.server);
    for circle in circles {
        let names: Vec<String> = circle.iter().map(|at| format!("`{}`", pipes[*at].name)).collect();
        let servers: Vec<_> = circle.iter().map(|at| server(&pipes[*at].connection)).collect();
        let mut brokers = circle.iter().flat_map(|at| {
            let ends = pipes[*at].destinations.iter().map(|destination| &destination.target);
            ends.chain([&pipes[*at].connection]).filter(|id| servers.contains(&server(id)))
        });
        let old = brokers.find(|id| connections.get(*id).is_some_and(ConnectionSettings::is_old)).cloned();
        drop(brokers);
        if let Some(old) = old {
            let pipe = &pipes[circle[0]];
            findings.wrong(
                pipe.at,
                format!("pipes.{}", pipe.name),
                format!(
                    "is part of a circle: {}. Messages would go round for ever, since `{old}` speaks 3.1.1 and cannot carry \
                     the property by which they are known: use version 5.0, or filters and topics that do not meet",
                    names.join(" -> ")
                ),
            );
        }
        for at in circle {
            pipes[at].needs_hops = true;
        }
    }
}

/// The pipes that take what this one sends.
fn followers(
    pipe: &PipeSettings,
    pipes: &[PipeSettings],
    connections: &BTreeMap<String, ConnectionSettings>,
) -> Vec<usize> {
    let sent = pipe.destinations.iter().chain(&pipe.dead_letters).filter_map(|destination| {
        let DestinationKind::Connection { template, .. } = &destination.kind else { return None };
        let filter = template.as_ref().map_or(pipe.route.filter(), |template| template.filter());
        Some((&destination.target, filter))
    });
    let sent: Vec<(&String, &TopicFilter)> = sent.collect();
    let server = |id: &String| connections.get(id).map(|connection| &connection.server);
    let takes = |other: &PipeSettings| {
        sent.iter().any(|(target, filter)| {
            let meets = **target == other.connection || server(target) == server(&other.connection);
            meets && filter.overlaps(other.route.filter())
        })
    };
    (0..pipes.len()).filter(|at| takes(&pipes[*at])).collect()
}

/// The shortest way from a pipe to itself.
fn way_back(start: usize, next: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut line = std::collections::VecDeque::from([start]);
    while let Some(at) = line.pop_front() {
        for &to in &next[at] {
            if to == start {
                let mut way = vec![at];
                while let Some(&before) =
                    way.last().filter(|at| **at != start).and_then(|at| came_from.get(at))
                {
                    way.push(before);
                }
                return Some(way);
            }
            if came_from.insert(to, at).is_none() {
                line.push_back(to);
            }
        }
    }
    None
}
