//! Checking a JSON text, and leaving out its white space: a message is to be one line.

/// Objects and arrays inside each other; more is refused.
const DEEPEST: usize = 512;

/// Append a JSON text without its white space; `None` if it is none.
pub(super) fn compact(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut reader = Reader { rest: std::str::from_utf8(text).ok()?.as_bytes(), out };
    // What will close the brackets that are open. No recursion: the payload decides how deep it goes.
    let mut open: Vec<u8> = Vec::new();
    loop {
        if let Value::Begun { closing } = reader.value()? {
            open.push(closing);
            if open.len() > DEEPEST {
                return None;
            }
            if !reader.is_at(closing) {
                reader.key_of(closing)?;
                continue;
            }
        }
        while let Some(closing) = open.last().copied().filter(|closing| reader.is_at(*closing)) {
            reader.accept(closing)?;
            open.pop();
        }
        let Some(closing) = open.last() else { return reader.end() };
        reader.accept(b',')?;
        reader.key_of(*closing)?;
    }
}

enum Value {
    Whole,
    /// The bracket an object or array begins with.
    Begun {
        closing: u8,
    },
}

struct Reader<'a, 'b> {
    rest: &'a [u8],
    out: &'b mut Vec<u8>,
}

impl Reader<'_, '_> {
    fn value(&mut self) -> Option<Value> {
        self.blanks();
        let closing = match self.rest.first()? {
            b'{' => b'}',
            b'[' => b']',
            b'"' => return self.string().map(|()| Value::Whole),
            _ => return self.word_or_number().map(|()| Value::Whole),
        };
        self.take(1);
        Some(Value::Begun { closing })
    }

    /// In an object a key comes before each value.
    fn key_of(&mut self, closing: u8) -> Option<()> {
        if closing == b'}' {
            self.blanks();
            self.string()?;
            self.accept(b':')?;
        }
        Some(())
    }

    fn is_at(&mut self, wanted: u8) -> bool {
        self.blanks();
        self.rest.first() == Some(&wanted)
    }

    fn accept(&mut self, wanted: u8) -> Option<()> {
        self.is_at(wanted).then(|| self.take(1))
    }

    fn end(&mut self) -> Option<()> {
        self.blanks();
        self.rest.is_empty().then_some(())
    }

    fn blanks(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    fn take(&mut self, count: usize) {
        let (taken, rest) = self.rest.split_at(count);
        self.out.extend_from_slice(taken);
        self.rest = rest;
    }

    fn word_or_number(&mut self) -> Option<()> {
        let word = ["true", "false", "null"].into_iter().find(|word| self.rest.starts_with(word.as_bytes()));
        let length = word.map(str::len).or_else(|| number(self.rest))?;
        self.take(length);
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let mut at = 1;
        if *self.rest.first()? != b'"' {
            return None;
        }
        loop {
            match self.rest.get(at)? {
                b'"' => break,
                b'\\' => at += escape(&self.rest[at + 1..])?,
                0..=0x1f => return None,
                _ => at += 1,
            }
        }
        self.take(at + 1);
        Some(())
    }
}

/// The length of an escape, by what follows its backslash.
fn escape(text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'u' => text.get(1..5)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        _ => None,
    }
}

/// The length of the number at the start of the text.
fn number(text: &[u8]) -> Option<usize> {
    let some_digits = |from: usize| {
        let count = text.get(from..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (count > 0).then_some(count)
    };
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = some_digits(at)?;
    if whole > 1 && text[at] == b'0' {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        at += 1 + some_digits(at + 1)?;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        at += some_digits(at)?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compacted(text: &str) -> Option<String> {
        let mut out = Vec::new();
        compact(text.as_bytes(), &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn json_loses_its_white_space_and_nothing_else() {
        for (text, expected) in [
            (
                " {\"a\" : [1, 2 ,{} , [ ] ] ,\n\"b c\":\"d \\\" e\\u00e4\"} ",
                "{\"a\":[1,2,{},[]],\"b c\":\"d \\\" e\\u00e4\"}",
            ),
            ("-12.5e+3", "-12.5e+3"),
            ("0", "0"),
            ("true ", "true"),
            ("[null,false]", "[null,false]"),
            ("[[[]],[{\"a\":{}}]]", "[[[]],[{\"a\":{}}]]"),
            ("\"\u{e4}\"", "\"\u{e4}\""),
        ] {
            assert_eq!(compacted(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "one",
            "{",
            "}",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "[1 2]",
            "1 2",
            "01",
            "-",
            "1.",
            "1e",
            ".5",
            "+1",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "[1}",
            "truefalse",
            "nul",
            "{\"a\":1 \"b\":2}",
            "{}{}",
        ] {
            assert_eq!(compacted(text), None, "{text}");
        }
        assert_eq!(compact(b"\"\xff\"", &mut Vec::new()), None);
        assert_eq!(compacted(&"[".repeat(100_000)), None);
    }
}
