//! House rules that can be read off the text; CONTRIBUTING.md says what each is for.

use super::source::{Source, closing};

pub(super) fn violations(sources: &[Source]) -> Vec<String> {
    sources.iter().flat_map(file_violations).collect()
}

fn file_violations(source: &Source) -> Vec<String> {
    let mut violations = unfinished(source);
    violations.extend(reasonless(source));
    violations.extend(names(source));
    violations.extend(idle_tests(source));
    violations.extend(unreadable_errors(source));
    if source.path.starts_with("core/src/") {
        let macros = source.words("macro_rules").into_iter().filter(|&at| !source.is_test(at));
        violations.extend(macros.map(|at| report(source, at, "`macro_rules!` in core: write the code out")));
    }
    violations
}

/// Marks of unfinished work, in comments too.
fn unfinished(source: &Source) -> Vec<String> {
    // In two parts each, or this file would be its own finding.
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("unimplemented", "!(")];
    let lines = source.text.lines().enumerate();
    let found = lines.filter_map(|(index, line)| {
        let mark = marks.iter().find(|mark| line.contains(*mark))?;
        Some(format!("{}:{}: unfinished: `{mark}`", source.path, index + 1))
    });
    found.collect()
}

/// A lint that is switched off says why, but in tests.
fn reasonless(source: &Source) -> Vec<String> {
    let attributes = ["[allow(", "[expect("].into_iter().flat_map(|text| source.occurrences(text));
    let bare = attributes.filter(|&at| !source.is_test(at)).filter(|&at| {
        let arguments = &source.code[at..closing(&source.code, at)];
        !arguments.iter().collect::<String>().contains("reason")
    });
    bare.map(|at| report(source, at, "a lint is switched off without `reason = \"...\"`")).collect()
}

/// No `get_` on functions (but for `get_mut`, which has no other name), no `Mqtt` on types; alone it is a protocol's name, beside `Http`.
fn names(source: &Source) -> Vec<String> {
    let mut violations = Vec::new();
    for (keyword, prefix) in
        [("fn", "get_"), ("struct", "Mqtt"), ("enum", "Mqtt"), ("trait", "Mqtt"), ("type", "Mqtt")]
    {
        for at in source.words(keyword) {
            let rest: String = source.code[at + keyword.len()..].iter().take(24).collect();
            let name = rest.trim_start();
            let more = name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
            if more && !name.starts_with("get_mut(") {
                violations.push(report(source, at, &format!("a name that begins with `{prefix}`")));
            }
        }
    }
    violations
}

/// Tests that sleep, or do not run.
fn idle_tests(source: &Source) -> Vec<String> {
    let sleeps = source.occurrences("thread::sleep").into_iter().filter(|&at| source.is_test(at));
    let mut violations: Vec<String> =
        sleeps.map(|at| report(source, at, "a sleep in a test: wait for a signal or use a clock")).collect();
    let ignored = source.occurrences("#[ignore").into_iter();
    violations.extend(ignored.map(|at| report(source, at, "a test that is ignored")));
    violations
}

/// `main` prints the `Debug` of the error it returns: derived, it is for programmers.
fn unreadable_errors(source: &Source) -> Vec<String> {
    let implemented = source.occurrences("Error for ").into_iter().filter(|&at| !source.is_test(at));
    let derived = implemented.filter_map(|at| {
        let name: String =
            source.code[at + "Error for ".len()..].iter().take_while(|c| c.is_alphanumeric()).collect();
        let item =
            [format!("pub enum {name} "), format!("pub struct {name} "), format!("pub struct {name}(")]
                .iter()
                .chain([&format!("pub struct {name};"), &format!("pub enum {name}<")])
                .find_map(|head| source.occurrences(head).first().copied())?;
        // Back to where the item before ends: attributes stand between.
        let before = source.code[..item].iter().rposition(|c| matches!(c, '}' | ';')).unwrap_or(0);
        let attributes: String = source.code[before..item].iter().collect();
        attributes.contains("Debug").then_some((item, name))
    });
    derived
        .map(|(at, name)| {
            let what = format!(
                "`{name}` is an error and derives `Debug`: a `main` that returns it prints that; \
                 `packetboat::readable_debug!` says what `Display` says"
            );
            report(source, at, &what)
        })
        .collect()
}

fn report(source: &Source, at: usize, what: &str) -> String {
    format!("{}:{}: {what}", source.path, source.line(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        violations(&[Source::new(path, text)]).len()
    }

    #[test]
    fn clean_code_is_clean() {
        let text = "#[allow(clippy::x, reason = \"because\")]\nfn topic() {}\nstruct Session;\n";
        assert_eq!(0, count("core/src/a.rs", text));
    }

    #[test]
    fn planted_violations_are_found() {
        assert_eq!(1, count("core/src/a.rs", concat!("fn a() {} // TO", "DO: b\n")));
        assert_eq!(1, count("core/src/a.rs", concat!("fn a() { unimplemented", "!() }\n")));
        assert_eq!(1, count("core/src/a.rs", "#[allow(clippy::x)]\nfn a() {}\n"));
        assert_eq!(1, count("core/src/a.rs", "#![expect(\n    clippy::x\n)]\n"));
        assert_eq!(1, count("core/src/a.rs", "fn get_topic() {}\n"));
        assert_eq!(1, count("core/src/a.rs", "struct MqttClient;\n"));
        assert_eq!(1, count("core/src/a.rs", "macro_rules! packet { () => {} }\n"));
        assert_eq!(
            1,
            count("client/src/a.rs", "#[cfg(test)]\nmod tests { fn a() { std::thread::sleep(d) } }\n")
        );
        let error = "use a;\n#[derive(Clone, Debug)]\n#[non_exhaustive]\npub enum Wrong {}\nimpl Error for Wrong {}\n";
        assert_eq!(1, count("client/src/a.rs", error));
        assert_eq!(1, count("client/src/a.rs", &error.replace("enum Wrong {}", "struct Wrong(u8);")));
        assert_eq!(0, count("client/src/a.rs", &error.replace(", Debug", "")));
        assert_eq!(1, count("client/tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n"));
    }

    #[test]
    fn rules_have_their_place() {
        assert_eq!(0, count("hub/src/a.rs", "struct Mqtt;\n"));
        assert_eq!(0, count("client/src/a.rs", "fn a() { std::thread::sleep(d) }\n"));
        assert_eq!(0, count("client/src/a.rs", "macro_rules! a { () => {} }\n"));
        assert_eq!(0, count("client/tests/a.rs", "#![allow(clippy::x)]\n"));
    }
}
