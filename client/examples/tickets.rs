//! A method of authentication written by a user: an exchange of tickets in three steps, as Kerberos has it, with proof
//! from both sides. `cargo run --example tickets` runs it against a broker of its own.
//!
//! The arithmetic stands for cryptography and protects nothing; the shape is what matters.

use std::error::Error;
use std::sync::Arc;

use packetboat::{AuthenticationError, Authenticator, Client, Exchange, Options, QoS};
use packetboat_sim::broker::{self, Config, Method, Step};
use packetboat_sim::net;

const NAME: &str = "EXAMPLE-TICKETS";

/// What only client and broker know.
const KEY: u64 = 0x5eed_0fb0_a7ed;

fn seal(number: u64) -> u64 {
    (number ^ KEY).rotate_left(17).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn number(data: Option<&[u8]>) -> Option<u64> {
    Some(u64::from_be_bytes(data?.try_into().ok()?))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config { methods: vec![Arc::new(Desk)], ..Config::default() };
    let broker = net::Options::new().config(config).start().await?;
    let client = Client::connect(Options::new(&broker.url()).authenticator(Tickets)).await?;
    println!("authenticated");
    client.publish("hello", "world").qos(QoS::AtLeastOnce).await?;
    client.reauthenticate().await?;
    println!("authenticated again");
    client.disconnect().await?;
    Ok(())
}

/// The client's side.
struct Tickets;

impl Authenticator for Tickets {
    fn method(&self) -> &'static str {
        NAME
    }

    fn begin(&self) -> Result<Box<dyn Exchange>, AuthenticationError> {
        // A real one would have fetched a ticket for this broker by now.
        Ok(Box::new(Conversation { challenge: 4711 }))
    }
}

struct Conversation {
    challenge: u64,
}

impl Exchange for Conversation {
    /// "Here is my ticket, prove that you can read it."
    fn first(&mut self) -> Result<Option<Vec<u8>>, AuthenticationError> {
        Ok(Some(self.challenge.to_be_bytes().to_vec()))
    }

    /// The broker's challenge: "prove that the ticket is yours."
    fn step(&mut self, data: Option<&[u8]>) -> Result<Option<Vec<u8>>, AuthenticationError> {
        let theirs =
            number(data).ok_or_else(|| AuthenticationError::new("the broker's challenge is none"))?;
        Ok(Some(seal(theirs).to_be_bytes().to_vec()))
    }

    /// The broker's proof.
    fn finish(&mut self, data: Option<&[u8]>) -> Result<(), AuthenticationError> {
        if number(data) == Some(seal(self.challenge)) {
            Ok(())
        } else {
            Err(AuthenticationError::new("the broker could not read the ticket: is it the right one?"))
        }
    }
}

/// The broker's side.
#[derive(Debug)]
struct Desk;

#[derive(Debug)]
struct Check {
    ticket: Option<u64>,
}

impl Method for Desk {
    fn name(&self) -> &'static str {
        NAME
    }

    fn begin(&self) -> Box<dyn broker::Exchange> {
        Box::new(Check { ticket: None })
    }
}

impl broker::Exchange for Check {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        match (self.ticket, number(data)) {
            (None, Some(ticket)) => {
                self.ticket = Some(ticket);
                Step::Continue(42_u64.to_be_bytes().to_vec())
            }
            (Some(ticket), Some(proof)) if proof == seal(42) => {
                Step::Accept(Some(seal(ticket).to_be_bytes().to_vec()))
            }
            _ => Step::Refuse,
        }
    }
}
