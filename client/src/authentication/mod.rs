//! Enhanced authentication (5.0, 4.12): an exchange of any number of steps, at connecting and again while connected.
//!
//! The user's code runs in the client's task without the lock: what a read brought is looked at before it is applied,
//! and each AUTH and CONNACK in it gets its verdict.

#[cfg(feature = "scram")]
mod scram;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use packetboat_core::session::{Breach, Phase};
use packetboat_core::wire::{Packet, Properties, PropertiesBuf, Reason};

use crate::shared::{Inner, Key, Shared, Slab, remember};
use crate::{Client, ConnectStage};

#[cfg(feature = "scram")]
pub use scram::{Scram, ScramHash};

/// A method of enhanced authentication, set by [`Options::authenticator`](crate::Options::authenticator).
///
/// Its code runs in the client's task and must not block: what has to be fetched is fetched before.
///
/// ```
/// use packetboat::{AuthenticationError, Authenticator, Exchange, Options};
///
/// /// A ticket, and nothing else.
/// struct Ticket(Vec<u8>);
///
/// impl Authenticator for Ticket {
///     fn method(&self) -> &str {
///         "TICKET"
///     }
///
///     fn begin(&self) -> Result<Box<dyn Exchange>, AuthenticationError> {
///         Ok(Box::new(Showing(self.0.clone())))
///     }
/// }
///
/// struct Showing(Vec<u8>);
///
/// impl Exchange for Showing {
///     fn first(&mut self) -> Result<Option<Vec<u8>>, AuthenticationError> {
///         Ok(Some(std::mem::take(&mut self.0)))
///     }
///
///     fn step(&mut self, _: Option<&[u8]>) -> Result<Option<Vec<u8>>, AuthenticationError> {
///         Ok(None)
///     }
/// }
///
/// let options = Options::new("mqtt://localhost").authenticator(Ticket(b"7".to_vec()));
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// The name of the method, which both sides have agreed on.
    fn method(&self) -> &str;

    /// An exchange begins: with each CONNECT, and with each re-authentication.
    fn begin(&self) -> Result<Box<dyn Exchange>, AuthenticationError>;
}

/// One exchange. An error ends the connection.
pub trait Exchange: Send {
    /// The authentication data of CONNECT, or of the AUTH that begins a re-authentication.
    fn first(&mut self) -> Result<Option<Vec<u8>>, AuthenticationError>;

    /// The broker wants more: what to answer.
    fn step(&mut self, data: Option<&[u8]>) -> Result<Option<Vec<u8>>, AuthenticationError>;

    /// Everything else the broker's AUTH or CONNACK says, before [`step`](Self::step) or [`finish`](Self::finish) is asked:
    /// reason string and user properties. Default: nobody listens.
    fn said(&mut self, properties: Properties<'_>) {
        let _ = properties;
    }

    /// Reason string and user properties of the AUTH that follows. Default: none. Those of CONNECT are
    /// [`Options::properties`](crate::Options::properties).
    fn words(&mut self) -> PropertiesBuf {
        PropertiesBuf::new()
    }

    /// The broker says yes, with this. Is it the right broker? Default: it is.
    fn finish(&mut self, data: Option<&[u8]>) -> Result<(), AuthenticationError> {
        let _ = data;
        Ok(())
    }
}

/// Why an exchange cannot go on, in the words of its method.
#[derive(Clone, Eq, PartialEq)]
pub struct AuthenticationError(String);

impl AuthenticationError {
    /// The words should say who is to blame and what to do, and contain no secrets.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for AuthenticationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AuthenticationError {}

/// Why a client was not authenticated again.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReauthenticateError {
    /// There is no connection, or it has no [authenticator](crate::Options::authenticator).
    NotPossible,
    /// One is under way.
    UnderWay,
    /// The method cannot go on; the connection was ended if the broker was to blame.
    Method(AuthenticationError),
    /// The connection ended; if the broker refused, it said so in its DISCONNECT
    /// ([`Event::Disconnected`](crate::Event::Disconnected)).
    Disconnected,
}

impl fmt::Display for ReauthenticateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPossible => f.write_str("there is no connection that was authenticated by a method"),
            Self::UnderWay => f.write_str("a re-authentication is under way"),
            Self::Method(error) => error.fmt(f),
            Self::Disconnected => f.write_str("the connection ended before it was authenticated again"),
        }
    }
}

