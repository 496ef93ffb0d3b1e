//! The same broker behind WebSocket frames, as strict about them [MQTT-6.0.0].

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};

use super::connection;
use super::door::Stream;
use super::server::Open;

/// Between the frames and the broker, in each direction: frames larger than what a client reads at once are part of the test.
const BUFFER: usize = 256 * 1024;

/// Serve one client until it leaves or has to.
pub(super) async fn serve(open: Open, stream: Box<dyn Stream>) {
    let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, subprotocol).await else { return };
    let (mut to_client, mut from_client) = socket.split();
    let (near, far) = tokio::io::duplex(BUFFER);
    let (mut reader, mut writer) = tokio::io::split(near);
    let inwards = async {
        // Anything but a binary frame ends the connection [MQTT-6.0.0-1].
        while let Some(Ok(message)) = from_client.next().await {
            let took = match message {
                Message::Binary(bytes) => writer.write_all(&bytes).await.is_ok(),
                Message::Ping(_) | Message::Pong(_) => true,
                _ => false,
            };
            if !took {
                break;
            }
        }
        // The broker's half may still have a goodbye to say.
        let _ = writer.shutdown().await;
    };
    let outwards = async {
        let mut buffer = vec![0; BUFFER];
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            let bytes = buffer[..count].to_vec();
            if to_client.send(Message::Binary(bytes.into())).await.is_err() {
                return;
            }
        }
        let _ = to_client.close().await;
    };
    tokio::join!(inwards, outwards, connection::serve(open, Box::new(far)));
}

/// A client offers `mqtt` [MQTT-6.0.0-3], and gets it [MQTT-6.0.0-4].
#[allow(clippy::result_large_err, reason = "the shape is tungstenite's")]
fn subprotocol(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all("sec-websocket-protocol");
    let mut offered =
        offered.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    if offered.any(|protocol| protocol.trim() == "mqtt") {
        response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("mqtt"));
        return Ok(response);
    }
    let mut refusal = ErrorResponse::new(Some("offer the subprotocol mqtt [MQTT-6.0.0-3]".to_owned()));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    Err(refusal)
}
