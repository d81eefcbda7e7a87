//! The command line: what to do, and the settings given as flags.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::postgres_address::HIDDEN;
use super::{Kind, SETTINGS, Setting, SettingError, Source};

use super::snapshot_line::{SnapshotAction, snapshot_action, snapshot_command};

/// The flag of `migrate`.
const DRY_RUN: &str = "dry-run";

/// Above the settings in `--help`, which come behind what a command has of its own.
const SETTINGS_HEADING: &str = "Settings";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Serve clients.
    Serve,
    /// Say whether the settings are right.
    CheckConfig,
    /// Print the settings as a file.
    PrintConfig,
    /// Bring the truth's schema up to date.
    Migrate {
        /// Only say what would be done.
        dry_run: bool,
    },
    /// Compare a running server's memory with its truth.
    Verify,
    /// Something with snapshots.
    Snapshot(SnapshotAction),
}

/// A command line that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// What to do.
    pub action: Action,
    /// The settings given, with all their values.
    pub flags: Vec<(&'static str, Vec<String>)>,
}

/// Why there is nothing to do.
#[derive(Debug)]
pub enum CommandLineEnd {
    /// A text was asked for (`--help`, `--version`).
    Text(String),
    /// The command line is wrong.
    Error(SettingError),
}

impl CommandLine {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// [`CommandLineEnd`]: a text to print, or what is wrong.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, CommandLineEnd> {
        let matches = command().try_get_matches_from(arguments).map_err(|error| end_of(&error))?;
        let action = match matches.subcommand_name() {
            _ if matches.get_flag("print-config") => Action::PrintConfig,
            Some("check-config") => Action::CheckConfig,
            Some("migrate") => Action::Migrate {
                dry_run: matches
                    .subcommand_matches("migrate")
                    .is_some_and(|migrate| migrate.get_flag(DRY_RUN)),
            },
            Some("verify") => Action::Verify,
            Some("snapshot") => match matches.subcommand_matches("snapshot").and_then(snapshot_action) {
                Some(action) => Action::Snapshot(action),
                None => return Err(CommandLineEnd::Text(snapshot_command().render_help().to_string())),
            },
            _ => Action::Serve,
        };
        let given = |setting: &'static Setting| {
            let values = values_of(&matches, setting.name)?;
            Some((setting.name, values))
        };
        Ok(Self { action, flags: SETTINGS.iter().filter_map(given).collect() })
    }
}

fn values_of(matches: &ArgMatches, name: &str) -> Option<Vec<String>> {
    matches.get_many::<String>(name).map(|values| values.cloned().collect())
}

fn command() -> Command {
    let subcommand = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let print_config = Arg::new("print-config")
        .long("print-config")
        .action(ArgAction::SetTrue)
        .global(true)
        .help_heading(SETTINGS_HEADING)
        .help("Print the settings that would hold as a file, passwords left out, and end.");
    Command::new("quotad")
        .version(env!("CARGO_PKG_VERSION"))
        .about("An in-memory quota server that speaks the Redis protocol.")
        .after_help(
            "Every setting is also an environment variable (QUOTAD_MAX_KEY_BYTES) and a key of the file \
             (max-key-bytes = \"64kb\"). A flag wins over a variable, a variable over the file.",
        )
        .args(SETTINGS.iter().map(flag))
        .arg(print_config)
        .subcommand(subcommand("serve", "Serve clients; this is also done without a command."))
        .subcommand(subcommand("check-config", "Say whether the settings are right, and end."))
        .subcommand(
            subcommand("migrate", "Bring the truth's schema up to date, as every start does, and end.").arg(
                Arg::new(DRY_RUN)
                    .long(DRY_RUN)
                    .action(ArgAction::SetTrue)
                    .help("Only say what would be done."),
            ),
        )
        .subcommand(snapshot_command())
        .subcommand(subcommand(
            "verify",
            "Compare the memory of the running server (at the first listen address) with its truth; 1 if keys differ.",
        ))
}

fn flag(setting: &Setting) -> Arg {
    let flag = Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.kind.placeholder())
        .action(if setting.kind.is_list() { ArgAction::Append } else { ArgAction::Set })
        .allow_hyphen_values(true)
        .global(true)
        .help_heading(SETTINGS_HEADING)
        .help(format!("{} [default: {}]", setting.help, setting.default_text()));
    match setting.kind {
        // Without the equals sign a command that follows would be taken for the value.
        Kind::Flag(_) => flag.num_args(0..=1).require_equals(true).default_missing_value("yes"),
        _ => flag,
    }
}

fn end_of(error: &clap::Error) -> CommandLineEnd {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return CommandLineEnd::Text(error.to_string());
    }
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    if let (ErrorKind::UnknownArgument, Some(name)) = (error.kind(), context(ContextKind::InvalidArg))
        && let Some(name) = name.strip_prefix("--")
        && !may_hold_password(name)
    {
        // Of what a command has of its own clap alone knows whether it stands here.
        let own = context(ContextKind::SuggestedArg);
        let own = own.as_deref().and_then(|own| own.strip_prefix("--"));
        let near = super::near::nearest(name, SETTINGS.iter().map(|setting| setting.name).chain(own));
        let (near, name) = (near.map(ToOwned::to_owned), name.to_owned());
        return CommandLineEnd::Error(SettingError::Unknown {
            source: Source::Flag(name.clone()),
            name,
            near,
        });
    }
    let line = line_of(error);
    let words = line.split(' ').map(|word| if may_hold_password(word) { HIDDEN } else { word });
    CommandLineEnd::Error(SettingError::CommandLine(words.collect::<Vec<_>>().join(" ")))
}

