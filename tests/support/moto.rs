//! moto, a second store that speaks S3, on a free port; gone with the process that started it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Serves until its standard input ends, which it does also when the process behind is killed.
const SCRIPT: &str = r#"
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"#;

/// A running store.
pub struct Moto {
    port: u16,
    python: Child,
    /// What the script waits for.
    stdin: Option<ChildStdin>,
}

impl Moto {
    /// Starts it.
    ///
    /// # Panics
    /// With the remedy, where it is not installed.
    pub fn start() -> Self {
        let python = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/.venv/bin/python");
        let mut command = Command::new(&python);
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let remedy = "`tests/run test` installs it";
        let mut python = command.spawn().unwrap_or_else(|error| {
            panic!("moto is missing: {} cannot be run: {error}; {remedy}", python.display())
        });
        let stdin = python.stdin.take();
        let mut line = String::new();
        let stdout = python.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("its output can be read");
        let Ok(port) = line.trim().parse() else {
            panic!("moto does not start, see above: {remedy}");
        };
        Self { port, python, stdin }
    }

    /// Where it listens, on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It ends by itself, and a test that is over need not know how.
        let _ = self.python.wait();
    }
}
