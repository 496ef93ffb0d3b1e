//! Against a real broker: mosquitto.

mod common;

use common::mosquitto::mosquitto;
use common::{ALL_QOS, VERSIONS, next, on_both_runtimes, options};
use packetboat::Client;

#[test]
fn every_qos_goes_both_ways() {
    let Some(broker) = mosquitto() else { return };
    let url = broker.url();
    on_both_runtimes(move || {
        let url = url.clone();
        async move {
            for version in VERSIONS {
                let client = Client::connect(options(&url).version(version)).await.unwrap();
                let mut stream = client.subscribe("both/+").await.unwrap();
                for qos in ALL_QOS {
                    for payload in [&b""[..], b"text", &[0, 255, 128], &[7; 100_000]] {
                        client.publish("both/ways", payload).qos(qos).await.unwrap();
                        let message = next(&mut stream).await;
                        assert_eq!((message.topic(), message.payload()), ("both/ways", payload));
                        assert_eq!((message.qos(), message.retain(), message.dup()), (qos, false, false));
                    }
                }
                client.disconnect().await.unwrap();
                assert!(stream.next().await.is_none());
            }
        }
    });
}
