//! A PgBouncer in transaction mode in front of a Postgres.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::postgres::as_postgres;
use crate::surroundings::until;

/// Where Debian's package puts it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A running PgBouncer; it is killed when this is dropped.
pub struct Pooler {
    port: u16,
    directory: tempfile::TempDir,
    child: Option<Child>,
}

impl Pooler {
    /// Starts one in front of a port of this machine.
    ///
    /// # Panics
    /// With the remedy, where it is not installed.
    pub fn start(upstream: u16) -> Self {
        assert!(
            Path::new(PROGRAM).exists(),
            "{PROGRAM} is missing; as root: apt-get install --no-install-recommends pgbouncer"
        );
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.expect("a port is free").port();
        let directory = tempfile::tempdir().expect("a directory can be made");
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={upstream} dbname=postgres user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = 10\nlog_connections = 0\nlog_disconnections = 0\n"
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
        until("PgBouncer accepts", || TcpStream::connect(("127.0.0.1", self.port)).ok());
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
