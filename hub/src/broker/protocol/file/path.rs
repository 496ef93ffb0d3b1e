//! Names of files, of which publishers bring parts: none leads out of its directory.

use std::path::{Component, Path, PathBuf};

use crate::broker::template::Template;

/// A path below a directory. What is written in the template may name directories; what stands for a variable may not.
pub(super) fn in_directory(
    template: &Template,
    value: impl Fn(&str) -> Option<String>,
) -> Result<PathBuf, String> {
    for name in template.names() {
        let value = value(name).unwrap_or_default();
        if let Some(wrong) = value.chars().find(|character| is_unsafe(*character)) {
            return Err(format!("`${{{name}}}` is {value:?}: {wrong:?} cannot be in the name of a file"));
        }
    }
    let text = template.expand(value);
    let path = Path::new(&text);
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    // A name that is empty, or ends so, is a directory's.
    if !inside || path.file_name().is_none() || text.ends_with(['/', '\\']) {
        return Err(format!("is {text:?}, which is no file below a directory"));
    }
    Ok(path.to_owned())
}

fn is_unsafe(character: char) -> bool {
    matches!(character, '/' | '\\')
        || character.is_control()
        || cfg!(windows) && ":<>\"|?*".contains(character)
}

/// A directory. What stands for a variable leads downwards only, unless `any` may be named.
pub(super) fn directory(
    template: &Template,
    value: impl Fn(&str) -> Option<String>,
    any: bool,
) -> Result<PathBuf, String> {
    for name in template.names() {
        let value = value(name).unwrap_or_default();
        let downwards = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if value.contains('\0') || !any && !Path::new(&value).components().all(downwards) {
            return Err(format!(
                "`${{{name}}}` is {value:?}, which leads out of the directory: if publishers may name any, say \
                 `\"any_directory\": true` in the target's `file_options`"
            ));
        }
    }
    let text = template.expand(value);
    // With an empty value in front, what is behind it would begin at the root.
    let text = if template.beginning().is_empty() && !any { text.trim_start_matches('/') } else { &*text };
    Ok(if text.is_empty() { PathBuf::from(".") } else { PathBuf::from(text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, value: &str) -> Result<String, String> {
        let template = Template::parse(template).unwrap();
        in_directory(&template, |_| Some(value.to_owned())).map(|path| path.display().to_string())
    }

    fn folder(template: &str, value: &str, any: bool) -> Result<String, String> {
        let template = Template::parse(template).unwrap();
        directory(&template, |_| Some(value.to_owned()), any).map(|path| path.display().to_string())
    }

    #[test]
    fn names_stay_in_their_directory() {
        assert_eq!(name("${x}.txt", "a b").unwrap(), "a b.txt");
        assert_eq!(name("day/${x}.txt", "7").unwrap(), "day/7.txt");
        assert_eq!(name("${x}.txt", "..").unwrap(), "...txt");
        for (template, value) in [
            ("${x}.txt", "../a"),
            ("${x}.txt", "/etc/passwd"),
            ("${x}.txt", "a\\b"),
            ("${x}.txt", "a\0b"),
            ("${x}.txt", "a\nb"),
            ("${x}", ".."),
            ("${x}", "."),
            ("${x}", ""),
            ("../${x}", "a"),
            ("/tmp/${x}", "a"),
            ("day/", ""),
            ("day/${x}", ""),
            ("day/${x}", ".."),
        ] {
            assert!(name(template, value).is_err(), "{template} {value:?}");
        }
    }

    #[test]
    fn directories_lead_downwards_unless_any_may_be_named() {
        assert_eq!(folder("out/${x}/", "a/b", false).unwrap(), "out/a/b/");
        assert_eq!(folder("../${x}", "a", false).unwrap(), "../a");
        assert_eq!(folder("${x}/a", "", false).unwrap(), "a");
        assert_eq!(folder("${x}", "", false).unwrap(), ".");
        assert_eq!(folder("${x}/", "/data/flow", true).unwrap(), "/data/flow/");
        for value in ["/etc", "..", "a/../../b"] {
            assert!(folder("out/${x}", value, false).unwrap_err().contains("any_directory"), "{value}");
        }
    }
}
