//! What clients change, and what the keys hold after it: a model of the commands in use, small enough to be right.

use std::collections::BTreeMap;

use crate::random::Random;

/// The most that may be taken of a subject: never reached, so every take is granted whole.
pub const MAXIMUM: u64 = 1_000_000_000;

/// Keys of a client's own: few, so that they are changed, deleted and made anew between two cuts.
pub const OWN_KEYS: u8 = 12;

/// Subjects that all clients take from: enough that a cut has something to collect.
pub const SHARED_SUBJECTS: u16 = 2_000;

/// Shared subjects that half of the takes are from.
const HOT_SUBJECTS: u64 = 20;

/// The name of the limit on requests.
pub const REQUESTS: &str = "requests:budget:total";

/// The name of the limit on tokens.
pub const TOKENS: &str = "tokens:budget:total";

/// When keys with an expiry end: 2100, so never here.
const FAR_MS: u64 = 4_102_444_800_000;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string that is an integer, and when it ends.
    Number {
        /// The integer.
        number: i64,
        /// When the key ends, in milliseconds since the epoch.
        until_ms: Option<u64>,
    },
    /// What was used of the limits on requests and on tokens.
    Used {
        /// Of requests.
        requests: Option<u64>,
        /// Of tokens.
        tokens: Option<u64>,
    },
}

/// What a client's own keys hold.
pub type OwnKeys = BTreeMap<u8, Value>;

/// A change of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// QUOTA.TAKE of requests.
    Take { key: u8, amount: u8 },
    /// QUOTA.TAKE of requests and tokens, together or not at all.
    TakeBoth { key: u8, requests: u8, tokens: u8 },
    /// QUOTA.TAKE from a subject of all clients.
    TakeShared { subject: u16, amount: u8 },
    /// INCRBY.
    Add { key: u8, by: u8 },
    /// SET, with an expiry or none.
    Set { key: u8, number: u32, is_ending: bool },
    /// MSET of the same number under two keys.
    SetBoth { first: u8, second: u8, number: u32 },
    /// RENAME.
    Rename { from: u8, to: u8 },
    /// DEL.
    Delete { key: u8 },
    /// FLUSHDB.
    Flush,
}

impl Change {
    /// One that says something of where the cut was: almost all of them do.
    pub fn random(random: &mut Random) -> Self {
        let key = random.byte_below(OWN_KEYS.into());
        let other = (key + 1 + random.byte_below(u64::from(OWN_KEYS) - 1)) % OWN_KEYS;
        let amount = 1 + random.byte_below(9);
        let number = u32::try_from(random.below(1 << 31)).expect("it is below 2^31");
        match random.below(200) {
            0..50 => Self::Take { key, amount },
            50..80 => Self::TakeBoth { key, requests: amount, tokens: 10 * amount },
            80..120 => Self::shared(random),
            120..145 => Self::Add { key, by: amount },
            145..160 => Self::Set { key, number, is_ending: amount > 6 },
            160..175 => Self::SetBoth { first: key, second: other, number },
            175..185 => Self::Rename { from: key, to: other },
            185..199 => Self::Delete { key },
            _ => Self::Flush,
        }
    }

    /// A take from a shared subject, which no type and no flush is in the way of.
    pub fn shared(random: &mut Random) -> Self {
        let subjects = if random.once_in(2) { HOT_SUBJECTS } else { SHARED_SUBJECTS.into() };
        let subject = u16::try_from(random.below(subjects)).expect("there are fewer than 2^16");
        Self::TakeShared { subject, amount: 1 + random.byte_below(9) }
    }

