//! `packetboat demo`.

use crate::failure::{Exit, Failure};

pub(crate) async fn run() -> Result<Exit, Failure> {
    Ok(Exit::Success)
}
