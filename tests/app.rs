//! The program as its users start it: settings, exit codes, addresses, signals, and a second server on a taken port.

#[path = "support/program.rs"]
mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use quotad::app::{End, Server, Surroundings};
use quotad::clock::{Clock, ManualClock, Stopwatch, Timestamp};
use quotad::config::{AdminAddress, Config, ListenAddress, SnapshotsSetting, TruthSetting};
use quotad::engine::value::Content;
use quotad::engine::{Expiry, Slot};

use program::{DEADLINE, Running, finished, limited, text};

#[test]
fn a_wrong_setting_is_one_line_and_code_2() {
    for arguments in [
        &["--maxclients", "0"][..],
        &["--no-such-setting", "1"],
        &["serve", "--listen", "nowhere"],
        &["check-config", "--timeout", "soon"],
        &["bogus"],
        &["--config", "/dev/zero"],
        &["check-config", "--requirepass-file", "/dev/zero"],
        &["check-config", "--truth", "postgres://q@h/db?shcema=quotad"],
        &["check-config", "--truth", "postgres://q@h/db?port=http"],
        &["--truth", "postgres://q@h/db?sslmod=verify-full"],
    ] {
        let output = finished(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let line = text(&output.stderr);
        assert!(line.starts_with("quotad: ") && line.matches('\n').count() == 1, "{line}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn check_config_and_print_config() {
    let output = finished(&["check-config", "--maxmemory", "1gb"]);
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(0), "ok\nmaxmemory: flag --maxmemory\n".into())
    );
    let folder = tempfile::tempdir().expect("a directory can be made");
    let path = folder.path().join("key");
    std::fs::write(&path, "ab".repeat(32)).expect("a file can be written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    let key = path.to_str().expect("a path");
    let flags = ["--snapshots", "none", "--ephemeral-databases", "1", "--snapshot-key-file", key];
    let told = text(&finished(&[&["check-config"][..], &flags].concat()).stdout);
    assert!(told.contains("warning: ephemeral-databases: there are no snapshots"), "{told}");
    let id = told.split_once(&format!("{key}: the key ")).expect("the key is named").1.lines().next();
    let is_id = |id: &str| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(id.is_some_and(is_id) && !told.contains("abab"), "{told}");
    let output = finished(&["--print-config", "--maxmemory", "1gb"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("\nmaxmemory = 1073741824\n"));
    assert!(text(&finished(&["--help"]).stdout).contains("--requirepass-file"));
    assert!(text(&finished(&["--version"]).stdout).starts_with("quotad "));
}

#[test]
fn clients_are_as_many_as_the_process_may_hold_open() {
    // 106 are the listeners', the threads', the admin pages' and spare.
    let server = Running::from(limited("-n 200", &[]));
    let warning = server.warnings.concat();
    assert!(
        warning.contains("maxclients is 94 instead of 10000") && warning.contains("ulimit -n"),
        "{warning}"
    );
    let mut first = server.connect();
    assert_eq!(
        Running::call(&mut first, "CONFIG GET maxclients", 29),
        "*2\r\n$10\r\nmaxclients\r\n$2\r\n94\r\n"
    );
    let mut others: Vec<_> = (1..94).map(|_| server.connect()).collect();
    for client in &mut others {
        assert_eq!(Running::call(client, "PING", 7), "+PONG\r\n");
    }
    let mut refusal = String::new();
    server.connect().read_to_string(&mut refusal).expect("the server says why and closes");
    assert_eq!(refusal, "-ERR max number of clients reached\r\n");
    assert!(server.http("GET /healthz").contains("ok"), "the admin pages have their own share");
    let mut error = String::new();
    first.write_all(b"CONFIG SET timeout 0 maxclients 95\r\n").expect("the server reads");
    BufReader::new(&first).read_line(&mut error).expect("the error is one line");
    assert!(error.contains("'maxclients'") && error.contains("at most 94 are allowed"), "{error}");
    assert_eq!(Running::call(&mut first, "CONFIG SET timeout 0", 5), "+OK\r\n");
    assert_eq!(Running::call(&mut first, "CONFIG SET maxclients 94", 5), "+OK\r\n");
}

#[test]
fn the_limit_of_open_files_is_raised_to_what_maxclients_needs() {
    let server = Running::from(limited("-S -n 120", &["--maxclients", "200"]));
    let mut clients: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(Running::call(client, "PING", 7), "+PONG\r\n");
    }
}

#[test]
fn too_few_open_files_for_a_single_client_are_one_line() {
    let output = limited("-n 60", &[]).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "quotad: the process may hold 60 files open (ulimit -n), at least 107 are needed\n"
    );
}

#[test]
fn sigterm_ends_in_good_order() {
    let server = Running::start(&[]);
    let mut client = server.connect();
    assert_eq!(Running::call(&mut client, "PING", 7), "+PONG\r\n");
    server.signal("-HUP");
    server.line_with("SIGHUP");
    assert_eq!(Running::call(&mut client, "PING", 7), "+PONG\r\n");
    server.signal("-TERM");
    let mut rest = Vec::new();
    assert_eq!(client.read_to_end(&mut rest).expect("the server closes"), 0);
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn the_log_level_can_change_while_the_server_runs() {
    let server = Running::start(&[]);
    // What is no protocol is told at the level debug only.
    let break_protocol = |word: &str| {
        let mut client = server.connect();
        client.write_all(format!("*1\r\n{word}\r\n").as_bytes()).expect("the server reads");
        let mut rest = String::new();
        client.read_to_string(&mut rest).expect("the server answers and closes");
        assert!(rest.starts_with("-ERR Protocol error: "), "{rest}");
    };
    let mut client = server.connect();
    break_protocol("a");
    assert_eq!(Running::call(&mut client, "CONFIG SET log-level debug", 5), "+OK\r\n");
    break_protocol("b");
    let line = server.line_with("closing: ");
    assert!(line.contains("got 'b'"), "the first line of this level is of the second client: {line}");
    assert_eq!(Running::call(&mut client, "CONFIG SET log-level error", 5), "+OK\r\n");
    break_protocol("c");
    assert_eq!(Running::call(&mut client, "CONFIG SET log-level debug", 5), "+OK\r\n");
    break_protocol("d");
    assert!(server.line_with("closing: ").contains("got 'd'"));
    assert_eq!(
        Running::call(&mut client, "CONFIG GET log-level", 30),
        "*2\r\n$9\r\nlog-level\r\n$5\r\ndebug\r\n"
    );
}

#[test]
fn who_did_what_is_logged_without_secrets() {
    let server = Running::start(&["--log-level", "debug"]);
    let mut client = server.connect();
    let address = client.local_addr().expect("it is connected").to_string();
    assert!(server.line_with("a client connected").contains(&address));
    assert_eq!(Running::call(&mut client, "CONFIG SET maxmemory 1", 5), "+OK\r\n");
    let line = server.line_with("CONFIG SET");
    assert!([&address, "\"maxmemory\"", "\"1\""].iter().all(|part| line.contains(*part)), "{line}");
    assert_eq!(Running::call(&mut client, "SET key value", 5), "+OK\r\n");
    assert!(server.line_with("memory is full").contains("WARN"));
    assert!(Running::call(&mut client, "CONFIG SET requirepass hunter2", 5) == "+OK\r\n");
    let line = server.line_with("CONFIG SET");
    assert!(line.contains("(hidden)") && !line.contains("hunter2"), "{line}");
    for _ in 0..3 {
        assert!(Running::call(&mut client, "AUTH hunter3", 64).starts_with("-WRONGPASS"));
    }
    drop(client);
    let mut lines = vec![server.line_with("AUTH failed")];
    while !lines.iter().any(|line| line.contains("connection ended")) {
        lines.push(server.line_with(""));
    }
    assert!(lines[0].contains("WARN") && lines[0].contains(&address), "{lines:?}");
    let failures = lines.iter().filter(|line| line.contains("AUTH failed")).count();
    assert_eq!(failures, 1, "one line in a while: {lines:?}");
    assert!(!lines.concat().contains("hunter"), "{lines:?}");
}

#[test]
fn sigint_ends_in_good_order() {
    let server = Running::start(&[]);
    server.signal("-INT");
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let server = Running::start(&[]);
    let mut client = server.connect();
    client.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout can be set");
    // Replies that nobody reads keep the server from ending: it waits for them to be taken.
    let message = [b'x'; 60_000];
    let ping = [&b"*2\r\n$4\r\nPING\r\n$60000\r\n"[..], &message, b"\r\n"].concat();
    for _ in 0..2_000 {
        if client.write_all(&ping).is_err() {
            break;
        }
    }
    // Two at once are one, sent to the process and to its group.
    server.signals_at_once(["-TERM", "-INT"]);
    server.line_with("ending in good order");
    assert_eq!(server.line_within(Duration::from_millis(200)), None);
    server.signal("-INT");
    server.line_with("ending at once");
    assert_eq!(server.ended().code(), Some(1));
}

#[test]
fn a_second_server_on_a_taken_port_says_so() {
    let server = Running::start(&[]);
    let taken = server.clients.to_string();
    let second = finished(&[
        "--listen",
        &taken,
        "--admin",
        "off",
        "--truth",
        "none",
        "--snapshots",
        "none",
        "--log-level",
        "error",
    ]);
    assert_eq!(second.status.code(), Some(1));
    let line = text(&second.stderr);
    assert!(
        line.starts_with("quotad: ") && line.contains(&taken) && line.contains("another server"),
        "{line}"
    );
    assert_eq!(line.matches('\n').count(), 1, "{line}");

    let admin = server.admin.to_string();
    let third = finished(&[
        "--listen",
        "127.0.0.1:0",
        "--truth",
        "none",
        "--snapshots",
        "none",
        "--admin",
        &admin,
        "--log-level",
        "error",
    ]);
    assert_eq!(third.status.code(), Some(1));
    let line = text(&third.stderr);
    assert!(line.contains(&format!("{admin} (admin)")) && line.contains("needs another --admin"), "{line}");
    assert_eq!(line.matches('\n').count(), 1, "{line}");

    let both = finished(&[
        "--listen",
        &taken,
        "--truth",
        "none",
        "--snapshots",
        "none",
        "--admin",
        &admin,
        "--log-level",
        "error",
    ]);
    let line = text(&both.stderr);
    assert!(line.contains(&taken) && !line.contains("admin"), "what clients need is named first: {line}");
    let same = finished(&[
        "--listen",
        "127.0.0.1:7",
        "--truth",
        "none",
        "--snapshots",
        "none",
        "--admin",
        "127.0.0.1:7",
        "--log-level",
        "error",
    ]);
    assert_eq!(
        text(&same.stderr),
        "quotad: listen 127.0.0.1:7 and admin 127.0.0.1:7 are the same port: give one of them another, or --admin off\n"
    );
    assert_eq!(Running::call(&mut server.connect(), "PING", 7), "+PONG\r\n");
}

#[test]
fn admin_pages() {
    let server = Running::start(&[]);
    let mut client = server.connect();
    assert_eq!(Running::call(&mut client, "PING", 7), "+PONG\r\n");
    let check = |request: &str, status: &str, part: &str| {
        let answer = server.http(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        assert!(answer.contains(part), "{request}: {answer}");
    };
    check("GET /", "200", "/metrics");
    check("GET /healthz", "200", "ok");
    check("GET /readyz", "200", "ready");
    check("GET /nowhere", "404", "no such page");
    check("POST /metrics", "405", "only GET and HEAD");
    check("HEAD /healthz", "200", "content-type");
    check("GET /metrics", "200", "quotad_commands_total{command=\"ping\"} 1\n");
    check("GET /metrics", "200", "quotad_connections_open 1\n");
    assert!(!server.http("HEAD /metrics").contains("quotad_"));
}

#[test]
fn a_password_from_a_file_is_asked_for() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("password");
    std::fs::write(&path, "hunter2\n").expect("a file can be written");
    let server = Running::start(&["--requirepass-file", path.to_str().expect("a path")]);
    let mut client = server.connect();
    assert!(Running::call(&mut client, "PING", 7).starts_with("-NOAUTH"));
}

#[test]
fn a_unix_socket_is_listened_on_and_removed() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let server = Running::start(&["--listen", &listen, "--unixsocketperm", "750"]);
    let mode = std::fs::metadata(&path).expect("the socket is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    let mut client = std::os::unix::net::UnixStream::connect(&path).expect("the server accepts");
    client.write_all(b"PING\r\n").expect("the server reads");
    let mut reply = [0; 7];
    client.read_exact(&mut reply).expect("the server answers");
    assert_eq!(&reply, b"+PONG\r\n");
    server.signal("-TERM");
    assert_eq!(server.ended().code(), Some(0));
    assert!(!path.exists());
}

/// A server inside this process, on free ports.
fn config() -> Config {
    let listen = ListenAddress::Tcp { host: "127.0.0.1".to_owned(), port: 0 };
    Config {
        listen: vec![listen],
        admin: AdminAddress::Off,
        threads: 1,
        truth: TruthSetting::None,
        snapshots: SnapshotsSetting::None,
        ..Config::default()
    }
}

#[test]
fn a_server_starts_and_stops_inside_another_program() {
    let server = Server::start(config()).expect("ports are free");
    let address = server.tcp_address().expect("it listens");
    assert_ne!(address.port(), 0);
    assert!(server.addresses().admin.is_none());
    let mut client = TcpStream::connect(address).expect("the server accepts");
    assert_eq!(Running::call(&mut client, "PING", 7), "+PONG\r\n");
    assert_eq!(server.stop(), End::Orderly);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn shutdown_by_a_command_ends_in_good_order() {
    let server = Server::start(config()).expect("ports are free");
    server.ports().lifecycle.shut_down();
    assert_eq!(server.wait(), End::Orderly);
}

#[test]
fn a_host_without_address_is_named() {
    let listen = ListenAddress::Tcp { host: "no-such-host.invalid".to_owned(), port: 1 };
    let error = Server::start(Config { listen: vec![listen], ..config() }).err().expect("it cannot start");
    assert!(error.to_string().contains("no-such-host.invalid:1"), "{error}");
}

#[test]
fn settings_change_what_connections_may_do() {
    let server = Server::start(config()).expect("ports are free");
    let address = server.tcp_address().expect("it listens");
    let mut first = TcpStream::connect(address).expect("the server accepts");
    assert_eq!(Running::call(&mut first, "PING", 7), "+PONG\r\n");
    let change = [("maxclients".to_owned(), "1".to_owned())];
    server.ports().settings.set(&change).expect("the setting may change");
    let mut second = TcpStream::connect(address).expect("the kernel accepts");
    let mut refusal = String::new();
    second.read_to_string(&mut refusal).expect("the server says why and closes");
    assert_eq!(refusal, "-ERR max number of clients reached\r\n");
    assert_eq!(server.stop(), End::Orderly);
}

#[test]
fn what_a_command_changes_holds_for_those_behind_it_in_a_pipeline() {
    let server = Running::start(&[]);
    let mut stream = server.connect();
    let check = |stream: &mut TcpStream, pipeline: &str, replies: &str| {
        let answer = Running::call(stream, &pipeline.replace('|', "\r\n"), replies.len());
        assert_eq!(answer, replies, "{pipeline}");
    };
    check(
        &mut stream,
        "CONFIG SET max-key-bytes 3|GET four",
        "+OK\r\n-ERR key is 4 bytes long, at most 3 are ",
    );
    let mut stream = server.connect();
    check(&mut stream, "CONFIG SET maxmemory 1mb|SET big 1", "+OK\r\n+OK\r\n");
    let refused = "+OK\r\n+RESET\r\n-NOAUTH Authentication required.\r\n";
    check(&mut stream, "CONFIG SET requirepass secret|RESET|GET k", refused);
    check(
        &mut stream,
        "AUTH secret|CONFIG SET requirepass \"\"|CLIENT PAUSE 60000 WRITE|GET k",
        "+OK\r\n+OK\r\n+OK\r\n$-1\r\n",
    );
    // What was read ahead of a RESET is read again, by the limits of those who have yet to authenticate.
    let mut strange = server.connect();
    check(&mut strange, "CONFIG SET requirepass secret", "+OK\r\n");
    let words = "MGET a b c d e f g h i j".split(' ').map(|word| format!("${}\r\n{word}\r\n", word.len()));
    let long = format!("RESET|*11|{}", words.collect::<String>());
    check(&mut strange, &long, "+RESET\r\n-ERR Protocol error: unauthenticated multibulk length\r\n");
    check(&mut stream, "CONFIG SET requirepass \"\"", "+OK\r\n");
    // The write waits for the end of the pause, which another client brings.
    stream.write_all(b"CLIENT PAUSE 60000 WRITE\r\nSET k v\r\n").expect("the server reads");
    let mut reply = [0; 5];
    stream.read_exact(&mut reply).expect("the pause is answered");
    let mut other = server.connect();
    check(&mut other, "GET k|CLIENT UNPAUSE", "$-1\r\n+OK\r\n");
    stream.read_exact(&mut reply).expect("the write goes on");
    assert_eq!(&reply, b"+OK\r\n");
}

#[test]
fn a_slow_command_does_not_hold_the_time_of_those_behind_it() {
    let server = Running::start(&[]);
    let mut stream = server.connect();
    let pipeline = "SETRANGE big 50000000 x\r\nSET k v PX 500\r\nPTTL k";
    let replies = Running::call(&mut stream, pipeline, ":50000001\r\n+OK\r\n:500\r\n".len());
    let left = replies.rsplit(':').next().and_then(|left| left.trim().parse::<u64>().ok());
    assert!(left.is_some_and(|left| left <= 500), "{replies}");
}

#[test]
fn what_expired_is_swept_by_the_clock_that_was_given() {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000)));
    let surroundings = Surroundings { clock: clock.clone(), signals: false };
    let server = Server::start_with(config(), surroundings).expect("ports are free");
    let engine = &server.ports().engine;
    let put = |slot: &mut Slot<'_>| slot.put(Content::Integer(1), Expiry::at_millis(2_000));
    engine.edit(0, b"key", clock.now(), put).expect("all keys are known");
    clock.set(Timestamp::from_millis(2_000));
    let waited = Stopwatch::start();
    while !engine.is_empty(0) {
        assert!(u128::from(waited.nanos()) < DEADLINE.as_nanos(), "the sweep never came");
        std::thread::yield_now();
    }
    assert_eq!(engine.expired_keys(), 1);
    assert_eq!(server.stop(), End::Orderly);
}
