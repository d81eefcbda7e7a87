//! The part of the command line that is about snapshots.

use clap::{Arg, ArgAction, ArgMatches, Command};

/// Keys that `inspect` prints unless told otherwise.
const DEFAULT_MOST: &str = "100";

/// What to do with snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotAction {
    /// Say which there are.
    List {
        /// As JSON.
        json: bool,
    },
    /// Read them and say whether every byte is right.
    Verify {
        /// Which; `None`: the newest.
        id: Option<String>,
        /// Every one.
        all: bool,
    },
    /// Show what is in one.
    Inspect {
        /// Which.
        id: String,
        /// Keys that are shown; `None`: none are.
        pattern: Option<String>,
        /// How many at most.
        most: u64,
    },
    /// Fill a truth from one.
    Restore {
        /// Which; `None`: the newest that is good.
        id: Option<String>,
        /// The truth's address; `None`: that of the settings.
        into: Option<String>,
        /// Whether what is in the truth is given up.
        replace: bool,
        /// Whether one is taken that is not confirmed, not complete, or not of one moment.
        any: bool,
    },
    /// Delete what the settings do not keep.
    Prune {
        /// Only say what would be deleted.
        dry_run: bool,
    },
}

/// The command with its own commands.
pub(super) fn snapshot_command() -> Command {
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let id = |help: &'static str| Arg::new("id").value_name("ID").help(help);
    Command::new("snapshot")
        .about("List, verify, inspect, restore or prune the snapshots that the settings name.")
        .subcommand_required(true)
        .subcommand(
            Command::new("list")
                .about("Say which snapshots there are, the newest first, by their manifests and the lengths of their parts; verify reads them.")
                .arg(switch("json", "Print a JSON document.")),
        )
        .subcommand(
            Command::new("verify")
                .about("Read a snapshot and say whether every byte of it is right; 1 if not.")
                .arg(id("Which one; without it the newest."))
                .arg(switch("all", "Every snapshot.").conflicts_with("id")),
        )
        .subcommand(
            Command::new("inspect")
                .about("Print a snapshot's manifest and keys.")
                .arg(id("Which one.").required(true))
                .arg(
                    Arg::new("match")
                        .long("match")
                        .value_name("PATTERN")
                        .help("Print the keys that fit this pattern, as of KEYS, with their values."),
                )
                .arg(
                    Arg::new("most")
                        .long("most")
                        .value_name("N")
                        .default_value(DEFAULT_MOST)
                        .value_parser(clap::value_parser!(u64))
                        .help("How many keys at most."),
                ),
        )
        .subcommand(
            Command::new("restore")
                .about("Fill an empty truth from a snapshot; a server that is then started on it answers as before.")
                .arg(id("Which one; without it the newest that is confirmed, complete and of one moment."))
                .arg(
                    Arg::new("into")
                        .long("into")
                        .value_name("TRUTH")
                        .help("The truth: postgres://user:password@host:port/database, sqlite:PATH, or sqlite for the file in data-dir. Without it what the setting truth says, so that a password can stand in QUOTAD_TRUTH or the file."),
                )
                .arg(switch("replace", "Delete what is in the truth first."))
                .arg(switch("any", "Also take a snapshot that is not confirmed, not complete, or not of one moment.")),
        )
        .subcommand(
            Command::new("prune")
                .about("Delete the snapshots that snapshot-keep and its like do not keep, as the server does behind each snapshot.")
                .arg(switch("dry-run", "Only say what would be deleted.")),
        )
}

/// What its arguments say; `None`: nothing.
pub(super) fn snapshot_action(matches: &ArgMatches) -> Option<SnapshotAction> {
    let (name, of) = matches.subcommand()?;
    let text = |name: &str| of.get_one::<String>(name).cloned();
    Some(match name {
        "list" => SnapshotAction::List { json: of.get_flag("json") },
        "verify" => SnapshotAction::Verify { id: text("id"), all: of.get_flag("all") },
        "inspect" => SnapshotAction::Inspect {
            id: text("id")?,
            pattern: text("match"),
            most: *of.get_one::<u64>("most")?,
        },
        "restore" => SnapshotAction::Restore {
            id: text("id"),
            into: text("into"),
            replace: of.get_flag("replace"),
            any: of.get_flag("any"),
        },
        "prune" => SnapshotAction::Prune { dry_run: of.get_flag("dry-run") },
        _ => return None,
    })
}
