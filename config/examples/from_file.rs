//! Connect as a file says, TOML, JSON or YAML, and show where each value comes from.
//!
//! `cargo run -p packetboat-config --example from_file -- config/examples/boat.toml`

use std::error::Error;

use packetboat::Client;
use packetboat_config::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "config/examples/boat.toml".into());
    let config = Config::load(&file)?.with_environment(std::env::vars())?;
    for warning in config.warnings() {
        eprintln!("{warning}");
    }
    print!("{}", config.show());
    let client = Client::connect(config.options()?).await?;
    println!("connected");
    client.disconnect().await?;
    Ok(())
}
