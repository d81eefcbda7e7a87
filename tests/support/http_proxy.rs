//! A network between quotad and a store that speaks HTTP, which misbehaves by script: what happens to which request.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a side may say nothing before its connection ends.
const SILENCE: Duration = Duration::from_secs(30);

/// How long it may take until a request comes that is to be held.
const HELD_PATIENCE: Duration = Duration::from_secs(60);

/// The most bytes of a request's head.
const MOST_HEAD_BYTES: usize = 65_536;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status, code and message, and does not come to the store.
    Answer(u16, &'static str, &'static str),
    /// The store does what it asks for, but it is answered with this status and code.
    AnswerBehind(u16, &'static str),
    /// Half of it comes to the store, then both connections end.
    CutUpload,
    /// The store does what it asks for, and half of the answer comes back before the connection ends.
    CutDownload,
    /// The store does what it asks for, and the connection ends without an answer.
    LoseAnswer,
    /// It waits so long before it comes to the store.
    Delay(Duration),
    /// It is answered as the same request was answered first.
    Stale,
    /// It does not come to the store, and its connection ends when the script is reset.
    Hold,
    /// The store does what it asks for, and its connection ends without an answer when the script is reset.
    HoldAnswer,
}

/// A rule of the script.
struct Rule {
    method: &'static str,
    part: String,
    times: usize,
    fault: Fault,
}

/// The network.
pub struct HttpProxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: u16,
    state: Mutex<State>,
    /// Told when the script is reset, a request is held, or all is over.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    /// Method and target of each request that came.
    requests: Vec<String>,
    /// The first answer to each GET.
    answers: HashMap<String, Vec<u8>>,
    /// Requests that were held under this script.
    held: usize,
    /// How often the script was reset.
    resets: u64,
    is_over: bool,
}

impl HttpProxy {
    /// A network to a port of this machine that passes everything on.
    pub fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared { upstream, state: Mutex::default(), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.lock().is_over {
                    return;
                }
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || serve(&client, &shared));
            }
        });
        Self { port, shared }
    }

    /// Where it listens, on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Adds to the script: the next `times` requests of this method whose target contains `part` fail so.
    pub fn script(&self, method: &'static str, part: &str, times: usize, fault: Fault) {
        self.shared.lock().rules.push(Rule { method, part: part.to_owned(), times, fault });
    }

    /// Waits until a request is held.
    pub fn until_held(&self) {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, HELD_PATIENCE, |state| state.held == 0);
        assert!(waited.is_ok_and(|(state, _)| state.held > 0), "no request came that is to be held");
    }

    /// Forgets the script and the requests, and ends what is held; answers the requests that came, `METHOD target` each.
    pub fn reset(&self) -> Vec<String> {
        let mut state = self.shared.lock();
        state.rules.clear();
        state.held = 0;
        state.resets += 1;
        self.shared.changed.notify_all();
        std::mem::take(&mut state.requests)
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        // The thread that accepts sees the end when somebody comes.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that fails with the lock still ends its connections.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and takes what the script has for it; answers how often the script was reset, too.
    fn fault_of(&self, request: &Request) -> (Option<Fault>, u64) {
        let mut state = self.lock();
        state.requests.push(request.name());
        let fits = |rule: &&mut Rule| {
            rule.times > 0 && rule.method == request.method && request.target.contains(&rule.part)
        };
        let fault = state.rules.iter_mut().find(fits).map(|rule| {
            rule.times -= 1;
            rule.fault
        });
        (fault, state.resets)
    }

    /// Waits until the script, which was reset so often, is reset.
    fn hold(&self, resets: u64) {
        let mut state = self.lock();
        if state.resets == resets {
            state.held += 1;
            self.changed.notify_all();
        }
        let waited = self.changed.wait_while(state, |state| state.resets == resets && !state.is_over);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn wait(&self, pause: Duration) {
        let waited = self.changed.wait_timeout_while(self.lock(), pause, |state| !state.is_over);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// A request as it came.
struct Request {
    method: String,
    target: String,
    /// With the empty line.
    head: String,
    body_bytes: usize,
    /// What came of the body with the head.
    begun: Vec<u8>,
}

impl Request {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    fn read(mut client: &TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 16_384];
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            let count = client.read(&mut buffer).ok().filter(|count| *count > 0)?;
            bytes.extend_from_slice(&buffer[..count]);
            assert!(bytes.len() < MOST_HEAD_BYTES, "a request's head does not end");
        };
        let begun = bytes.split_off(end);
        let head = String::from_utf8(bytes).ok()?;
        let mut words = head.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        };
        let body_bytes = head.lines().find_map(header).unwrap_or(0);
        Some(Self { method, target, head, body_bytes, begun })
    }

    /// The head with the wish that the answer ends with its connection, so that its end needs no reading.
    fn head_to_close(&self) -> String {
        let lines = self.head.trim_end().lines();
        let lines = lines.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        format!("{}\r\nConnection: close\r\n\r\n", lines.collect::<Vec<_>>().join("\r\n"))
    }

    /// Passes up to so many bytes of the body on.
    fn pass_body(&self, mut client: &TcpStream, to: &mut dyn Write, most: usize) -> std::io::Result<()> {
        let begun = &self.begun[..self.begun.len().min(most)];
        to.write_all(begun)?;
        let mut left = most.min(self.body_bytes) - begun.len();
        let mut buffer = [0; 65_536];
        while left > 0 {
            let share = left.min(buffer.len());
            let count = client.read(&mut buffer[..share])?;
            if count == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            to.write_all(&buffer[..count])?;
            left -= count;
        }
        Ok(())
    }
}

