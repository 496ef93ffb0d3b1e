//! SOCKS5 [RFC 1928] with user name and password [RFC 1929].

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::ProxyError;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USERNAME_PASSWORD: u8 = 2;

/// Asks for a connection to the host, whose name the proxy resolves.
pub(super) async fn connect<T: AsyncRead + AsyncWrite + Unpin>(
    io: &mut T,
    credentials: Option<&(String, Zeroizing<Vec<u8>>)>,
    host: &str,
    port: u16,
) -> Result<(), ProxyError> {
    let greeting: &[u8] = match credentials {
        None => &[VERSION, 1, NO_AUTHENTICATION],
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USERNAME_PASSWORD],
    };
    say(io, greeting).await?;
    let mut choice = [0; 2];
    io.read_exact(&mut choice).await?;
    match (choice, credentials) {
        ([VERSION, NO_AUTHENTICATION], _) => {}
        ([VERSION, USERNAME_PASSWORD], Some(credentials)) => authenticate(io, credentials).await?,
        ([VERSION, 0xff], _) => {
            return Err(ProxyError::Credentials { were_given: credentials.is_some() });
        }
        _ => return Err(nonsense(&choice)),
    }
    let mut request = vec![VERSION, 1, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
        Err(_) => {
            request.push(3);
            request.push(u8::try_from(host.len()).map_err(|_| name_too_long())?);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    say(io, &request).await?;
    answer(io).await
}

async fn authenticate<T: AsyncRead + AsyncWrite + Unpin>(
    io: &mut T,
    (username, password): &(String, Zeroizing<Vec<u8>>),
) -> Result<(), ProxyError> {
    let mut request = Zeroizing::new(vec![1]);
    for field in [username.as_bytes(), password] {
        request.push(u8::try_from(field.len()).map_err(|_| ProxyError::Credentials { were_given: true })?);
        request.extend(field);
    }
    say(io, &request).await?;
    let mut status = [0; 2];
    io.read_exact(&mut status).await?;
    if status[1] == 0 { Ok(()) } else { Err(ProxyError::Credentials { were_given: true }) }
}

async fn answer(io: &mut (impl AsyncRead + Unpin)) -> Result<(), ProxyError> {
    // With the first byte of the address: the length of a name.
    let mut head = [0; 5];
    io.read_exact(&mut head[..4]).await?;
    if head[0] != VERSION {
        return Err(nonsense(&head[..4]));
    }
    // Some proxies close without the address they owe.
    if head[1] != 0 {
        return Err(ProxyError::Refused { code: head[1].into(), text: meaning(head[1]).into() });
    }
    io.read_exact(&mut head[4..]).await?;
    let address = match head[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(head[4]) + 1,
        _ => return Err(nonsense(&head)),
    };
    // The address the proxy connects from, and its port.
    let mut rest = [0; 255 + 2];
    io.read_exact(&mut rest[..address - 1 + 2]).await?;
    Ok(())
}

async fn say(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    io.write_all(bytes).await?;
    io.flush().await
}

fn nonsense(bytes: &[u8]) -> ProxyError {
    ProxyError::NotAProxy { said: String::from_utf8_lossy(bytes).into_owned() }
}

fn name_too_long() -> ProxyError {
    ProxyError::Refused { code: 4, text: "the server's name is longer than SOCKS5 has room for".into() }
}

/// [RFC 1928, section 6]
fn meaning(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable, or its name unknown to the proxy",
        5 => "connection refused by the server",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unknown reply",
    }
}
