//! Rust sources as the checks see them: comments, strings and test code blanked out, every line in its place.

use std::fs;
use std::ops::Range;
use std::path::Path;

pub(crate) struct Source {
    /// From the workspace's root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of strings and characters blanked out.
    pub(crate) code: Vec<char>,
    /// The items under `#[cfg(test)]`, as ranges of `code`.
    tests: Vec<Range<usize>>,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = blank(text);
        let tests = test_items(&code);
        Self { path: path.to_owned(), text: text.to_owned(), code, tests }
    }

    /// A file that holds nothing but tests, benchmarks or fuzz targets.
    pub(crate) fn is_test_file(&self) -> bool {
        let mut names = self.path.split('/');
        names.any(|name| {
            matches!(name, "tests" | "tests.rs" | "benches" | "fuzz") || name.ends_with("_tests.rs")
        })
    }

    pub(crate) fn is_test(&self, position: usize) -> bool {
        self.is_test_file() || self.tests.iter().any(|range| range.contains(&position))
    }

    /// Lines that are not under `#[cfg(test)]`, comments and empty ones included.
    pub(crate) fn lines_without_tests(&self) -> usize {
        let tests: usize =
            self.tests.iter().map(|range| self.line(range.end) - self.line(range.start) + 1).sum();
        self.text.lines().count() - tests.min(self.text.lines().count())
    }

    /// The line a position is on, from 1.
    pub(crate) fn line(&self, position: usize) -> usize {
        let before = &self.code[..position.min(self.code.len())];
        before.iter().filter(|&&character| character == '\n').count() + 1
    }

    /// Where `word` stands in the code as a whole word.
    pub(crate) fn words(&self, word: &str) -> Vec<usize> {
        let found = find(&self.code, word);
        found.into_iter().filter(|&at| is_whole_word(&self.code, at, word.chars().count())).collect()
    }

    /// Where `text` stands in the code.
    pub(crate) fn occurrences(&self, text: &str) -> Vec<usize> {
        find(&self.code, text)
    }
}

/// Every source below `root`, but not in `target` and hidden folders.
pub(crate) fn read_all(root: &Path) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if path.is_dir() {
                if name != "target" && name != "node_modules" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let text =
                    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                let relative = path.strip_prefix(root).unwrap_or(&path);
                sources.push(Source::new(&relative.to_string_lossy().replace('\\', "/"), &text));
            }
        }
    }
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(sources)
}

