//! A client that sends lines and reads replies, without a library between.

use std::io::{Read, Write};
use std::net::TcpStream;

use quotad::clock::Stopwatch;

use crate::program::{DEADLINE, Running, text};
use crate::support::{Reply, decode};

/// One connection.
pub struct Client {
    /// For what is sent without waiting for the reply.
    pub stream: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    pub fn of(server: &Running) -> Self {
        Self::on(server.connect())
    }

    pub fn on(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub fn read(&mut self) -> Reply {
        let mut buffer = [0; 65_536];
        loop {
            if let Some((reply, length)) = decode(&self.unread).filter(|_| !self.unread.is_empty()) {
                self.unread.drain(..length);
                return reply;
            }
            let length = self.stream.read(&mut buffer).expect("the server answers");
            assert!(length > 0, "the server closed the connection");
            self.unread.extend_from_slice(&buffer[..length]);
        }
    }

    pub fn call(&mut self, line: &str) -> Reply {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
        self.read()
    }

    /// Replies as redis-cli writes them.
    #[track_caller]
    pub fn check(&mut self, line: &str, expected: &str) {
        assert_eq!(self.call(line).in_cli_notation(), expected, "{line}");
    }

    /// Asks again until the reply is as it should be.
    pub fn until(&mut self, line: &str, is_right: impl Fn(&Reply) -> bool) -> Reply {
        let begin = Stopwatch::start();
        loop {
            let reply = self.call(line);
            if is_right(&reply) {
                return reply;
            }
            assert!(is_early(&begin), "{line} still answers {reply:?}");
        }
    }

    pub fn figure(&mut self, section: &str, name: &str) -> u64 {
        let Reply::Bulk(info) = self.call(&format!("INFO {section}")) else { panic!("INFO answers text") };
        let info = text(&info);
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect("INFO tells it").trim().parse().expect("it is a number")
    }

    /// Takes one of a budget; answers the verdict's numbers.
    pub fn take(&mut self, subject: &str, end: &str) -> Vec<String> {
        let Reply::Many(_, parts) = self.call(&format!("QUOTA.TAKE {subject} 1 BUDGET 100 PER TOTAL {end}"))
        else {
            panic!("a take answers a verdict")
        };
        parts.iter().map(Reply::in_cli_notation).map(|part| part.replace("(integer) ", "")).collect()
    }
}

/// Whether a wait may still go on.
pub fn is_early(begin: &Stopwatch) -> bool {
    u128::from(begin.nanos()) < DEADLINE.as_nanos()
}
