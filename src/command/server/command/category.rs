//! The access categories of a command, derived from its flags and group.

use crate::dispatch::{Flags, Group, Spec};

/// The categories, with the `@` that access rules write before them.
pub(super) fn categories(spec: &Spec) -> Vec<&'static str> {
    let has = |flag| spec.flags.has(flag);
    let on_keys = has(Flags::WRITE) || has(Flags::READONLY);
    [
        (spec.group == Group::Generic || (spec.group == Group::Server && on_keys), "@keyspace"),
        (has(Flags::READONLY), "@read"),
        (has(Flags::WRITE), "@write"),
        (spec.group == Group::Quota, "@quota"),
        (spec.group == Group::String, "@string"),
        (has(Flags::ADMIN), "@admin"),
        (has(Flags::FAST), "@fast"),
        (!has(Flags::FAST), "@slow"),
        (has(Flags::BLOCKING), "@blocking"),
        (has(Flags::DANGEROUS) || has(Flags::ADMIN), "@dangerous"),
        (spec.group == Group::Connection, "@connection"),
    ]
    .into_iter()
    .filter_map(|(applies, name)| applies.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_redis_has_them() {
        let table = crate::command::table();
        let check = |name: &str, expected: &[&str]| {
            assert_eq!(categories(table.find(name.as_bytes()).unwrap().spec), expected, "{name}");
        };
        check("get", &["@read", "@string", "@fast"]);
        check("incr", &["@write", "@string", "@fast"]);
        check("ping", &["@fast", "@connection"]);
        check("flushall", &["@keyspace", "@write", "@slow", "@dangerous"]);
        check("dbsize", &["@keyspace", "@read", "@fast"]);
        check("shutdown", &["@admin", "@slow", "@dangerous"]);
        check("wait", &["@slow", "@blocking"]);
    }
}
