//! Lengths of files and functions. Past the limit the question is: what is the second thing in it?

use std::fs;
use std::path::Path;

use super::source::{Source, closing, end_of_head};

const FILE_LIMIT: usize = 400;
const FUNCTION_LIMIT: usize = 60;
const EXCEPTIONS: &str = "ci/length-exceptions.txt";

/// A file, or a function as `file:name`, that may be longer.
pub(super) struct Exception(String);

/// One `subject = reason` per line.
pub(super) fn read_exceptions(root: &Path) -> Result<Vec<Exception>, String> {
    let text = fs::read_to_string(root.join(EXCEPTIONS)).map_err(|error| format!("{EXCEPTIONS}: {error}"))?;
    parse_exceptions(&text)
}

fn parse_exceptions(text: &str) -> Result<Vec<Exception>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| match line.split_once('=') {
            Some((subject, reason)) if !reason.trim().is_empty() => Ok(Exception(subject.trim().to_owned())),
            _ => Err(format!("{EXCEPTIONS}: `{line}` has no reason; write `subject = reason`")),
        })
        .collect()
}

/// Everything that is too long and not excepted, and every exception nothing needs any more.
pub(super) fn violations(sources: &[Source], exceptions: &[Exception]) -> Vec<String> {
    let long: Vec<(String, String)> =
        sources.iter().filter(|source| !source.is_test_file()).flat_map(long).collect();
    let is_excepted = |subject: &str| exceptions.iter().any(|exception| exception.0 == subject);
    let mut violations: Vec<String> =
        long.iter().filter(|(subject, _)| !is_excepted(subject)).map(|(_, what)| what.clone()).collect();
    let unused =
        exceptions.iter().filter(|exception| long.iter().all(|(subject, _)| *subject != exception.0));
    violations.extend(
        unused.map(|exception| format!("{EXCEPTIONS}: `{}` is not too long: remove it", exception.0)),
    );
    violations
}

/// What is too long in one file: the subject, and the words for it.
fn long(source: &Source) -> Vec<(String, String)> {
    let mut long = Vec::new();
    let lines = source.lines_without_tests();
    if lines > FILE_LIMIT {
        let what = format!("{}: {lines} lines without tests, limit {FILE_LIMIT}", source.path);
        long.push((source.path.clone(), what));
    }
    for (name, start, end) in functions(source) {
        let lines = source.line(end) - source.line(start) + 1;
        if lines > FUNCTION_LIMIT {
            let place = format!("{}:{}", source.path, source.line(start));
            let what = format!("{place}: function `{name}` has {lines} lines, limit {FUNCTION_LIMIT}");
            long.push((format!("{}:{name}", source.path), what));
        }
    }
    long
}

/// Functions with a body and outside tests: name, first and last position.
fn functions(source: &Source) -> Vec<(String, usize, usize)> {
    let code = &source.code;
    let mut functions = Vec::new();
    for start in source.words("fn").into_iter().filter(|&at| !source.is_test(at)) {
        let rest = code[start + 2..].iter().skip_while(|character| character.is_whitespace());
        let name: String = rest.take_while(|&&letter| letter.is_alphanumeric() || letter == '_').collect();
        let head = end_of_head(code, start);
        // A type like `fn(u8)` has no name, a declaration in a trait no body.
        if !name.is_empty() && code.get(head) == Some(&'{') {
            functions.push((name, start, closing(code, head)));
        }
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}(x: [u8; 4]) -> u8 {{\n{}}}\n", "    call();\n".repeat(lines - 2))
    }

    fn check(path: &str, text: &str, exceptions: &str) -> Vec<String> {
        violations(&[Source::new(path, text)], &parse_exceptions(exceptions).unwrap())
    }

    #[test]
    fn a_function_of_61_lines_is_too_long() {
        assert!(check("core/src/a.rs", &function("a", 60), "").is_empty());
        assert_eq!(1, check("core/src/a.rs", &function("a", 61), "").len());
        assert!(check("core/src/tests.rs", &function("a", 61), "").is_empty());
    }

    #[test]
    fn a_file_of_401_lines_is_too_long_and_tests_do_not_count() {
        let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "// line\n".repeat(100));
        assert!(check("core/src/a.rs", &("// line\n".repeat(400) + &test), "").is_empty());
        assert_eq!(1, check("core/src/a.rs", &("// line\n".repeat(401) + &test), "").len());
    }

    #[test]
    fn exceptions_need_a_reason_and_a_use() {
        assert!(check("core/src/a.rs", &function("a", 61), "core/src/a.rs:a = one table").is_empty());
        assert_eq!(1, check("core/src/a.rs", &function("a", 60), "core/src/a.rs:a = one table").len());
        assert!(parse_exceptions("core/src/a.rs").is_err());
    }

    #[test]
    fn declarations_and_types_are_no_functions() {
        let text = "trait T { fn a(&self); }\ntype F = fn(u8) -> u8;\nfn b() {}\n";
        let names: Vec<String> =
            functions(&Source::new("a.rs", text)).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(["b"], names.as_slice());
    }
}
