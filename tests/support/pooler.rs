//! A PgBouncer in transaction mode in front of a Postgres.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::postgres::as_postgres;

/// Where Debian's package puts it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// How often it is tried whether it accepts connections, and the time between two tries: a minute in all.
const TRIES: u32 = 6_000;
const TRY_PAUSE: Duration = Duration::from_millis(10);

/// A running PgBouncer; it is killed when this is dropped.
pub struct Pooler {
    port: u16,
    directory: tempfile::TempDir,
    child: Option<Child>,
}

impl Pooler {
    /// Starts one in front of the database `postgres` at a port of this machine, where whoever comes is `user`, and gets, for as long as a
    /// transaction takes, the one of `servers` connections that was not used for the longest time.
    ///
    /// # Panics
    /// With the remedy, where it is not installed.
    pub fn start(upstream: u16, user: &str, servers: u32) -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing; as root: apt-get install --no-install-recommends pgbouncer"
        );
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a port is free").port();
        let directory = tempfile::tempdir().expect("a directory can be made");
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={upstream} dbname=postgres user={user}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {servers}\nserver_round_robin = 1\nlog_connections = 0\nlog_disconnections = 0\n"
        );
        std::fs::write(directory.path().join("settings"), settings).expect("a file can be written");
        // It runs as another user than root, who is to read this.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).expect("the directory is ours");
        let mut pooler = Self { port, directory, child: None };
        pooler.start_again();
        pooler
    }

    /// Where it listens, on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Starts it where it was.
    pub fn start_again(&mut self) {
        let mut command = as_postgres(Path::new(PROGRAM));
        command.arg("-q").arg(self.directory.path().join("settings"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("PgBouncer can be started"));
        let (_sender, receiver) = sync_channel::<()>(0);
        let accepts = (0..TRIES).any(|_| {
            // Nobody sends, so this is over when the time is.
            let _ = receiver.recv_timeout(TRY_PAUSE);
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        assert!(accepts, "PgBouncer does not accept connections at port {}", self.port);
    }

    /// Kills it, and with it every connection.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().expect("PgBouncer is there");
        child.wait().expect("it can be waited for");
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.kill();
    }
}
