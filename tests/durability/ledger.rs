//! What was sent, what was acknowledged, and what the truth must hold of it.
//!
//! A client's own keys are changed by its one connection only, so their states follow one another in the order of its log. A cut lies
//! between turns: what the truth holds of a client's keys is therefore what they were after some first part of its log, whole. That
//! part has everything whose batch the truth has, nothing of a later batch, and everything that was confirmed.

use std::collections::BTreeMap;

use crate::load::{FIRST_DURABLE, Pace};
use crate::random::Random;
use crate::report::Row;
use crate::truth::Stored;
use crate::values::{Change, OwnKeys, Spread, own_database, own_name, shared_name};

/// Stands for a batch that is not known, after all others.
pub const NO_TOKEN: u64 = u64::MAX;

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// None came: it may have happened.
    None,
    /// It happened; when that was acknowledged, in milliseconds.
    Done(u64),
    /// It did not.
    Refused,
}

/// A change that was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// What was to be changed.
    pub change: Change,
    /// What became of it.
    pub answer: Answer,
    /// The batch that carries it is this one or a later one; 0: nothing is known of it.
    pub from_token: u64,
    /// The batch that carries it is this one or an earlier one.
    pub to_token: u64,
    /// Whether it was the last of what was sent at once.
    pub ends_turn: bool,
}

/// What one client did since the last reconciliation.
#[derive(Clone, Debug)]
pub struct ClientLog {
    /// Which client, from 0.
    pub number: u8,
    /// Its choices.
    pub random: Random,
    /// What its keys held at the last reconciliation.
    pub base: OwnKeys,
    /// What its keys hold now, as far as it was told.
    pub keys: OwnKeys,
    /// What it sent since.
    pub sent: Vec<Sent>,
    /// How many of `sent` were confirmed to be in the truth.
    pub in_truth: usize,
    /// How many of `sent` were confirmed to be on the server's disk.
    pub on_disk: usize,
    /// The longest wait for replies, in milliseconds.
    pub worst_reply_ms: u64,
    /// Refusals, and the last one's text.
    pub refused: u64,
    /// The text of the last refusal.
    pub last_refusal: String,
    /// How often QUOTA.SYNC told that the truth lacks a row of the batch that was asked for.
    pub refused_syncs: usize,
}

/// What may be missing from the truth.
#[derive(Clone, Copy, Debug)]
pub enum Allowed {
    /// Nothing that was acknowledged.
    Nothing,
    /// What was acknowledged at most so long, in milliseconds, before this moment.
    Since(u64, u64),
    /// Anything that was not confirmed.
    Unconfirmed,
}

/// Everything that all clients did.
pub struct Ledger {
    /// The clients.
    pub clients: Vec<ClientLog>,
    /// What the shared subjects had used at the last reconciliation.
    shared: BTreeMap<u16, u64>,
    /// Whether the server's disk outlives the fault.
    pub keeps_disk: bool,
    /// Whether what a client sent at once ran in one turn: nothing was fetched, and nobody waited for the truth.
    pub has_whole_turns: bool,
    /// How fast the clients work.
    pub pace: Pace,
    /// How many keys they change.
    pub spread: Spread,
}

/// How much of a client's log the truth has: one of these numbers, which differ only in what shows in no key of its own.
struct Held {
    least: usize,
    most: usize,
    /// Whether one of them is the end of a turn.
    is_whole: bool,
    keys: OwnKeys,
}

impl Ledger {
    /// A ledger of clients that have done nothing.
    pub fn new(seed: u64, clients: u8) -> Self {
        let client = |number: u8| ClientLog {
            number,
            random: Random::new(seed.wrapping_add(number.into()).wrapping_mul(0x2545_f491_4f6c_dd1d)),
            base: OwnKeys::new(),
            keys: OwnKeys::new(),
            sent: Vec::new(),
            in_truth: 0,
            on_disk: 0,
            worst_reply_ms: 0,
            refused: 0,
            last_refusal: String::new(),
            refused_syncs: 0,
        };
        Self {
            clients: (0..clients).map(client).collect(),
            shared: BTreeMap::new(),
            keeps_disk: true,
            has_whole_turns: false,
            pace: Pace::CALM,
            spread: Spread::NARROW,
        }
    }

    /// Compares the truth with all that was sent, and begins afresh from what it holds.
    ///
    /// # Panics
    /// Where the truth cannot have come from whole turns up to its last batch, lacks what it may not lack, or has what nobody sent.
    pub fn settle(&mut self, stored: &Stored, allowed: Allowed) -> Row {
        let mut row = Row { rounds: 1, ..Row::default() };
        let mut shared: BTreeMap<u16, (u64, u64)> =
            self.shared.iter().map(|(subject, used)| (*subject, (*used, *used))).collect();
        for client in &mut self.clients {
            let held = client.held(stored, self.keeps_disk);
            for (place, sent) in client.sent.iter().enumerate() {
                let Some((subject, amount)) = sent.change.of_shared() else { continue };
                let (least, most) = shared.entry(subject).or_default();
                if sent.answer != Answer::Refused && place < held.most {
                    *most += amount;
                    *least += if place < held.least { amount } else { 0 };
                }
            }
            assert!(
                held.is_whole || !self.has_whole_turns || client.number >= FIRST_DURABLE,
                "client {}: the truth ends within a turn, at change {} to {}: {:#?}",
                client.number,
                held.least,
                held.most,
                &client.sent[held.least.saturating_sub(2)..(held.most + 2).min(client.sent.len())]
            );
            client.count(&held, allowed, &mut row);
            client.begin_again(held.keys);
        }
        self.settle_shared(stored, &shared);
        row
    }

