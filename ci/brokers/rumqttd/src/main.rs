//! rumqttd as a library, on `127.0.0.1:<port>`, where it speaks the one version it is told: `rumqttd-broker <port> v4|v5`.

use std::error::Error;

use rumqttd::{Broker, Config};
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(port), Some(version)) = (arguments.next(), arguments.next()) else {
        return Err("arguments: port, and v4 or v5".into());
    };
    // The figures of its own rumqttd.toml.
    let config: Config = serde_json::from_value(json!({
        "id": 0,
        "router": {
            "max_connections": 10010,
            "max_outgoing_packet_count": 200,
            "max_segment_size": 104_857_600,
            "max_segment_count": 10,
        },
        version: {
            "1": {
                "name": "interop",
                "listen": format!("127.0.0.1:{port}"),
                "next_connection_delay_ms": 1,
                "connections": {
                    "connection_timeout_ms": 60000,
                    "max_payload_size": 20480,
                    "max_inflight_count": 100,
                    "dynamic_filters": true,
                },
            },
        },
    }))?;
    Broker::new(config).start()?;
    Ok(())
}
