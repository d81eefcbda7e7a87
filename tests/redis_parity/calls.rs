//! The calls that both servers are asked.
//!
//! Not asked, since the answers are meant to differ: OBJECT ENCODING of a string that was changed in place (Redis keeps `raw`
//! where quotad counts an integer again), the order and cursors of SCAN, and a cursor that no page has answered.

pub const ALL: &[&str] = &[STRINGS, COUNTERS, OPTIONS, EXPIRY, KEYS, PATTERNS, ERRORS, FLOATS];

const STRINGS: &str = r#"
GET s
SET s hello
GET s
STRLEN s
STRLEN absent
APPEND s " world"
GET s
APPEND fresh 12
OBJECT ENCODING fresh
APPEND fresh 3
INCR fresh
APPEND fresh ""
GETRANGE s 0 -1
GETRANGE s -5 -1
GETRANGE s 3 1
GETRANGE s -1 -5
GETRANGE s -100 -100
GETRANGE s 0 -100
GETRANGE s 100 200
GETRANGE s 0 99999999999
GETRANGE s -9223372036854775808 9223372036854775807
GETRANGE absent 0 -1
GETRANGE s a 1
GETRANGE s 1 a
GETRANGE s a b
GETRANGE fresh 0 0
SUBSTR s 0 3
SETRANGE s 6 redis
GET s
SETRANGE s 20 end
GET s
SETRANGE s 0 ""
SETRANGE absent 5 ""
EXISTS absent
SETRANGE sparse 3 x
GET sparse
SETRANGE s -1 x
SETRANGE s 536870911 ab
SETRANGE s 536870912 a
SETRANGE s 9223372036854775807 a
SETRANGE s 99999999999999999999 a
SETRANGE s abc a
SETRANGE digits 0 42
INCR digits
SET digits 1234
SETRANGE digits 1 99
GET digits
INCR digits
SETNX s other
SETNX new value
SETNX new value2
GET new
GETSET new 5
GETSET new 6
GETSET newer 7
GET newer
GETDEL new
GETDEL new
GETDEL absent
SET bytes "\x00\xff\r\n\t"
GET bytes
STRLEN bytes
GETRANGE bytes 1 2
SET "" emptykey
GET ""
EXISTS ""
SET e ""
GET e
STRLEN e
APPEND e ""
MSET a 1 b 2 c 3
MGET a b c d
MGET a a
MSET a 1 a 2
GET a
MSET a
MSET a 1 b
MSETNX a 1 z 2
EXISTS z
MSETNX y 1 z 2
MGET y z
MSETNX dup 1 dup 2
GET dup
MSETNX a
MSETNX a 1 b
SET int 12
OBJECT ENCODING int
SET int 012
OBJECT ENCODING int
SET int -0
OBJECT ENCODING int
SET int 9223372036854775807
OBJECT ENCODING int
SET int 9223372036854775808
OBJECT ENCODING int
SET long 12345678901234567890123456789012345678901234
OBJECT ENCODING long
SET long 123456789012345678901234567890123456789012345
OBJECT ENCODING long
OBJECT ENCODING absent
OBJECT REFCOUNT long
OBJECT REFCOUNT absent
SET small 9999
OBJECT REFCOUNT small
SET small 10000
OBJECT REFCOUNT small
SET small -1
OBJECT REFCOUNT small
OBJECT IDLETIME small
OBJECT IDLETIME absent
OBJECT FREQ small
OBJECT FREQ absent
"#;

const COUNTERS: &str = r#"
INCR n
INCR n
DECR n
DECRBY n 5
INCRBY n 100
INCRBY n -3
INCRBY n 0
DECRBY n -7
GET n
INCRBY n abc
INCRBY n 1.5
INCRBY n +1
INCRBY n 01
INCRBY n " 1"
INCRBY n 9223372036854775807
INCRBY n 9223372036854775808
DECRBY n -9223372036854775808
DECRBY n 9223372036854775807
SET n 9223372036854775807
INCR n
GET n
DECR n
SET n -9223372036854775808
DECR n
INCR n
SET n -9223372036854775809
INCR n
SET n " 5"
INCR n
SET n "5 "
INCR n
SET n +5
INCR n
SET n -0
INCR n
SET n ""
INCR n
SET n abc
INCR n
DECR n
INCRBY n 1
DECRBY n 1
DEL n
SET n 5 EXAT 4102444800
INCR n
EXPIRETIME n
DECRBY n 2
EXPIRETIME n
"#;

