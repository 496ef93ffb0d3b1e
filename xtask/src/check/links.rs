//! Links in pages of Markdown: the files and headings they lead to are there.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Pages of others, and what was built.
const LEFT_OUT: [&str; 2] = ["target", "node_modules"];

pub(super) fn violations(root: &Path) -> Result<Vec<String>, String> {
    let mut pages = HashMap::new();
    read(root, root, &mut pages)?;
    let mut findings: Vec<String> = pages
        .iter()
        .flat_map(|(path, text)| {
            links(text).into_iter().filter_map(|(line, link)| {
                let why = wrong(root, path, &link, &pages)?;
                Some(format!("{}:{line}: the link `{link}` leads nowhere: {why}", path.display()))
            })
        })
        .collect();
    findings.sort();
    Ok(findings)
}

/// All pages, by their paths from the root.
fn read(root: &Path, folder: &Path, pages: &mut HashMap<PathBuf, String>) -> Result<(), String> {
    let list = |error| format!("{}: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(list)? {
        let entry = entry.map_err(list)?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            if !name.starts_with('.') && !LEFT_OUT.contains(&name.as_str()) {
                read(root, &path, pages)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            pages.insert(path.strip_prefix(root).unwrap_or(&path).to_owned(), text);
        }
    }
    Ok(())
}

/// Each with its line. Snippets of code hold none.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        let read = without_code(line);
        let mut rest = read.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let link = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((number, link.to_owned()));
        }
        // `[name]: link`, which rustdoc's own names have without a file's ending.
        if let Some((_, link)) = read.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push((number, link.trim().to_owned()));
        }
    }
    // A name of Rust is rustdoc's to check.
    found.retain(|(_, link)| !link.contains("::") && !link.contains("://") && !link.starts_with("mailto:"));
    found
}

/// The lines outside of blocks of code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        (!inside && !is_fence).then_some((index + 1, line))
    })
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// Why it leads nowhere, if it does.
fn wrong(root: &Path, page: &Path, link: &str, pages: &HashMap<PathBuf, String>) -> Option<String> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let Some(path) =
        (if file.is_empty() { Some(page.to_owned()) } else { plain(&page.parent()?.join(file)) })
    else {
        return Some("it leaves the project".to_owned());
    };
    let Some(text) = pages.get(&path) else {
        let missing = !root.join(&path).exists();
        return missing.then(|| format!("there is no {}", path.display()));
    };
    let anchor = anchor?;
    let missing = !anchors(text).iter().any(|heading| heading == anchor);
    missing.then(|| format!("{} has no heading for it", path.display()))
}

/// Without `..`; `None` if it leads out of the root.
fn plain(path: &Path) -> Option<PathBuf> {
    path.components().try_fold(PathBuf::new(), |mut plain, component| match component {
        Component::ParentDir => plain.pop().then_some(plain),
        Component::CurDir => Some(plain),
        other => Some(plain.join(other)),
    })
}

/// The headings as a browser names them: small letters, hyphens for spaces, no punctuation; a number where it comes again.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for (_, line) in prose(text) {
        let Some(heading) = line.strip_prefix('#') else { continue };
        let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        let anchor: String =
            heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
        let before = anchors.iter().filter(|other| **other == anchor).count();
        anchors.push(if before == 0 { anchor } else { format!("{anchor}-{before}") });
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages_files_and_headings_that_are_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let there = "# A page\n\n## What it is, really?\n\n## Twice\n\n## Twice\n";
        let pages = HashMap::from([
            (PathBuf::from("docs/there.md"), there.to_owned()),
            (PathBuf::from("docs/page.md"), "# Page\n".to_owned()),
        ]);
        let wrong = |link: &str| wrong(&root, Path::new("docs/page.md"), link, &pages);
        for good in [
            "there.md",
            "./there.md#what-it-is-really",
            "there.md#twice-1",
            "#page",
            "../README.md",
            "../docs",
        ] {
            assert_eq!(None, wrong(good), "{good}");
        }
        for bad in ["gone.md", "there.md#twice-2", "#twice", "../gone", "../../README.md"] {
            assert!(wrong(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn the_pages_of_this_project_lead_somewhere() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert_eq!(Ok(Vec::new()), violations(&root));
    }

    #[test]
    fn links_are_found_where_a_reader_sees_some() {
        let text = "See [a](a.md) and [b](b.md#c \"title\").\n```\n[not](this.md)\n```\n`[nor](that.md)`, [web](https://x.y)\n\n[d]: d.md\n[e]: crate::E\n";
        let found = links(text);
        assert_eq!(vec![(1, "a.md".into()), (1, "b.md#c".into()), (7, "d.md".to_owned())], found);
    }
}
