//! What the tests share.

use std::time::Duration;

use packetboat_blocking::{Client, Options};
use packetboat_sim::net::Broker;

/// The strict broker on a runtime of its own.
pub(crate) struct Served {
    broker: Option<Broker>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Served {
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let broker = runtime.block_on(Broker::start()).unwrap();
        Self { broker: Some(broker), runtime: Some(runtime) }
    }

    pub(crate) fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    pub(crate) fn options(&self) -> Options {
        Options::new(&self.broker().url()).backoff(Duration::from_millis(1), Duration::from_millis(50))
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.options()).unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.broker.take());
        self.runtime.take().unwrap().shutdown_background();
    }
}
