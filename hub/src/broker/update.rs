//! Another configuration for a broker that runs.

use std::mem;
use std::sync::Arc;

use futures_util::future::join_all;
use packetboat_config::Node;

use super::protocol::{Later, SourceState, Subscribed, Target};
use super::subscriptions::{Joined, end, join};
use super::{InitialiseError, Inner, MessageBroker, Phase, Plan};

/// A configuration whose targets have begun.
pub(crate) struct Prepared {
    config: Node,
    file: String,
    plan: Plan,
}

impl MessageBroker {
    /// Reads another configuration and lets begin what it has and does not run yet, so that nothing can go wrong any more when
    /// the broker [becomes](Self::become_this) that. After an error nothing has changed. The hub will have these connections.
    pub(crate) fn prepare(
        &self,
        config: Node,
        file: &str,
        connections: &[&str],
    ) -> Result<Prepared, InitialiseError> {
        let state = self.inner.state();
        let earlier = match &state.phase {
            Phase::New => None,
            Phase::Running(plan) => Some(&**plan),
            Phase::Closed => return Err(InitialiseError::Closed),
        };
        let plan = Inner::begin(&config, self.inner.context(&state.protocols, file, connections, earlier))?;
        Ok(Prepared { config, file: file.to_owned(), plan })
    }

    /// Becomes what was prepared. Targets that are the same go on, and so do those that differ, where their protocol can do
    /// that; handlers stay, and get what the new configuration has for their subscription ids.
    ///
    /// Gives the targets that are no more: they have to be closed.
    pub(crate) async fn become_this(&self, prepared: Prepared) -> Vec<Arc<dyn Target>> {
        let _alone = self.inner.changing.write().await;
        let plan = Arc::new(prepared.plan);
        let earlier = {
            let mut state = self.inner.state();
            if matches!(state.phase, Phase::Closed) {
                return plan.targets.values().map(|planned| planned.target.clone()).collect();
            }
            (state.config, state.file) = (prepared.config, prepared.file);
            mem::replace(&mut state.phase, Phase::Running(plan.clone()))
        };
        let Phase::Running(earlier) = earlier else { return Vec::new() };
        for planned in plan.targets.values() {
            if let Some(next) = &planned.next {
                planned.target.become_this(&**next);
            }
        }
        self.follow(&plan).await;
        let earlier = earlier.targets.values().map(|planned| planned.target.clone());
        earlier.filter(|target| !plan.runs(target)).collect()
    }

    /// Handlers get what the plan has for them: the new before the old ends.
    async fn follow(&self, plan: &Plan) {
        let mut asked: Vec<Later<'_, _>> = Vec::new();
        for (token, entry) in &self.inner.subscriptions.lock().entries {
            for (name, planned) in &plan.targets {
                let Some(source) = planned.source(&entry.inbox.subscription_id) else { continue };
                if entry.sources.iter().any(|joined| joined.is_by(source)) {
                    continue;
                }
                let (token, source) = (*token, source.clone());
                let joined = join(name.clone(), source.clone(), entry.inbox.clone(), self.inner.limit);
                asked.push(Box::pin(async move {
                    let refused = |(target, error): (Arc<str>, _)| {
                        tracing::error!(%target, %error, "a subscription was refused");
                        let subscribed = Box::new(Refused(format!("{error}")));
                        Joined { target, source: Some(source), subscribed }
                    };
                    (token, joined.await.unwrap_or_else(refused))
                }));
            }
        }
        let answers = join_all(asked).await;
        let mut over = Vec::new();
        {
            let mut table = self.inner.subscriptions.lock();
            for (token, joined) in answers {
                // Its handler may have been taken back meanwhile.
                let place = table.entries.get_mut(&token).map_or(&mut over, |entry| &mut entry.sources);
                place.push(joined);
            }
            for entry in table.entries.values_mut() {
                let id = &entry.inbox.subscription_id;
                let wanted = |joined: &Joined| {
                    let source = plan.targets.get(&joined.target).and_then(|planned| planned.source(id));
                    // What is published here needs no configuration.
                    joined.source.is_none() || source.is_some_and(|source| joined.is_by(source))
                };
                let (stay, go): (Vec<_>, Vec<_>) =
                    mem::take(&mut entry.sources).into_iter().partition(wanted);
                entry.sources = stay;
                over.extend(go);
            }
        }
        end(over).await;
    }
}

/// The target did not want it.
struct Refused(String);

impl Subscribed for Refused {
    fn state(&self) -> SourceState {
        SourceState::Ended(self.0.clone())
    }

    fn end(self: Box<Self>) -> Later<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}
