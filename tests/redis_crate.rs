//! The Rust `redis` crate as a client: handshakes, pipelines, binary data, errors, limits, a killed connection.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use redis::{Client, Commands, Connection, ErrorKind, RedisResult, ServerErrorKind, cmd, pipe};

/// The program on a free port, ended when it is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_quotad"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--admin",
                "off",
                "--truth",
                "none",
                "--snapshots",
                "none",
                "--log-format",
                "json",
                "--threads",
                "1",
            ])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let found = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let begin = line.find("\"listen\":\"")? + "\"listen\":\"".len();
            Some(line[begin..].split('"').next()?.to_owned())
        });
        // Somebody must go on reading the log, or the server would wait for room in the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: found.expect("the server says where it listens") }
    }

    fn connect(&self, parameters: &str) -> Connection {
        let client = Client::open(format!("redis://{}/{parameters}", self.address));
        client.expect("the address is one").get_connection().expect("the server accepts")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn check_all(parameters: &str) {
    let server = Server::start();
    let mut client = server.connect(parameters);
    pipelines(&mut client);
    binary(&mut client);
    errors(&mut client);
    scan(&mut client);
    limits(&mut client);
    databases(&server, parameters, &mut client);
    killed(&server, parameters, &mut client);
}

fn pipelines(client: &mut Connection) {
    let mut pipeline = pipe();
    for _ in 0..10_000 {
        pipeline.incr("many", 1);
    }
    let sums: Vec<i64> = pipeline.query(client).expect("the server answers");
    assert!(sums.into_iter().eq(1..=10_000));
}

fn binary(client: &mut Connection) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let () = client.set(&every_byte, &every_byte).expect("the server answers");
    assert_eq!(client.get::<_, Vec<u8>>(&every_byte).expect("the server answers"), every_byte);
}

fn errors(client: &mut Connection) {
    let () = client.set("word", "abc").expect("the server answers");
    let refused: RedisResult<i64> = client.incr("word", 1);
    assert_eq!(
        refused.expect_err("the call is refused").kind(),
        ErrorKind::Server(ServerErrorKind::ResponseError)
    );
    let refused: RedisResult<String> = cmd("NONSENSE").arg("a").query(client);
    assert!(refused.expect_err("the call is refused").to_string().contains("unknown command"));
    assert_eq!(cmd("PING").query::<String>(client).expect("the server answers"), "PONG");
}

fn scan(client: &mut Connection) {
    let pairs: Vec<(String, i64)> = (0..2_000).map(|number| (format!("scan:{number}"), number)).collect();
    let () = client.mset(&pairs).expect("the server answers");
    let found = client.scan_match::<_, String>("scan:*").expect("the server answers");
    let mut found: Vec<String> = found.map(|key| key.expect("the server answers")).collect();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 2_000);
}

fn limits(client: &mut Connection) {
    let call = cmd("CL.THROTTLE").arg("user:7").arg(&[15, 30, 60, 1]).to_owned();
    assert_eq!(call.query::<Vec<i64>>(client).expect("the server answers"), [0, 16, 15, -1, 2]);
    let call = cmd("QUOTA.TAKE").arg("org/acme").arg(3).arg(&["BUDGET", "5", "PER", "TOTAL"]).to_owned();
    let taken: Vec<redis::Value> = call.query(client).expect("the server answers");
    assert_eq!(taken[..3], [redis::Value::Int(1), redis::Value::Int(3), redis::Value::Int(2)]);
    let taken: Vec<redis::Value> = call.query(client).expect("the server answers");
    assert_eq!(taken[0], redis::Value::Int(0));
}

fn databases(server: &Server, parameters: &str, client: &mut Connection) {
    let mut other = server.connect(&parameters.replacen('0', "3", 1));
    let () = other.set("where", "three").expect("the server answers");
    assert_eq!(client.get::<_, Option<String>>("where").expect("the server answers"), None);
    assert_eq!(
        other.get::<_, Option<String>>("where").expect("the server answers").as_deref(),
        Some("three")
    );
}

fn killed(server: &Server, parameters: &str, client: &mut Connection) {
    let mut victim = server.connect(parameters);
    let number: i64 = cmd("CLIENT").arg("ID").query(&mut victim).expect("the server answers");
    let ended: i64 =
        cmd("CLIENT").arg("KILL").arg("ID").arg(number).query(client).expect("the server answers");
    assert_eq!(ended, 1);
    let refused: RedisResult<String> = cmd("PING").query(&mut victim);
    assert!(refused.expect_err("the call is refused").is_connection_dropped());
    let again: i64 =
        cmd("CLIENT").arg("ID").query(&mut server.connect(parameters)).expect("the server answers");
    assert!(again > number);
}

#[test]
fn over_resp2() {
    check_all("0");
}

#[test]
fn over_resp3() {
    check_all("0?protocol=resp3");
}