const OPTIONS: &str = r#"
SET k v NX
SET k w NX
SET k w XX
SET k2 w XX
SET k x NX GET
SET k3 x NX GET
SET k y XX GET
SET k4 y XX GET
SET k z GET
SET k5 z GET
GET k
SET k v EX 100
TTL k
SET k v KEEPTTL
TTL k
SET k v
TTL k
SET k v EXAT 4102444800
EXPIRETIME k
PEXPIRETIME k
SET k v PXAT 4102444800123
PEXPIRETIME k
EXPIRETIME k
SET k v KEEPTTL GET
PEXPIRETIME k
SET k v PX 100000
PTTL k
TTL k
SET k v EX 0
SET k v EX -1
SET k v PX 0
SET k v EXAT 0
SET k v PXAT -5
SET k v EX abc
SET k v EX 1.5
SET k v EX 9223372036854775807
SET k v EX 9223372036854775
SET k v PX 9223372036854775807
SET k v EXAT 9223372036854775807
SET k v PXAT 9223372036854775807
PEXPIRETIME k
SET k v EX 9223372036854775808
SET k v EX
SET k v PX
SET k v NX XX
SET k v XX NX
SET k v NX NX
SET k v EX 10 PX 10
SET k v EX 10 EX 20
TTL k
SET k v EX 10 KEEPTTL
SET k v KEEPTTL EX 10
SET k v KEEPTTL KEEPTTL
SET k v PERSIST
SET k v BOGUS
SET k v ex 10
SET k v eX 10 gEt xX
SET k v EXAT 1
EXISTS k
SET k v EXAT 1 GET
SET k v PXAT 1 NX
GET k
SET k v EX 10 GET NX
SET k 1 EX 10 GET XX
SET k v GET GET
SETEX x 100 v
TTL x
SETEX x 0 v
SETEX x -1 v
SETEX x abc v
SETEX x 9223372036854775807 v
PSETEX x 100000 v
PTTL x
PSETEX x 0 v
PSETEX x 9223372036854775807 v
PSETEX x abc v
GETEX absent
GETEX absent EX 0
GETEX absent EX abc
GETEX absent BOGUS
GETEX x
GETEX x EX 50
TTL x
GETEX x PX 50000
TTL x
GETEX x PERSIST
TTL x
GETEX x PERSIST PERSIST
GETEX x EX 10 PERSIST
GETEX x PERSIST EX 10
GETEX x KEEPTTL
GETEX x NX
GETEX x GET
GETEX x EX
GETEX x EX 0
GETEX x EX -1
GETEX x EX abc
GETEX x EX 9223372036854775807
GETEX x EX 10 EX 20
TTL x
GETEX x EXAT 4102444800
EXPIRETIME x
GETEX x PXAT 4102444800999
PEXPIRETIME x
EXPIRETIME x
GETEX x EXAT 1
EXISTS x
GETEX x
"#;

