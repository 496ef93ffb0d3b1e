//! Values of options.

use std::time::Duration;

use packetboat::{QoS, VersionChoice};

/// `-q`.
pub(super) fn qos(text: &str) -> Result<QoS, String> {
    match text {
        "0" => Ok(QoS::AtMostOnce),
        "1" => Ok(QoS::AtLeastOnce),
        "2" => Ok(QoS::ExactlyOnce),
        _ => Err("QoS is 0 (at most once), 1 (at least once) or 2 (exactly once)".into()),
    }
}

/// `-V`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Protocol(pub(crate) VersionChoice);

pub(super) fn protocol(text: &str) -> Result<Protocol, String> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Ok(Protocol(VersionChoice::Auto)),
        "5" | "mqttv5" => Ok(Protocol(VersionChoice::V5)),
        "311" | "mqttv311" => Ok(Protocol(VersionChoice::V311)),
        "31" | "mqttv31" => Ok(Protocol(VersionChoice::V31)),
        _ => Err("write 5, 311, 31, mqttv5, mqttv311, mqttv31 or auto".into()),
    }
}

impl Protocol {
    /// Chosen, and without properties.
    pub(crate) fn is_old(self) -> bool {
        !matches!(self.0, VersionChoice::Auto | VersionChoice::V5)
    }
}

/// `-x`: how long the broker keeps the session after the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Expiry(pub(crate) u32);

impl Expiry {
    /// [MQTT-3.1.2.11.2]: 0xFFFFFFFF does not expire.
    pub(crate) const NEVER: Self = Self(u32::MAX);

    pub(crate) fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

pub(super) fn expiry(text: &str) -> Result<Expiry, String> {
    match text {
        "-1" | "\u{221e}" => Ok(Expiry::NEVER),
        _ => text.parse().map(Expiry).map_err(|_| {
            "write seconds from 0 to 4294967294, or -1 for a session that does not expire".into()
        }),
    }
}

/// Seconds, not necessarily whole.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "write seconds, such as 10 or 0.5".into())
}

/// Seconds, and not none.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    seconds(text)
        .and_then(|time| if time.is_zero() { Err("write more than 0 seconds".into()) } else { Ok(time) })
}

/// Bytes, also in thousands.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1_000),
        Some((at, 'M')) => (&text[..at], 1_000_000),
        Some((at, 'G')) => (&text[..at], 1_000_000_000),
        _ => (text, 1),
    };
    let bytes = digits.parse().ok().and_then(|number: u64| number.checked_mul(factor));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "write bytes, such as 4096, 500k, 10M or 1G".into())
}

/// A port number, not zero.
pub(super) fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a port is a number from 1 to 65535".into()),
        Ok(port) => Ok(port),
    }
}

/// A host, and nothing more.
pub(super) fn host(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return Err("this is a URL: give it with -L".into());
    }
    if text.is_empty() || text.contains(['/', ' ']) {
        return Err("write a host name or an address".into());
    }
    Ok(text.trim_start_matches('[').trim_end_matches(']').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_or_explained() {
        assert_eq!(qos("2"), Ok(QoS::ExactlyOnce));
        assert!(qos("3").is_err());
        for text in ["5", "mqttv5", "MQTTV5"] {
            assert_eq!(protocol(text).unwrap().0, VersionChoice::V5);
        }
        assert!(protocol("311").unwrap().is_old() && !protocol("auto").unwrap().is_old());
        assert!(protocol("4").is_err());
        assert_eq!(expiry("-1"), Ok(Expiry::NEVER));
        assert_eq!(expiry("\u{221e}"), Ok(Expiry::NEVER));
        assert_eq!(expiry("60"), Ok(Expiry(60)));
        assert!(expiry("-2").is_err());
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert!(seconds("-1").is_err() && seconds("NaN").is_err() && seconds("1e99").is_err());
        assert_eq!((bytes("7"), bytes("10k"), bytes("2G")), (Ok(7), Ok(10_000), Ok(2_000_000_000)));
        assert!(bytes("0").is_err() && bytes("k").is_err() && bytes("1T").is_err());
        assert!(timeout("0").is_err());
        assert!(port("0").is_err() && port("65536").is_err());
        assert!(host("mqtt://a").unwrap_err().contains("-L"));
        assert_eq!(host("[::1]"), Ok("::1".into()));
    }
}
