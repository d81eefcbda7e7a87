//! Where a server of a drill keeps its data, and the tools that look at what it left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::client::Client;
use crate::program::{FREE_PORTS, Running, quotad, text};
use crate::s3_server::{KEY_ID, SECRET};
use crate::support::Reply;

/// A data directory with the flags that its server and the tools are run with.
pub struct Site {
    directory: PathBuf,
    flags: Vec<String>,
}

impl Site {
    /// One with these flags.
    pub fn new(directory: impl Into<PathBuf>, flags: &[&str]) -> Self {
        Self { directory: directory.into(), flags: flags.iter().map(|&flag| flag.to_owned()).collect() }
    }

    /// The same data directory with further flags.
    pub fn with(&self, flags: &[&str]) -> Self {
        let mut site = Self { directory: self.directory.clone(), flags: self.flags.clone() };
        site.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        site
    }

    /// Where the data lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = quotad(words);
        command.arg("--data-dir").arg(&self.directory).args(&self.flags);
        command.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    }

    /// A server that listens, and may not serve yet.
    pub fn begin(&self) -> Running {
        Running::from(self.command(&FREE_PORTS))
    }

    /// A server that serves.
    pub fn start(&self) -> Running {
        let server = self.begin();
        let mut client = Client::of(&server);
        client.until(
            "GET nothing",
            |reply| !matches!(reply, Reply::Error(text) if text.starts_with("LOADING")),
        );
        server
    }

    /// Why a server ends by itself.
    pub fn refused(&self) -> String {
        let program = self.command(&FREE_PORTS);
        // One that serves all the same would never end.
        let mut limited = Command::new("timeout");
        limited
            .args(["--kill-after=5", "60"])
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear();
        limited.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = limited.output().expect("timeout is there");
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        text(&output.stderr)
    }

    /// `quotad snapshot` with these words; its exit code and what it printed.
    pub fn snapshot(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.command(&[&["snapshot"], words].concat()).output().expect("the program starts");
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    }

    /// `quotad snapshot` with these words, while it runs.
    pub fn begin_snapshot(&self, words: &[&str]) -> Child {
        self.command(&[&["snapshot"], words].concat()).spawn().expect("the program starts")
    }

    /// The snapshots that are listed, the newest first.
    pub fn ids(&self) -> Vec<String> {
        let (code, listed) = self.snapshot(&["list"]);
        assert_eq!(code, Some(0), "{listed}");
        listed.lines().skip(1).filter_map(|line| line.split(' ').next()).map(ToOwned::to_owned).collect()
    }
}

/// Ends a server in good order.
pub fn stop(server: Running) {
    server.signal("-TERM");
    assert_eq!(server.ended().code(), Some(0));
}

/// Ends a server as a crash does.
pub fn kill(server: Running) {
    server.signal("-KILL");
    assert_eq!(server.ended().code(), None);
}

/// All files below a folder whose names end so.
pub fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The first line with `part` that a server logs from its start on. Some come before it listens.
pub fn logged(server: &Running, part: &str) -> String {
    let early = server.warnings.iter().find(|line| line.contains(part));
    early.cloned().unwrap_or_else(|| server.line_with(part))
}
