//! One value for each setting out of flags, environment, file and defaults, in this order of precedence.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::aws::Variables;
use super::near::nearest;
use super::setting::VARIABLE_PREFIX;
use super::{
    CommandLine, Config, SETTINGS, Secret, Setting, SettingError, Source, bounded_file, file, service_link,
    setting, snapshot_checks,
};

/// The most bytes of a password file, so that a wrong path to a huge file is found at the start.
const MOST_PASSWORD_FILE_BYTES: u64 = 4_096;

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

type Texts = BTreeMap<&'static str, Given>;

/// Where a setting was given, and as what.
type Given = (Source, Vec<String>);

/// Reads flags, environment and file.
///
/// # Errors
/// The first setting that is wrong.
pub fn resolve(
    flags: &CommandLine,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Resolved, SettingError> {
    let environment: Vec<_> = environment.into_iter().collect();
    let variables = Variables::pick(&environment);
    let mut given = read_environment(environment)?;
    for (name, texts) in &flags.flags {
        let setting = setting(name).expect("flags are made of settings");
        let texts = texts.iter().flat_map(|text| setting.kind.split(text)).collect();
        given.insert(name, (Source::Flag((*name).to_owned()), texts));
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
    check_data_dir(&config, &source_of("data-dir"))?;
    check_truth(&config, &source_of("truth"))?;
    read_password(&mut config, &source_of("requirepass-file"), &mut warnings)?;
    snapshot_checks::check(&mut config, &source_of, &variables, &mut warnings)?;
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

/// The settings in the environment.
fn read_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Texts, SettingError> {
    let mut found = Texts::new();
    for (variable, value) in environment {
        let Some(variable) = variable.to_str().filter(|name| name.starts_with(VARIABLE_PREFIX)) else {
            continue;
        };
        if service_link::is_one(variable, &value.to_string_lossy()) {
            continue;
        }
        let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == variable) else {
            let known: Vec<String> = SETTINGS.iter().map(Setting::variable).collect();
            let near = nearest(variable, known.iter().map(String::as_str)).map(ToOwned::to_owned);
            let source = Source::Variable(variable.to_owned());
            return Err(SettingError::Unknown { source, name: variable.to_owned(), near });
        };
        let source = Source::Variable(variable.to_owned());
        let Some(value) = value.to_str() else {
            let value = setting.kind.told(&value.to_string_lossy());
            let reason = "it is not UTF-8".to_owned();
            return Err(SettingError::Unusable { setting: setting.name, source, value, reason });
        };
        found.insert(setting.name, (source, setting.kind.split(value)));
    }
    Ok(found)
}

/// A data directory may be missing, but nothing else may stand in its place.
fn check_data_dir(config: &Config, source: &Source) -> Result<(), SettingError> {
    let is_other = std::fs::metadata(&config.data_dir).is_ok_and(|found| !found.is_dir());
    if !is_other {
        return Ok(());
    }
    let value = config.data_dir.display().to_string();
    let reason = "it is there and no directory".to_owned();
    Err(SettingError::Unusable { setting: "data-dir", source: source.clone(), value, reason })
}

/// An address of Postgres with a parameter that is misspelled would be one without it: another schema, or no certificate checked.
fn check_truth(config: &Config, source: &Source) -> Result<(), SettingError> {
    config.truth.check().map_err(|reason| {
        let value = config.truth.to_string();
        SettingError::Unusable { setting: "truth", source: source.clone(), value, reason }
    })
}

fn read_password(
    config: &mut Config,
    source: &Source,
    warnings: &mut Vec<String>,
) -> Result<(), SettingError> {
    let Some(path) = config.requirepass_file.clone() else { return Ok(()) };
    let unusable = |reason: String| SettingError::Unusable {
        setting: "requirepass-file",
        source: source.clone(),
        value: path.display().to_string(),
        reason,
    };
    let content = bounded_file::read(&path, MOST_PASSWORD_FILE_BYTES).map_err(unusable)?;
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    let password = line.strip_suffix(b"\r").unwrap_or(line);
    if password.is_empty() {
        return Err(unusable("the file is empty".to_owned()));
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::super::print_config;
    use super::*;

    /// Resolves a command line and variables; `DIR` stands for the directory.
    fn resolved(dir: &TempDir, line: &str, variables: &[(&str, &str)]) -> Result<Resolved, String> {
        let fill = |text: &str| text.replace("DIR", &dir.path().display().to_string());
        let line = format!("quotad {line}");
        let arguments = line.split_whitespace().map(|word| OsString::from(fill(word)));
        let line = CommandLine::parse(arguments).map_err(|end| format!("{end:?}"))?;
        let variables = variables.iter().map(|(name, value)| ((*name).into(), fill(value).into()));
        resolve(&line, variables).map_err(|error| fill_back(dir, &error.to_string()))
    }

    fn fill_back(dir: &TempDir, text: &str) -> String {
        text.replace(&dir.path().display().to_string(), "DIR")
    }

    fn directory(files: &[(&str, &str)]) -> TempDir {
        let dir = TempDir::new().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        dir
    }

    #[test]
    fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
        let dir = directory(&[("c.toml", "maxclients = 1\nthreads = 1\ntimeout = \"5m\"\n")]);
        let variables = [
            ("QUOTAD_CONFIG", "DIR/c.toml"),
            ("QUOTAD_MAXCLIENTS", "2"),
            ("QUOTAD_THREADS", "2"),
            ("HOME", "/"),
        ];
        let all = resolved(&dir, "--maxclients 3", &variables).unwrap();
        assert_eq!((all.config.maxclients, all.config.threads, all.config.timeout_secs), (3, 2, 300));
        assert_eq!(all.config.tcp_backlog, 511);
        let source = |name| all.sources.get(name).map(ToString::to_string);
        assert_eq!(source("maxclients").as_deref(), Some("flag --maxclients"));
        assert_eq!(source("threads").as_deref(), Some("variable QUOTAD_THREADS"));
        assert!(source("timeout").is_some_and(|text| text.starts_with("file ")));
        assert_eq!(source("tcp-backlog"), None);
    }

    #[test]
    fn what_kubernetes_says_of_a_service_called_quotad_is_no_setting() {
        let dir = directory(&[]);
        let links = [
            ("QUOTAD_SERVICE_HOST", "10.0.0.11"),
            ("QUOTAD_SERVICE_PORT", "6379"),
            ("QUOTAD_SERVICE_PORT_REDIS", "6379"),
            ("QUOTAD_PORT", "tcp://10.0.0.11:6379"),
            ("QUOTAD_PORT_6379_TCP", "tcp://10.0.0.11:6379"),
            ("QUOTAD_PORT_6379_TCP_ADDR", "10.0.0.11"),
        ];
        assert!(resolved(&dir, "", &links).unwrap().sources.is_empty());
        assert_eq!(
            resolved(&dir, "", &[("QUOTAD_PORT", "6379")]).unwrap_err(),
            "QUOTAD_PORT is no setting (environment): quotad --help lists all settings"
        );
    }

    #[test]
    fn a_list_replaces_the_one_it_wins_over() {
        let dir = directory(&[("c.toml", "listen = [\"a:1\", \"b:2\"]\n")]);
        let listen = |line, variables: &[(&str, &str)]| {
            let config = resolved(&dir, line, variables).unwrap().config;
            config.listen.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(listen("--config DIR/c.toml", &[]), ["a:1", "b:2"]);
        assert_eq!(listen("--config DIR/c.toml", &[("QUOTAD_LISTEN", "c:3, unix:/x")]), ["c:3", "unix:/x"]);
        assert_eq!(listen("--config DIR/c.toml --listen d:4", &[("QUOTAD_LISTEN", "c:3")]), ["d:4"]);
        assert_eq!(listen("", &[]), ["127.0.0.1:6379"]);
    }

    #[test]
    fn several_addresses_are_separated_alike_everywhere() {
        let dir = directory(&[
            ("text.toml", "listen = \"a:1, unix:/x\"\n"),
            ("list.toml", "listen = [\"a:1\", \"unix:/x\"]\n"),
            ("comma.toml", "listen = [\"unix:/a,b\"]\n"),
        ]);
        let listen = |line, variables: &[(&str, &str)]| {
            let config = resolved(&dir, line, variables).unwrap().config;
            config.listen.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(listen("--listen a:1,unix:/x", &[]), ["a:1", "unix:/x"]);
        assert_eq!(listen("--listen a:1,b:2 --listen c:3", &[]), ["a:1", "b:2", "c:3"]);
        assert_eq!(listen("", &[("QUOTAD_LISTEN", "a:1,unix:/x")]), ["a:1", "unix:/x"]);
        assert_eq!(listen("--config DIR/text.toml", &[]), ["a:1", "unix:/x"]);
        assert_eq!(listen("--config DIR/list.toml", &[]), ["a:1", "unix:/x"]);
        assert_eq!(listen("--config DIR/comma.toml", &[]), ["unix:/a,b"], "a list's part is one address");
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one check for each wrong setting")]
    fn wrong_settings_are_named_with_source_value_and_what_is_allowed() {
        let dir = directory(&[
            ("wrong.toml", "tcp-keepalive = -1\n"),
            ("unknown.toml", "max_client = 5\n"),
            ("nested.toml", "config = \"x\"\n"),
            ("broken.toml", "threads = 1\nlisten = [\n"),
            ("table.toml", "[threads]\nmany = true\n"),
            ("empty", "\n"),
            ("mode.toml", "unixsocketperm = 0o770\n"),
        ]);
        let check = |line: &str, variables: &[(&str, &str)], expected: &str| {
            assert_eq!(resolved(&dir, line, variables).unwrap_err(), expected);
        };
        check(
            "--maxclients many",
            &[],
            "maxclients cannot be \"many\" (flag --maxclients): allowed is a number from 1 to 1073741816",
        );
        check(
            "",
            &[("QUOTAD_MAXMEMORY", "1tb")],
            "maxmemory cannot be \"1tb\" (variable QUOTAD_MAXMEMORY): allowed is bytes, such as 1048576, 100mb or 2gb",
        );
        check(
            "--config DIR/wrong.toml",
            &[],
            "tcp-keepalive cannot be \"-1\" (file DIR/wrong.toml): allowed is seconds from 0 to 86400, such as 300 or 5m",
        );
        check(
            "--config DIR/table.toml",
            &[],
            "threads cannot be \"{ many = true }\" (file DIR/table.toml): allowed is a number from 0 to 1024",
        );
        check(
            "--config DIR/unknown.toml",
            &[],
            "max_client is no setting (file DIR/unknown.toml): did you mean maxclients?",
        );
        check(
            "--config DIR/nested.toml",
            &[],
            "config is no setting (file DIR/nested.toml): quotad --help lists all settings",
        );
        check(
            "",
            &[("QUOTAD_THREAD", "1")],
            "QUOTAD_THREAD is no setting (environment): did you mean QUOTAD_THREADS?",
        );
        check(
            "",
            &[("QUOTAD_LISTEN", " ")],
            "listen cannot be \"\" (variable QUOTAD_LISTEN): allowed is host:port, [IPv6 address]:port or unix:/path; several \
             with commas between them, in a file also as a list: [\"host:1\", \"unix:/path\"]",
        );
        check(
            "--listen a:1 --listen b",
            &[],
            "listen cannot be \"b\" (flag --listen): allowed is host:port, [IPv6 address]:port or unix:/path; several \
             with commas between them, in a file also as a list: [\"host:1\", \"unix:/path\"]",
        );
        let octal = "octal digits from 0 to 777, in a file in quotes: \"770\"";
        for wrong in ["778", "1000", "+70", ""] {
            let expected = format!(
                "unixsocketperm cannot be {wrong:?} (variable QUOTAD_UNIXSOCKETPERM): allowed is {octal}"
            );
            check("", &[("QUOTAD_UNIXSOCKETPERM", wrong)], &expected);
        }
        check(
            "--config DIR/mode.toml",
            &[],
            &format!("unixsocketperm cannot be \"504\" (file DIR/mode.toml): allowed is {octal}"),
        );
        check(
            "--config DIR/none",
            &[],
            "config cannot be \"DIR/none\" (flag --config): No such file or directory (os error 2)",
        );
        check(
            "--requirepass-file DIR/none",
            &[],
            "requirepass-file cannot be \"DIR/none\" (flag --requirepass-file): No such file or directory (os error 2)",
        );
        check(
            "--requirepass-file DIR/empty",
            &[],
            "requirepass-file cannot be \"DIR/empty\" (flag --requirepass-file): the file is empty",
        );
        check(
            "--data-dir DIR/empty",
            &[],
            "data-dir cannot be \"DIR/empty\" (flag --data-dir): it is there and no directory",
        );
        check(
            "--truth postgres://q:p@h/db?sslmode=on",
            &[],
            "truth cannot be \"postgres://q:(hidden)@h/db?sslmode=on\" (flag --truth): sslmode cannot be on: allowed are \
             disable, allow, prefer, require, verify-ca, verify-full",
        );
        check(
            "--config /dev/zero",
            &[],
            "config cannot be \"/dev/zero\" (flag --config): the file is longer than 1048576 bytes, the most that is read",
        );
        check(
            "",
            &[("QUOTAD_REQUIREPASS_FILE", "/dev/zero")],
            "requirepass-file cannot be \"/dev/zero\" (variable QUOTAD_REQUIREPASS_FILE): the file is longer than 4096 bytes, \
             the most that is read",
        );
        let broken = resolved(&dir, "--config DIR/broken.toml", &[]).unwrap_err();
        assert!(
            broken.starts_with("config cannot be \"DIR/broken.toml\" (flag --config): line "),
            "{broken}"
        );
        assert!(!broken.contains('\n'), "{broken}");
    }

    #[test]
    fn the_password_is_the_files_line_and_never_printed() {
        let dir = directory(&[("unix", "hunter2\n"), ("dos", "hunter2\r\n"), ("bare", " hunter2 ")]);
        let password = |name| {
            let all = resolved(&dir, &format!("--requirepass-file DIR/{name}"), &[]).unwrap();
            assert!(!format!("{:?}", all.config).contains("hunter2"));
            assert!(!print_config(&all.config).contains("hunter2"));
            assert!(all.warnings.is_empty(), "{:?}", all.warnings);
            all.config.password.unwrap()
        };
        assert!(password("unix").is(b"hunter2"));
        assert!(password("dos").is(b"hunter2"));
        assert!(password("bare").is(b" hunter2 "));
    }

    #[test]
    fn what_is_probably_not_meant_is_warned_of() {
        let dir = directory(&[("secret", "hunter2")]);
        let warnings = |line| resolved(&dir, line, &[]).unwrap().warnings.join("; ");
        assert_eq!(warnings(""), "");
        assert!(warnings("--listen 0.0.0.0:6379").contains("no password"));
        assert_eq!(warnings("--listen 0.0.0.0:6379 --requirepass-file DIR/secret"), "");
        fs::set_permissions(dir.path().join("secret"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(warnings("--requirepass-file DIR/secret").contains("every user"));
    }

    #[test]
    fn a_printed_file_gives_the_same_settings() {
        let dir = directory(&[("secret", "hunter2")]);
        let line = "--listen [::1]:0 --listen unix:/x --maxmemory 18446744073709551615 --slowlog-log-slower-than -1 \
                    --enable-debug-command yes --admin off --unixsocketperm 0770 --data-dir a\"b --requirepass-file DIR/secret";
        for line in ["", line] {
            let first = resolved(&dir, line, &[]).unwrap().config;
            fs::write(dir.path().join("printed.toml"), print_config(&first)).unwrap();
            let second = resolved(&dir, "--config DIR/printed.toml", &[]).unwrap().config;
            for setting in SETTINGS.iter().filter(|setting| setting.name != "config") {
                assert_eq!(setting.kind.texts(&first), setting.kind.texts(&second), "{}", setting.name);
            }
        }
    }
}
