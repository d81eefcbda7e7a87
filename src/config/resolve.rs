//! One value for each setting out of flags, environment, file and defaults, in this order of precedence.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::near::nearest;
use super::setting::VARIABLE_PREFIX;
use super::{CommandLine, Config, SETTINGS, Secret, Setting, SettingError, Source, file, setting};

/// The most bytes of a password, so that a wrong path to a huge file is found at the start.
const MOST_PASSWORD_BYTES: usize = 4_096;

/// Settings that are right, and where they came from.
#[derive(Debug)]
pub struct Resolved {
    /// The values.
    pub config: Config,
    /// Where the value of each setting that is not at its default came from.
    pub sources: BTreeMap<&'static str, Source>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<String>,
}

type Texts = BTreeMap<&'static str, (Source, Vec<String>)>;

/// Reads flags, environment and file.
///
/// # Errors
/// The first setting that is wrong.
pub fn resolve(
    flags: &CommandLine,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Resolved, SettingError> {
    let mut given: Texts = BTreeMap::new();
    for setting in read_environment(environment)? {
        given.insert(setting.0, (setting.1, setting.2));
    }
    for (name, texts) in &flags.flags {
        given.insert(name, (Source::Flag((*name).to_owned()), texts.clone()));
    }
    if let Some((source, texts)) = given.get("config").cloned() {
        let path = texts.concat();
        for (name, texts) in file::read(Path::new(&path), &source)? {
            given.entry(name).or_insert_with(|| (Source::File(path.clone().into()), texts));
        }
    }
    let mut config = Config::default();
    let mut sources = BTreeMap::new();
    for (name, (source, texts)) in given {
        let setting = setting(name).expect("only names of settings are collected");
        apply(&mut config, setting, &source, &texts)?;
        sources.insert(name, source);
    }
    let source_of = |name| sources.get(name).cloned().unwrap_or(Source::Default);
    let mut warnings = Vec::new();
    check_data_dir(&config, source_of("data-dir"))?;
    read_password(&mut config, source_of("requirepass-file"), &mut warnings)?;
    warn_of_open_door(&config, &mut warnings);
    Ok(Resolved { config, sources, warnings })
}

fn apply(
    config: &mut Config,
    setting: &'static Setting,
    source: &Source,
    texts: &[String],
) -> Result<(), SettingError> {
    setting.kind.set(config, texts).map_err(|not| SettingError::Value {
        setting: setting.name,
        source: source.clone(),
        value: not.value,
        allowed: setting.kind.allowed(),
    })
}

/// The settings in the environment: name, variable, texts.
fn read_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(&'static str, Source, Vec<String>)>, SettingError> {
    let mut found = Vec::new();
    for (variable, value) in environment {
        let Some(variable) = variable.to_str().filter(|name| name.starts_with(VARIABLE_PREFIX)) else {
            continue;
        };
        let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == variable) else {
            let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
            let near = nearest(variable, known.iter().map(String::as_str)).map(ToOwned::to_owned);
            let source = Source::Variable(variable.to_owned());
            return Err(SettingError::Unknown { source, name: variable.to_owned(), near });
        };
        let source = Source::Variable(variable.to_owned());
        let Some(value) = value.to_str() else {
            let value = value.to_string_lossy().into_owned();
            let reason = "it is not UTF-8".to_owned();
            return Err(SettingError::Unusable { setting: setting.name, source, value, reason });
        };
        let texts = if setting.kind.is_list() {
            let texts = value.split([',', ' ']).filter(|text| !text.is_empty());
            texts.map(ToOwned::to_owned).collect()
        } else {
            vec![value.to_owned()]
        };
        found.push((setting.name, source, texts));
    }
    Ok(found)
}

/// A data directory may be missing, but nothing else may stand in its place.
fn check_data_dir(config: &Config, source: Source) -> Result<(), SettingError> {
    let is_other = std::fs::metadata(&config.data_dir).is_ok_and(|found| !found.is_dir());
    if !is_other {
        return Ok(());
    }
    let value = config.data_dir.display().to_string();
    let reason = "it is there and no directory".to_owned();
    Err(SettingError::Unusable { setting: "data-dir", source, value, reason })
}

fn read_password(
    config: &mut Config,
    source: Source,
    warnings: &mut Vec<String>,
) -> Result<(), SettingError> {
    let Some(path) = config.requirepass_file.clone() else { return Ok(()) };
    let unusable = |reason: &str| SettingError::Unusable {
        setting: "requirepass-file",
        source: source.clone(),
        value: path.display().to_string(),
        reason: reason.to_owned(),
    };
    let content = std::fs::read(&path).map_err(|error| unusable(&error.to_string()))?;
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    let password = line.strip_suffix(b"\r").unwrap_or(line);
    if password.is_empty() {
        return Err(unusable("the file is empty"));
    }
    if password.len() > MOST_PASSWORD_BYTES {
        return Err(unusable(&format!("the file has over {MOST_PASSWORD_BYTES} bytes")));
    }
    if is_readable_by_all(&path) {
        warnings.push(format!("requirepass-file {}: every user of this machine can read it", path.display()));
    }
    config.password = Some(Secret::new(password));
    Ok(())
}

fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    const READABLE_BY_OTHERS: u32 = 0o004;
    std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & READABLE_BY_OTHERS != 0)
}

fn warn_of_open_door(config: &Config, warnings: &mut Vec<String>) {
    if config.password.is_some() {
        return;
    }
    let open = config.listen.iter().filter(|address| !address.is_local());
    warnings.extend(
        open.map(|address| {
            format!("listen {address}: other machines can connect, and no password is needed")
        }),
    );
}