/// Serves the one request of a connection: what it is answered with closes it.
fn serve(client: &TcpStream, shared: &Shared) {
    for stream in [client.set_read_timeout(Some(SILENCE)), client.set_write_timeout(Some(SILENCE))] {
        stream.expect("a socket can be told so");
    }
    if let Some(request) = Request::read(client) {
        // Either side may have gone; that is what this is for.
        let _ = answer(client, shared, &request);
    }
    let _ = client.shutdown(Shutdown::Both);
}

fn answer(mut client: &TcpStream, shared: &Shared, request: &Request) -> std::io::Result<()> {
    let (fault, resets) = shared.fault_of(request);
    match fault {
        Some(Fault::Answer(status, code, message)) => {
            request.pass_body(client, &mut std::io::sink(), usize::MAX)?;
            return client.write_all(&made_answer(status, code, message));
        }
        Some(Fault::Stale) => {
            let answer = shared.lock().answers.get(&request.name()).cloned();
            return client.write_all(&answer.expect("the same was asked before"));
        }
        Some(Fault::Delay(pause)) => shared.wait(pause),
        Some(Fault::Hold) => {
            shared.hold(resets);
            return Ok(());
        }
        _ => {}
    }
    let mut store = TcpStream::connect(("127.0.0.1", shared.upstream))?;
    store.set_read_timeout(Some(SILENCE))?;
    store.write_all(request.head_to_close().as_bytes())?;
    if fault == Some(Fault::CutUpload) {
        return request.pass_body(client, &mut store, request.body_bytes / 2);
    }
    request.pass_body(client, &mut UntilRefused(Some(&store)), usize::MAX)?;
    let mut answer = Vec::new();
    store.read_to_end(&mut answer)?;
    if request.method == "GET" {
        shared.lock().answers.entry(request.name()).or_insert_with(|| answer.clone());
    }
    match fault {
        Some(Fault::LoseAnswer) => Ok(()),
        Some(Fault::HoldAnswer) => {
            shared.hold(resets);
            Ok(())
        }
        Some(Fault::CutDownload) => client.write_all(&answer[..answer.len() / 2]),
        Some(Fault::AnswerBehind(status, code)) => client.write_all(&made_answer(status, code, "")),
        _ => client.write_all(&answer),
    }
}

/// Passes bytes on until the other side takes no more, as a store does that answers early; the rest is read and forgotten, or the
/// client would not get that answer.
struct UntilRefused<'a>(Option<&'a TcpStream>);

impl Write for UntilRefused<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.is_some_and(|mut stream| stream.write_all(bytes).is_err()) {
            self.0 = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn made_answer(status: u16, code: &str, message: &str) -> Vec<u8> {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let head = "Content-Type: application/xml\r\nConnection: close\r\nContent-Length:";
    format!("HTTP/1.1 {status} Scripted\r\n{head} {}\r\n\r\n{body}", body.len()).into_bytes()
}
