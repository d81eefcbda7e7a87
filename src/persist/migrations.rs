//! Which changes of a schema are due.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use super::store::StoreError;

/// One change of the schema, as it is built in.
pub(super) struct Migration {
    /// Its number; they rise by one.
    pub(super) version: i64,
    /// Its name.
    pub(super) name: &'static str,
    /// What it runs.
    pub(super) sql: &'static str,
}

impl Migration {
    /// What its text is recognized by.
    pub(super) fn checksum(&self) -> String {
        let mut text = String::new();
        for byte in Sha256::digest(self.sql) {
            write!(text, "{byte:02x}").expect("a string takes all that is written");
        }
        text
    }

    /// How it is told.
    pub(super) fn title(&self) -> String {
        format!("{:04} {}", self.version, self.name)
    }
}

/// The migrations behind those that were `applied`, given as numbers and checksums in order.
pub(super) fn due<'a>(
    known: &'a [Migration],
    applied: &[(i64, String)],
) -> Result<&'a [Migration], StoreError> {
    for (at, (version, checksum)) in applied.iter().enumerate() {
        let Some(migration) = known.get(at) else {
            let newest = known.last().map_or(0, |migration| migration.version);
            return Err(StoreError::Denied(format!(
                "its schema has version {version}, this quotad knows versions up to {newest}: start the quotad that wrote it, or a newer one"
            )));
        };
        if migration.version != *version || migration.checksum() != *checksum {
            return Err(StoreError::Denied(format!(
                "its schema was made by another migration {version} than '{}' of this quotad: restore the schema, or use the quotad that made it",
                migration.title()
            )));
        }
    }
    Ok(&known[applied.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Migration; 2] = [
        Migration { version: 1, name: "first", sql: "SELECT 1" },
        Migration { version: 2, name: "second", sql: "SELECT 2" },
    ];

    fn applied(count: usize) -> Vec<(i64, String)> {
        KNOWN[..count].iter().map(|migration| (migration.version, migration.checksum())).collect()
    }

    #[test]
    fn what_is_behind_the_applied_ones_is_due() {
        for count in 0..=2 {
            assert_eq!(due(&KNOWN, &applied(count)).unwrap().len(), 2 - count);
        }
    }

    #[test]
    fn drift_and_newer_schemas_are_refused() {
        let check = |applied: &[(i64, String)], known: &[Migration], expected: &str| {
            let error = due(known, applied).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&applied(2), &KNOWN[..1], "its schema has version 2, this quotad knows versions up to 1");
        let mut drifted = applied(2);
        drifted[0].1.push('0');
        check(&drifted, &KNOWN, "made by another migration 1 than '0001 first'");
        drifted = applied(2);
        drifted.remove(0);
        check(&drifted, &KNOWN, "made by another migration 2 than '0001 first'");
    }
}