    /// Changes the client's own keys; `false`: the command is refused for the key's type, or since there is none.
    pub fn apply(self, keys: &mut OwnKeys) -> bool {
        match self {
            Self::Take { key, amount } => take(keys, key, amount, None),
            Self::TakeBoth { key, requests, tokens } => take(keys, key, requests, Some(tokens)),
            Self::TakeShared { .. } => true,
            Self::Add { key, by } => {
                let found = keys.entry(key).or_insert(Value::Number { number: 0, until_ms: None });
                let Value::Number { number, .. } = found else { return false };
                *number += i64::from(by);
                true
            }
            Self::Set { key, number, is_ending } => {
                let until_ms = is_ending.then_some(FAR_MS);
                keys.insert(key, Value::Number { number: number.into(), until_ms });
                true
            }
            Self::SetBoth { first, second, number } => {
                for key in [first, second] {
                    keys.insert(key, Value::Number { number: number.into(), until_ms: None });
                }
                true
            }
            Self::Rename { from, to } => {
                let Some(value) = keys.remove(&from) else { return false };
                keys.insert(to, value);
                true
            }
            Self::Delete { key } => {
                keys.remove(&key);
                true
            }
            Self::Flush => {
                keys.clear();
                true
            }
        }
    }

    /// What it takes from a shared subject.
    pub fn of_shared(self) -> Option<(u16, u64)> {
        match self {
            Self::TakeShared { subject, amount } => Some((subject, amount.into())),
            _ => None,
        }
    }

    /// Whether the reply tells the batch that carries it.
    pub const fn has_token(self) -> bool {
        matches!(self, Self::Take { .. } | Self::TakeBoth { .. } | Self::TakeShared { .. })
    }

    /// The database that it is sent to.
    pub const fn database(self, client: u8) -> u8 {
        match self {
            Self::TakeShared { .. } => 0,
            _ => own_database(client),
        }
    }

    /// The command's words.
    pub fn words(self, client: u8, is_durable: bool) -> String {
        let own = |key: u8| own_name(client, key);
        let text = match self {
            Self::Take { key, amount } => {
                format!("QUOTA.TAKE {} {amount} BUDGET {MAXIMUM} PER TOTAL", own(key))
            }
            Self::TakeBoth { key, requests, tokens } => format!(
                "QUOTA.TAKE {} {requests} tokens {tokens} BUDGET {MAXIMUM} PER TOTAL BUDGET {MAXIMUM} PER TOTAL UNIT tokens",
                own(key)
            ),
            Self::TakeShared { subject, amount } => {
                format!("QUOTA.TAKE {} {amount} BUDGET {MAXIMUM} PER TOTAL", shared_name(subject))
            }
            Self::Add { key, by } => format!("INCRBY {} {by}", own(key)),
            Self::Set { key, number, is_ending: false } => format!("SET {} {number}", own(key)),
            Self::Set { key, number, is_ending: true } => format!("SET {} {number} PXAT {FAR_MS}", own(key)),
            Self::SetBoth { first, second, number } => {
                format!("MSET {} {number} {} {number}", own(first), own(second))
            }
            Self::Rename { from, to } => format!("RENAME {} {}", own(from), own(to)),
            Self::Delete { key } => format!("DEL {}", own(key)),
            Self::Flush => "FLUSHDB".to_owned(),
        };
        if is_durable && self.has_token() { text + " DURABLE" } else { text }
    }
}

fn take(keys: &mut OwnKeys, key: u8, amount: u8, more: Option<u8>) -> bool {
    let found = keys.entry(key).or_insert(Value::Used { requests: None, tokens: None });
    let Value::Used { requests, tokens } = found else { return false };
    *requests = Some(requests.unwrap_or_default() + u64::from(amount));
    if let Some(more) = more {
        *tokens = Some(tokens.unwrap_or_default() + u64::from(more));
    }
    true
}

/// The database of a client's own keys: nobody else flushes it.
pub const fn own_database(client: u8) -> u8 {
    client + 1
}

/// The name of a client's own key.
pub fn own_name(client: u8, key: u8) -> String {
    format!("client/{client}/{key}")
}

/// The name of a shared subject.
pub fn shared_name(subject: u16) -> String {
    format!("shared/{subject}")
}
