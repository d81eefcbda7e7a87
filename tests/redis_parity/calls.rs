//! The calls that both servers are asked.
//!
//! Not asked, since the answers are meant to differ: OBJECT ENCODING of a string that was changed in place (Redis keeps `raw`
//! where quotad counts an integer again), the order and cursors of SCAN, a cursor that no page has answered, and the milliseconds between two clocks.

/// The listed calls, in the order in which they are asked.
pub const ALL: &[&str] = &[
    include_str!("strings.txt"),
    include_str!("counters.txt"),
    include_str!("options.txt"),
    include_str!("expiry.txt"),
    include_str!("keys.txt"),
    include_str!("patterns.txt"),
    include_str!("errors.txt"),
    include_str!("floats.txt"),
];

/// Random calls from a seed: few keys, so that calls meet each other's values.
pub struct Random(u64);

impl Random {
    /// The calls of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let count = u64::try_from(choices.len()).expect("the surroundings of the test work");
        choices[usize::try_from(self.next() % count).expect("the surroundings of the test work")]
    }

    fn word(&mut self, kind: char) -> &'static str {
        match kind {
            'k' => self.of(&["a", "b", "c", "d", "e"]),
            'v' => self.of(&[
                "",
                "0",
                "1",
                "-1",
                "42",
                "007",
                "abc",
                "3.5",
                "9223372036854775807",
                "-9223372036854775808",
                "1e3",
                " 1",
                "a longer value that does not fit anywhere small, so that it is stored elsewhere",
            ]),
            'i' => self.of(&[
                "0",
                "1",
                "-1",
                "2",
                "7",
                "100",
                "-3",
                "9223372036854775807",
                "-9223372036854775808",
                "x",
                "1.0",
            ]),
            'p' => self.of(&["0", "1", "-1", "3", "-3", "100", "-100", "x"]),
            'f' => self.of(&[
                "0.1",
                "-0.1",
                "1e2",
                "3",
                "5.25",
                "1e-7",
                "inf",
                "x",
                "0.00000000000000001",
                "1e17",
                "-7.125",
            ]),
            't' => self.of(&["100", "1000", "0", "-1", "5000", "x", "9223372036854775807"]),
            'u' => self.of(&["4102444800", "4102444900", "4102444700", "1", "0", "-1", "x"]),
            'c' => self.of(&["NX", "XX", "GT", "LT", "nx", "BOGUS"]),
            'n' => self.of(&["NX", "XX", "nx", "BOGUS"]),
            'o' => self.of(&[
                "NX",
                "XX",
                "GET",
                "KEEPTTL",
                "EX 100",
                "PX 100000",
                "EXAT 4102444800",
                "PXAT 4102444800500",
                "EX 0",
                "PERSIST",
            ]),
            _ => unreachable!("a template has only these"),
        }
    }

    /// One call.
    pub fn call(&mut self) -> Vec<Vec<u8>> {
        let template = self.of(TEMPLATES);
        let mut words = Vec::new();
        for word in template.split(' ') {
            match word.strip_prefix('$').and_then(|kind| kind.chars().next()) {
                Some('o') => words.extend(self.word('o').split(' ').map(|part| part.as_bytes().to_vec())),
                Some(kind) => words.push(self.word(kind).as_bytes().to_vec()),
                None => words.push(word.as_bytes().to_vec()),
            }
        }
        words
    }
}

const TEMPLATES: &[&str] = &[
    "GET $k",
    "SET $k $v",
    "SET $k $v $o",
    "SET $k $v $o $o",
    "SET $k $v $o $o $o",
    "SETEX $k $t $v",
    "PSETEX $k $t $v",
    "SETNX $k $v",
    "GETSET $k $v",
    "GETDEL $k",
    "GETEX $k",
    "GETEX $k $o",
    "MGET $k $k $k",
    "MSET $k $v $k $v",
    "MSETNX $k $v $k $v",
    "INCR $k",
    "DECR $k",
    "INCRBY $k $i",
    "DECRBY $k $i",
    "INCRBYFLOAT $k $f",
    "INCRBYFLOAT $k $f",
    "APPEND $k $v",
    "STRLEN $k",
    "GETRANGE $k $p $p",
    "SETRANGE $k $p $v",
    "SUBSTR $k $p $p",
    "DEL $k",
    "UNLINK $k $k",
    "EXISTS $k $k",
    "TYPE $k",
    "EXPIRE $k $t",
    "EXPIRE $k $t $n",
    "EXPIRE $k $t $n $n",
    "PEXPIREAT $k $u",
    "EXPIREAT $k $u",
    "EXPIREAT $k $u $c",
    "PEXPIREAT $k $u $c $c",
    "TTL $k",
    "PTTL $k",
    "EXPIRETIME $k",
    "PEXPIRETIME $k",
    "PERSIST $k",
    "TOUCH $k $k",
    "RENAME $k $k",
    "RENAMENX $k $k",
    "COPY $k $k",
    "COPY $k $k REPLACE",
    "KEYS *",
    "KEYS [a-c]",
    "SCAN 0 COUNT 100",
];