impl std::error::Error for ReauthenticateError {}

/// What is under way.
#[derive(Default)]
pub(crate) struct Authentication {
    exchange: Option<Box<dyn Exchange>>,
    /// The broker asked for a step of it.
    has_stepped: bool,
    /// For the AUTH and CONNACK packets of the read at hand.
    verdicts: VecDeque<Verdict>,
    /// Why we left.
    failure: Option<AuthenticationError>,
    /// The re-authentication under way. Whoever asked for it may be gone.
    running: Option<Key>,
    again: Slab<Again>,
}

/// Somebody waits for the end of a re-authentication.
#[derive(Default)]
struct Again {
    result: Option<Result<(), ReauthenticateError>>,
    waker: Option<Waker>,
}

/// Data and words of the AUTH that follows, if one does.
type Verdict = Result<(Option<Vec<u8>>, PropertiesBuf), AuthenticationError>;

type Begun = (Box<dyn Exchange>, Option<Vec<u8>>);

/// An exchange, and what CONNECT or AUTH is to carry.
pub(crate) fn begin(authenticator: &dyn Authenticator) -> Result<Begun, AuthenticationError> {
    let mut exchange = authenticator.begin()?;
    let first = exchange.first()?;
    if first.as_ref().is_some_and(|data| data.len() > usize::from(u16::MAX)) {
        return Err(AuthenticationError::new("the method has more to say than 65,535 bytes"));
    }
    Ok((exchange, first))
}

