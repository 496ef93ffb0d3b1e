//! Which proxy the environment names, and for whom it names none.

use std::net::IpAddr;

use super::{Proxy, ProxyUrlError};

impl Proxy {
    /// The proxy that the environment names for this server: `https_proxy`, or else `all_proxy`, in lower case or
    /// upper case, unless `no_proxy` names the server. A tunnel is asked for whatever is spoken in it, so
    /// `http_proxy`, which is for plain web requests, has no say.
    pub fn from_environment(host: &str, port: u16) -> Result<Option<Self>, ProxyUrlError> {
        from_variables(|name| std::env::var(name).ok(), host, port)
    }
}

fn from_variables(
    variable: impl Fn(&str) -> Option<String>,
    host: &str,
    port: u16,
) -> Result<Option<Proxy>, ProxyUrlError> {
    let either = |lower: &str| {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        set(lower).or_else(|| set(&lower.to_ascii_uppercase()))
    };
    let Some(url) = either("https_proxy").or_else(|| either("all_proxy")) else { return Ok(None) };
    let excepted = either("no_proxy").unwrap_or_default();
    if excepted.split([',', ' ']).any(|entry| covers(entry.trim(), host, port)) {
        return Ok(None);
    }
    let url = url.trim();
    // By custom the scheme may be missing.
    if url.contains("://") { url.parse().map(Some) } else { format!("http://{url}").parse().map(Some) }
}

/// `*`, an address, a network (`10.0.0.0/8`), or a domain with all below it (with or without a leading dot); each but
/// a bare IPv6 address may end in a port.
fn covers(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let (entry, at_port) = with_port(entry);
    let entry = entry.trim_matches(['[', ']']);
    if entry.is_empty() || at_port.is_some_and(|at_port| at_port != port) {
        return false;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return match entry.split_once('/') {
            Some((network, bits)) => within(address, network, bits),
            None => entry.parse() == Ok(address),
        };
    }
    let (host, domain) = (host.trim_end_matches('.'), entry.trim_start_matches('.').trim_end_matches('.'));
    let start = host.len().checked_sub(domain.len());
    start.is_some_and(|start| {
        host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(domain))
            && (start == 0 || host.as_bytes()[start - 1] == b'.')
    })
}

fn with_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

fn within(address: IpAddr, network: &str, bits: &str) -> bool {
    let Ok(bits) = bits.parse::<u32>() else { return false };
    match (address, network.parse()) {
        (IpAddr::V4(address), Ok(IpAddr::V4(network))) if bits <= 32 => {
            (address.to_bits() ^ network.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), Ok(IpAddr::V6(network))) if bits <= 128 => {
            (address.to_bits() ^ network.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], host: &str) -> Option<String> {
        let variable =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        from_variables(variable, host, 1883).unwrap().map(|proxy| proxy.to_string())
    }

    #[test]
    fn the_usual_variables_count_in_the_usual_order() {
        let host = "broker.example.org";
        assert_eq!(chosen(&[], host), None);
        assert_eq!(chosen(&[("HTTP_PROXY", "http://p:1"), ("http_proxy", "http://p:1")], host), None);
        assert_eq!(chosen(&[("ALL_PROXY", "socks5://p")], host).unwrap(), "socks5h://p:1080");
        let both = [("ALL_PROXY", "socks5://p"), ("HTTPS_PROXY", "http://q:3128")];
        assert_eq!(chosen(&both, host).unwrap(), "http://q:3128");
        let cases = [("HTTPS_PROXY", "http://upper:1"), ("https_proxy", "http://lower:1")];
        assert_eq!(chosen(&cases, host).unwrap(), "http://lower:1");
        assert_eq!(chosen(&[("all_proxy", "p:8080")], host).unwrap(), "http://p:8080");
        assert_eq!(chosen(&[("https_proxy", ""), ("all_proxy", "http://p:1")], host).unwrap(), "http://p:1");
        let wrong = from_variables(|name| (name == "ALL_PROXY").then(|| "ftp://p".into()), host, 1883);
        assert_eq!(wrong, Err(ProxyUrlError::Scheme));
    }

    #[test]
    fn exceptions_are_names_addresses_and_networks() {
        let yes = [
            ("*", "h"),
            ("example.org", "example.org"),
            ("example.org", "a.EXAMPLE.org"),
            (".example.org", "a.b.example.org"),
            ("x, example.org", "example.org."),
            ("h:1883", "h"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("0.0.0.0/0", "10.1.2.3"),
            ("fd00::/8", "fd12::1"),
            ("::1", "::1"),
            ("[::1]:1883", "::1"),
        ];
        let no = [
            ("", "h"),
            ("example.org", "badexample.org"),
            ("a.example.org", "example.org"),
            ("h:8883", "h"),
            ("10.0.0.0/8", "11.1.2.3"),
            ("10.0.0.0/33", "10.1.2.3"),
            ("10.0.0.0/x", "10.1.2.3"),
            ("10.1.2.3/32", "10.1.2.2"),
            ("::1", "::2"),
            ("2.3", "10.1.2.3"),
        ];
        let excepted =
            |list, host| chosen(&[("all_proxy", "http://p:1"), ("no_proxy", list)], host).is_none();
        for (list, host) in yes {
            assert!(excepted(list, host), "{list} must cover {host}");
        }
        for (list, host) in no {
            assert!(!excepted(list, host), "{list} must not cover {host}");
        }
    }
}
