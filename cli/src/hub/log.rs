//! Log lines on standard error: text for people, or an object of JSON a line.

use packetboat_hub::{LogLevel, LogSettings};
use tracing_subscriber::filter::LevelFilter;

/// From now on what happens is logged so.
pub(super) fn begin(settings: LogSettings) {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let builder = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr);
    // There is one in the life of the process.
    if settings.json {
        let _ = builder.json().flatten_event(true).try_init();
    } else {
        let _ = builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init();
    }
}
