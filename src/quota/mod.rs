//! The rules.
#![allow(missing_docs)]
use crate::clock::Timestamp;
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule;
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    pub rule: Rule,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotKey;
impl Limit {
    pub fn slot_key(&self) -> SlotKey {
        SlotKey
    }
}
#[derive(Clone, Debug)]
pub enum State {
    Word(u128),
}
impl State {
    pub fn heap_bytes(&self) -> usize {
        0
    }
}
#[derive(Default)]
pub struct SpanCache;
impl Rule {
    pub fn fresh_at(&self, _: &State, _: &mut SpanCache) -> Option<Timestamp> {
        None
    }
    pub fn word_fresh_at(&self, _: u128, _: &mut SpanCache) -> Option<Timestamp> {
        None
    }
}
pub struct Throttle;
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottleError;
pub struct ThrottleVerdict;
impl Throttle {
    pub fn fresh_at(_: u128) -> Option<Timestamp> {
        None
    }
    pub fn decide(
        &self,
        _: u128,
        _: i64,
        _: Timestamp,
    ) -> Result<(Option<u128>, ThrottleVerdict), ThrottleError> {
        Err(ThrottleError)
    }
}
