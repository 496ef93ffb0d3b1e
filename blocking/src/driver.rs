//! The one runtime of all blocking clients, and the way into it.

use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};

/// Why nothing can be waited for here.
#[derive(Debug)]
pub(crate) enum NoDriver {
    /// This thread belongs to an async runtime.
    InsideRuntime,
    /// The driver's thread could not be started.
    NotStarted(&'static io::Error),
}

/// The driver, started by the first who asks. It lives as long as the process.
pub(crate) fn driver() -> Result<&'static Handle, NoDriver> {
    static DRIVER: OnceLock<io::Result<Handle>> = OnceLock::new();
    // Whoever waits here blocks the thread; if a runtime needs it to go on, it would stop.
    if Handle::try_current().is_ok() {
        return Err(NoDriver::InsideRuntime);
    }
    DRIVER.get_or_init(start).as_ref().map_err(NoDriver::NotStarted)
}

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let drive = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new().name("packetboat".into()).spawn(drive)?;
    Ok(handle)
}
