//! What client libraries send when they connect, byte for byte, where the library itself is not run by the tests.

mod support;

use quotad::dispatch::testing::Harness;
use support::decode;

/// Sends all calls at once, as a client does that does not wait; answers the replies in redis-cli's notation.
fn replies(harness: &mut Harness, calls: &[&[&str]]) -> Vec<String> {
    let mut input = Vec::new();
    for call in calls {
        quotad::resp::write_request(&mut input, call);
    }
    let output = harness.feed(&input);
    let mut replies = Vec::new();
    let mut rest = &output[..];
    while !rest.is_empty() {
        let (reply, length) = decode(rest).expect("every reply is whole");
        replies.push(reply.in_cli_notation());
        rest = &rest[length..];
    }
    replies
}

fn server() -> Harness {
    let server = Harness::new(quotad::command::table());
    let settings = [("timeout", "0"), ("replica-read-only", "yes"), ("databases", "16")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    server.outside.settings.lock().extend(settings);
    server
}

/// StackExchange.Redis 2: it goes on after each of these errors, and fails on none.
#[test]
fn stack_exchange() {
    let mut server = server();
    let answers = replies(
        &mut server,
        &[
            &["HELLO", "3", "SETNAME", "web-1"],
            &["CLIENT", "SETNAME", "web-1"],
            &["CLIENT", "SETINFO", "lib-name", "SE.Redis"],
            &["CLIENT", "SETINFO", "lib-ver", "2.8.0"],
            &["CLIENT", "ID"],
            &["CONFIG", "GET", "timeout"],
            &["CONFIG", "GET", "replica-read-only"],
            &["CONFIG", "GET", "databases"],
            &["SENTINEL", "MASTERS"],
            &["INFO", "replication"],
            &["INFO", "server"],
            &["CLUSTER", "NODES"],
            &["GET", "__Booksleeve_TieBreak"],
            &["ECHO", "\u{1}\u{2}"],
        ],
    );
    assert!(answers[0].starts_with("1# \"server\" => \"redis\"\n"), "{}", answers[0]);
    assert!(answers[0].contains("\"proto\" => (integer) 3"), "{}", answers[0]);
    assert_eq!(answers[1..5], ["OK", "OK", "OK", "(integer) 1"]);
    assert_eq!(answers[5], "1# \"timeout\" => \"0\"");
    assert_eq!(answers[6], "1# \"replica-read-only\" => \"yes\"");
    assert_eq!(answers[7], "1# \"databases\" => \"16\"");
    assert_eq!(answers[8], "(error) ERR unknown command 'SENTINEL', with args beginning with: 'MASTERS' ");
    assert!(answers[10].starts_with("# Server"), "{}", answers[10]);
    assert_eq!(answers[11], "(error) ERR This instance has cluster support disabled");
    assert_eq!(answers[12..], ["(nil)", "\"\\x01\\x02\""]);
}

/// Before authentication a client may say who it is and nothing else.
#[test]
fn with_a_password() {
    let mut server = server();
    *server.outside.password.lock() = Some("secret".to_owned());
    server.session.authenticated = false;
    let answers = replies(
        &mut server,
        &[
            &["HELLO", "3"],
            &["PING"],
            &["CLIENT", "SETNAME", "me"],
            &["NONSENSE"],
            &["AUTH", "default", "secret"],
            &["HELLO", "3"],
            &["PING"],
        ],
    );
    assert!(answers[0].starts_with("(error) NOAUTH HELLO must be called"), "{}", answers[0]);
    assert_eq!(answers[1], "(error) NOAUTH Authentication required.");
    assert_eq!(answers[2], "(error) NOAUTH Authentication required.");
    assert!(answers[3].starts_with("(error) ERR unknown command"), "{}", answers[3]);
    assert_eq!(answers[4], "OK");
    assert!(answers[5].contains("\"proto\" => (integer) 3"), "{}", answers[5]);
    assert_eq!(answers[6], "PONG");
}

/// Clients that know no HELLO: go-redis 6, Jedis 3, hiredis.
#[test]
fn without_hello() {
    let calls: &[&[&str]] = &[&["SELECT", "3"], &["PING"], &["CLIENT", "GETNAME"], &["QUIT"]];
    let mut server = server();
    assert_eq!(replies(&mut server, calls), ["OK", "PONG", "(nil)", "OK"]);
    assert!(server.session.close);
}
