//! What clients change, and what the keys hold after it: a model of the commands in use, small enough to be right.

use std::collections::BTreeMap;

use crate::random::Random;

/// The most that may be taken of a subject: never reached, so every take is granted whole.
pub const MAXIMUM: u64 = 1_000_000_000;

/// How many keys clients change, and how often they lose all of their own.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// Keys of each client's own.
    pub own_keys: u16,
    /// Subjects that all clients take from.
    shared_subjects: u16,
    /// Of so many changes one is FLUSHDB.
    flush_once_in: u64,
    /// Whether it is more than a small memory holds.
    pub is_wide: bool,
}

impl Spread {
    /// Few keys of their own, so that they are changed, deleted and made anew between two cuts; subjects enough that a cut has something
    /// to collect.
    pub const NARROW: Self =
        Self { own_keys: 12, shared_subjects: 2_000, flush_once_in: 200, is_wide: false };

    /// More than a small memory holds, own keys too: they live long enough to leave it, come back and be deleted where they are not in it.
    pub const WIDE: Self =
        Self { own_keys: 400, shared_subjects: 20_000, flush_once_in: 4_000, is_wide: true };
}

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
pub type OwnKeys = BTreeMap<u16, Value>;

/// A change of one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// QUOTA.TAKE of requests.
    Take { key: u16, amount: u8 },
    /// QUOTA.TAKE of requests and tokens, together or not at all.
    TakeBoth { key: u16, requests: u8, tokens: u8 },
    /// QUOTA.TAKE from a subject of all clients.
    TakeShared { subject: u16, amount: u8 },
    /// INCRBY.
    Add { key: u16, by: u8 },
    /// SET, with an expiry or none.
    Set { key: u16, number: u32, is_ending: bool },
    /// MSET of the same number under two keys.
    SetBoth { first: u16, second: u16, number: u32 },
    /// RENAME.
    Rename { from: u16, to: u16 },
    /// DEL.
    Delete { key: u16 },
    /// FLUSHDB.
    Flush,
}

impl Change {
    /// One that says something of where the cut was: almost all of them do.
    pub fn random(random: &mut Random, spread: &Spread) -> Self {
        if random.once_in(spread.flush_once_in) {
            return Self::Flush;
        }
        let own_keys = spread.own_keys;
        let key = random.short_below(own_keys.into());
        let other = (key + 1 + random.short_below(u64::from(own_keys) - 1)) % own_keys;
        let amount = 1 + random.byte_below(9);
        let number = u32::try_from(random.below(1 << 31)).expect("it is below 2^31");
        match random.below(200) {
            0..50 => Self::Take { key, amount },
            50..80 => Self::TakeBoth { key, requests: amount, tokens: 10 * amount },
            80..120 => Self::shared(random, spread),
            120..145 => Self::Add { key, by: amount },
            145..160 => Self::Set { key, number, is_ending: amount > 6 },
            160..175 => Self::SetBoth { first: key, second: other, number },
            175..185 => Self::Rename { from: key, to: other },
            _ => Self::Delete { key },
        }
    }

    /// A take from a shared subject, which no type and no flush is in the way of.
    pub fn shared(random: &mut Random, spread: &Spread) -> Self {
        let subjects = if random.once_in(2) { HOT_SUBJECTS } else { spread.shared_subjects.into() };
        let subject = random.short_below(subjects);
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

    /// What the client's own keys hold that it changes, for the text of a failure; all of them where it changes all.
    pub fn found(self, keys: &OwnKeys) -> OwnKeys {
        let (one, other) = match self {
            Self::Take { key, .. } | Self::TakeBoth { key, .. } | Self::Add { key, .. } => (key, key),
            Self::Set { key, .. } | Self::Delete { key } => (key, key),
            Self::SetBoth { first, second, .. } => (first, second),
            Self::Rename { from, to } => (from, to),
            Self::TakeShared { .. } => return OwnKeys::new(),
            Self::Flush => return keys.clone(),
        };
        [one, other].into_iter().filter_map(|key| Some((key, *keys.get(&key)?))).collect()
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
        let own = |key: u16| own_name(client, key);
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

fn take(keys: &mut OwnKeys, key: u16, amount: u8, more: Option<u8>) -> bool {
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
pub fn own_name(client: u8, key: u16) -> String {
    format!("client/{client}/{key}")
}

/// The name of a shared subject.
pub fn shared_name(subject: u16) -> String {
    format!("shared/{subject}")
}