const EXPIRY: &str = r#"
SET t v
TTL t
PTTL t
EXPIRETIME t
PEXPIRETIME t
TTL absent
PTTL absent
EXPIRETIME absent
PEXPIRETIME absent
EXPIRE t 100
TTL t
PTTL t
EXPIRE t 50 NX
EXPIRE t 50 XX
TTL t
EXPIRE t 40 GT
EXPIRE t 200 GT
TTL t
EXPIRE t 300 LT
EXPIRE t 30 LT
TTL t
EXPIRE t 30 NX XX
EXPIRE t 30 NX GT
EXPIRE t 30 NX LT
EXPIRE t 30 GT LT
EXPIRE t 30 XX GT
EXPIRE t 30 XX LT
EXPIRE t 30 GT GT
EXPIRE t 30 BOGUS
EXPIRE t 30 NX BOGUS
EXPIRE t 30 NX XX BOGUS
EXPIRE t abc
EXPIRE t abc BOGUS
EXPIRE t 1.5
EXPIRE t 9223372036854775807
EXPIRE t -9223372036854775808
EXPIRE t 9223372036854775
EXPIRE t 9223372036854774
PEXPIRE t 9223372036854775807
PEXPIRE t -9223372036854775808
EXISTS t
SET t v
EXPIREAT t 9223372036854775807
EXPIREAT t 9223372036854775
PEXPIRETIME t
PEXPIREAT t 9223372036854775807
PEXPIRETIME t
EXPIRETIME t
PERSIST t
PERSIST t
PERSIST absent
TTL t
EXPIRE t 10 GT
EXPIRE t 10 LT
TTL t
PERSIST t
EXPIRE t 10 XX
EXPIRE t 10 NX
TTL t
EXPIREAT t 4102444800
EXPIRETIME t
PEXPIREAT t 4102444800499
EXPIRETIME t
PEXPIREAT t 4102444800500
EXPIRETIME t
PEXPIRETIME t
EXPIREAT t 4102444800 GT
EXPIREAT t 4102444800 LT
EXPIRE absent 10
EXPIRE absent abc
EXPIREAT t 1
EXISTS t
SET t v
EXPIRE t 0
GET t
SET t v
EXPIRE t -1
GET t
SET t v
PEXPIREAT t 0
GET t
SET t v
PEXPIREAT t -5
GET t
SET t v EX 100
PEXPIREAT t -5 GT
TTL t
PEXPIREAT t -5 LT
TTL t
SET t 5 PXAT 4102444800001
APPEND t 1
PEXPIRETIME t
SETRANGE t 0 9
PEXPIRETIME t
INCR t
PEXPIRETIME t
GETSET t 1
PEXPIRETIME t
"#;

const KEYS: &str = r#"
DEL s a b c
DEL absent absent
SET d 1
DEL d d
UNLINK d
SET d 1
UNLINK d absent
SET d 1
EXISTS d
EXISTS d d d
EXISTS d absent
TOUCH d absent d
TYPE d
TYPE absent
RENAME absent x
RENAME d d2
GET d2
EXISTS d
RENAME d2 d2
RENAME absent absent
RENAMENX d2 d3
RENAMENX d3 d3
RENAMENX absent x
SET d4 4
RENAMENX d3 d4
RENAME d3 d4
GET d4
SET ttl v PXAT 4102444800001
RENAME ttl ttl2
PEXPIRETIME ttl2
SET plain p
RENAME plain ttl2
PEXPIRETIME ttl2
SET src v PXAT 4102444800001
COPY src dst
GET dst
PEXPIRETIME dst
COPY src dst
COPY src dst REPLACE
COPY src src
COPY absent dst
COPY absent absent
COPY src src DB 0
COPY src src DB 1
COPY src src DB 1
COPY src src DB 1 REPLACE
COPY src dst DB
COPY src dst DB abc
COPY src dst DB 16
COPY src dst DB -1
COPY src dst DB 2147483648
COPY src dst DB -2147483649
COPY src dst DB 9223372036854775808
COPY src dst DB 16 BOGUS
COPY src dst BOGUS
COPY src dst replace db 2
COPY src dst REPLACE REPLACE
COPY src
"#;