/// One line of what clap says in several.
fn line_of(error: &clap::Error) -> String {
    let text = error.to_string();
    let mut lines = text.lines();
    // It begins with what is wrong, and lists below it what that is.
    let line = lines.next().unwrap_or_default().trim_start_matches("error: ");
    let of = if text.contains("Usage: quotad snapshot") { snapshot_command() } else { command() };
    match error.kind() {
        ErrorKind::MissingSubcommand | ErrorKind::InvalidSubcommand => {
            let names: Vec<_> = of.get_subcommands().map(Command::get_name).collect();
            format!("{line}: allowed are {}", names.join(", "))
        }
        ErrorKind::MissingRequiredArgument | ErrorKind::ArgumentConflict if line.ends_with(':') => {
            let listed: Vec<_> = lines.take_while(|line| line.starts_with(' ')).map(str::trim).collect();
            format!("{line} {}", listed.join(", "))
        }
        _ => line.to_owned(),
    }
}

/// Whether a word of a wrong command line may be a truth's address, whose flag is missing or misspelled.
fn may_hold_password(word: &str) -> bool {
    word.contains('@') || word.contains("password=")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<CommandLine, CommandLineEnd> {
        CommandLine::parse(line.split_whitespace().map(OsString::from))
    }

    fn error(line: &str) -> String {
        match parse(line) {
            Err(CommandLineEnd::Error(error)) => error.to_string(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn actions() {
        let action = |line| parse(line).unwrap().action;
        assert_eq!(action("quotad"), Action::Serve);
        assert_eq!(action("quotad serve"), Action::Serve);
        assert_eq!(action("quotad check-config --threads 2"), Action::CheckConfig);
        assert_eq!(action("quotad --print-config"), Action::PrintConfig);
        assert_eq!(action("quotad serve --print-config"), Action::PrintConfig);
    }

    #[test]
    fn flags_stand_before_or_behind_the_command_and_listen_repeats() {
        for line in [
            "quotad serve --listen a:1 --listen=b:2 --slowlog-log-slower-than -1",
            "quotad --listen a:1 --listen b:2 --slowlog-log-slower-than=-1 serve",
        ] {
            let flags = parse(line).unwrap().flags;
            let listen = vec!["a:1".to_owned(), "b:2".to_owned()];
            assert_eq!(flags, [("listen", listen), ("slowlog-log-slower-than", vec!["-1".to_owned()])]);
        }
    }

    #[test]
    fn errors_are_one_line() {
        assert_eq!(
            error("quotad --max-memory 1"),
            "--max-memory is no setting (command line): did you mean --maxmemory?"
        );
        assert_eq!(
            error("quotad --requirepass x"),
            "--requirepass is no setting (command line): quotad --help lists all settings"
        );
        for line in [
            "quotad start",
            "quotad --threads",
            "quotad --threads 1 --threads 2",
            "quotad -x",
            "quotad postgres://q:SECRET@h/db",
            "quotad postgres://q@h/db?password=SECRET",
            "quotad --trut=postgres://q:SECRET@h/db",
            "quotad --trut:postgres://q:SECRET@h/db",
        ] {
            let text = error(line);
            assert!(!text.is_empty() && !text.contains('\n') && !text.contains("SECRET"), "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_unknown_is_named_with_what_is_allowed() {
        assert_eq!(
            error("quotad snapshot inspect"),
            "the following required arguments were not provided: <ID>"
        );
        let commands = "allowed are list, verify, inspect, restore, prune";
        assert_eq!(
            error("quotad snapshot"),
            format!("'quotad snapshot' requires a subcommand but one was not provided: {commands}")
        );
        assert_eq!(error("quotad snapshot bogus"), format!("unrecognized subcommand 'bogus': {commands}"));
        assert_eq!(
            error("quotad bogus"),
            "unrecognized subcommand 'bogus': allowed are serve, check-config, migrate, snapshot, verify"
        );
    }

    #[test]
    fn what_a_command_has_of_its_own_is_meant_too() {
        for (line, near) in [
            ("quotad snapshot list --jso", "--json"),
            ("quotad snapshot restore --replac", "--replace"),
            ("quotad migrate --dryrun", "--dry-run"),
            ("quotad snapshot list --data-dri x", "--data-dir"),
        ] {
            let told = error(line);
            assert!(told.ends_with(&format!("did you mean {near}?")), "{told}");
        }
        let told = error("quotad snapshot verify 1 --all");
        assert!(told.contains("cannot be used with") && told.contains("--all"), "{told}");
    }

    #[test]
    fn what_a_command_has_of_its_own_stands_above_the_settings() {
        for (line, own) in [
            ("quotad snapshot restore --help", &["--into", "--replace", "--any"][..]),
            ("quotad snapshot inspect --help", &["--match", "--most"]),
            ("quotad snapshot list --help", &["--json"]),
            ("quotad migrate --help", &["--dry-run"]),
        ] {
            let Err(CommandLineEnd::Text(help)) = parse(line) else { panic!("no help") };
            let (above, below) = help.split_once("\nSettings:\n").expect("settings have a heading");
            assert!(own.iter().all(|option| above.contains(option)), "{above}");
            assert!(!above.contains("--listen") && below.contains("--listen"), "{help}");
        }
    }

    #[test]
    fn help_names_every_setting_and_version_is_told() {
        let Err(CommandLineEnd::Text(help)) = parse("quotad --help") else { panic!("no help") };
        let Err(CommandLineEnd::Text(command)) = parse("quotad help") else { panic!("no help") };
        assert_eq!(command, help);
        for setting in SETTINGS {
            assert!(help.contains(&format!("--{}", setting.name)), "{}", setting.name);
        }
        let Err(CommandLineEnd::Text(version)) = parse("quotad --version") else { panic!("no version") };
        assert_eq!(version.trim(), concat!("quotad ", env!("CARGO_PKG_VERSION")));
    }
}