/// The position behind the bracket that closes the one at `open`.
pub(crate) fn closing(code: &[char], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, character) in code.iter().enumerate().skip(open) {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The body's opening brace or the semicolon of the item that begins at `start`, whichever ends its head.
pub(crate) fn end_of_head(code: &[char], start: usize) -> usize {
    let mut at = start;
    while at < code.len() && !matches!(code[at], '{' | ';') {
        at = if matches!(code[at], '(' | '[') { closing(code, at) } else { at + 1 };
    }
    at
}

fn blank(text: &str) -> Vec<char> {
    let mut code: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < code.len() {
        let end = match code[at] {
            '/' if code.get(at + 1) == Some(&'/') => end_of_line(&code, at),
            '/' if code.get(at + 1) == Some(&'*') => end_of_block_comment(&code, at),
            '"' => end_of_string(&code, at),
            'r' => end_of_raw_string(&code, at).unwrap_or(at),
            '\'' => end_of_character(&code, at).unwrap_or(at),
            _ => at,
        };
        for character in &mut code[at..end] {
            if *character != '\n' {
                *character = ' ';
            }
        }
        at = end.max(at + 1);
    }
    code
}

fn end_of_line(code: &[char], start: usize) -> usize {
    code[start..].iter().position(|&character| character == '\n').map_or(code.len(), |length| start + length)
}

fn end_of_block_comment(code: &[char], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0);
    while at + 1 < code.len() {
        match (code[at], code[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

fn end_of_string(code: &[char], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < code.len() && code[at] != '"' {
        at += if code[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(code.len())
}

/// `r"..."`, `r#"..."#` and so on; `br` and `cr` end in the same `r`. None for an `r` that is something else.
fn end_of_raw_string(code: &[char], start: usize) -> Option<usize> {
    let before = start.checked_sub(1).map_or(' ', |at| code[at]);
    if is_word(before) && !matches!(before, 'b' | 'c') {
        return None;
    }
    let hashes = code[start + 1..].iter().take_while(|&&character| character == '#').count();
    let quote = start + 1 + hashes;
    if code.get(quote) != Some(&'"') {
        return None;
    }
    let end = (quote + 1..code.len()).find(|&at| {
        code[at] == '"'
            && code[at + 1..].iter().take(hashes).filter(|&&character| character == '#').count() == hashes
    });
    Some(end.map_or(code.len(), |at| at + 1 + hashes))
}

/// None for a lifetime.
fn end_of_character(code: &[char], quote: usize) -> Option<usize> {
    if code.get(quote + 1) == Some(&'\\') {
        let rest = code.get(quote + 3..)?;
        return rest.iter().position(|&character| character == '\'').map(|length| quote + 4 + length);
    }
    (code.get(quote + 2) == Some(&'\'')).then_some(quote + 3)
}

fn test_items(code: &[char]) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for start in find(code, "#[cfg(") {
        let end_of_attribute = closing(code, start + 1);
        let attribute: String = code[start..end_of_attribute].iter().collect();
        let says_test = find(&code[start..end_of_attribute], "test")
            .into_iter()
            .any(|at| is_whole_word(&code[start..end_of_attribute], at, 4));
        let is_inside = items.last().is_some_and(|item| item.contains(&start));
        if !says_test || attribute.contains("not(") || attribute.contains("any(") || is_inside {
            continue;
        }
        let head = end_of_head(code, end_of_attribute);
        let end = if code.get(head) == Some(&'{') { closing(code, head) } else { head };
        items.push(start..end);
    }
    items
}

fn find(code: &[char], text: &str) -> Vec<usize> {
    let text: Vec<char> = text.chars().collect();
    code.windows(text.len()).enumerate().filter(|(_, window)| *window == text).map(|(at, _)| at).collect()
}

fn is_whole_word(code: &[char], at: usize, length: usize) -> bool {
    let before = at.checked_sub(1).is_some_and(|at| is_word(code[at]));
    let after = code.get(at + length).copied().is_some_and(is_word);
    !before && !after
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left, with one space for each gap.
    fn left(text: &str) -> String {
        let code: String = blank(text).into_iter().collect();
        assert_eq!(text.chars().count(), code.chars().count());
        assert_eq!(text.lines().count(), code.lines().count());
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_strings_are_blank() {
        assert_eq!("a b", left("a // \" {\nb"));
        assert_eq!("a b", left("a /* /* \n */ } */ b"));
        assert_eq!("f( , x)", left("f(\"a\\\"{\n\u{e9}\", x)"));
        assert_eq!("f( )", left("f(r#\"a\" {\"#)"));
        assert_eq!("b ;", left("br\"\\\" ;"));
    }

    #[test]
    fn lifetimes_are_no_characters() {
        assert_eq!("fn f<'a>(x: &'a str, c: )", left("fn f<'a>(x: &'a str, c: '{')"));
        assert_eq!("| | | b", left(r"'\'' | '\\' | '\u{7f}' | b'}'"));
        assert_eq!("for r in r#type {}", left("for r in r#type {}"));
    }

    #[test]
    fn test_items_are_found() {
        let source =
            Source::new("core/src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n");
        assert_eq!(2, source.lines_without_tests());
        assert!(!source.is_test(source.words("a")[0]));
        assert!(source.is_test(source.words("b")[0]));
        assert!(!source.is_test(source.words("c")[0]));
        let outside =
            Source::new("core/src/a.rs", "#[cfg(test)]\nmod tests;\n#[cfg(not(test))]\nfn c() {}\n");
        assert!(!outside.is_test(outside.words("c")[0]));
        assert!(Source::new("core/src/wire/tests.rs", "fn a() {}").is_test(0));
        assert!(Source::new("client/tests/broker.rs", "fn a() {}").is_test(0));
    }

    #[test]
    fn words_are_whole() {
        let source =
            Source::new("a.rs", "Version MyVersion Versions // Version\n \"Version\" wire::Version::V5");
        assert_eq!(2, source.words("Version").len());
        assert_eq!(2, source.line(source.words("Version")[1]));
    }
}
