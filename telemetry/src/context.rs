//! W3C Trace Context in user properties, by the names `traceparent` and `tracestate`.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use packetboat::{Message, PropertiesBuf, Property, PropertyError};

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";

/// What must be passed on at least, and all that is kept.
const LONGEST_STATE: usize = 512;

const SAMPLED: u8 = 1;

/// Where in which trace something happens: the identifiers that go from one party to the next.
///
/// ```
/// use packetboat_telemetry::TraceContext;
///
/// let said = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let context = TraceContext::parse(said).expect("it is one");
/// assert_eq!(context.to_string(), said);
/// assert_eq!(context.child().trace_id(), context.trace_id());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
    state: String,
}

impl TraceContext {
    /// A trace that begins here.
    #[must_use]
    pub fn new(sampled: bool) -> Self {
        let trace = u128::from(random()) << 64 | u128::from(random());
        Self { trace, span: random(), flags: if sampled { SAMPLED } else { 0 }, state: String::new() }
    }

    /// A further step of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span: random(), ..self.clone() }
    }

    /// What a `traceparent` says. `None`: it is none, and a new trace should begin.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let (version, rest) = traceparent.split_once('-')?;
        let version = u8::try_from(hexadecimal(version, 2)?).ok()?;
        let mut parts = rest.split('-');
        let trace = hexadecimal(parts.next()?, 32)?;
        let span = u64::try_from(hexadecimal(parts.next()?, 16)?).ok()?;
        let flags = u8::try_from(hexadecimal(parts.next()?, 2)?).ok()?;
        // Later versions may have more parts.
        let is_whole = version != 0 || parts.next().is_none();
        let is_valid = version != 0xff && trace != 0 && span != 0 && is_whole;
        is_valid.then(|| Self { trace, span, flags: flags & SAMPLED, state: String::new() })
    }

    /// The context a message came with; `None` also on 3.1.1.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        let mut parents = message.properties().user_properties().filter(|(name, _)| *name == PARENT);
        let context = parents.next().and_then(|(_, value)| Self::parse(value))?;
        if parents.next().is_some() {
            // Two say two things.
            return None;
        }
        let states = message.properties().user_properties().filter(|(name, _)| *name == STATE);
        let states: Vec<&str> = states.map(|(_, value)| value).collect();
        Some(context.with_state(&states.join(",")))
    }

    /// With this `tracestate`. What is longer than the 512 bytes that everybody passes on is left out.
    #[must_use]
    pub fn with_state(mut self, tracestate: &str) -> Self {
        let fits =
            tracestate.len() <= LONGEST_STATE && tracestate.chars().all(|char| matches!(char, ' '..='~'));
        self.state = if fits { tracestate.to_owned() } else { String::new() };
        self
    }

    /// Put it among the properties of a message, in place of one that is there, as in those of a message that is passed on:
    /// two would say two things.
    pub fn put(&self, properties: &mut PropertiesBuf) -> Result<(), PropertyError> {
        let before = properties.clone();
        properties.remove(Property::UserProperty);
        let others =
            before.as_properties().user_properties().filter(|(name, _)| ![PARENT, STATE].contains(name));
        for (name, value) in others {
            properties.user_property(name, value)?;
        }
        properties.user_property(PARENT, &self.to_string())?;
        if !self.state.is_empty() {
            properties.user_property(STATE, &self.state)?;
        }
        Ok(())
    }

    /// The identifier of the trace, as it is written.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The identifier of this step, as it is written.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// Somebody records this trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// What systems on the way have to say of it, `tracestate`; may be empty.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }
}

/// As in `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

/// So many digits, lower case: upper case is not allowed.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() == digits && text.bytes().all(is_digit) {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

/// Never zero, which is no identifier. The standard library's hash is keyed by the system's randomness, anew each time.
fn random() -> u64 {
    RandomState::new().hash_one(std::time::Instant::now()).max(1)
}
