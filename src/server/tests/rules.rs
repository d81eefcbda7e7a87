//! What is refused: too many clients, what is no protocol, taken addresses.

use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;

use super::*;

#[test]
fn one_client_too_many_is_told_so() {
    let server = Running::start();
    server.limits.max_clients.store(2, Ordering::Relaxed);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.check("PING", "+PONG\r\n");
    second.check("PING", "+PONG\r\n");
    server.connect().expect_end("-ERR max number of clients reached\r\n");
    let metrics = &server.ports.metrics.server;
    assert_eq!((metrics.connections_rejected.value(), metrics.connections_received.value()), (1, 2));
    drop(first);
    until("a place is free", || metrics.connections_open.value() == 1);
    server.connect().check("PING", "+PONG\r\n");
}

#[test]
fn what_is_no_protocol_gets_an_error_and_is_closed() {
    let server = Running::start();
    let check = |input: &[u8], expected: &str| {
        let mut client = server.connect();
        client.send(&[b"PING\r\n", input].concat());
        client.expect_end(&format!("+PONG\r\n-ERR Protocol error: {expected}\r\n"));
    };
    check(b"*1000000000\r\n", "invalid multibulk length");
    check(b"*1\r\n$99999999999\r\n", "invalid bulk length");
    check(b"*1\r\n$4\r\nPINGxx", "expected CRLF after bulk");
    check(&b"*1\r\n".repeat(100_000), "expected '$', got '*'");
    check(b"\x16\x03\x01\x02\x00\x01\x00\x01", "this port speaks plain Redis protocol, not TLS");
    check(&vec![b'x'; 70_000], "too big inline request");
    assert_eq!(server.ports.metrics.sum(|worker| worker.protocol_errors.value()), 6);
}

#[test]
fn http_is_closed_at_once() {
    let server = Running::start();
    let mut client = server.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a 1\r\n");
    client.expect_end("-ERR this port speaks the Redis protocol, not HTTP\r\n");
}

#[test]
fn strangers_may_announce_little() {
    let server = Running::start();
    *server.outside.password.lock() = Some("secret".to_owned());
    let mut client = server.connect();
    client.check("PING", "-NOAUTH Authentication required.\r\n");
    client.send(b"*11\r\n");
    client.expect_end("-ERR Protocol error: unauthenticated multibulk length\r\n");
}

#[test]
fn a_taken_port_is_named() {
    let server = Running::start();
    let config = ServerConfig::new(vec![ListenAddress::Tcp(server.address)], NonZeroUsize::new(1).unwrap());
    let Err(error) = Server::bind(config) else { panic!("the port is taken") };
    let expected =
        format!("cannot listen on {}: the address is taken; is another server running?", server.address);
    assert_eq!(error.to_string(), expected);
}

#[test]
fn unix_sockets_serve_are_guarded_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quotad.sock");
    // A file that a killed server left: nobody answers on it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let mut config =
        ServerConfig::new(vec![ListenAddress::Unix(path.clone())], NonZeroUsize::new(1).unwrap());
    config.unix_socket_mode = Some(0o770);
    let mut server = Running::with_config(config.clone());
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut client = Client(stream);
    client.check("PING", "+PONG\r\n");
    assert_eq!(&*server.registry.list()[0].address, format!("{}:0", path.display()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o770);
    assert!(Server::bind(config.clone()).is_err_and(|error| error.to_string().contains("another server")));
    client.check("PING", "+PONG\r\n");
    drop(client);
    server.stop();
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    assert!(Server::bind(config).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}
