//! quotad in front of a truth, and what it says of itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Connection, integer, write_words};
use crate::program::{FREE_PORTS, Running, quotad};
use crate::support::Reply;
use crate::surroundings::until;
use crate::truth::{Stored, Truth};
use crate::values::{REQUESTS, TOKENS, Value};

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What follows `--truth`.
    pub truth: String,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// Further flags.
    pub flags: Vec<String>,
    /// Its environment, which is empty otherwise.
    pub environment: Vec<(String, String)>,
}

impl Setup {
    /// A server with an SQLite file in `data_dir`.
    pub fn sqlite(data_dir: &Path) -> Self {
        Self {
            truth: "sqlite".to_owned(),
            data_dir: data_dir.to_owned(),
            flags: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// A server in front of the Postgres at this address.
    pub fn postgres(address: &str, data_dir: &Path) -> Self {
        Self { truth: address.to_owned(), ..Self::sqlite(data_dir) }
    }

    /// With these flags too.
    pub fn with(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// Where its truth can be read. Behind a proxy that is another address.
    pub fn truth(&self) -> Truth {
        if self.truth == "sqlite" {
            return Truth::Sqlite(self.data_dir.join("truth.sqlite"));
        }
        Truth::Postgres(self.truth.clone())
    }

    fn command(&self) -> Command {
        let data_dir = self.data_dir.to_str().expect("paths of tests are UTF-8");
        let mut arguments = FREE_PORTS.to_vec();
        arguments.extend(["--truth", &self.truth, "--data-dir", data_dir]);
        arguments.extend(self.flags.iter().map(String::as_str));
        let mut command = quotad(&arguments);
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Starts it, and waits until it serves data.
    pub fn start(&self) -> Server {
        let server = self.begin();
        // A truth that is there at once may be this server's before it tells where it listens.
        let is_its_own = |line: &String| line.contains(IS_ITS_OWN);
        if !server.running().warnings.iter().any(is_its_own) {
            server.line_with(IS_ITS_OWN);
        }
        server
    }

    /// Starts it, and waits until it listens.
    pub fn begin(&self) -> Server {
        Server { running: Some(Running::from(self.command())) }
    }

    /// Starts one that does not get far; answers what it complains of last.
    pub fn refusal(&self) -> String {
        let mut child = Refused(self.command().spawn().expect("the program starts"));
        let ended =
            until("the server refuses to start", || child.0.try_wait().expect("it can be waited for"));
        let mut output = String::new();
        let mut stderr = child.0.stderr.take().expect("stderr is piped");
        std::io::Read::read_to_string(&mut stderr, &mut output).expect("its log is text");
        assert_eq!(ended.code(), Some(1), "{output}");
        output.lines().last().unwrap_or_default().to_owned()
    }
}

/// In the line that tells that data is served.
const IS_ITS_OWN: &str = "the truth is this server's";

/// A server that is to end by itself. One that serves instead does not outlive the test that fails for it.
struct Refused(Child);

impl Drop for Refused {
    fn drop(&mut self) {
        // It has ended already, unless the test fails.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running server. It is killed when this is dropped; where a test fails, its log is shown.
pub struct Server {
    /// There until it is taken to be ended.
    running: Option<Running>,
}

impl Server {
    const fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is ended")
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.running().clients
    }

    /// The next line of its log that holds `part`.
    pub fn line_with(&self, part: &str) -> String {
        self.running().line_with(part)
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address()).expect("the server accepts")
    }

    /// One call on a connection of its own.
    pub fn call(&self, words: &str) -> Reply {
        self.connect().call(words).expect("the server answers")
    }

    /// Its process number.
    pub fn number(&self) -> u32 {
        self.running().child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.running().child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process has a number"), signal).expect("the server is there");
    }

    /// Kills it: nothing is flushed.
    pub fn kill(mut self) {
        drop(self.running.take());
    }

    /// Ends it in good order.
    pub fn terminate(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits until it has ended.
    pub fn ended(mut self) -> ExitStatus {
        self.running.take().expect("it runs until it is ended").ended()
    }

    /// Waits until the truth has everything that was changed.
    ///
    /// # Panics
    /// When it does not come to that before `timeout`.
    pub fn wait_for_truth(&self, timeout: Duration) {
        let reply = self.call(&format!("WAITAOF 0 1 {}", timeout.as_millis()));
        let Reply::Many(_, copies) = &reply else { panic!("WAITAOF answers {reply:?}") };
        assert_eq!(
            integer(&copies[1]),
            Some(1),
            "the truth has everything within {timeout:?}: {}",
            self.trouble()
        );
    }

    /// Waits until the server's disk has everything that was changed.
    pub fn wait_for_disk(&self, timeout: Duration) {
        let reply = self.call(&format!("WAITAOF 1 0 {}", timeout.as_millis()));
        let Reply::Many(_, copies) = &reply else { panic!("WAITAOF answers {reply:?}") };
        assert_eq!(
            integer(&copies[0]),
            Some(1),
            "the disk has everything within {timeout:?}: {}",
            self.trouble()
        );
    }

    /// The fields of INFO.
    pub fn figures(&self) -> BTreeMap<String, String> {
        let Reply::Bulk(bytes) = self.call("INFO") else { panic!("INFO answers a text") };
        let text = String::from_utf8(bytes).expect("INFO is UTF-8");
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// One number of them.
    pub fn figure(&self, name: &str) -> u64 {
        let figures = self.figures();
        let text = figures.get(name).unwrap_or_else(|| panic!("INFO has no {name}"));
        text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}"))
    }

    /// What it says is wrong with the truth.
    pub fn trouble(&self) -> String {
        self.figures().remove("truth_trouble").unwrap_or_default()
    }

    /// Waits until everything is in memory.
    pub fn wait_until_loaded(&self) {
        until("the truth's keys are in memory", || (self.figure("async_loading") == 0).then_some(()));
    }

    /// Asks for all of these keys and compares with what the truth holds.
    ///
    /// # Panics
    /// Where they differ.
    pub fn compare(&self, names: &[(u8, String)], stored: &Stored) {
        let mut connection = self.connect();
        let mut requests = Vec::new();
        for (database, name) in names {
            for words in [
                format!("SELECT {database}"),
                format!("TYPE {name}"),
                format!("GET {name}"),
                format!("PEXPIRETIME {name}"),
                format!("QUOTA.PEEK {name}"),
            ] {
                write_words(&words, &mut requests);
            }
        }
        let replies = std::thread::scope(|scope| {
            let mut sender = connection.try_clone();
            scope.spawn(move || sender.send(&requests).expect("the server reads"));
            let count = names.len() * 5;
            (0..count).map(|_| connection.reply().expect("the server answers")).collect::<Vec<_>>()
        });
        for ((database, name), replies) in names.iter().zip(replies.chunks(5)) {
            let expected = stored.keys.get(&(*database, name.clone()));
            assert_eq!(value_in(replies).as_ref(), expected, "{name} of database {database}: {replies:?}");
        }
    }
}

/// What TYPE, GET, PEXPIRETIME and QUOTA.PEEK tell together.
fn value_in(replies: &[Reply]) -> Option<Value> {
    match (&replies[1], &replies[2], &replies[4]) {
        (Reply::Status(kind), Reply::Bulk(text), _) if kind == "string" => {
            let number = String::from_utf8_lossy(text).parse().expect("strings are integers here");
            Some(Value::Number { number, until_ms: integer(&replies[3]) })
        }
        (Reply::Status(kind), _, Reply::Many(_, limits)) if kind == "quota" => {
            let (mut requests, mut tokens) = (None, None);
            for limit in limits {
                let Reply::Many(_, items) = limit else { panic!("a limit is a list: {limit:?}") };
                let used = integer(&items[5]);
                match &items[1] {
                    Reply::Bulk(name) if name == REQUESTS.as_bytes() => requests = used,
                    Reply::Bulk(name) if name == TOKENS.as_bytes() => tokens = used,
                    other => panic!("nobody named this limit: {other:?}"),
                }
            }
            Some(Value::Used { requests, tokens })
        }
        (Reply::Status(kind), ..) if kind == "none" => None,
        other => panic!("no answer to what a key holds: {other:?}"),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(running) = self.running.take().filter(|_| std::thread::panicking()) else { return };
        let mut text = format!("the log of quotad, process {}:\n", running.child.id());
        for line in running.warnings.iter().cloned().chain(running.lines.try_iter()) {
            text.push_str(&line);
            text.push('\n');
        }
        // There is nowhere else to complain to.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
    }
}
