//! What servers of drills hold, and how it is looked at.

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
    for (_, read, expected) in STATE {
        client.check(read, expected);
    }
    assert_eq!(client.take("org/acme", "")[2], remaining);
    let Reply::Many(_, parts) = client.call("CL.THROTTLE user 15 30 1000000 0") else { panic!("it answers") };
    assert_eq!(parts[2].in_cli_notation(), "(integer) 13");
}
