//! How connections and servers end.

use std::sync::atomic::Ordering;

use super::*;

#[test]
fn killed_connections_close_and_one_that_kills_itself_is_answered() {
    let server = Running::start();
    let (mut first, mut second) = (server.connect(), server.connect());
    first.check("PING", "+PONG\r\n");
    second.check("PING", "+PONG\r\n");
    let victim = server.registry.list()[1].id;
    first.check(&format!("kill {victim}"), "+OK\r\n");
    second.expect_end("");
    let own = server.registry.list()[0].id;
    first.send(format!("PING\r\nkill {own}\r\nPING\r\n").as_bytes());
    first.expect_end("+PONG\r\n+OK\r\n");
}

#[test]
fn a_suspended_client_can_be_killed_and_its_going_is_noticed() {
    let server = Running::start();
    let (mut killed, mut gone) = (server.connect(), server.connect());
    killed.send(b"PING\r\nsuspend forever\r\n");
    gone.send(b"PING\r\nsuspend forever\r\n");
    killed.expect("+PONG\r\n");
    gone.expect("+PONG\r\n");
    drop(gone);
    until("one is left", || server.registry.open_connections() == 1);
    server.registry.list()[0].kill();
    killed.expect_end("");
}

#[test]
fn a_panic_harms_only_its_own_connection() {
    let server = Running::start();
    let (mut bad, mut good) = (server.connect(), server.connect());
    good.check("PING", "+PONG\r\n");
    bad.send(b"PING\r\npanic\r\nPING\r\n");
    bad.expect_end("+PONG\r\n-ERR internal error\r\n");
    good.check("PING", "+PONG\r\n");
    assert_eq!(server.ports.metrics.server.panics.value(), 1);
}

#[test]
fn quit_answers_and_closes() {
    let server = Running::start();
    let mut client = server.connect();
    client.send(b"PING\r\nquit\r\nPING\r\n");
    client.expect_end("+PONG\r\n+OK\r\n");
}

#[test]
fn quit_waits_for_what_is_owed() {
    let server = Running::start();
    let mut client = server.connect();
    client.send(b"later before-quit\r\nquit\r\n");
    open("before-quit");
    client.expect_end("+before-quit\r\n+OK\r\n");
}

#[test]
fn idle_connections_are_closed_and_waiting_ones_are_not() {
    let server = Running::start();
    let (mut idle, mut waiting) = (server.connect(), server.connect());
    idle.check("PING", "+PONG\r\n");
    waiting.send(b"PING\r\nsuspend not-idle\r\n");
    waiting.expect("+PONG\r\n");
    idle.send(b"*1\r\n$4\r\nPI");
    until("the piece has arrived", || server.registry.list().iter().any(|client| client.buffers().0 == 10));
    server.limits.idle_timeout_secs.store(10, Ordering::Relaxed);
    server.clock.advance_micros(10_000_001);
    idle.expect_end("");
    open("not-idle");
    waiting.expect("+not-idle\r\n");
}

#[test]
fn a_shutdown_answers_all_that_was_sent() {
    let mut server = Running::with_threads(2);
    let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.check("PING", "+PONG\r\n");
        client.send(&b"PING\r\n".repeat(20_000));
    }
    server.shutdown.begin();
    let reading: Vec<_> = clients
        .into_iter()
        .map(|mut client| std::thread::spawn(move || client.expect_end(&"+PONG\r\n".repeat(20_000))))
        .collect();
    reading.into_iter().for_each(|reading| reading.join().unwrap());
    server.stop();
    assert!(TcpStream::connect(server.address).is_err());
    assert_eq!(server.registry.open_connections(), 0);
}

#[test]
fn a_shutdown_gives_clients_its_own_time_to_take_their_replies() {
    const LENGTH: usize = 50_000_000;
    let mut server = Running::start();
    server.limits.flush_ms.store(0, Ordering::Relaxed);
    server.limits.drain_ms.store(600_000, Ordering::Relaxed);
    let ask = |client: &mut Client<TcpStream>| {
        client.send(format!("bytes {LENGTH}\r\n").as_bytes());
        until("the reply waits", || server.registry.list().iter().any(|client| client.buffers().1 > 0));
    };
    let mut given_up = server.connect();
    ask(&mut given_up);
    given_up.0.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(given_up.rest().len() < LENGTH, "while the server goes on, the time is over at once");
    until("it is closed", || server.registry.open_connections() == 0);
    let mut served = server.connect();
    ask(&mut served);
    server.shutdown.begin();
    served.0.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(served.rest().len(), format!("${LENGTH}\r\n\r\n").len() + LENGTH);
    server.stop();
}

#[test]
fn a_shutdown_does_not_wait_for_suspended_or_paused_clients() {
    let mut server = Running::start();
    let (mut suspended, mut paused) = (server.connect(), server.connect());
    suspended.send(b"PING\r\nsuspend through-shutdown\r\n");
    suspended.expect("+PONG\r\n");
    server.registry.pause(HARNESS_START.plus_micros(1_000_000_000), true);
    paused.send(b"PING\r\nSET a\r\n");
    paused.expect("+PONG\r\n");
    server.stop();
    suspended.expect_end("");
    paused.expect_end("");
}
