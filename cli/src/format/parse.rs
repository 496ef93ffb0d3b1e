//! Reading a template. Mistakes are found before anything is printed.

use std::iter::Peekable;
use std::str::Chars;

use super::{Field, Padding, Part, Template, render};

/// A width above this is a mistake.
const WIDEST: usize = 10_000;

impl Template {
    /// Read a format.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text.chars().peekable(), parts: Vec::new(), literal: Vec::new() };
        while let Some(character) = parser.rest.next() {
            match character {
                '%' => parser.field()?,
                '@' => parser.time()?,
                '\\' => parser.escape()?,
                other => parser.push(other),
            }
        }
        parser.end_literal();
        Ok(Self { parts: parser.parts })
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    parts: Vec<Part>,
    literal: Vec<u8>,
}

impl Parser<'_> {
    fn push(&mut self, character: char) {
        self.literal.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            self.parts.push(Part::Literal(std::mem::take(&mut self.literal)));
        }
    }

    fn part(&mut self, part: Part) {
        self.end_literal();
        self.parts.push(part);
    }

    fn field(&mut self) -> Result<(), String> {
        let mut padding = Padding { left: self.accept('-'), zeros: self.accept('0'), ..Padding::default() };
        padding.width = self.number()?.unwrap_or(0);
        if self.accept('.') {
            padding.maximum = Some(self.number()?.unwrap_or(0));
        }
        let field = match self.rest.next() {
            Some('%') => {
                self.push('%');
                return Ok(());
            }
            Some('A') => Field::TopicAlias,
            Some('C') => Field::ContentType,
            Some('D') => Field::CorrelationData,
            Some('E') => Field::MessageExpiryInterval,
            Some('F') => Field::PayloadFormatIndicator,
            Some('I') => Field::DateAndTime,
            Some('j') => Field::Json { payload_is_json: false },
            Some('J') => Field::Json { payload_is_json: true },
            Some('l') => Field::Length,
            Some('m') => Field::PacketIdentifier,
            Some('P') => Field::UserProperties,
            Some('p') => Field::Payload,
            Some('q') => Field::Qos,
            Some('R') => Field::ResponseTopic,
            Some('r') => Field::Retain,
            Some('S') => Field::SubscriptionIdentifier,
            Some('t') => Field::Topic,
            Some('U') => Field::UnixTime,
            Some('x') => Field::Hexadecimal { upper: false },
            Some('X') => Field::Hexadecimal { upper: true },
            Some(other) => return Err(format!("%{other} stands for nothing; write %% for a percent sign")),
            None => return Err("something must follow the % at the end; write %% for a percent sign".into()),
        };
        self.part(Part::Field(field, padding));
        Ok(())
    }

    fn time(&mut self) -> Result<(), String> {
        match self.rest.next() {
            Some('@') => self.push('@'),
            Some('N') => self.part(Part::Nanoseconds),
            Some(other) if render::is_conversion(other) => self.part(Part::Time(other)),
            Some(other) => return Err(format!("@{other} is no conversion of strftime; write @@ for @")),
            None => return Err("something must follow the @ at the end; write @@ for @".into()),
        }
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let character = match self.rest.next() {
            Some('\\') => '\\',
            Some('0') => '\0',
            Some('a') => '\x07',
            Some('e') => '\x1b',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\x0b',
            Some(other) => return Err(format!("\\{other} stands for nothing; write \\\\ for a backslash")),
            None => return Err("something must follow the \\ at the end; write \\\\ for a backslash".into()),
        };
        self.push(character);
        Ok(())
    }

    fn accept(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn number(&mut self) -> Result<Option<usize>, String> {
        let mut number = None;
        while let Some(digit) = self.rest.peek().and_then(|character| character.to_digit(10)) {
            self.rest.next();
            let next = number.unwrap_or(0_usize) * 10 + digit as usize;
            if next > WIDEST {
                return Err(format!("a width is at most {WIDEST}"));
            }
            number = Some(next);
        }
        Ok(number)
    }
}
