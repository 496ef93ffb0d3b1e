//! Placeholders for the digits of a device's hardware address: `esp32_??????`.

use std::fs;

/// With the last digits of this address in the places of question marks. `None`: there are none, or an odd number, which
/// Mongoose OS leaves alone.
pub(super) fn expand(text: &str, address: &str) -> Option<String> {
    let digits: Vec<char> =
        address.chars().filter(char::is_ascii_hexdigit).map(|digit| digit.to_ascii_uppercase()).collect();
    if !has_placeholders(text) || digits.len() != 12 {
        return None;
    }
    let mut next = digits.len() - text.matches('?').count();
    let filled = text.chars().map(|character| match character {
        '?' => {
            next += 1;
            digits[next - 1]
        }
        other => other,
    });
    Some(filled.collect())
}

pub(super) fn has_placeholders(text: &str) -> bool {
    let count = text.matches('?').count();
    (1..=12).contains(&count) && count.is_multiple_of(2)
}

/// That of this machine's first network interface: one of a device rather than one that only the system knows, then by name.
pub(super) fn address() -> Option<String> {
    let mut interfaces: Vec<(bool, String, String)> = fs::read_dir("/sys/class/net")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let address = fs::read_to_string(entry.path().join("address")).ok()?.trim().to_owned();
            let is_virtual = !entry.path().join("device").exists();
            let is_set = address.chars().any(|digit| digit.is_ascii_hexdigit() && digit != '0');
            is_set.then(|| (is_virtual, entry.file_name().to_string_lossy().into_owned(), address))
        })
        .collect();
    interfaces.sort();
    interfaces.into_iter().next().map(|(.., address)| address)
}
