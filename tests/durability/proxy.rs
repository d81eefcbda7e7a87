//! A network between quotad and its truth that misbehaves on request.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crate::surroundings::DEADLINE;

/// How often a thread that waits for bytes looks whether its connection was cut.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// What is done with bytes that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// They are passed on.
    Pass,
    /// They are passed on a while later.
    Delay(Duration),
    /// They are passed on a few at a time, with a pause before each.
    Drip(usize, Duration),
    /// They stay here, and nobody is told; so do new connections.
    Hold,
    /// New connections are closed at once.
    Refuse,
    /// As [`Pass`](Self::Pass), until a client sends these words, which then stay here.
    HoldBefore(&'static str),
    /// As [`Pass`](Self::Pass), until a client sends these words, the answer to which stays here.
    HoldBehind(&'static str),
}

/// The network.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    manner: Manner,
    upstream: u16,
    links: Vec<Arc<Link>>,
    /// Connections on which something is held by its words.
    caught: usize,
    is_over: bool,
}

/// A connection from a client to the truth.
struct Link {
    client: TcpStream,
    truth: TcpStream,
    is_cut: AtomicBool,
    holds_answers: AtomicBool,
    is_silent: AtomicBool,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToTruth,
    ToClient,
}

impl Proxy {
    /// A network to a port of this machine that passes everything on.
    pub fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let state = State { manner: Manner::Pass, upstream, links: Vec::new(), caught: 0, is_over: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { port, shared }
    }

    /// Where it listens, on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Changes the manner; what was held is passed on, unless it is held in the new manner too.
    pub fn set(&self, manner: Manner) {
        let mut state = self.shared.lock();
        state.manner = manner;
        state.caught = 0;
        for link in &state.links {
            link.holds_answers.store(false, Ordering::Relaxed);
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, upstream: u16) {
        self.shared.lock().upstream = upstream;
    }

    /// Closes every connection; what was held on them is lost.
    pub fn cut(&self) {
        self.end_links(false);
    }

    /// Ends every connection with a reset.
    pub fn reset(&self) {
        self.end_links(true);
    }

    /// Lets every connection that is open fall silent for good, without a word to anybody; new ones work.
    pub fn silence(&self) {
        self.shared.lock().links.iter().for_each(|link| link.is_silent.store(true, Ordering::Relaxed));
    }

    fn end_links(&self, with_reset: bool) {
        let mut state = self.shared.lock();
        for link in state.links.drain(..) {
            if with_reset {
                for stream in [&link.client, &link.truth] {
                    let linger = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
                    linger.expect("a socket can be told how to close");
                }
            }
            link.is_cut.store(true, Ordering::Relaxed);
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until something is held by its words.
    pub fn wait_until_caught(&self) {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, DEADLINE, |state| state.caught == 0);
        let (state, _) = waited.expect("no thread panics with the lock");
        assert!(state.caught > 0, "nobody sends what is to be held: {:?}", state.manner);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.cut();
        // The thread that accepts sees the end when somebody comes.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A test that fails with the lock still ends its connections.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming().flatten() {
        let (upstream, manner, is_over) = {
            let state = shared.lock();
            (state.upstream, state.manner, state.is_over)
        };
        if is_over {
            return;
        }
        if manner == Manner::Refuse {
            continue;
        }
        // A truth that does not listen closes.
        let Ok(truth) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], upstream))) else { continue };
        for stream in [&client, &truth] {
            stream.set_nodelay(true).expect("a socket can be told so");
            stream.set_read_timeout(Some(LOOK_PAUSE)).expect("a socket can be told so");
            stream.set_write_timeout(Some(LOOK_PAUSE)).expect("a socket can be told so");
        }
        let link = Arc::new(Link {
            client,
            truth,
            is_cut: AtomicBool::new(false),
            holds_answers: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
        });
        shared.lock().links.push(Arc::clone(&link));
        for way in [Way::ToTruth, Way::ToClient] {
            let (link, shared) = (Arc::clone(&link), Arc::clone(shared));
            std::thread::spawn(move || pump(&link, &shared, way));
        }
    }
}

/// Passes bytes on one way until a side closes or the link is cut.
fn pump(link: &Link, shared: &Shared, way: Way) {
    let (mut from, to) = match way {
        Way::ToTruth => (&link.client, &link.truth),
        Way::ToClient => (&link.truth, &link.client),
    };
    let mut buffer = [0; 16_384];
    while !link.is_over() {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                if !pass(link, shared, way, to, &buffer[..count]) {
                    break;
                }
            }
            Err(error) if is_timeout(&error) => {}
            Err(_) => break,
        }
    }
    if !link.is_over() {
        // Either side may have gone already.
        let _ = to.shutdown(Shutdown::Write);
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Passes bytes on as the manner says; `false`: there is nobody to pass them to.
fn pass(link: &Link, shared: &Shared, way: Way, to: &TcpStream, bytes: &[u8]) -> bool {
    let manner = {
        let mut state = shared.lock();
        catch(link, &mut state, way, bytes, shared);
        // Each of its waits ends when the manner changes, or the link ends.
        while !link.is_over() && is_held(link, &state, way, bytes) {
            state = shared.changed.wait_timeout(state, LOOK_PAUSE).expect("no thread panics with the lock").0;
        }
        state.manner
    };
    if link.is_over() {
        return false;
    }
    match manner {
        Manner::Delay(pause) => {
            wait(link, shared, manner, pause);
            write(link, to, bytes)
        }
        Manner::Drip(count, pause) => bytes.chunks(count).all(|part| {
            wait(link, shared, manner, pause);
            write(link, to, part)
        }),
        _ => write(link, to, bytes),
    }
}

/// Notes what is to be held from now on.
fn catch(link: &Link, state: &mut State, way: Way, bytes: &[u8], shared: &Shared) {
    let (Manner::HoldBefore(words) | Manner::HoldBehind(words)) = state.manner else { return };
    if way != Way::ToTruth || !holds(bytes, words) {
        return;
    }
    if matches!(state.manner, Manner::HoldBehind(_)) {
        link.holds_answers.store(true, Ordering::Relaxed);
    }
    state.caught += 1;
    shared.changed.notify_all();
}

fn holds(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

fn is_held(link: &Link, state: &State, way: Way, bytes: &[u8]) -> bool {
    if link.is_silent.load(Ordering::Relaxed) {
        return true;
    }
    match state.manner {
        Manner::Hold => true,
        Manner::HoldBefore(words) => way == Way::ToTruth && holds(bytes, words),
        Manner::HoldBehind(_) => way == Way::ToClient && link.holds_answers.load(Ordering::Relaxed),
        _ => false,
    }
}

/// Waits so long, unless the manner changes meanwhile.
fn wait(link: &Link, shared: &Shared, manner: Manner, pause: Duration) {
    let state = shared.lock();
    let waited =
        shared.changed.wait_timeout_while(state, pause, |state| state.manner == manner && !link.is_over());
    drop(waited.expect("no thread panics with the lock"));
}

fn write(link: &Link, mut to: &TcpStream, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if is_timeout(&error) && !link.is_over() => {}
            Err(_) => return false,
        }
    }
    true
}

impl Link {
    fn is_over(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }
}
