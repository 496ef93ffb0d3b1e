//! What becomes of the connection, as the application wants it.

use std::sync::Arc;

use packetboat_core::session::SessionMode;

use super::Client;
use crate::events::Handler;
use crate::{Event, EventHandler, Options, OptionsError, State};

impl Client {
    /// Ends a wait between attempts, or the rest after [`go_offline`](Self::go_offline): now is a good time.
    pub fn connect_now(&self) {
        let mut inner = self.handle.shared.lock();
        inner.stays_down = false;
        inner.wish(|wishes| (wishes.connect_now, wishes.offline) = (true, false));
    }

    /// The network is up: ends a wait between attempts. After [`go_offline`](Self::go_offline) it changes nothing. What
    /// was learnt from failures stays, so that a hint that comes often does not undo the backoff.
    pub fn network_up(&self) {
        self.handle.shared.lock().wish(|wishes| wishes.network_up = true);
    }

    /// Leaves the broker and stays offline until [`connect_now`](Self::connect_now). Nothing is lost: what is on the way
    /// may come to its end, for at most [`drain_timeout`](Options::drain_timeout); what is accepted, also from now on,
    /// waits in the queue; streams and subscriptions stay. Returns when the connection is closed, or it was called off.
    ///
    /// ```no_run
    /// use packetboat::QoS;
    ///
    /// # async fn example(client: packetboat::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// client.go_offline().await;
    /// // Accepted, and sent when there is a connection again.
    /// client.publish("log", "at sea").qos(QoS::AtLeastOnce).enqueue().await?;
    /// client.connect_now();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn go_offline(&self) {
        let shared = &self.handle.shared;
        let mut watch = shared.watch();
        {
            let mut inner = shared.lock();
            inner.stays_down = true;
            inner.wish(|wishes| (wishes.connect_now, wishes.offline) = (false, true));
        }
        loop {
            let arrived = matches!(*watch.borrow_and_update(), State::Offline | State::Closed);
            // The sender lives as long as the client.
            if arrived || !shared.lock().stays_down || watch.changed().await.is_err() {
                return;
            }
        }
    }

    /// Replaces the connection by a fresh one, for other credentials or another route for example: what is on the way
    /// comes to its end, for at most [`drain_timeout`](Options::drain_timeout), and publishing waits meanwhile.
    pub fn reconnect(&self) {
        self.handle.shared.lock().wish(|wishes| wishes.reconnect = true);
    }

    /// The options in use.
    #[must_use]
    pub fn options(&self) -> Options {
        self.handle.shared.settings().options.clone()
    }

    /// Takes other options while everything goes on. Bounds, policies, time limits, hooks, backoff and further servers
    /// count at once; for what CONNECT says, the version, the transport, and for another server in place of the one in
    /// use, the connection is left as by [`reconnect`](Self::reconnect). Wrong options change nothing.
    ///
    /// Whatever was accepted stays accepted. When the server changes, messages that were never transmitted go to the new
    /// one, in their order. Those on the way that the old server did not confirm within
    /// [`drain_timeout`](Options::drain_timeout) are sent to the new one as well, as after a lost session: QoS 1 messages
    /// may be on both servers, and so may those of QoS 2, whose receipts say
    /// [`possible_duplicate`](crate::Published::possible_duplicate). Subscriptions are made on the new server; what the
    /// old one still had queued for them stays there. A generated client identifier is kept.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use packetboat::{Client, OptionsError};
    /// # fn example(client: &Client) -> Result<(), OptionsError> {
    /// client.reconfigure(client.options().keep_alive(Duration::from_secs(20)))
    /// # }
    /// ```
    pub fn reconfigure(&self, options: impl Into<Options>) -> Result<(), OptionsError> {
        let mut options = options.into();
        let shared = &self.handle.shared;
        if options.client_id.is_none() && options.choices.session == SessionMode::UntilDisconnect {
            options.client_id = Some(shared.lock().client_id.clone());
        }
        let settings = Arc::new(options.settle()?);
        shared.lock().wish(|wishes| wishes.settings = Some(settings));
        Ok(())
    }

    /// Calls `handler` with every [`Event`](crate::Event) from now on, until the guard is dropped. It is called by the
    /// task or thread that made it happen, which waits for it: it must be brief.
    ///
    /// ```no_run
    /// use packetboat::{Client, Event};
    ///
    /// # fn example(client: Client) {
    /// client
    ///     .on_event(|event| {
    ///         if let Event::Disconnected { .. } = event {
    ///             eprintln!("gone");
    ///         }
    ///     })
    ///     .keep();
    /// # }
    /// ```
    #[must_use = "dropping it removes the handler"]
    pub fn on_event(&self, handler: impl FnMut(&Event) + Send + 'static) -> EventHandler {
        let key = self.handle.shared.lock().listeners.add_handler(Handler::new(handler));
        EventHandler { shared: Arc::downgrade(&self.handle.shared), key }
    }
}
