//! The hub, until it is told to stop.

use std::path::Path;

use packetboat_hub::{HubConfig, Service};
use packetboat_sim::net::{Broker, Options};

use super::reload::Reload;
use super::{load, log};
use crate::failure::{Exit, Failure};
use crate::signals::Stop;

pub(super) async fn until_stopped(path: &Path, watch: bool) -> Result<Exit, Failure> {
    let mut reload = Reload::new(path, watch).await;
    let config = load(path)?;
    log::begin(config.log());
    let grace = config.drain_timeout();
    let mut stop = Stop::listen_for(grace)?;
    let embedded = brokers(config.embedded_brokers()).await?;
    let (summary, http) = (config.summary(), config.http());
    let mut service = Service::start(config).await.map_err(Failure::usage)?;
    tracing::info!(file = %path.display(), %summary, http = http.map(tracing::field::display), "the hub runs");
    loop {
        tokio::select! {
            () = stop.asked() => break,
            why = reload.asked() => again(&mut service, path, why).await,
        }
    }
    tracing::info!("stopping");
    let ended = service.stop().await;
    drop(embedded);
    if ended {
        tracing::info!("stopped: nothing was left on the way");
        Ok(Exit::Success)
    } else {
        tracing::warn!("stopped: what was on the way was not acknowledged and comes again");
        Ok(Exit::NotDelivered)
    }
}

/// Brokers of our own, for trying things out: they keep everything in memory.
async fn brokers(ports: &[u16]) -> Result<Vec<Broker>, Failure> {
    let mut brokers = Vec::new();
    for port in ports {
        let broker = Options::new().port(*port).start().await;
        let broker = broker
            .map_err(|error| Failure::usage(format_args!("`embedded_brokers`: port {port}: {error}")))?;
        tracing::info!(url = broker.url(), "embedded broker, not for production");
        brokers.push(broker);
    }
    Ok(brokers)
}

async fn again(service: &mut Service, path: &Path, why: &str) {
    let config = match HubConfig::load(path) {
        Ok(config) => config,
        Err(error) => {
            service.refused();
            for line in error.to_string().lines() {
                tracing::error!(why, problem = line, "the file is wrong: nothing was changed");
            }
            return;
        }
    };
    for warning in config.warnings() {
        tracing::warn!(%warning, "worth knowing");
    }
    match service.apply(config).await {
        Ok(changes) => tracing::info!(why, %changes, "read again"),
        Err(error) => {
            service.refused();
            tracing::error!(why, %error, "not all of it could be applied");
        }
    }
}
