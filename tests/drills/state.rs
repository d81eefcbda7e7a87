//! What servers of drills hold, and how it is looked at.

use std::io::Write as _;

use quotad::resp::write_request;

use crate::client::Client;
use crate::support::Reply;

/// Keys of every kind, with what reads them and what is answered.
const STATE: &[(&str, &str, &str)] = &[
    ("SET text hello EX 100000", "GET text", "\"hello\""),
    ("INCRBY count 41", "GET count", "\"41\""),
    ("SET forever 1", "TTL forever", "(integer) -1"),
    ("SET text:2 other", "GET text:2", "\"other\""),
];

/// Writes all of it.
pub fn fill(client: &mut Client) {
    for (write, ..) in STATE {
        client.call(write);
    }
    client.take("org/acme", "");
    client.take("org/acme", "");
    client.call("CL.THROTTLE user 15 30 1000000 3");
}

/// Checks all of it, where a take of the budget leaves so many.
#[track_caller]
pub fn check(client: &mut Client, remaining: &str) {
    look(client);
    assert_eq!(client.take("org/acme", "")[2], remaining);
}

/// Checks all of it and changes nothing, where so much of the budget is left.
#[track_caller]
pub fn peek(client: &mut Client, remaining: u64) {
    look(client);
    let peeked = client.call("QUOTA.PEEK org/acme").in_cli_notation();
    assert!(peeked.contains(&format!("(integer) {remaining}")), "{peeked}");
}

#[track_caller]
fn look(client: &mut Client) {
    for (_, read, expected) in STATE {
        client.check(read, expected);
    }
    let Reply::Many(_, parts) = client.call("CL.THROTTLE user 15 30 1000000 0") else { panic!("it answers") };
    assert_eq!(parts[2].in_cli_notation(), "(integer) 13");
}

/// Calls with words of any bytes.
pub fn call(client: &mut Client, words: &[&[u8]]) -> Reply {
    let mut request = Vec::new();
    write_request(&mut request, words);
    client.stream.write_all(&request).expect("the server reads");
    client.read()
}
