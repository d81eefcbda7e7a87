//! One connection, no pipeline: how long a client waits for one answer, from several servers in turn.
//!
//! `round_trip REQUESTS NAME=ADDRESS...` sends that many increments to each server in each of [`ROUNDS`] rounds and
//! prints, per round and server, lines of `measure server nanoseconds` for the report.
#![expect(clippy::print_stdout, reason = "the figures are the program's output")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Times each server has its turn: A B A B A B.
const ROUNDS: usize = 3;

/// Requests before the first measured one are a tenth of the measured ones: they bring the caches and the scheduler to
/// where they stay.
const WARM_UP_DIVISOR: usize = 10;

const REQUEST: &[u8] = b"*2\r\n$4\r\nINCR\r\n$10\r\nround:trip\r\n";

struct Server {
    name: String,
    stream: TcpStream,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let requests: usize = arguments.next().ok_or("usage: round_trip REQUESTS NAME=ADDRESS...")?.parse()?;
    let mut servers = Vec::new();
    for argument in arguments {
        let (name, address) = argument.split_once('=').ok_or("a server is given as NAME=ADDRESS")?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        servers.push(Server { name: name.to_owned(), stream });
    }
    let mut nanos = Vec::with_capacity(requests);
    for _ in 0..ROUNDS {
        for server in &mut servers {
            for _ in 0..requests / WARM_UP_DIVISOR {
                ask(&mut server.stream)?;
            }
            nanos.clear();
            for _ in 0..requests {
                let begin = Instant::now();
                ask(&mut server.stream)?;
                nanos.push(begin.elapsed().as_nanos());
            }
            nanos.sort_unstable();
            for (measure, percent) in [("p50", 50), ("p90", 90), ("p99", 99)] {
                let at = (nanos.len() * percent / 100).min(nanos.len().saturating_sub(1));
                println!("round_trip.{measure} {} {}", server.name, nanos.get(at).ok_or("no requests")?);
            }
        }
    }
    Ok(())
}

/// Sends one request and reads its answer, which is an integer's line.
fn ask(stream: &mut TcpStream) -> Result<(), Box<dyn Error>> {
    stream.write_all(REQUEST)?;
    let mut answer = [0; 64];
    let mut filled = 0;
    while !answer[..filled].ends_with(b"\r\n") {
        match stream.read(&mut answer[filled..])? {
            0 => return Err("the server closed the connection".into()),
            length => filled += length,
        }
    }
    if answer[0] == b':' { Ok(()) } else { Err(String::from_utf8_lossy(&answer[..filled]).into()) }
}
