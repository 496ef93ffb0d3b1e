//! Log lines to a topic: Mongoose's `debug.stdout_topic`.

use std::cell::Cell;
use std::io::{self, Write};
use std::time::SystemTime;

use packetboat::{Client, QoS};

use crate::Config;

/// So much unsent, and lines are left out: a slow link must not be filled with talk about it.
const BEHIND: u64 = 2048;

/// A longer line is cut here.
const LONGEST: usize = 4096;

thread_local! {
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// A writer whose lines are published: client identifier, number, time, stream (1: output, 2: errors) and text, with
/// spaces and a bar between them, at QoS 0. Lines are left out while 2,048 bytes or more wait to be sent or there is no
/// connection, and so are lines that speak of its own topic, as a packet log would: they would breed for ever.
///
/// ```no_run
/// use std::io::Write;
/// use packetboat_config::Config;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = Config::load("boat.toml")?;
/// let client = packetboat::Client::connect(config.options()?).await?;
/// if let Some(mut log) = config.output_log(&client) {
///     writeln!(log, "started")?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TopicLog {
    client: Client,
    topic: String,
    stream: u8,
    number: u64,
    line: Vec<u8>,
}

impl TopicLog {
    /// Lines of this stream (1: output, 2: errors) to this topic.
    #[must_use]
    pub fn new(client: Client, topic: impl Into<String>, stream: u8) -> Self {
        Self { client, topic: topic.into(), stream, number: 0, line: Vec::new() }
    }

    fn publish(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end();
        let is_about_itself = WRITING.get() || text.contains(&self.topic);
        if !text.is_empty()
            && !is_about_itself
            && self.client.is_connected()
            && self.client.unsent_bytes() < BEHIND
        {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let (id, time) = (self.client.client_id(), now.as_secs_f64());
            let line = format!("{id} {} {time:.3} {}|{text}", self.number, self.stream);
            WRITING.set(true);
            // A line that finds no room is left out like the others.
            let _ = self.client.publish(&self.topic, line).qos(QoS::AtMostOnce).retain(false).try_publish();
            WRITING.set(false);
            self.number += 1;
        }
        self.line.clear();
    }
}

impl Write for TopicLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                self.publish();
            } else if self.line.len() < LONGEST {
                self.line.push(*byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Config {
    /// A writer for the program's output (`log.topic`), if lines of it are to be published.
    #[must_use]
    pub fn output_log(&self, client: &Client) -> Option<TopicLog> {
        self.text("log.topic").map(|topic| TopicLog::new(client.clone(), topic, 1))
    }

    /// The same for its errors (`log.error_topic`).
    #[must_use]
    pub fn error_log(&self, client: &Client) -> Option<TopicLog> {
        self.text("log.error_topic").map(|topic| TopicLog::new(client.clone(), topic, 2))
    }
}
