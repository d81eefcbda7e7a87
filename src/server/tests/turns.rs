//! Pipelines, split bytes and clients that write much before they read.

use std::sync::atomic::Ordering;

use super::*;

#[test]
fn a_deep_pipeline_is_answered_in_full() {
    let server = Running::start();
    let mut client = server.connect();
    let mut writer = client.0.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&b"PING\r\n".repeat(100_000)).unwrap());
    client.expect(&"+PONG\r\n".repeat(100_000));
    writing.join().unwrap();
    let turns = server.ports.metrics.sum(|worker| worker.turns.value());
    assert!((98..50_000).contains(&turns), "{turns} turns: caps hold, and requests share turns");
    // The last write is counted after it, when the client may have read it already.
    until("all is counted", || server.ports.metrics.sum(|worker| worker.output_bytes.value()) == 700_000);
    assert_eq!(server.ports.metrics.sum(|worker| worker.input_bytes.value()), 600_000);
}

#[test]
fn bytes_may_come_one_by_one() {
    let server = Running::start();
    let mut client = server.connect();
    for byte in b"*2\r\n$4\r\nECHO\r\n$5\r\nhe\r\no\r\nPING\r\n" {
        client.send(&[*byte]);
    }
    client.expect("$5\r\nhe\r\no\r\n+PONG\r\n");
}

#[test]
fn a_large_argument_comes_back_whole_and_leaves_nothing_behind() {
    let server = Running::start();
    let mut client = server.connect();
    let text = "0123456789abcdef".repeat(400_000);
    let mut writer = client.0.try_clone().unwrap();
    let request = format!("*2\r\n$4\r\nECHO\r\n${}\r\n{text}\r\nPING\r\n", text.len());
    let writing = std::thread::spawn(move || writer.write_all(request.as_bytes()).unwrap());
    client.expect(&format!("${}\r\n{text}\r\n+PONG\r\n", text.len()));
    writing.join().unwrap();
    until("the buffers are given back", || server.registry.list()[0].buffers() == (0, 0));
}

#[test]
fn a_million_requests_may_be_written_before_the_first_read() {
    let server = Running::start();
    let mut client = server.connect();
    let mut other = server.connect();
    client.send(&b"*2\r\n$3\r\nGET\r\n$21\r\norg/acme/agent/000007\r\n".repeat(1_000_000));
    other.check("PING", "+PONG\r\n");
    let expected = "$10\r\n0123456789\r\n".repeat(1_000);
    for _ in 0..1_000 {
        client.expect(&expected);
    }
    client.check("PING", "+PONG\r\n");
}

#[test]
fn a_client_that_never_reads_is_closed_and_others_are_served() {
    let server = Running::start();
    server.limits.query_buffer_bytes.store(100_000, Ordering::Relaxed);
    server.limits.stall_ms.store(20, Ordering::Relaxed);
    let mut client = server.connect();
    let mut other = server.connect();
    let block = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n".repeat(1_000);
    while client.0.write_all(&block).is_ok() {}
    other.check("PING", "+PONG\r\n");
    until("it is closed", || server.registry.open_connections() == 1);
}

#[test]
fn little_is_read_behind_unread_replies_and_much_of_one_request() {
    const BACKLOG: u32 = 100_000;
    let server = Running::start();
    server.limits.unread_backlog_bytes.store(usize::try_from(BACKLOG).unwrap(), Ordering::Relaxed);
    let mut client = server.connect();
    let large = format!("$300000\r\n{}\r\n", "x".repeat(300_000));
    client.send(format!("*2\r\n$4\r\nECHO\r\n{large}").as_bytes());
    client.0.set_write_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    let block = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n".repeat(1_000);
    while client.0.write_all(&block).is_ok() {}
    let held = || server.registry.list()[0].buffers();
    until("replies are unread and requests wait", || held().0 >= BACKLOG && held().1 > 0);
    // One read more, of 64 KiB, may be held.
    assert!(held().0 < BACKLOG + 65_536, "{} bytes of requests are held", held().0);
    client.expect(&large);
    client.expect(&"$10\r\n0123456789\r\n".repeat(1_000));
}

#[test]
fn a_client_that_never_reads_is_idle_too() {
    let server = Running::start();
    server.limits.query_buffer_bytes.store(100_000, Ordering::Relaxed);
    server.limits.stall_ms.store(600_000, Ordering::Relaxed);
    let mut client = server.connect();
    client.0.set_write_timeout(Some(std::time::Duration::from_millis(50))).unwrap();
    let block = b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n".repeat(1_000);
    while client.0.write_all(&block).is_ok() {}
    server.limits.idle_timeout_secs.store(10, Ordering::Relaxed);
    server.clock.advance_micros(10_000_001);
    until("it is closed", || server.registry.open_connections() == 0);
}

#[test]
fn output_over_its_limit_closes() {
    let server = Running::start();
    server.limits.output_buffer_bytes.store(1_000_000, Ordering::Relaxed);
    let mut client = server.connect();
    let mut other = server.connect();
    client.send(b"bytes 50000000\r\n");
    until("it is closed", || server.registry.open_connections() == 1);
    other.check("PING", "+PONG\r\n");
}

#[test]
fn a_request_over_the_query_buffer_limit_closes() {
    let server = Running::start();
    server.limits.query_buffer_bytes.store(100_000, Ordering::Relaxed);
    let mut client = server.connect();
    client.send(b"*2\r\n$4\r\nECHO\r\n$200000\r\n");
    client.expect_end("-ERR Protocol error: too big request\r\n");
}

#[test]
fn a_half_closed_client_gets_its_answers() {
    let server = Running::start();
    let mut client = server.connect();
    client.send(&b"PING\r\n".repeat(5_000));
    client.send(b"unfinish");
    client.0.shutdown(std::net::Shutdown::Write).unwrap();
    client.expect_end(&"+PONG\r\n".repeat(5_000));
}
