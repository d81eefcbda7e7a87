//! A throwaway Postgres: made in a new directory, on a free port, gone with the process that made it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Where Debian's packages put the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// How often another free port is tried, should somebody take the one before.
const MAX_STARTS: u32 = 5;

/// Makes, starts and announces the server, then waits until its standard input ends, which it does also when the process behind is
/// killed; stops the server by its number and deletes it. Postgres refuses to run as root.
const SCRIPT: &str = r#"
set -eu
bin=$1 port=$2 fsync=$3
umask 077
dir=$(mktemp -d)
stop() {
  [ ! -f "$dir/data/postmaster.pid" ] || "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$dir"
}
trap stop EXIT
trap 'exit 1' HUP INT TERM
"$bin/initdb" -D "$dir/data" -A trust -U postgres -E UTF8 --locale=C --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
"$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" \
  -o "-h 127.0.0.1 -k $dir -p $port -c fsync=$fsync -c max_wal_size=4GB" start >/dev/null 2>&1 || { cat "$dir/log" >&2; exit 1; }
echo ready
cat >/dev/null
"#;

/// A running server; it ends when this is dropped, or the process ends.
pub struct Server {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    script: Child,
    /// What the script waits for.
    stdin: Option<ChildStdin>,
}

impl Server {
    /// Starts a server. Without `fsync` a commit is faster and does not survive the machine, which most tests do not ask for.
    ///
    /// # Panics
    /// With the remedy, where Postgres is not installed.
    pub fn start(fsync: bool) -> Self {
        let programs = programs();
        (0..MAX_STARTS)
            .find_map(|_| Self::try_start(&programs, fsync))
            .expect("Postgres does not start, see above")
    }

    fn try_start(programs: &Path, fsync: bool) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a port is free").port();
        let mut script = as_postgres(Path::new("sh"));
        script.args(["-c", SCRIPT, "sh"]).arg(programs).arg(port.to_string()).arg(if fsync {
            "on"
        } else {
            "off"
        });
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().expect("a shell starts");
        let stdin = script.stdin.take();
        let mut line = String::new();
        let read = BufReader::new(script.stdout.take().expect("it was piped")).read_line(&mut line);
        read.expect("the script's output can be read");
        if line.trim() != "ready" {
            script.wait().expect("the script ends");
            return None;
        }
        Some(Self { port, script, stdin })
    }

    /// The address of its database `postgres`, for its superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.script.wait().expect("the script ends once its input does");
    }
}

/// A program as a user that Postgres runs for.
pub fn as_postgres(program: &Path) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

/// The programs of the newest version that is installed.
pub fn programs() -> PathBuf {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut installed: Vec<_> =
        versions.map(|path| path.join("bin")).filter(|bin| bin.join("initdb").exists()).collect();
    installed.sort();
    installed.pop().unwrap_or_else(|| {
        panic!(
            "there is no {VERSIONS}/*/bin/initdb: as root, write 'create_main_cluster = false' to \
             /etc/postgresql-common/createcluster.conf, then run: apt-get install --no-install-recommends postgresql"
        )
    })
}
