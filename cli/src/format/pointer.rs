//! JSON Pointer [RFC 6901], on JSON without white space: what is found is a piece of the text as it was written.

use std::str::FromStr;

/// Where in a JSON text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pointer(Vec<String>);

impl FromStr for Pointer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let rest = text
            .strip_prefix('/')
            .ok_or("a JSON pointer is empty or begins with /, such as /rooms/0/name")?;
        rest.split('/').map(unescaped).collect::<Result<_, _>>().map(Self)
    }
}

/// `~1` is a slash and `~0` a tilde.
fn unescaped(token: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = token.chars();
    while let Some(character) = rest.next() {
        match (character, if character == '~' { rest.next() } else { None }) {
            ('~', Some('0')) => out.push('~'),
            ('~', Some('1')) => out.push('/'),
            ('~', _) => return Err("in a JSON pointer ~ is written ~0, and / inside a name ~1".into()),
            (other, _) => out.push(other),
        }
    }
    Ok(out)
}

impl Pointer {
    /// In a text that [`compact`](super::compact::compact) has made.
    pub(super) fn find<'a>(&self, json: &'a [u8]) -> Option<&'a [u8]> {
        self.0.iter().try_fold(json, |value, token| match value.first()? {
            b'{' => members(value)
                .find(|(name, _)| string(name).is_some_and(|name| name == *token))
                .map(|it| it.1),
            b'[' => elements(value).nth(index(token)?),
            _ => None,
        })
    }
}

/// Digits without a zero in front [RFC 6901, 4].
fn index(token: &str) -> Option<usize> {
    let fine = token == "0" || !token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit());
    fine.then(|| token.parse().ok()).flatten()
}

/// What a string says.
pub(super) fn string(json: &[u8]) -> Option<String> {
    serde_json::from_slice(json).ok()
}

fn members(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = &object[1..];
    std::iter::from_fn(move || {
        let name = split(&mut rest)?;
        // The colon.
        rest = rest.get(1..)?;
        let value = split(&mut rest)?;
        rest = rest.get(1..)?;
        Some((name, value))
    })
}

fn elements(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = &array[1..];
    std::iter::from_fn(move || {
        let value = split(&mut rest)?;
        rest = rest.get(1..)?;
        Some(value)
    })
}

/// The value in front; `None` if there is a closing bracket. What follows it stays.
fn split<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in rest.iter().enumerate() {
        if quoted {
            (quoted, escaped) = (escaped || *byte != b'"', !escaped && *byte == b'\\');
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => depth += 1,
            b',' | b':' | b'}' | b']' if depth == 0 => {
                let (value, after) = rest.split_at(at);
                *rest = after;
                return (!value.is_empty()).then_some(value);
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// With two blanks for each bracket that is open.
pub(super) fn pretty(json: &[u8], out: &mut Vec<u8>) {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let line = |depth: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    for (at, byte) in json.iter().enumerate() {
        if quoted {
            (quoted, escaped) = (escaped || *byte != b'"', !escaped && *byte == b'\\');
            out.push(*byte);
            continue;
        }
        let empty = matches!(json.get(at + 1), Some(b'}' | b']'));
        match byte {
            b'{' | b'[' => {
                out.push(*byte);
                depth += 1;
                if !empty {
                    line(depth, out);
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if at > 0 && !matches!(json[at - 1], b'{' | b'[') {
                    line(depth, out);
                }
                out.push(*byte);
            }
            b',' => {
                out.push(b',');
                line(depth, out);
            }
            b':' => out.extend_from_slice(b": "),
            _ => {
                quoted = *byte == b'"';
                out.push(*byte);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 6901, 5.
    #[test]
    fn pointers_lead_where_the_rfc_says() {
        let json =
            br#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
        for (pointer, value) in [
            ("/foo", &br#"["bar","baz"]"#[..]),
            ("/foo/0", br#""bar""#),
            ("/foo/1", br#""baz""#),
            ("/", b"0"),
            ("/a~1b", b"1"),
            ("/c%d", b"2"),
            ("/e^f", b"3"),
            ("/g|h", b"4"),
            ("/i\\j", b"5"),
            ("/k\"l", b"6"),
            ("/ ", b"7"),
            ("/m~0n", b"8"),
            ("", json),
        ] {
            assert_eq!(pointer.parse::<Pointer>().unwrap().find(json), Some(value), "{pointer}");
        }
        for pointer in ["/foo/2", "/foo/-", "/foo/01", "/foo/x", "/foo/0/0", "/nothing", "/foo/+1", "/foo/"] {
            assert_eq!(pointer.parse::<Pointer>().unwrap().find(json), None, "{pointer}");
        }
        for pointer in ["foo", "/~", "/~2"] {
            assert!(pointer.parse::<Pointer>().is_err(), "{pointer}");
        }
        let nested = br#"[[],{},{"a":{"b":[{"c":"x,]}"}]}}]"#;
        assert_eq!("/2/a/b/0/c".parse::<Pointer>().unwrap().find(nested), Some(&br#""x,]}""#[..]));
        assert_eq!("/0/0".parse::<Pointer>().unwrap().find(nested), None);
    }

    #[test]
    fn pretty_json_has_a_line_for_each_value() {
        let mut out = Vec::new();
        pretty(br#"{"a":[1,{"b":"{\",:"}],"c":{},"d":[]}"#, &mut out);
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"{\\\",:\"\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
