//! A connection that sends many requests before it reads their replies.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::{Reply, decode};
use crate::surroundings::DEADLINE;

/// One connection to the server.
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// Where the next reply begins.
    at: usize,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new(), at: 0 })
    }

    /// The same connection for somebody who only sends.
    pub fn try_clone(&self) -> Self {
        let stream = self.stream.try_clone().expect("a socket can be had twice");
        Self { stream, received: Vec::new(), at: 0 }
    }

    /// Sends requests as they are.
    pub fn send(&mut self, requests: &[u8]) -> Result<()> {
        self.stream.write_all(requests)
    }

    /// The next reply.
    ///
    /// # Panics
    /// When it does not come before the deadline: a server that lives answers, and one that is gone closes.
    pub fn reply(&mut self) -> Result<Reply> {
        loop {
            let rest = &self.received[self.at..];
            if let Some((reply, length)) = (!rest.is_empty()).then(|| decode(rest)).flatten() {
                self.at += length;
                return Ok(reply);
            }
            self.received.drain(..self.at);
            self.at = 0;
            self.receive()?;
        }
    }

    fn receive(&mut self) -> Result<()> {
        let mut buffer = [0; 16_384];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(Error::from(ErrorKind::UnexpectedEof)),
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("no reply within {} s", DEADLINE.as_secs())
            }
            Err(error) => Err(error),
        }
    }

    /// Sends one command, its words divided by spaces, and answers its reply.
    pub fn call(&mut self, words: &str) -> Result<Reply> {
        let mut request = Vec::new();
        write_words(words, &mut request);
        self.send(&request)?;
        self.reply()
    }

    /// Sends commands at once, as [`call`](Self::call) does one, and answers their replies: few enough that the server need not write
    /// before all are sent.
    pub fn pipeline(&mut self, calls: impl Iterator<Item = String>) -> Result<Vec<Reply>> {
        let (mut requests, mut count) = (Vec::new(), 0);
        for words in calls {
            write_words(&words, &mut requests);
            count += 1;
        }
        self.send(&requests)?;
        (0..count).map(|_| self.reply()).collect()
    }
}

/// Writes a command whose words are divided by spaces.
pub fn write_words(words: &str, out: &mut Vec<u8>) {
    let words: Vec<&str> = words.split(' ').collect();
    quotad::resp::write_request(out, &words);
}

/// The integer in a reply.
pub fn integer(reply: &Reply) -> Option<u64> {
    match reply {
        Reply::Integer(text) => text.parse().ok(),
        _ => None,
    }
}
