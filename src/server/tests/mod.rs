//! A server in the test's own process, on a free port, with commands that wait, fail and panic as told.

mod ends;
mod order;
mod rules;
mod turns;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use super::{ConnectionLimits, ListenAddress, Registry, ServeError, Server, ServerConfig, Shutdown};
use crate::clock::{ManualClock, Stopwatch};
use crate::dispatch::ports::{Clients, Fetch, FetchError, Pending};
use crate::dispatch::testing::{Engine, HARNESS_START, Missing, Outside, ports};
use crate::dispatch::{
    Answer, Args, Arity, CommandTable, Context, Flags, Group, Handled, Keys, Outcome, Ports, ReplyMode, Spec,
    Stop,
};

/// A test that waits for longer has failed: the machine may be busy, nothing takes this long.
const DEADLINE: Duration = Duration::from_secs(30);

/// What opens for waiting commands, by name. Names are each test's own.
static OPEN: Mutex<Option<HashSet<Vec<u8>>>> = Mutex::new(None);

fn open(name: &str) {
    OPEN.lock().get_or_insert_default().insert(name.as_bytes().to_vec());
}

fn is_open(name: &[u8]) -> bool {
    OPEN.lock().as_ref().is_some_and(|open| open.contains(name))
}

/// Ends when `name` is opened.
async fn opened(name: &[u8]) {
    while !is_open(name) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn answer(name: &[u8]) -> Answer {
    let name = name.to_vec();
    Box::pin(async move {
        opened(&name).await;
        [b"+", &name[..], b"\r\n"].concat()
    })
}

const fn spec(name: &'static str, flags: Flags, run: crate::dispatch::spec::Handler) -> Spec {
    Spec {
        name,
        syntax: "",
        summary: "",
        group: Group::Server,
        since: "",
        complexity: "",
        arity: Arity::AtLeast(1),
        flags,
        keys: Keys::NONE,
        examples: &[],
        subcommands: &[],
        run,
    }
}

fn name<'a>(args: &mut Args<'a>) -> Result<&'a [u8], Stop> {
    Ok(args.next_bytes()?)
}

static COMMANDS: [&Spec; 13] = [
    &spec("ping", Flags::FAST, |context, _| {
        context.reply.simple("PONG");
        Ok(Outcome::Reply)
    }),
    &spec("get", Flags::FAST.with(Flags::READONLY), |context, _| {
        context.reply.bulk(b"0123456789");
        Ok(Outcome::Reply)
    }),
    &spec("set", Flags::FAST.with(Flags::WRITE), |context, _| {
        context.reply.ok();
        Ok(Outcome::Reply)
    }),
    &spec("echo", Flags::FAST, |context, mut args| {
        context.reply.bulk(name(&mut args)?);
        Ok(Outcome::Reply)
    }),
    &spec("bytes", Flags::NONE, |context, mut args| {
        let length = usize::try_from(args.next_integer()?).unwrap();
        context.reply.bulk(&vec![b'x'; length]);
        Ok(Outcome::Reply)
    }),
    &spec("suspend", Flags::NONE, |_, mut args| Ok(Outcome::Suspend(answer(name(&mut args)?)))),
    &spec("later", Flags::FAST, |_, mut args| Ok(Outcome::Later(answer(name(&mut args)?)))),
    &spec("fetched", Flags::FAST, fetched),
    &spec("never", Flags::FAST, |_, _| Err(Stop::Missing(Missing::one(0, b"never")))),
    &spec("panic", Flags::FAST, |context, _| {
        context.reply.array(3);
        panic!("as the test asked")
    }),
    &spec("quit", Flags::NO_AUTH, |context, _| {
        context.reply.ok();
        context.session.close = true;
        Ok(Outcome::Reply)
    }),
    &spec("kill", Flags::NONE, |context, mut args| {
        let id = args.next_integer()?.unsigned_abs();
        let all = context.ports.clients.list();
        all.iter().filter(|client| client.id == id).for_each(|client| client.kill());
        context.reply.ok();
        Ok(Outcome::Reply)
    }),
    &spec("reply", Flags::NONE, |context, mut args| {
        let skip = args.take_keyword("skip");
        context.session.replies = if skip { ReplyMode::SkipNext } else { ReplyMode::Off };
        context.reply.ok();
        Ok(Outcome::Reply)
    }),
];

