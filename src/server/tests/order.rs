//! The order of replies where some come late, and what happens meanwhile.

use super::*;

#[test]
fn a_suspended_command_holds_back_those_behind() {
    let server = Running::start();
    let mut client = server.connect();
    client.send(b"PING\r\nsuspend suspended\r\nSET a\r\n");
    client.expect("+PONG\r\n");
    assert_eq!(server.registry.list()[0].last_command().map(usize::from), Some(5));
    open("suspended");
    client.expect("+suspended\r\n+OK\r\n");
}

#[test]
fn later_answers_keep_their_places_while_others_run() {
    let server = Running::start();
    let mut client = server.connect();
    client.send(b"PING\r\nlater one\r\nECHO x\r\nlater two\r\nlater two\r\nset a\r\n");
    client.expect("+PONG\r\n");
    open("two");
    until("the commands behind run", || server.ports.metrics.command(2).calls == 1);
    client.send(b"ECHO y\r\n");
    open("one");
    client.expect("+one\r\n$1\r\nx\r\n+two\r\n+two\r\n+OK\r\n$1\r\ny\r\n");
    client.check("later one", "+one\r\n");
}

#[test]
fn the_number_of_owed_answers_is_bounded() {
    let server = Running::start();
    let mut client = server.connect();
    client.send(&b"later many\r\n".repeat(3_000));
    until("it holds", || server.ports.metrics.command(6).calls == 1_024);
    client.send(b"PING\r\n");
    open("many");
    client.expect(&"+many\r\n".repeat(3_000));
    client.expect("+PONG\r\n");
}

#[test]
fn a_missing_key_is_fetched_and_the_command_run_again() {
    let server = Running::start();
    let mut client = server.connect();
    client.send(b"PING\r\nfetched cold\r\nPING\r\n");
    client.expect("+PONG\r\n");
    open("get-cold");
    client.expect("$4\r\ncold\r\n+PONG\r\n");
    client.check("fetched cold", "$4\r\ncold\r\n");
}

#[test]
fn a_fetch_that_fails_is_an_error_reply() {
    let server = Running::start();
    let mut client = server.connect();
    open("get-fail");
    client.send(b"fetched fail\r\nPING\r\nreply skip\r\nfetched fail\r\nPING\r\n");
    client.expect("-ERR the truth is away\r\n+PONG\r\n+PONG\r\n");
}

/// Others are there, or are asked for.
#[test]
fn a_key_that_cannot_be_read_is_the_error_of_its_requests_alone() {
    let server = Running::start();
    let mut client = server.connect();
    ["get-damaged", "get-behind", "there"].into_iter().for_each(open);
    client.send(b"fetched damaged\r\nfetched there\r\nfetched behind\r\nfetched damaged\r\nPING\r\n");
    client.expect("-ERR damaged cannot be read\r\n$5\r\nthere\r\n$6\r\nbehind\r\n");
    client.expect("-ERR damaged cannot be read\r\n+PONG\r\n");
}

/// Else a pipeline would wait as long as the truth is waited for, once for each of its requests.
#[test]
fn what_came_before_a_fetch_failed_is_refused_with_it() {
    let server = Running::start();
    let mut client = server.connect();
    open("there");
    // Nothing opens for those that are not asked for: whoever did ask would wait for good.
    let requests = "fetched failing\r\nPING\r\nfetched there\r\nfetched unasked\r\nreply skip\r\nfetched unasked\r\n\
                    fetched failing\r\nsuspend held\r\nfetched behind\r\nSET a";
    client.send(requests.as_bytes());
    let sent = u64::try_from(requests.len()).unwrap();
    until("all have come", || server.ports.metrics.sum(|worker| worker.input_bytes.value()) == sent);
    open("get-failing");
    client.expect("-ERR the truth is away\r\n+PONG\r\n$5\r\nthere\r\n");
    client.expect("-ERR the truth is away\r\n-ERR the truth is away\r\n");
    // Time has passed since, so it is asked again; so it is for what came later.
    open("get-behind");
    open("held");
    client.expect("+held\r\n$6\r\nbehind\r\n");
    open("get-later");
    client.send(b"\r\nfetched later\r\n");
    client.expect("+OK\r\n$5\r\nlater\r\n");
}

#[test]
fn a_command_whose_keys_never_stay_ends_in_an_error() {
    let server = Running::start();
    let mut client = server.connect();
    client.check("never", "-TRYAGAIN the keys of this command did not stay in memory until it could run\r\n");
    client.check("PING", "+PONG\r\n");
}

#[test]
fn late_answers_are_suppressed_as_others_are() {
    let server = Running::start();
    let mut client = server.connect();
    client.send(b"reply skip\r\nlater skipped\r\nPING\r\nreply skip\r\nsuspend skipped\r\nECHO x\r\n");
    open("skipped");
    client.expect("+PONG\r\n$1\r\nx\r\n");
    client.send(b"reply off\r\nPING\r\nlater skipped\r\nsuspend skipped\r\nfetched skipped\r\nquit\r\n");
    client.expect_end("");
}

#[test]
fn a_pause_ends_when_it_is_over_or_ended() {
    let server = Running::start();
    let (mut reader, mut writer) = (server.connect(), server.connect());
    server.registry.pause(HARNESS_START.plus_micros(3_600_000_000), true);
    writer.send(b"PING\r\nSET a\r\nPING\r\n");
    writer.expect("+PONG\r\n");
    reader.check("GET a", "$10\r\n0123456789\r\n");
    assert_eq!(server.ports.metrics.command(2).calls, 0);
    server.registry.unpause();
    writer.expect("+OK\r\n+PONG\r\n");
    server.registry.pause(HARNESS_START.plus_micros(20_000), false);
    reader.send(b"GET a\r\n");
    // The clock stands still, so the request meets the same pause again until it moves.
    server.clock.advance_micros(20_001);
    reader.expect("$10\r\n0123456789\r\n");
}
