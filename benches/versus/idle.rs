//! Memory per idle connection: opens many, each sends one request and waits for its reply, then all are silent.
//!
//! `idle CONNECTIONS SERVER ADDRESS PID` prints one line of `measure server bytes` for the report.
#![expect(clippy::print_stdout, reason = "the figures are the program's output")]

mod resident;

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files the process has open beside its connections.
const OTHER_FILES: u64 = 64;

/// Connections before the first look at the process, so that what every server allocates once is not counted.
const WARM_UP_CONNECTIONS: usize = 10;

/// How long the connections are silent before the second look: servers may give buffers back a little later.
const SILENCE: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [connections, server, address, process] = arguments.as_slice() else {
        return Err("usage: idle CONNECTIONS SERVER ADDRESS PID".into());
    };
    let (connections, process): (usize, u32) = (connections.parse()?, process.parse()?);
    allow_files(u64::try_from(connections + WARM_UP_CONNECTIONS)? + OTHER_FILES)?;
    let warm_up = open(address, WARM_UP_CONNECTIONS)?;
    let before = resident::resident_bytes(process)?;
    let opened = open(address, connections)?;
    std::thread::sleep(SILENCE);
    let after = resident::resident_bytes(process)?;
    drop((warm_up, opened));
    println!("idle.connection {server} {}", after.saturating_sub(before) / u64::try_from(connections)?);
    Ok(())
}

fn open(address: &str, connections: usize) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let mut streams = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"*1\r\n$4\r\nPING\r\n")?;
        let mut pong = [0; b"+PONG\r\n".len()];
        stream.read_exact(&mut pong)?;
        if &pong != b"+PONG\r\n" {
            return Err(String::from_utf8_lossy(&pong).into());
        }
        streams.push(stream);
    }
    Ok(streams)
}

/// Raises the process's limit on open files.
fn allow_files(files: u64) -> Result<(), Box<dyn Error>> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < files) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum: limit.maximum }).map_err(
            |error| format!("{files} open files are needed, {:?} allowed: {error}", limit.maximum),
        )?;
    }
    Ok(())
}
