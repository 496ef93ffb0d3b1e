//! What these tests share with the client's.
#![allow(dead_code, reason = "the client's tests use more of it")]

#[path = "../../../client/tests/common/inside.rs"]
pub(crate) mod inside;
#[path = "../../../client/tests/common/mosquitto.rs"]
pub(crate) mod mosquitto;
#[path = "../../../client/tests/common/port.rs"]
pub(crate) mod port;

/// No test waits for ever.
pub(crate) async fn within<F: Future>(limit: std::time::Duration, what: F) -> F::Output {
    tokio::time::timeout(limit, what).await.expect("the test hangs")
}
