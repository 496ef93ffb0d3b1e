//! Where a pipe begins: a connection of its own, and messages that are acknowledged when all destinations have them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use packetboat::{
    Client, End, QoS, RetainHandling, SessionMode, State, SubscribeError, Subscriber, VersionChoice,
};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::lane::Common;
use super::options::PipeOptions;
use super::pace::Pace;
use super::shipment::Shipment;
use super::{PipeState, route::Route};

pub(super) struct Source {
    pub(super) client: Client,
    pub(super) common: Arc<Common>,
    pub(super) version: VersionChoice,
    pub(super) qos: QoS,
    pub(super) share: Option<String>,
    /// What was asked for in this session before.
    pub(super) replaces: Option<String>,
    pub(super) pace: Option<Pace>,
    pub(super) lanes: Vec<mpsc::Sender<Arc<Shipment>>>,
    pub(super) state: watch::Sender<PipeState>,
}

/// The options of the source's connection, as a pipe needs them. It begins when it is asked for.
pub(super) fn connection(options: &PipeOptions) -> packetboat::Options {
    let version = if options.needs_hops { VersionChoice::V5 } else { options.version };
    let bytes = BYTES.min(options.bytes as usize);
    options.source.clone().version(version).inbound(options.window, bytes).connect_on_demand(true)
}

/// Arrived messages that wait to be taken have at most so many bytes.
const BYTES: usize = 16 * 1024 * 1024;

impl Source {
    /// What the broker is asked for.
    pub(super) fn filter(route: &Route, share: Option<&str>) -> String {
        let plain = route.filter().as_str();
        share.map_or_else(|| plain.to_owned(), |group| format!("$share/{group}/{plain}"))
    }

    /// Until it is told to stop, or the client is closed.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.pass_on() => {}
        }
        self.state.send_replace(PipeState::Stopped);
    }

    async fn pass_on(&mut self) {
        let Some(version) = self.version().await else { return };
        let mut failures = 0;
        loop {
            match self.subscribe(version).await {
                Ok(mut stream) => {
                    failures = 0;
                    let (pipe, filter) = (&self.common.pipe, self.common.route.filter().as_str());
                    tracing::info!(pipe, filter, "subscribed");
                    self.state.send_replace(PipeState::Running);
                    self.forward(&mut stream).await;
                    match stream.end() {
                        Some(End::Refused(reason)) => self.refused(&reason.to_string()),
                        Some(End::Unsubscribed) | None => {}
                        Some(_) => return,
                    }
                }
                Err(SubscribeError::Closed) => return,
                Err(error) => self.refused(&error.to_string()),
            }
            failures += 1;
            sleep(self.common.retry.wait(failures)).await;
        }
    }

    fn refused(&self, error: &str) {
        tracing::error!(pipe = self.common.pipe, error, "no subscription");
        self.state.send_replace(PipeState::Refused(error.to_owned()));
    }

    /// The version that will be spoken. It must be known before the connection that goes on with the session stands: what
    /// waits in it comes at once, and must find its stream. `None`: it cannot be learnt.
    async fn version(&self) -> Option<u8> {
        let known = match self.version {
            VersionChoice::V5 => Some(5),
            VersionChoice::V311 => Some(4),
            VersionChoice::V31 => Some(3),
            VersionChoice::Auto => None,
        };
        if known.is_some() {
            return known;
        }
        let identifier = format!("{}-version", self.client.client_id());
        let options = self.client.options().client_id(identifier).session(SessionMode::Clean);
        let scout = Client::start(options.connect_on_demand(false)).ok()?;
        let mut states = scout.watch();
        let state = states.wait_for(|state| matches!(state, State::Connected(_) | State::Closed)).await;
        let level = match &*state.ok()? {
            State::Connected(connected) => Some(connected.version.level()),
            _ => None,
        };
        let _ = scout.disconnect().await;
        level
    }

    async fn subscribe(&mut self, version: u8) -> Result<Subscriber, SubscribeError> {
        let filter = Self::filter(&self.common.route, self.share.as_deref());
        let mut subscription = self.client.subscription(&filter).qos(self.qos).manual_ack();
        if version >= 5 {
            // A session that went on knows the retained messages [MQTT-3.3.1-10]; a shared subscription is for everybody
            // [MQTT-3.8.3-4].
            subscription = subscription
                .retain_as_published(true)
                .retain_handling(RetainHandling::SendIfNew)
                .no_local(self.share.is_none());
        }
        self.speak(version);
        // The stream is there from the first look on: before the connection, and what the session has for it.
        let mut subscription = std::pin::pin!(subscription);
        let early = match poll_fn(|cx| Poll::Ready(subscription.as_mut().poll(cx))).await {
            Poll::Ready(early) => Some(early),
            Poll::Pending => None,
        };
        let stream = match early {
            Some(early) => early?,
            None => subscription.await?,
        };
        // From now on a connection that is lost comes back by itself.
        let _ = self.client.reconfigure(self.client.options().connect_on_demand(false));
        if let Some(before) = self.replaces.take_if(|before| *before != filter) {
            // Over as many connections as it takes, while messages go on.
            drop(tokio::spawn(self.client.unsubscribe(&before)));
        }
        Ok(stream)
    }

    /// Before anything asks for a connection: one that stands already would end for it, and all that it brought come again.
    fn speak(&self, version: u8) {
        let version = match version {
            5.. => VersionChoice::V5,
            4 => VersionChoice::V311,
            _ => VersionChoice::V31,
        };
        // They were right when the client was made.
        let _ = self.client.reconfigure(self.client.options().version(version));
    }

    async fn forward(&mut self, stream: &mut Subscriber) {
        while let Some(message) = stream.next().await {
            self.common.stats.received();
            if self.common.hop.was_passed(message.properties()) {
                self.common.stats.looped();
                let _ = message.ack();
                continue;
            }
            let Some(found) = self.common.route.find(message.topic()) else {
                self.common.stats.other();
                let _ = message.ack();
                continue;
            };
            if let Some(pace) = &mut self.pace {
                pace.turn().await;
            }
            // Meanwhile the connection stops reading, once enough has arrived: the broker keeps the rest.
            let room = self.common.room.of(&message).await;
            let shipment = Arc::new(Shipment::new(message, found, self.lanes.len(), room));
            for (lane, stats) in self.lanes.iter().zip(&self.common.stats.lanes) {
                stats.came();
                // A lane ends after its source.
                let _ = lane.send(shipment.clone()).await;
            }
        }
    }
}
