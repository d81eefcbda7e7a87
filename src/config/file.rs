//! The settings file: TOML, one key for each setting, no tables.

use std::path::Path;

use super::near::nearest;
use super::{Kind, SETTINGS, SettingError, Source, bounded_file, setting};

/// The most bytes of a settings file: a thousand times what all settings take.
const MOST_FILE_BYTES: u64 = 1 << 20;

/// The name and the texts of each setting in the file at `path`.
///
/// # Errors
/// A file that cannot be read or is no TOML, and keys that name no setting.
pub(super) fn read(path: &Path, from: &Source) -> Result<Vec<(&'static str, Vec<String>)>, SettingError> {
    let unusable = |reason: String| SettingError::Unusable {
        setting: "config",
        source: from.clone(),
        value: path.display().to_string(),
        reason,
    };
    let content = bounded_file::read(path, MOST_FILE_BYTES).map_err(unusable)?;
    let text = String::from_utf8(content).map_err(|error| {
        let line =
            1 + memchr::memchr_iter(b'\n', &error.as_bytes()[..error.utf8_error().valid_up_to()]).count();
        unusable(format!("line {line}: it is not UTF-8"))
    })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        unusable(format!("line {line}: {}", error.message().replace('\n', " ")))
    })?;
    let source = Source::File(path.to_owned());
    table.iter().map(|(name, value)| read_one(name, value, &source)).collect()
}

fn read_one(
    name: &str,
    value: &toml::Value,
    source: &Source,
) -> Result<(&'static str, Vec<String>), SettingError> {
    let known = SETTINGS.iter().map(|setting| setting.name).filter(|name| *name != "config");
    let Some(setting) = setting(name).filter(|setting| setting.name != "config") else {
        let near = nearest(&name.replace('_', "-"), known).map(ToOwned::to_owned);
        return Err(SettingError::Unknown { source: source.clone(), name: name.to_owned(), near });
    };
    let wrong = || SettingError::Value {
        setting: setting.name,
        source: source.clone(),
        value: setting.kind.told(&value.to_string()),
        allowed: setting.kind.allowed(),
    };
    let texts = match value {
        toml::Value::Array(values) if setting.kind.is_list() => {
            values.iter().map(scalar).collect::<Option<Vec<_>>>().ok_or_else(wrong)?
        }
        // TOML's own octal numbers come as decimal ones, which would be read as other permissions.
        toml::Value::Integer(_) if matches!(setting.kind, Kind::Mode(_)) => return Err(wrong()),
        single => setting.kind.split(&scalar(single).ok_or_else(wrong)?),
    };
    Ok((setting.name, texts))
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
        _ => None,
    }
}