    fn settle_shared(&mut self, stored: &Stored, expected: &BTreeMap<u16, (u64, u64)>) {
        self.shared = expected
            .iter()
            .map(|(subject, (least, most))| {
                let used = stored.used(0, &shared_name(*subject));
                assert!(
                    (*least..=*most).contains(&used),
                    "subject shared/{subject}: the truth has {used} used; acknowledged up to its batch {} of epoch {} are {least}, sent {most}",
                    stored.applied,
                    stored.epoch
                );
                (*subject, used)
            })
            .collect();
        let known = |name: &str| name.strip_prefix("shared/").and_then(|number| number.parse().ok());
        for (database, name) in stored.keys.keys().filter(|(database, _)| *database == 0) {
            let subject = known(name).unwrap_or(u16::MAX);
            assert!(expected.contains_key(&subject), "nobody used {name} of database {database}");
        }
    }

    /// Names of every key that was ever used, with its database.
    pub fn names(&self) -> Vec<(u8, String)> {
        let own = self.clients.iter().flat_map(|client| {
            let number = client.number;
            (0..self.spread.own_keys).map(move |key| (own_database(number), own_name(number, key)))
        });
        own.chain(self.shared.keys().map(|subject| (0, shared_name(*subject)))).collect()
    }
}

impl ClientLog {
    /// How much of the log the truth has.
    fn held(&self, stored: &Stored, keeps_disk: bool) -> Held {
        let confirmed = if keeps_disk { self.in_truth.max(self.on_disk) } else { self.in_truth };
        let in_batches =
            self.sent.iter().rposition(|sent| stored.has(sent.to_token)).map_or(0, |last| last + 1);
        let least = confirmed.max(in_batches);
        let most = self
            .sent
            .iter()
            .position(|sent| sent.from_token != 0 && !stored.has(sent.from_token))
            .unwrap_or(self.sent.len());
        assert!(
            least <= most,
            "client {}: change {confirmed} of {} was confirmed, but the truth ends with batch {} of epoch {} and change {most}: {:?}",
            self.number,
            self.sent.len(),
            stored.applied,
            stored.epoch,
            self.sent[most]
        );
        let found = stored.own_keys(self.number);
        let mut keys = self.base.clone();
        let mut held: Option<Held> = None;
        let mut nearest = (usize::MAX, 0, OwnKeys::new());
        for place in 0..=most {
            if place >= least {
                let differing = differing(&keys, &found);
                if differing == 0 {
                    let is_end = place == 0 || self.sent[place - 1].ends_turn;
                    let (least, is_whole) = held.map_or((place, false), |held| (held.least, held.is_whole));
                    held =
                        Some(Held { least, most: place, is_whole: is_whole || is_end, keys: keys.clone() });
                } else if differing < nearest.0 {
                    nearest = (differing, place, keys.clone());
                }
            }
            let Some(sent) = self.sent.get(place).filter(|_| place < most) else { break };
            if sent.answer != Answer::Refused {
                sent.change.apply(&mut keys);
            }
        }
        held.unwrap_or_else(|| self.fail(stored, (least, most), &nearest, &found))
    }

    fn fail(
        &self,
        stored: &Stored,
        (least, most): (usize, usize),
        nearest: &(usize, usize, OwnKeys),
        found: &OwnKeys,
    ) -> ! {
        let (_, place, keys) = nearest;
        let around = &self.sent[place.saturating_sub(3)..(place + 3).min(self.sent.len())];
        panic!(
            "client {}: what the truth holds (batch {} of epoch {}) was never the state of its keys after changes {least} to {most} of {}.\n\
             that differ from the nearest, behind {place}: {:?}\n\
             in the truth they are: {:?}\n\
             changes around it:      {around:#?}",
            self.number,
            stored.applied,
            stored.epoch,
            self.sent.len(),
            without(keys, found),
            without(found, keys),
        )
    }

    fn count(&self, held: &Held, allowed: Allowed, row: &mut Row) {
        for (place, sent) in self.sent.iter().enumerate() {
            let Answer::Done(at_ms) = sent.answer else { continue };
            row.acknowledged += 1;
            if place < held.most {
                continue;
            }
            row.lost += 1;
            match allowed {
                Allowed::Nothing => panic!(
                    "client {}: change {place} of {} was acknowledged and is lost: {sent:?}",
                    self.number,
                    self.sent.len()
                ),
                Allowed::Since(moment_ms, most_ms) => {
                    let age_ms = moment_ms.saturating_sub(at_ms);
                    row.oldest_lost_ms = row.oldest_lost_ms.max(age_ms);
                    assert!(
                        age_ms <= most_ms,
                        "client {}: change {place} is lost, although it was acknowledged {age_ms} ms before the fault: {sent:?}",
                        self.number
                    );
                }
                Allowed::Unconfirmed => {}
            }
        }
        if self.number < FIRST_DURABLE {
            row.worst_reply_ms = row.worst_reply_ms.max(self.worst_reply_ms);
            row.refused += self.refused;
        }
    }

    fn begin_again(&mut self, keys: OwnKeys) {
        self.base = keys.clone();
        self.keys = keys;
        self.sent.clear();
        (self.in_truth, self.on_disk) = (0, 0);
        (self.worst_reply_ms, self.refused) = (0, 0);
    }
}

/// Those keys that another state does not have so.
fn without(one: &OwnKeys, other: &OwnKeys) -> OwnKeys {
    one.iter()
        .filter(|(key, value)| other.get(key) != Some(value))
        .map(|(key, value)| (*key, *value))
        .collect()
}

fn differing(one: &OwnKeys, other: &OwnKeys) -> usize {
    let missing = other.keys().filter(|key| !one.contains_key(key)).count();
    missing + one.iter().filter(|(key, value)| other.get(key) != Some(value)).count()
}
