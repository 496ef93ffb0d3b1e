//! Proxies that answer by the book, and others.

use super::*;
use tokio::io::AsyncReadExt;

#[test]
fn urls_are_taken_apart() {
    let proxy: Proxy = "socks5h://a%40b:p%3Aw@[::1]".parse().unwrap();
    assert_eq!((proxy.host(), proxy.port()), ("::1", 1080));
    assert_eq!(proxy.credentials, Some(("a@b".to_owned(), b"p:w".to_vec().into())));
    assert!(!format!("{proxy:?} {proxy}").contains("p:w"), "secrets are not printed");
    assert_eq!("HTTP://p:3128/".parse::<Proxy>().unwrap().to_string(), "http://p:3128");
    for (text, error) in [
        ("p:3128", ProxyUrlError::NotAUrl),
        ("http://", ProxyUrlError::NotAUrl),
        ("http://p:0", ProxyUrlError::NotAUrl),
        ("http://p/path", ProxyUrlError::NotAUrl),
        ("https://p", ProxyUrlError::Scheme),
        ("socks4://p", ProxyUrlError::Scheme),
        ("http://%ff@p", ProxyUrlError::Credentials),
        ("http://a%3Ab:c@p", ProxyUrlError::Credentials),
        ("socks5://onlyname@p", ProxyUrlError::Credentials),
    ] {
        assert_eq!(text.parse::<Proxy>(), Err(error), "{text}");
    }
    let long = format!("socks5://{}:x@p", "a".repeat(256));
    assert_eq!(long.parse::<Proxy>(), Err(ProxyUrlError::Credentials));
}

/// What the client says to a proxy that answers so, and what comes of it; then the first byte behind the answer.
async fn talk(proxy: &str, host: &str, answer: &[u8]) -> (Vec<u8>, Result<u8, ProxyError>) {
    let (mut near, mut far) = tokio::io::duplex(64 * 1024);
    far.write_all(answer).await.unwrap();
    far.write_all(b"!").await.unwrap();
    far.shutdown().await.unwrap();
    let proxy: Proxy = proxy.parse().unwrap();
    let mut result = proxy.tunnel(&mut near, host, 1883).await.map(|()| 0);
    if let Ok(next) = &mut result {
        *next = near.read_u8().await.unwrap();
    }
    drop(near);
    let mut said = Vec::new();
    far.read_to_end(&mut said).await.unwrap();
    (said, result)
}

#[tokio::test]
async fn http_connect_asks_for_the_name_and_reads_no_byte_too_many() {
    let (said, result) = talk("http://u:p@x", "broker.example", b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n").await;
    let said = String::from_utf8(said).unwrap();
    assert_eq!(
        said,
        "CONNECT broker.example:1883 HTTP/1.1\r\nHost: broker.example:1883\r\n\
         Proxy-Authorization: Basic dTpw\r\n\r\n"
    );
    assert_eq!(result.unwrap(), b'!');
    let (said, _) = talk("http://x", "::1", b"HTTP/1.0 200 \r\n\r\n").await;
    assert!(said.starts_with(b"CONNECT [::1]:1883 HTTP/1.1\r\nHost: [::1]:1883\r\n\r\n"));
}

#[tokio::test]
async fn http_refusals_give_their_status() {
    let (_, result) = talk("http://x", "h", b"HTTP/1.1 403 Filtered\r\n\r\n").await;
    assert!(matches!(result, Err(ProxyError::Refused { code: 403, text }) if text == "Filtered"));
    let (_, result) = talk("http://x", "h", b"HTTP/1.1 407 Who\r\n\r\n").await;
    assert!(matches!(result, Err(ProxyError::Credentials { were_given: false })));
    let (_, result) = talk("http://u:p@x", "h", b"HTTP/1.1 407 Who\r\n\r\n").await;
    assert!(matches!(result, Err(ProxyError::Credentials { were_given: true })));
}

#[tokio::test]
async fn socks_names_addresses_and_credentials_are_as_in_the_rfcs() {
    let granted = [&[5, 0][..], &[5, 0, 0, 1, 127, 0, 0, 1, 7, 91]].concat();
    let (said, result) = talk("socks5://x", "broker", &granted).await;
    assert_eq!(said, [&[5, 1, 0, 5, 1, 0, 3, 6][..], b"broker", &[0x07, 0x5b]].concat());
    assert_eq!(result.unwrap(), b'!');
    let granted = [&[5, 2][..], &[1, 0], &[5, 0, 0, 3, 3, b'a', b'b', b'c', 0, 0]].concat();
    let (said, result) = talk("socks5://user:pw@x", "10.0.0.1", &granted).await;
    let expected = [&[5, 2, 0, 2, 1, 4][..], b"user", &[2], b"pw", &[5, 1, 0, 1, 10, 0, 0, 1, 0x07, 0x5b]];
    assert_eq!(said, expected.concat());
    assert_eq!(result.unwrap(), b'!');
    let granted = [&[5, 0, 5, 0, 0, 4][..], &[0; 18]].concat();
    let (said, result) = talk("socks5://x", "::1", &granted).await;
    assert_eq!(said[3..7], [5, 1, 0, 4]);
    assert_eq!(result.unwrap(), b'!');
}

#[tokio::test]
async fn socks_refusals_give_their_reply() {
    let (_, result) = talk("socks5://x", "h", &[5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    assert!(matches!(result, Err(ProxyError::Refused { code: 5, text }) if text.contains("refused")));
    let (_, result) = talk("socks5://x", "h", &[5, 0xff]).await;
    assert!(matches!(result, Err(ProxyError::Credentials { were_given: false })));
    let (_, result) = talk("socks5://a:b@x", "h", &[5, 2, 1, 1]).await;
    assert!(matches!(result, Err(ProxyError::Credentials { were_given: true })));
    let (_, result) = talk("socks5://x", &"h".repeat(256), &[5, 0]).await;
    assert!(matches!(result, Err(ProxyError::Refused { code: 4, .. })));
}

#[tokio::test]
async fn hostile_answers_end_the_attempt() {
    let endless = [&b"HTTP/1.1 200 OK\r\n"[..], &b"X: y\r\n".repeat(5000)].concat();
    for (proxy, answer, is_cut) in [
        ("http://x", &endless[..], false),
        ("http://x", b"SSH-2.0-OpenSSH", false),
        ("http://x", &[5, 0], false),
        ("http://x", b"HTTP/1.1 OK\r\n\r\n", false),
        ("http://x", b"HTTP/1.1 200 OK\r\nA: b", true),
        ("http://x", b"", false),
        ("socks5://x", b"HTTP/1.1 400 Bad Request\r\n\r\n", false),
        // It chose what was not offered.
        ("socks5://x", &[5, 2, 0], false),
        ("socks5://x", &[5, 0, 5, 0, 0, 9, 0, 0], false),
        ("socks5://x", &[5, 0, 4, 0, 0, 1], false),
        ("socks5://x", &[5, 0, 5, 0, 0, 1, 127], true),
        ("socks5://x", &[5, 0, 5, 0, 0, 3, 255, 1], true),
        ("socks5://x", &[5], false),
    ] {
        let (_, result) = talk(proxy, "h", answer).await;
        let error = result.unwrap_err();
        let is_as_expected = match &error {
            ProxyError::Lost(_) => is_cut,
            ProxyError::NotAProxy { said } => !is_cut && said.len() < 100,
            _ => false,
        };
        assert!(is_as_expected, "{answer:?}: {error:?}");
    }
}
