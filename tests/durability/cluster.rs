//! A Postgres that is stopped, killed and frozen, and comes back on the same port with the same data.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::postgres::{Server, as_postgres, programs};
use crate::surroundings::until;

/// A Postgres under a test's control.
pub struct Cluster {
    /// Ends and deletes it.
    _server: Option<Server>,
    port: u16,
    data: PathBuf,
}

impl Cluster {
    /// Makes and starts one whose commits reach the disk.
    pub fn start() -> Self {
        let server = Server::start(true);
        let port = server.port;
        let mut cluster = Self { _server: Some(server), port, data: PathBuf::new() };
        cluster.data = PathBuf::from(cluster.text("SHOW data_directory"));
        cluster
    }

    /// Makes and starts an asynchronous replica of this one.
    pub fn replica(&self) -> Self {
        let made = output(as_postgres(Path::new("mktemp")).arg("-d"));
        let data = PathBuf::from(made.trim()).join("data");
        let backup = programs().join("pg_basebackup");
        let copy = ["-R", "-X", "stream", "-c", "fast", "-h", "127.0.0.1", "-U", "postgres", "-p"];
        output(as_postgres(&backup).arg("-D").arg(&data).args(copy).arg(self.port.to_string()));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a port is free").port();
        let replica = Self { _server: None, port, data };
        let options = format!("-h 127.0.0.1 -k {} -p {port}", replica.directory().display());
        replica.control(&["-o", &options, "start"]).expect("the replica starts");
        replica
    }

    fn directory(&self) -> &Path {
        self.data.parent().expect("the data lies in a directory of its own")
    }

    /// Where it listens, on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The address of its database for its superuser.
    pub fn url(&self) -> String {
        url_at(self.port)
    }

    /// The postmaster's process number, and those of all its children.
    fn processes(&self) -> Vec<i32> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).expect("the server runs");
        let postmaster =
            text.lines().next().and_then(|line| line.parse().ok()).expect("it begins with a number");
        let mut processes = vec![postmaster];
        for entry in std::fs::read_dir("/proc").expect("the system shows processes").flatten() {
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if status_of(process).is_some_and(|(_, parent)| parent == postmaster) {
                processes.push(process);
            }
        }
        processes
    }

    fn signal_all(processes: &[i32], signal: Signal) {
        for process in processes.iter().filter_map(|process| Pid::from_raw(*process)) {
            // A child may have ended since it was seen.
            let _ = kill_process(process, signal);
        }
    }

    /// Kills every process of it at once: what was not committed is gone, and nobody was told.
    pub fn kill(&self) {
        let processes = self.processes();
        Self::signal_all(&processes, Signal::KILL);
        // A child that was begun in between notices that its postmaster is gone.
        until("every process of Postgres ends", || {
            processes
                .iter()
                .all(|process| status_of(*process).is_none_or(|(state, _)| state == 'Z'))
                .then_some(())
        });
        // Its number may belong to another process by now, and Postgres would not start.
        std::fs::remove_file(self.data.join("postmaster.pid")).expect("the postmaster has left its file");
    }

    /// Stops it in good order, without waiting for clients.
    pub fn stop(&self) {
        self.control(&["-m", "fast", "stop"]).expect("Postgres stops");
    }

    /// Starts it again, where and as it was.
    pub fn start_again(&self) {
        until("Postgres starts again", || self.control(&["restart"]).ok());
    }

    /// Stops every process where it stands: connections stay open, and nothing answers.
    pub fn freeze(&self) {
        Self::signal_all(&self.processes(), Signal::STOP);
    }

    /// Lets every process go on.
    pub fn thaw(&self) {
        Self::signal_all(&self.processes(), Signal::CONT);
    }

    fn control(&self, arguments: &[&str]) -> Result<(), ()> {
        let mut command = as_postgres(&programs().join("pg_ctl"));
        // The server keeps what it inherits open, so it inherits nothing that somebody reads to its end.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
            .arg("-D")
            .arg(&self.data)
            .arg("-w")
            .arg("-l")
            .arg(self.directory().join("log"))
            .args(arguments);
        let status = command.status().expect("pg_ctl can be started");
        if status.success() { Ok(()) } else { Err(()) }
    }

    /// Opens a session.
    pub fn session(&self) -> Session {
        Session::open(&self.url())
    }

    /// Runs statements.
    pub fn run(&self, sql: &str) {
        self.session().run(sql);
    }

    /// One text from the database.
    pub fn text(&self, sql: &str) -> String {
        self.session().text(sql)
    }

    /// Whether it is true there.
    pub fn is_true(&self, sql: &str) -> bool {
        self.text(&format!("SELECT ({sql})::text")) == "true"
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.data.join("postmaster.pid").exists() {
            self.thaw();
        }
        if self._server.is_none() {
            // It may be stopped already.
            let _ = self.control(&["-m", "immediate", "stop"]);
            let _ = std::fs::remove_dir_all(self.directory());
        }
    }
}

/// The address of the database `postgres` at a port of this machine.
pub fn url_at(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
}

/// A process's state and its parent.
fn status_of(process: i32) -> Option<(char, i32)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before may hold anything, but it is the last to be in brackets.
    let (_, rest) = text.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the program can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("its output is UTF-8")
}

/// A session that stays open until it is dropped.
pub struct Session {
    runtime: tokio::runtime::Runtime,
    connection: PgConnection,
}

impl Session {
    /// Connects.
    pub fn open(url: &str) -> Self {
        Self::try_open(url).expect("Postgres accepts")
    }

    /// Connects, if it is let.
    pub fn try_open(url: &str) -> Result<Self, sqlx::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let connection = runtime.block_on(PgConnection::connect(url))?;
        Ok(Self { runtime, connection })
    }

    /// Runs statements.
    pub fn run(&mut self, sql: &str) {
        let statements = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        self.runtime.block_on(self.connection.execute(statements)).expect("the statements run");
    }

    /// One text.
    pub fn text(&mut self, sql: &str) -> String {
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        self.runtime.block_on(query.fetch_one(&mut self.connection)).expect("the query runs")
    }
}
