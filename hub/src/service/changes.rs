//! What differs between what runs and what a file says.

use std::collections::BTreeSet;
use std::fmt;

use crate::HubConfig;
use crate::config::{DestinationKind, PipeSettings, same};

/// Names of what comes, goes and differs.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub(super) new: Vec<String>,
    pub(super) gone: Vec<String>,
    pub(super) changed: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) connections: Difference,
    pub(super) pipes: Difference,
    /// Targets, or pipes with a message id, differ.
    pub(super) targets: bool,
}

impl Plan {
    pub(super) fn new(now: &HubConfig, next: &HubConfig) -> Self {
        let enabled = |config: &HubConfig| -> BTreeSet<String> {
            let enabled = config.connections.iter().filter(|(_, settings)| settings.enabled);
            enabled.map(|(id, _)| id.clone()).collect()
        };
        let connections = Difference::new(&enabled(now), &enabled(next), |id| {
            !same(&now.connections[id].node, &next.connections[id].node)
        });
        let names = |config: &HubConfig| config.pipes.iter().map(|pipe| pipe.name.clone()).collect();
        let pipe =
            |config: &HubConfig, name: &str| config.pipes.iter().find(|pipe| pipe.name == name).cloned();
        let pipes =
            Difference::new(&names(now), &names(next), |name| match (pipe(now, name), pipe(next, name)) {
                (Some(one), Some(other)) => Self::differs(&one, &other, now, next, &connections),
                _ => true,
            });
        let targets = !now.same_targets(next);
        Self { connections, pipes, targets }
    }

    /// Must the pipe be started anew?
    fn differs(
        one: &PipeSettings,
        other: &PipeSettings,
        now: &HubConfig,
        next: &HubConfig,
        connections: &Difference,
    ) -> bool {
        let touched = |id: &String| connections.new.contains(id) || connections.gone.contains(id);
        let uses_touched = other.destinations.iter().chain(&other.dead_letters).any(|destination| {
            touched(&destination.target)
                || matches!(&destination.kind, DestinationKind::Target { .. } if !now.same_target(&destination.target, next))
        });
        !same(&one.node, &other.node)
            || one.needs_hops != other.needs_hops
            || one.identifier != other.identifier
            || now.name() != next.name()
            || now.drain_timeout() != next.drain_timeout()
            || uses_touched
            // It comes over a connection of its own with the same options.
            || touched(&other.connection)
            || connections.changed.contains(&other.connection)
    }
}

impl Difference {
    fn new(now: &BTreeSet<String>, next: &BTreeSet<String>, differs: impl Fn(&str) -> bool) -> Self {
        Self {
            new: next.difference(now).cloned().collect(),
            gone: now.difference(next).cloned().collect(),
            changed: now.intersection(next).filter(|name| differs(name)).cloned().collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty() && self.changed.is_empty()
    }
}

/// What [`Service::apply`](crate::Service::apply) changed.
#[derive(Debug)]
pub struct Changes {
    plan: Plan,
}

impl Changes {
    pub(super) fn of(plan: Plan) -> Self {
        Self { plan }
    }

    /// Nothing differed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plan.connections.is_empty() && self.plan.pipes.is_empty() && !self.plan.targets
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing differs");
        }
        let mut between = "";
        for (what, difference) in [("connections", &self.plan.connections), ("pipes", &self.plan.pipes)] {
            let parts =
                [("new", &difference.new), ("gone", &difference.gone), ("changed", &difference.changed)];
            for (word, names) in parts.into_iter().filter(|(_, names)| !names.is_empty()) {
                write!(f, "{between}{what} {word}: {}", names.join(", "))?;
                between = "; ";
            }
        }
        if self.plan.targets {
            write!(f, "{between}targets changed")?;
        }
        Ok(())
    }
}