const PATTERNS: &str = r#"
MSET hello 1 hallo 2 hxllo 3 hllo 4 heeeello 5 "h*llo" 6 "h[llo" 7 "h]llo" 8 "h-llo" 9 "h\\llo" 10
KEYS *
KEYS h?llo
KEYS h*llo
KEYS h[ae]llo
KEYS h[^e]llo
KEYS h[a-b]llo
KEYS h[b-a]llo
KEYS h[z-a]llo
KEYS "h\\*llo"
KEYS "h\\\\llo"
KEYS "h[\\]]llo"
KEYS h[]llo
KEYS h[]]llo
KEYS h[a-]llo
KEYS h[llo
KEYS h[
KEYS [
KEYS "h\\"
KEYS h**o
KEYS **
KEYS *l*l*
KEYS ""
KEYS nothing*
KEYS h[^]llo
KEYS h[!e]llo
KEYS h[a\-z]llo
KEYS H?LLO
SCAN 0 COUNT 10000
SCAN 0 COUNT 10000 MATCH h?llo
SCAN 0 MATCH h[ae]* COUNT 10000
SCAN 0 COUNT 10000 TYPE string
SCAN 0 COUNT 10000 TYPE STRING
SCAN 0 COUNT 10000 TYPE list
SCAN 0 COUNT 10000 TYPE bogus
SCAN 0 COUNT 10000 MATCH h?llo MATCH hal*
"#;

const ERRORS: &str = r#"
SCAN abc
SCAN -1x
SCAN "" COUNT 10000
SCAN 0 COUNT 0
SCAN +
SCAN -
OBJECT HELP
OBJECT BOGUS
OBJECT BOGUS a
SCAN 0 COUNT -1
SCAN 0 COUNT abc
SCAN 0 COUNT
SCAN 0 MATCH
SCAN 0 TYPE
SCAN 0 BOGUS 1
SCAN 0 BOGUS
SCAN 18446744073709551616
SCAN 99999999999999999999999
SCAN " 0"
SCAN "0 "
SCAN
KEYS
KEYS a b
GET
GET a b
SET a
MGET
INCR
INCRBY a
GETRANGE a 1
TTL
EXPIRE a
RENAME a
RANDOMKEY a
OBJECT
OBJECT ENCODING
OBJECT ENCODING a b
OBJECT HELP a
TYPE
PERSIST
COPY a
APPEND a
STRLEN
GETDEL
GETEX
MSETNX a
SETNX a
SETEX a 1
PSETEX a 1
TOUCH
UNLINK
DEL
EXISTS
"#;

const FLOATS: &str = r#"
INCRBYFLOAT f 0.1
INCRBYFLOAT f 0.2
INCRBYFLOAT f -0.3
INCRBYFLOAT f 5e3
INCRBYFLOAT f 2.0e2
INCRBYFLOAT f 1e17
INCRBYFLOAT f 1e20
INCRBYFLOAT f 1
INCRBYFLOAT f 0.00000000000000001
SET f 1
INCRBYFLOAT f 0.00000000000000001
INCRBYFLOAT f 0.000000000000000001
INCRBYFLOAT f 1e-30
SET f 3.0
INCRBYFLOAT f 1
GET f
INCR f
SET f 0
INCRBYFLOAT f -1e-20
INCRBYFLOAT f abc
INCRBYFLOAT f ""
INCRBYFLOAT f " 1"
INCRBYFLOAT f "1 "
INCRBYFLOAT f nan
INCRBYFLOAT f -nan
INCRBYFLOAT f inf
INCRBYFLOAT f -inf
INCRBYFLOAT f +inf
INCRBYFLOAT f infinity
INCRBYFLOAT f 0x10
INCRBYFLOAT f 0x1.8p3
INCRBYFLOAT f 0x
INCRBYFLOAT f 0x.p1
INCRBYFLOAT f 0x.8
INCRBYFLOAT f 1e
INCRBYFLOAT f 1e+
INCRBYFLOAT f .5
INCRBYFLOAT f 5.
INCRBYFLOAT f .
INCRBYFLOAT f -
INCRBYFLOAT f +1.5
INCRBYFLOAT f 1,5
INCRBYFLOAT f 1e4931
INCRBYFLOAT f 1e4932
INCRBYFLOAT f 1.1e4932
INCRBYFLOAT f 1e4933
INCRBYFLOAT f 1e99999999999
INCRBYFLOAT f 1e-4951
INCRBYFLOAT f 1e-4950
INCRBYFLOAT f 1e-5000
INCRBYFLOAT f 1e-99999999999
SET f abc
INCRBYFLOAT f 1
SET f " 1"
INCRBYFLOAT f 1
SET f inf
INCRBYFLOAT f 1
INCRBYFLOAT f -inf
SET f 1e3
INCRBYFLOAT f 1
SET f 9223372036854775807
INCRBYFLOAT f 1
SET f 18446744073709551615
INCRBYFLOAT f 0.5
SET f 2.5 PXAT 4102444800001
INCRBYFLOAT f 2.5
PEXPIRETIME f
SET f 1.1897314953572317650212638530309702e4932
INCRBYFLOAT f 1e4914
INCRBYFLOAT f 1e4913
INCRBYFLOAT f 1e4900
SET f 0.1
INCRBYFLOAT f 123456789.987654321
INCRBYFLOAT f -0.000000000123456789
INCRBYFLOAT f 1234567890123456789.123456789
INCRBYFLOAT
INCRBYFLOAT f
"#;

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
        let count = u64::try_from(choices.len()).unwrap();
        choices[usize::try_from(self.next() % count).unwrap()]
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
    "EXPIRE $k $t $c",
    "EXPIRE $k $t $c $c",
    "PEXPIREAT $k $u",
    "EXPIREAT $k $u",
    "EXPIREAT $k $u $c",
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
