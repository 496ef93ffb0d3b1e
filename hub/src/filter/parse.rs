//! From text to a filter.

use std::fmt;

use super::{Comparison, Test};

/// Nested no deeper: it is read and evaluated recursively.
const MAXIMUM_DEPTH: usize = 32;

/// Bytes of a filter.
const MAXIMUM_LENGTH: usize = 16 * 1024;

/// What is wrong with a filter over properties.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct FilterError {
    /// Where: the character, counted from 1.
    pub column: usize,
    /// What.
    pub message: &'static str,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the filter is wrong at character {}: {}", self.column, self.message)
    }
}

packetboat::readable_debug!(FilterError);

impl std::error::Error for FilterError {}

pub(super) fn filter(text: &str) -> Result<Option<Test>, FilterError> {
    let mut reader = Reader { text, at: 0 };
    if text.len() > MAXIMUM_LENGTH {
        return Err(reader.wrong("it is longer than 16 KiB"));
    }
    reader.skip_space();
    if reader.peek().is_none() {
        return Ok(None);
    }
    let root = reader.test(MAXIMUM_DEPTH)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(Some(root)),
        Some(_) => Err(reader.wrong("something follows it: several tests are joined as `(&(..)(..))`")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, message: &'static str) -> FilterError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        FilterError { column: before.chars().count() + 1, message }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn expect(&mut self, token: &str, message: &'static str) -> Result<(), FilterError> {
        if self.take(token) { Ok(()) } else { Err(self.wrong(message)) }
    }

    fn test(&mut self, depth: usize) -> Result<Test, FilterError> {
        self.expect("(", "a test begins with `(`")?;
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.wrong("it is nested more than 32 levels deep"));
        };
        self.skip_space();
        let test = if self.take("&") {
            Test::All(self.tests(depth)?)
        } else if self.take("|") {
            Test::Any(self.tests(depth)?)
        } else if self.take("!") {
            self.skip_space();
            Test::Not(Box::new(self.test(depth)?))
        } else {
            self.property()?
        };
        self.skip_space();
        self.expect(")", "a `)` is missing")?;
        Ok(test)
    }

    fn tests(&mut self, depth: usize) -> Result<Vec<Test>, FilterError> {
        let mut tests = Vec::new();
        self.skip_space();
        while self.peek() == Some('(') {
            tests.push(self.test(depth)?);
            self.skip_space();
        }
        if tests.is_empty() { Err(self.wrong("`&` and `|` join at least one test")) } else { Ok(tests) }
    }

    fn property(&mut self) -> Result<Test, FilterError> {
        let end = self.rest().find(['=', '<', '>', '~', '(', ')', '*']).unwrap_or(self.rest().len());
        let name = self.rest()[..end].trim();
        if name.is_empty() {
            return Err(self.wrong("the name of a property is missing"));
        }
        let name = name.to_ascii_lowercase().into();
        self.at += end;
        let make: fn(Box<str>) -> Comparison = if self.take(">=") {
            Comparison::AtLeast
        } else if self.take("<=") {
            Comparison::AtMost
        } else if self.take("~=") {
            Comparison::Similar
        } else if self.take(">") {
            Comparison::Above
        } else if self.take("<") {
            Comparison::Below
        } else if self.take("=") {
            return Ok(Test::Property { name, is: self.pattern()? });
        } else {
            return Err(self.wrong("a comparison is missing: =, >=, <=, >, < or ~="));
        };
        let at = self.at;
        let mut parts = self.parts()?;
        let (Some(value), true) = (parts.pop(), parts.is_empty()) else {
            self.at = at;
            return Err(self.wrong("`*` has a meaning after `=` only: write \\2a"));
        };
        Ok(Test::Property { name, is: make(value) })
    }

    fn pattern(&mut self) -> Result<Comparison, FilterError> {
        let mut parts = self.parts()?;
        Ok(match parts.len() {
            1 => Comparison::Equal(parts.pop().unwrap_or_default()),
            _ if parts.iter().all(|part| part.is_empty()) => Comparison::Present,
            _ => Comparison::Parts(parts),
        })
    }

    /// What stands between asterisks, up to the closing parenthesis.
    fn parts(&mut self) -> Result<Vec<Box<str>>, FilterError> {
        let (mut parts, mut bytes) = (Vec::new(), Vec::new());
        loop {
            let at = self.at;
            let Some(letter) = self.peek() else { return Err(self.wrong("a `)` is missing")) };
            self.at += letter.len_utf8();
            match letter {
                ')' | '*' => {
                    let Ok(part) = String::from_utf8(std::mem::take(&mut bytes)) else {
                        return Err(self.wrong("what is escaped before is not UTF-8"));
                    };
                    parts.push(part.into_boxed_str());
                    if letter == ')' {
                        self.at = at;
                        return Ok(parts);
                    }
                }
                '(' => {
                    self.at = at;
                    return Err(self.wrong("`(` in a value is written \\28"));
                }
                '\\' => bytes.extend(self.escaped()?),
                _ => bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    /// Two hexadecimal digits are a byte, as RFC 4515 has it; one of the characters that Pelix escapes is itself.
    fn escaped(&mut self) -> Result<Vec<u8>, FilterError> {
        let hex = self.rest().get(..2).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            self.at += 2;
            return Ok(vec![byte]);
        }
        match self.peek().filter(char::is_ascii_punctuation) {
            Some(letter) => {
                self.at += 1;
                Ok(vec![letter as u8])
            }
            None => {
                Err(self
                    .wrong("behind `\\` stand two hexadecimal digits, or a character to be taken as it is"))
            }
        }
    }
}
