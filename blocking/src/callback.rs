//! Messages handed to a function of the user's, on a thread.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::thread;

use packetboat::Message;
use tokio::sync::oneshot;

use crate::Client;

/// A message for the thread, and where to say that it is done.
type Job = (Message, oneshot::Sender<Result<(), Box<dyn Any + Send>>>);

/// Calls of a handler that runs on a thread of its own: not on the driver's, where it would hold up every client. A
/// panic there is one here, so that there is one place that counts them. The thread ends with the value returned.
pub(crate) fn on_a_thread(
    client: Client,
    mut handler: impl FnMut(&Client, Message) + Send + 'static,
) -> io::Result<impl FnMut(Message) -> Called + Send + 'static> {
    let (jobs, work) = mpsc::channel::<Job>();
    let serve = move || {
        for (message, done) in work {
            let _ = done.send(catch_unwind(AssertUnwindSafe(|| handler(&client, message))));
        }
    };
    thread::Builder::new().name("packetboat callback".into()).spawn(serve)?;
    Ok(move |message| {
        let (done, called) = oneshot::channel();
        // The thread lives as long as this end of the channel.
        let _ = jobs.send((message, done));
        Called(called)
    })
}

/// A call that is on its way.
pub(crate) struct Called(oneshot::Receiver<Result<(), Box<dyn Any + Send>>>);

impl Called {
    pub(crate) async fn returned(self) {
        if let Ok(Err(panic)) = self.0.await {
            resume_unwind(panic);
        }
    }
}
