//! The program as a test runs it: started with a clean environment, read from, and ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use quotad::clock::Stopwatch;

/// How long anything may take before a test fails: far longer than it takes on the slowest machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The program with a clean environment, in a directory of its own.
pub fn quotad(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quotad"));
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Flags that let every test have servers of its own, and lines that can be read.
pub const FREE_PORTS: [&str; 8] =
    ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log-format", "json", "--threads", "2"];

/// What tests of other things than durability add: memory only, so that no two servers meet in one data directory.
pub const MEMORY_ONLY: [&str; 4] = ["--truth", "none", "--snapshots", "none"];

/// The program on free ports, when it may hold only so many files open as `ulimit` with these arguments says.
pub fn limited(ulimit: &str, arguments: &[&str]) -> Command {
    let program = quotad(&[&FREE_PORTS[..], &MEMORY_ONLY, arguments].concat());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &format!("ulimit {ulimit} && exec \"$0\" \"$@\"")]).arg(program.get_program());
    shell.args(program.get_args()).env_clear();
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

pub fn finished(arguments: &[&str]) -> Output {
    quotad(arguments).output().expect("the program starts")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("texts are UTF-8")
}

/// A server on free ports, ended when it is dropped.
pub struct Running {
    pub child: Child,
    pub lines: Receiver<String>,
    pub clients: SocketAddr,
    pub admin: SocketAddr,
    /// What was logged before the server was ready.
    pub warnings: Vec<String>,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        Self::from(quotad(&[&FREE_PORTS[..], &MEMORY_ONLY, arguments].concat()))
    }

    pub fn from(mut program: Command) -> Self {
        let mut child = program.spawn().expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (sender, lines) = sync_channel(10_000);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if sender.try_send(line).is_err() {
                    return;
                }
            }
        });
        let nowhere = SocketAddr::from(([0; 4], 0));
        let mut running = Self { child, lines, clients: nowhere, admin: nowhere, warnings: Vec::new() };
        let mut start = running.line_with("");
        while !start.contains("\"listen\"") {
            running.warnings.push(std::mem::replace(&mut start, running.line_with("")));
        }
        running.clients = address_in(&start, "\"listen\":\"");
        running.admin = address_in(&start, "\"admin\":\"");
        running
    }

    /// The next log line that holds `part`.
    pub fn line_with(&self, part: &str) -> String {
        let begin = Stopwatch::start();
        loop {
            // One deadline over all lines: a server may warn every few seconds.
            let left = DEADLINE.saturating_sub(Duration::from_nanos(begin.nanos()));
            let line = self.lines.recv_timeout(left).expect("the line comes before the deadline");
            if line.contains(part) {
                return line;
            }
        }
    }

    /// The next log line, if it comes in time.
    pub fn line_within(&self, time: Duration) -> Option<String> {
        self.lines.recv_timeout(time).ok()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.clients).expect("the server accepts");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        stream
    }

    /// One inline call; answers the reply's bytes up to `length`.
    pub fn call(stream: &mut TcpStream, line: &str, length: usize) -> String {
        stream.write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
        let mut reply = vec![0; length];
        stream.read_exact(&mut reply).expect("the server answers");
        text(&reply)
    }

    pub fn http(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).expect("the admin pages accept");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
        write!(stream, "{request} HTTP/1.1\r\nHost: quotad\r\nConnection: close\r\n\r\n")
            .expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the server answers and closes");
        answer
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill is there").success());
    }

    /// Both from one shell, so that nothing comes between.
    pub fn signals_at_once(&self, [one, other]: [&str; 2]) {
        let process = self.child.id();
        let script = format!("kill {one} {process} && kill {other} {process}");
        let status = Command::new("sh").args(["-c", &script]).status();
        assert!(status.expect("a shell is there").success());
    }

    pub fn ended(mut self) -> ExitStatus {
        // The reader of the log ends with the process, so this waits for it without asking again and again.
        while self.lines.recv_timeout(DEADLINE).is_ok() {}
        self.child.wait().expect("the child can be waited for")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn address_in(line: &str, name: &str) -> SocketAddr {
    let (_, rest) = line.split_once(name).expect("the start line names its addresses");
    let address = rest.split(['"', ' ']).next().unwrap_or_default();
    address.parse().expect("an address is an address")
}