/// Packets came that are not plain: let the exchange see those that are for it.
pub(crate) fn look(shared: &Shared, packets: &[Packet<'_>]) {
    let concerns = |packet: &&Packet<'_>| matches!(packet, Packet::Auth(_) | Packet::Connack(_));
    if !packets.iter().any(|packet| concerns(&packet)) {
        return;
    }
    let mut current = shared.lock().authentication.as_mut().and_then(|with| with.exchange.take());
    let mut verdicts = VecDeque::new();
    for packet in packets.iter().filter(concerns) {
        // What comes when an exchange is over, or without one, is for the session to judge.
        let Some(exchange) = &mut current else { break };
        let last = match packet {
            Packet::Connack(said) if !said.reason.is_error() => Some(said.properties),
            Packet::Auth(auth) if auth.reason == Reason::SUCCESS => Some(auth.properties),
            Packet::Auth(auth) if auth.reason == Reason::CONTINUE_AUTHENTICATION => {
                exchange.said(auth.properties);
                let data = exchange.step(auth.properties.authentication_data());
                verdicts.push_back(data.map(|data| (data, exchange.words())));
                continue;
            }
            _ => break,
        };
        exchange.said(last.unwrap_or_default());
        let data = last.and_then(Properties::authentication_data);
        verdicts.push_back(exchange.finish(data).map(|()| (None, PropertiesBuf::new())));
        current = None;
    }
    if let Some(authentication) = &mut shared.lock().authentication {
        authentication.exchange = current;
        authentication.has_stepped |= !verdicts.is_empty();
        authentication.verdicts = verdicts;
    }
}

impl Inner {
    /// A packet that is not plain came: to the session with it, and to whom else it concerns.
    pub(crate) fn on_packet(&mut self, packet: &Packet<'_>, now: packetboat_core::time::Instant) {
        let concerns = matches!(packet, Packet::Auth(_) | Packet::Connack(_));
        let verdicts = self.authentication.as_mut().filter(|_| concerns).map(|with| &mut with.verdicts);
        let verdict = verdicts.and_then(VecDeque::pop_front);
        let awaits = matches!(packet, Packet::Auth(auth) if auth.reason == Reason::CONTINUE_AUTHENTICATION);
        match verdict {
            Some(Err(error)) => self.distrust(error),
            Some(Ok((data, words))) => {
                self.session.handle_packet(packet, now);
                if awaits && !self.session.is_closing() {
                    self.answer(data.as_deref(), &words, now);
                }
            }
            None => self.session.handle_packet(packet, now),
        }
    }

    fn answer(&mut self, data: Option<&[u8]>, words: &PropertiesBuf, now: packetboat_core::time::Instant) {
        let (reason, words) = (Reason::CONTINUE_AUTHENTICATION, words.as_properties());
        if !self.session.authenticate_with(reason, data, words, now) {
            self.distrust(AuthenticationError::new("the method has more to say than the broker takes"));
        }
    }

    /// The exchange cannot go on: nothing more is said on this connection.
    fn distrust(&mut self, error: AuthenticationError) {
        self.authentication.get_or_insert_default().failure = Some(error.clone());
        self.end_again(Err(ReauthenticateError::Method(error)));
        let what = "its authentication is not that of the right broker";
        self.session.handle_breach(Breach { reason: Reason::UNSPECIFIED_ERROR, what });
    }

    /// AUTH with success, or the end of the connection.
    pub(crate) fn end_again(&mut self, result: Result<(), ReauthenticateError>) {
        let Some(authentication) = &mut self.authentication else { return };
        let Some(key) = authentication.running.take() else { return };
        if let Some(again) = authentication.again.get_mut(key) {
            self.deferred.wake.extend(again.waker.take());
            again.result = Some(result);
        }
    }

    /// A new connection begins with this exchange.
    pub(crate) fn authenticate_with(&mut self, exchange: Option<Box<dyn Exchange>>) {
        if exchange.is_none() && self.authentication.is_none() {
            return;
        }
        let authentication = self.authentication.get_or_insert_default();
        authentication.exchange = exchange;
        authentication.has_stepped = false;
        authentication.verdicts.clear();
        authentication.failure = None;
    }

    /// What the broker has not said yet while connecting.
    pub(crate) fn awaited(&self) -> ConnectStage {
        let takes_steps = self.authentication.as_ref().is_some_and(|with| with.has_stepped);
        if takes_steps { ConnectStage::Authentication } else { ConnectStage::Answer }
    }

    /// Why we left, if that was it.
    pub(crate) fn authentication_failure(&mut self) -> Option<AuthenticationError> {
        self.authentication.as_mut()?.failure.take()
    }
}

impl Client {
    /// Authenticates the connection again, with the [authenticator](crate::Options::authenticator) (5.0): before a ticket
    /// expires, for example. Messages go on meanwhile. A broker that refuses ends the connection. 3.1.1 cannot:
    /// [`ReauthenticateError::NotPossible`](crate::ReauthenticateError::NotPossible). Dropped, the exchange goes on and
    /// nobody learns its end.
    pub async fn reauthenticate(&self) -> Result<(), ReauthenticateError> {
        let key = self.begin_again()?;
        Reauthenticating { shared: self.shared(), key }.await
    }

    fn begin_again(&self) -> Result<Key, ReauthenticateError> {
        let settings = self.shared().settings();
        let Some(authenticator) = &settings.options.choices.exchange.authenticator else {
            return Err(ReauthenticateError::NotPossible);
        };
        let (mut exchange, first) = begin(&**authenticator).map_err(ReauthenticateError::Method)?;
        let words = exchange.words();
        let mut inner = self.shared().lock();
        if inner.authentication.get_or_insert_default().running.is_some() {
            return Err(ReauthenticateError::UnderWay);
        }
        let now = inner.time();
        if inner.session.phase() != Phase::Online
            || !inner.session.authenticate_with(
                Reason::RE_AUTHENTICATE,
                first.as_deref(),
                words.as_properties(),
                now,
            )
        {
            return Err(ReauthenticateError::NotPossible);
        }
        let authentication = inner.authentication.get_or_insert_default();
        authentication.exchange = Some(exchange);
        let key = authentication.again.insert(Again::default());
        authentication.running = Some(key);
        inner.wake_task();
        Ok(key)
    }
}

struct Reauthenticating<'a> {
    shared: &'a Shared,
    key: Key,
}

impl Future for Reauthenticating<'_> {
    type Output = Result<(), ReauthenticateError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut guard = self.shared.lock();
        let inner = &mut *guard;
        let again = inner.authentication.as_mut().and_then(|with| with.again.get_mut(self.key));
        let Some(again) = again else { return Poll::Ready(Err(ReauthenticateError::Disconnected)) };
        if let Some(result) = again.result.take() {
            return Poll::Ready(result);
        }
        remember(&mut again.waker, cx.waker(), &mut inner.deferred.retired);
        Poll::Pending
    }
}

impl Drop for Reauthenticating<'_> {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        let gone = inner.authentication.as_mut().and_then(|with| with.again.remove(self.key));
        drop(inner);
        drop(gone);
    }
}
