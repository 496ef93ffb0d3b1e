//! `packetboat top`: the topics of a broker, on the whole terminal.

mod screen;
mod tree;

use std::io::{self, IsTerminal};
use std::time::Duration;

use packetboat::{Client, State, Subscriber};
use packetboat_core::wire::Place;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::arguments::Top;
use crate::connect::{Watch, connect};
use crate::failure::{Exit, Failure};
use crate::report::{Report, version_name};
use crate::signals::Stop;
use crate::subscribe::{BATCH, Wish as Subscription, parsed};
use screen::{Screen, Wish};
use tree::Tree;

/// The screen changes no more often.
const FRAME: Duration = Duration::from_millis(100);

/// Rates are of this time.
const SECOND: Duration = Duration::from_secs(1);

pub(crate) async fn run(arguments: Top) -> Result<Exit, Failure> {
    let connection = &arguments.connection;
    let report = Report { debug: connection.debug, quiet: connection.quiet };
    connection.properties.only(&[Place::Connect, Place::Will])?;
    let mut given = connection.topics(&arguments.topic);
    if given.is_empty() {
        given.push("#".into());
    }
    let filters = parsed("-t", &given)?;
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Failure::usage("top needs a terminal; without one there is `packetboat sub -v`"));
    }
    let mut stop = Stop::listen(report)?;
    let client = connect(connection, &mut stop, report).await?;
    // From here on the screen is ours, and the state of the connection stands on it.
    let watch = Watch::new(&client, Report { debug: false, quiet: true }, drop);
    let messages = client.messages();
    let wish = Subscription { qos: arguments.qos, retain_as_published: false, no_retained: false };
    wish.subscribe(&client, &filters, report).await?;
    let terminal = ratatui::try_init()
        .map_err(|error| Failure::usage(format_args!("the terminal cannot be used: {error}")))?;
    let end = tokio::select! {
        end = show(terminal, &client, messages, arguments.topics) => end,
        () = stop.asked() => Ok(()),
    };
    ratatui::restore();
    let _ = client.disconnect().await;
    watch.finish().await;
    end.map(|()| Exit::Success)
}

async fn show(
    mut terminal: DefaultTerminal,
    client: &Client,
    mut messages: Subscriber,
    limit: usize,
) -> Result<(), Failure> {
    let (mut tree, mut screen) = (Tree::new(limit), Screen::default());
    let mut events = events();
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ticked = Instant::now();
    loop {
        tokio::select! {
            batch = messages.next_batch(BATCH) => {
                if batch.is_empty() {
                    return Err(Failure::new(Exit::Connection, "the connection is lost for good"));
                }
                batch.iter().filter(|_| !screen.paused).for_each(|message| tree.take(message));
            }
            event = events.recv() => {
                if let Some(Event::Key(key)) = event
                    && key.is_press()
                    && screen.key(key, &mut tree) == Wish::Quit
                {
                    return Ok(());
                }
            }
            _ = frames.tick() => {
                if ticked.elapsed() >= SECOND && !screen.paused {
                    tree.tick(ticked.elapsed());
                    ticked = Instant::now();
                }
                let state = describe(&client.state());
                let drawn = terminal.draw(|frame| screen.draw(frame, &tree, &state));
                drawn.map_err(|error| Failure::output(&error))?;
            }
        }
        // A flood must not keep keys and signals from being looked at.
        tokio::task::consume_budget().await;
    }
}

/// Keys, read by a thread that waits for them and ends with the process.
fn events() -> mpsc::UnboundedReceiver<Event> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    receiver
}

fn describe(state: &State) -> String {
    match state {
        State::Connected(connected) => {
            format!("{}  MQTT {}", connected.server, version_name(connected.version.level()))
        }
        _ => "no connection; trying again".into(),
    }
}
