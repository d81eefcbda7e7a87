//! The files in which Amazon's tools keep profiles: `config` and `credentials`.

use std::collections::BTreeMap;
use std::path::Path;

use super::bounded_file;

/// The most bytes of such a file, so that a wrong path to a huge one is found at the start.
const MOST_FILE_BYTES: u64 = 1 << 20;

/// What stands in a profile, by names in small letters.
pub(super) type Profile = BTreeMap<String, String>;

/// Reads a profile from a file; `None`: it is not in it. `prefix` is what stands before the names of profiles other than `default`.
///
/// # Errors
/// Why the file cannot be read; nothing that stands in it is told.
pub(super) fn read(path: &Path, prefix: &str, name: &str) -> Result<Option<Profile>, String> {
    let content = bounded_file::read(path, MOST_FILE_BYTES)?;
    let text = String::from_utf8(content).map_err(|_| "it is not UTF-8".to_owned())?;
    parse(&text, prefix, name)
}

fn parse(text: &str, prefix: &str, name: &str) -> Result<Option<Profile>, String> {
    let mut found = None;
    let mut is_meant = false;
    for (number, line) in text.lines().enumerate() {
        // An indented line belongs to the value before it, which no setting that is read here has.
        let is_indented = line.starts_with([' ', '\t']);
        let line = without_comment(line).trim();
        if line.is_empty() || is_indented {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            let section =
                rest.strip_suffix(']').ok_or_else(|| wrong(number, "a section that does not end"))?;
            is_meant = is_section(section.trim(), prefix, name);
            if is_meant {
                found.get_or_insert_with(Profile::new);
            }
            continue;
        }
        let (key, value) = line.split_once('=').ok_or_else(|| wrong(number, "what is no name = value"))?;
        if let Some(profile) = found.as_mut().filter(|_| is_meant) {
            profile.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    Ok(found)
}

fn wrong(number: usize, what: &str) -> String {
    format!("line {}: there is {what}", number + 1)
}

/// Whether a section is that of the profile: `[name]`, `[profile name]` or `[profile "name"]`.
fn is_section(section: &str, prefix: &str, name: &str) -> bool {
    if section == name && (prefix.is_empty() || name == "default") {
        return true;
    }
    let rest =
        section.strip_prefix(prefix).filter(|rest| !prefix.is_empty() && rest.starts_with([' ', '\t']));
    rest.is_some_and(|rest| rest.trim().trim_matches('"') == name)
}

/// A line up to a comment: one that begins it, or one behind a space, as in Amazon's own reader.
fn without_comment(line: &str) -> &str {
    if line.starts_with(['#', ';']) {
        return "";
    }
    let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| line.find(mark)).min();
    &line[..end.unwrap_or(line.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "# comment\n[default]\nregion = eu-1 # mine\n\n[profile  other]\nREGION=eu-2\ns3 =\n  max = 5\n\
                          endpoint_url = http://h:1/#a\n[profile \"third\"]\n; comment\nregion=\n[plain]\nregion = no\n";

    #[test]
    fn a_profile_is_found_by_its_name() {
        let value = |name: &str, key: &str| {
            parse(CONFIG, "profile", name)
                .unwrap()
                .map(|profile| profile.get(key).cloned().unwrap_or_default())
        };
        assert_eq!(value("default", "region").as_deref(), Some("eu-1"));
        assert_eq!(value("other", "region").as_deref(), Some("eu-2"));
        assert_eq!(value("other", "endpoint_url").as_deref(), Some("http://h:1/#a"));
        assert_eq!(value("other", "max").as_deref(), Some(""));
        assert_eq!(value("third", "region").as_deref(), Some(""));
        assert_eq!(value("plain", "region"), None);
        let keys = parse("[a]\naws_secret_access_key = a+b/c=\n", "", "a").unwrap().unwrap();
        assert_eq!(keys["aws_secret_access_key"], "a+b/c=");
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_line() {
        let error = parse("[a]\nSECRET\n", "", "a").unwrap_err();
        assert_eq!(error, "line 2: there is what is no name = value");
        assert!(parse("[a\n", "", "a").unwrap_err().starts_with("line 1"));
    }
}
