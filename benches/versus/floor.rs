//! The floor: a bare epoll loop on one thread that finds where requests end and answers `:1`, or an array as long as a
//! verdict where the request has as many words as CL.THROTTLE or QUOTA.TAKE.
//!
//! No server can spend less on a request, so what one spends above this is what its commands cost. One read and one
//! write per readable event, as a turn of quotad has.
#![expect(clippy::print_stdout, reason = "the program tells its port to the script that started it")]

use std::collections::HashMap;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::event::epoll::{self, EventData, EventFlags};

/// Bytes of a connection's buffer: a pipeline of 128 take commands with four limits fits.
const BUFFER_BYTES: usize = 64 * 1_024;

/// Events fetched by one wait: more than the connections of any run here.
const MAX_EVENTS: usize = 256;

/// The listener's mark among the events; connections count from 1.
const LISTENER: u64 = 0;

/// What INCR and all short requests are answered.
const INTEGER: &[u8] = b":1\r\n";

/// What a request of CL.THROTTLE's length is answered.
const THROTTLE_WORDS: usize = 6;
const THROTTLE_REPLY: &[u8] = b"*5\r\n:0\r\n:16\r\n:15\r\n:-1\r\n:2\r\n";

/// What longer ones are answered.
const TAKE_REPLY: &[u8] = b"*8\r\n:1\r\n:1\r\n:14\r\n:0\r\n:2000\r\n$17\r\nrequests:rate:60s\r\n:0\r\n:0\r\n";

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address)?;
    println!("{}", listener.local_addr()?.port());

    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut connections = HashMap::new();
    let mut last_number = LISTENER;
    let mut events = Vec::with_capacity(MAX_EVENTS);
    let mut output = Vec::with_capacity(BUFFER_BYTES);
    loop {
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Err(rustix::io::Errno::INTR) => continue,
            waited => waited?,
        };
        for event in events.drain(..) {
            let number = event.data.u64();
            if number == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                last_number += 1;
                epoll::add(&epoll, &stream, EventData::new_u64(last_number), EventFlags::IN)?;
                let connection = Connection { stream, buffer: vec![0; BUFFER_BYTES], filled: 0 };
                connections.insert(last_number, connection);
            } else if let Some(connection) = connections.get_mut(&number)
                && !turn(connection, &mut output)
            {
                // Closing the socket takes it out of the epoll set.
                connections.remove(&number);
            }
        }
    }
}

/// Reads once, answers every complete request, writes once; `false`: the connection is to be closed.
fn turn(connection: &mut Connection, output: &mut Vec<u8>) -> bool {
    match connection.stream.read(&mut connection.buffer[connection.filled..]) {
        Ok(0) => return false,
        Ok(length) => connection.filled += length,
        Err(error) => return error.kind() == ErrorKind::WouldBlock,
    }
    output.clear();
    let mut begin = 0;
    while let Some((words, length)) = request(&connection.buffer[begin..connection.filled]) {
        output.extend_from_slice(match words {
            0..THROTTLE_WORDS => INTEGER,
            THROTTLE_WORDS => THROTTLE_REPLY,
            _ => TAKE_REPLY,
        });
        begin += length;
    }
    connection.buffer.copy_within(begin..connection.filled, 0);
    connection.filled -= begin;
    output.is_empty() || connection.stream.write_all(output).is_ok()
}

/// Words and length of the array of bulk strings that `bytes` begin with; `None` while it is not whole.
fn request(bytes: &[u8]) -> Option<(usize, usize)> {
    let (words, mut at) = header(bytes, 0)?;
    for _ in 0..words {
        let (length, begin) = header(bytes, at)?;
        at = begin + length + 2;
    }
    (at <= bytes.len()).then_some((words, at))
}

/// The number of a line like `*3` or `$16` at `at`, and where the next line begins.
fn header(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut number = 0;
    loop {
        at += 1;
        match *bytes.get(at)? {
            b'\r' => return Some((number, at + 2)),
            digit => number = number * 10 + usize::from(digit.wrapping_sub(b'0')),
        }
    }
}
