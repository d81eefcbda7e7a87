//! What the program does from its first to its last line.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use super::log;
use super::snapshot_tools;
use super::start::{End, Server, Surroundings};
use super::tools;
use super::truth::address;
use crate::config::{Action, CommandLine, CommandLineEnd, Resolved, print_config, resolve};

/// The exit code when something failed while starting or serving.
const FAILED: u8 = 1;

/// The exit code when the command line or a setting is wrong.
const WRONG_SETTING: u8 = 2;

/// Does what the command line says, and answers the exit code: 0 after an orderly end, 1 after a failure, 2 when the
/// command line or a setting is wrong.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let line = match CommandLine::parse(arguments) {
        Ok(line) => line,
        Err(CommandLineEnd::Text(text)) => return print(&text),
        Err(CommandLineEnd::Error(error)) => return complain(&error.to_string(), WRONG_SETTING),
    };
    let resolved = match resolve(&line, environment) {
        Ok(resolved) => resolved,
        Err(error) => return complain(&error.to_string(), WRONG_SETTING),
    };
    if let Err(error) = address(&resolved.config) {
        return complain(&error.to_string(), WRONG_SETTING);
    }
    match line.action {
        Action::PrintConfig => print(&print_config(&resolved.config)),
        Action::CheckConfig => print(&check_report(&resolved)),
        Action::Serve => serve(resolved),
        Action::Migrate { dry_run } => finish(tools::migrate(&resolved.config, dry_run)),
        Action::Verify => finish(tools::verify(&resolved.config)),
        Action::Snapshot(action) => finish(snapshot_tools::run(&resolved.config, &action)),
    }
}

/// What `check-config` says of settings that are right: `ok`, where each came from, the ids of
/// snapshots' keys, and what is probably not meant.
fn check_report(resolved: &Resolved) -> String {
    let mut report = String::from("ok\n");
    for (name, source) in &resolved.sources {
        report.push_str(&format!("{name}: {source}\n"));
    }
    for (path, id) in tools::key_ids(&resolved.config) {
        report.push_str(&format!("snapshot-key-file {}: the key {id}\n", path.display()));
    }
    for warning in resolved.warnings.iter().chain(&tools::warnings_of_start(&resolved.config)) {
        report.push_str(&format!("warning: {warning}\n"));
    }
    report
}

fn serve(resolved: Resolved) -> ExitCode {
    log::start(resolved.config.log_level, resolved.config.log_format);
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    let surroundings = Surroundings { signals: true, ..Surroundings::default() };
    let server = match Server::start_with(resolved.config, surroundings) {
        Ok(server) => server,
        Err(error) => return complain(&error.to_string(), FAILED),
    };
    match server.wait() {
        End::Orderly => ExitCode::SUCCESS,
        End::AtOnce | End::Failed => ExitCode::from(FAILED),
    }
}

/// Prints what a tool found; 1 where that is bad.
fn finish(found: Result<tools::Found, String>) -> ExitCode {
    match found {
        Ok(found) => {
            print(&found.text);
            if found.is_good { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
        }
        Err(error) => complain(&error, FAILED),
    }
}

fn print(text: &str) -> ExitCode {
    // Whoever closed the pipe does not want to read the rest.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn complain(line: &str, code: u8) -> ExitCode {
    // There is nowhere else to complain to.
    let _ = writeln!(std::io::stderr(), "quotad: {line}");
    ExitCode::from(code)
}
