//! A method of authentication without secrets, for what happens around an exchange.

use super::{Exchange, Method, Step};

/// The client has to say what it hears, so many times.
#[derive(Clone, Copy, Debug)]
pub struct Echo(pub u8);

impl Echo {
    /// Its name.
    pub const NAME: &'static str = "ECHO";

    /// Whoever begins so is refused.
    pub const REFUSED: &'static [u8] = b"refuse me";
}

impl Method for Echo {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn begin(&self) -> Box<dyn Exchange> {
        Box::new(Echoing { left: self.0, said: None })
    }
}

#[derive(Debug)]
struct Echoing {
    left: u8,
    said: Option<Vec<u8>>,
}

impl Exchange for Echoing {
    fn step(&mut self, data: Option<&[u8]>) -> Step {
        if data == Some(Echo::REFUSED) || self.said.is_some() && self.said.as_deref() != data {
            return Step::Refuse;
        }
        if self.left == 0 {
            return Step::Accept(None);
        }
        let said = vec![self.left];
        self.left -= 1;
        self.said = Some(said.clone());
        Step::Continue(said)
    }
}
