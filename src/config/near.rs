//! Names that were probably meant where an unknown one was given.

/// Most edits between a name and one that was probably meant: a slip or two of the fingers.
const MOST_EDITS: usize = 3;

/// The known name nearest to `unknown`, if one is near: a third of its letters may differ, and at most three.
pub(super) fn nearest<'n>(unknown: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = (unknown.len() / 3).clamp(1, MOST_EDITS);
    known
        .map(|name| (edits(unknown, name), name))
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// How many letters must be added, removed or replaced to make one word the other (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut previous: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other_letter) in other.iter().enumerate() {
            let replaced = previous[column] + usize::from(letter != *other_letter);
            current.push(replaced.min(previous[column + 1] + 1).min(current[column] + 1));
        }
        previous = current;
    }
    previous[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let names = ["maxmemory", "maxclients", "listen", "hz"];
        let near = |unknown| nearest(unknown, names.into_iter());
        assert_eq!(near("maxmemry"), Some("maxmemory"));
        assert_eq!(near("max-memory"), Some("maxmemory"));
        assert_eq!(near("lisen"), Some("listen"));
        assert_eq!(near("hx"), Some("hz"));
        assert_eq!(near("port"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn edits_are_counted() {
        for (one, other, expected) in [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(edits(one, other), expected);
        }
    }
}
