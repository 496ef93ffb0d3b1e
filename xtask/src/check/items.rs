//! The public items of the published crates, as far as their text tells.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::source::{Source, closing, end_of_head};

const CRATES: [&str; 9] =
    ["blocking", "client", "config", "core", "hub", "openssl", "quic", "sim", "telemetry"];

/// Items by name, and what belongs to types.
#[derive(Default)]
pub(super) struct Items {
    /// Folder of the crate, owner (a type, or nothing) and name; true if one of that name has an example.
    examples: HashMap<(String, String, String), bool>,
    names: HashSet<String>,
    members: HashSet<(String, String)>,
    /// Words that the code has in quotes: what keys of configurations are compared with.
    quoted: HashSet<String>,
}

/// What an `impl`, a trait or a type is around.
struct Block {
    body: Range<usize>,
    owner: String,
    /// Its functions are as public as it is.
    is_open: bool,
}

impl Items {
    pub(super) fn of(sources: &[Source]) -> Self {
        let mut items = Self::default();
        for source in sources {
            let Some((folder, rest)) = source.path.split_once('/') else { continue };
            if CRATES.contains(&folder) && rest.starts_with("src/") && !source.is_test_file() {
                items.read(folder, source);
            }
        }
        items
    }

    /// Has the crate in this folder such an item, and does its documentation show how to use it?
    pub(super) fn example(&self, folder: &str, owner: &str, name: &str) -> Option<bool> {
        self.examples.get(&(folder.to_owned(), owner.to_owned(), name.to_owned())).copied()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    pub(super) fn has_member(&self, owner: &str, name: &str) -> bool {
        self.members.contains(&(owner.to_owned(), name.to_owned()))
    }

    /// Is there a type of this name, or one whose name ends so?
    pub(super) fn has_kind(&self, kind: &str) -> bool {
        self.members.iter().any(|(owner, _)| owner.ends_with(kind))
    }

    /// Has one of them such a member?
    pub(super) fn kind_has_member(&self, kind: &str, name: &str) -> bool {
        self.members.iter().any(|(owner, member)| member == name && owner.ends_with(kind))
    }

    pub(super) fn has_quoted(&self, word: &str) -> bool {
        self.quoted.contains(word)
    }

    fn read(&mut self, folder: &str, source: &Source) {
        let blocks = blocks(source);
        for keyword in ["struct", "enum", "trait", "type", "const", "mod", "fn"] {
            for at in source.words(keyword).into_iter().filter(|&at| !source.is_test(at)) {
                let around = blocks.iter().filter(|block| block.body.contains(&at));
                let around = around.min_by_key(|block| block.body.len());
                let is_public = is_public(source, at)
                    || around
                        .is_some_and(|block| block.is_open && matches!(keyword, "fn" | "const" | "type"));
                let name = word(&source.code, at + keyword.len());
                if is_public && !name.is_empty() {
                    let owner = around.map_or("", |block| &block.owner);
                    self.add(folder, owner, &name, has_example(source, at));
                }
            }
        }
        let quoted = source.text.split('"').filter(|text| !text.contains(char::is_whitespace));
        self.quoted.extend(quoted.map(str::to_owned));
        for (owner, name) in parts(source) {
            self.add(folder, &owner, &name, false);
        }
        // What is exported under another name.
        for at in source.words("as") {
            let name = word(&source.code, at + 2);
            if name.starts_with(char::is_uppercase) && source.path.ends_with("lib.rs") {
                self.add(folder, "", &name, false);
            }
        }
    }

    fn add(&mut self, folder: &str, owner: &str, name: &str, example: bool) {
        let key = (folder.to_owned(), owner.to_owned(), name.to_owned());
        *self.examples.entry(key).or_default() |= example;
        self.names.insert(name.to_owned());
        self.members.insert((owner.to_owned(), name.to_owned()));
    }
}

/// `pub`, not `pub(crate)`; `async` and the like may stand between.
fn is_public(source: &Source, at: usize) -> bool {
    let from =
        source.code[..at].iter().rposition(|c| matches!(c, ';' | '{' | '}' | ']')).map_or(0, |at| at + 1);
    let before: String = source.code[from..at].iter().collect();
    before.split_whitespace().next() == Some("pub")
}

/// Blocks with functions in them: of `impl` and of public traits.
fn blocks(source: &Source) -> Vec<Block> {
    let mut blocks = Vec::new();
    for keyword in ["impl", "trait"] {
        for at in source.words(keyword) {
            let before = source.code[..at].iter().rposition(|c| !c.is_whitespace()).map(|at| source.code[at]);
            let is_trait = keyword == "trait";
            if !is_trait && !matches!(before, None | Some(';' | '{' | '}' | ']'))
                || is_trait && !is_public(source, at)
            {
                continue;
            }
            let open = end_of_head(&source.code, at);
            let head: String = source.code[at + keyword.len()..open].iter().collect();
            let (owner, of_trait) = owner(&head);
            blocks.push(Block {
                body: open..closing(&source.code, open),
                owner,
                is_open: is_trait || of_trait,
            });
        }
    }
    blocks
}

/// Of what an `impl` is, or what a trait is called; and whether it is the `impl` of a trait.
fn owner(head: &str) -> (String, bool) {
    let mut depth = 0;
    let plain: String = head
        .char_indices()
        .filter(|&(at, character)| {
            match character {
                '<' => depth += 1,
                '>' if !head[..at].ends_with(['-', '=']) => {
                    depth -= 1;
                    return false;
                }
                _ => {}
            }
            depth == 0
        })
        .map(|(_, character)| character)
        .collect();
    let (of_trait, name) = match plain.split_once(" for ") {
        Some((_, name)) => (true, name),
        None => (false, plain.as_str()),
    };
    let path =
        name.trim_start_matches([' ', '\n', '&']).split([' ', '\n', ':']).filter(|part| !part.is_empty());
    let path: Vec<&str> = path.take_while(|part| *part != "where").collect();
    let last = if plain.contains("::") { path.last() } else { path.first() };
    ((*last.unwrap_or(&"")).to_owned(), of_trait)
}

/// Variants of public enums and public fields of public structs, with their owners.
fn parts(source: &Source) -> Vec<(String, String)> {
    let mut parts = Vec::new();
    for (keyword, is_enum) in [("enum", true), ("struct", false)] {
        for at in source.words(keyword).into_iter().filter(|&at| is_public(source, at)) {
            let owner = word(&source.code, at + keyword.len());
            let open = end_of_head(&source.code, at);
            if source.code.get(open) != Some(&'{') {
                continue;
            }
            let mut position = open + 1;
            let end = closing(&source.code, open) - 1;
            // The start of a part, behind its attributes.
            let mut starts = true;
            while position < end {
                match source.code[position] {
                    '#' | '(' | '{' | '[' => {
                        let inside = if source.code[position] == '#' { position + 1 } else { position };
                        position = closing(&source.code, inside);
                        continue;
                    }
                    ',' => starts = true,
                    character if starts && !character.is_whitespace() => {
                        let first = word(&source.code, position);
                        if is_enum {
                            parts.push((owner.clone(), first));
                        } else if first == "pub" && source.code.get(position + 3) == Some(&' ') {
                            parts.push((owner.clone(), word(&source.code, position + 3)));
                        }
                        starts = false;
                    }
                    _ => {}
                }
                position += 1;
            }
        }
    }
    parts
}

/// The word that begins here, behind blanks.
fn word(code: &[char], at: usize) -> String {
    let rest = code[at.min(code.len())..].iter().skip_while(|c| c.is_whitespace());
    rest.take_while(|c| c.is_alphanumeric() || **c == '_').collect()
}

/// A block of code in the documentation above.
fn has_example(source: &Source, at: usize) -> bool {
    let lines: Vec<&str> = source.text.lines().take(source.line(at) - 1).collect();
    let above = lines.iter().rev().map(|line| line.trim_start());
    let mut above = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
    above.any(|line| line.starts_with("/// ```"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Items {
        Items::of(&[Source::new("client/src/a.rs", text)])
    }

    #[test]
    fn types_functions_variants_and_fields_are_found_with_what_they_belong_to() {
        let items = items(
            "pub enum Stage { #[x] One, Two { a: u8 }, Three(u8) }\n\
             pub struct Will { pub topic: u8, pub(crate) hidden: u8 }\n\
             impl<T: Into<U>> Will { pub async fn send(&self, f: impl Fn() -> u8) {} fn own() {} }\n\
             impl Iterator for a::Stage { fn next() {} }\n\
             pub trait Wait { fn wait(self) {} }\npub(crate) fn inside() {}\nstruct Hidden;\n",
        );
        for (owner, name) in [
            ("", "Stage"),
            ("Stage", "One"),
            ("Stage", "Two"),
            ("Stage", "Three"),
            ("Will", "topic"),
            ("Will", "send"),
            ("Stage", "next"),
            ("Wait", "wait"),
        ] {
            assert!(items.has_member(owner, name), "{owner}::{name}");
        }
        for name in ["hidden", "own", "inside", "Hidden", "a", "x"] {
            assert!(!items.has(name), "{name}");
        }
    }

    #[test]
    fn an_example_is_a_block_of_code_right_above() {
        let items = items(
            "/// One.\n///\n/// ```\n/// a();\n/// ```\n#[must_use]\npub fn one() {}\n/// Two.\npub fn two() {}\n\
             impl A {\n    /// ```no_run\n    /// ```\n    pub fn three() {}\n}\n",
        );
        assert_eq!(Some(true), items.example("client", "", "one"));
        assert_eq!(Some(false), items.example("client", "", "two"));
        assert_eq!(Some(true), items.example("client", "A", "three"));
        assert_eq!(None, items.example("hub", "", "one"));
    }
}