fn fetched(context: &mut Context<'_>, mut args: Args<'_>) -> Handled {
    let key = name(&mut args)?;
    if !is_open(key) {
        return Err(Stop::Missing(Missing::one(0, key)));
    }
    context.reply.bulk(key);
    Ok(Outcome::Reply)
}

/// Fetches a key once `open` was called for `get-KEY`; keys that begin with `fail` cannot be fetched, and those that begin
/// with `damaged` cannot be read.
struct TestFetch;

impl Fetch for TestFetch {
    fn fetch(&self, missing: Missing, _ahead: Missing) -> Pending<Result<(), FetchError>> {
        Box::pin(async move {
            let key = String::from_utf8(missing.0[0].key.to_vec()).unwrap();
            if key == "never" {
                return Ok(());
            }
            opened(format!("get-{key}").as_bytes()).await;
            if key.starts_with("fail") {
                return Err(FetchError::Away("ERR the truth is away".to_owned()));
            }
            if key.starts_with("damaged") {
                return Err(FetchError::Damaged(format!("ERR {key} cannot be read")));
            }
            open(&key);
            Ok(())
        })
    }
}

/// A running server.
struct Running {
    address: SocketAddr,
    registry: Arc<Registry>,
    limits: Arc<ConnectionLimits>,
    ports: Arc<Ports>,
    clock: Arc<ManualClock>,
    outside: Arc<Outside>,
    shutdown: Shutdown,
    serving: Option<JoinHandle<Result<(), ServeError>>>,
}

impl Running {
    fn start() -> Self {
        Self::with_threads(1)
    }

    fn with_threads(threads: usize) -> Self {
        let any = ListenAddress::Tcp("127.0.0.1:0".parse().unwrap());
        Self::with_config(ServerConfig::new(vec![any], NonZeroUsize::new(threads).unwrap()))
    }

    fn with_config(config: ServerConfig) -> Self {
        let clock = Arc::new(ManualClock::at(HARNESS_START));
        let outside = Arc::new(Outside::default());
        let registry = Arc::new(Registry::new());
        let made = ports(CommandTable::new(&COMMANDS), Engine::new(), clock.clone(), &outside);
        let mut made = Arc::into_inner(made).unwrap();
        made.clients = registry.clone();
        made.fetch = Arc::new(TestFetch);
        let ports = Arc::new(made);
        let (limits, shutdown) = (Arc::new(ConnectionLimits::default()), Shutdown::default());
        let server = Server::bind(config).unwrap();
        let address = server.addresses().find_map(|address| match address {
            ListenAddress::Tcp(address) => Some(*address),
            ListenAddress::Unix(_) => None,
        });
        let parts = (ports.clone(), registry.clone(), limits.clone(), shutdown.clone());
        let serving = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(server.serve(parts.0, parts.1, parts.2, parts.3))
        });
        let address = address.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
        Self { address, registry, limits, ports, clock, outside, shutdown, serving: Some(serving) }
    }

    fn connect(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(stream)
    }

    fn stop(&mut self) {
        self.shutdown.begin();
        if let Some(serving) = self.serving.take() {
            serving.join().unwrap().unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

/// Waits until a condition holds.
#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = Stopwatch::start();
    while !holds() {
        assert!(Duration::from_micros(waited.micros()) < DEADLINE, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// A client of a socket of either kind.
struct Client<S>(S);

impl<S: Read + Write> Client<S> {
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    #[track_caller]
    fn expect(&mut self, expected: &str) {
        let mut found = vec![0; expected.len()];
        self.0.read_exact(&mut found).unwrap();
        assert_eq!(String::from_utf8_lossy(&found), expected);
    }

    #[track_caller]
    fn check(&mut self, line: &str, expected: &str) {
        self.send(format!("{line}\r\n").as_bytes());
        self.expect(expected);
    }

    /// Everything until the server closes. A reset counts as an end.
    fn rest(&mut self) -> Vec<u8> {
        let mut found = Vec::new();
        match self.0.read_to_end(&mut found) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            ended => assert!(ended.is_ok(), "{ended:?}"),
        }
        found
    }

    #[track_caller]
    fn expect_end(&mut self, expected: &str) {
        assert_eq!(String::from_utf8_lossy(&self.rest()), expected);
    }
}
