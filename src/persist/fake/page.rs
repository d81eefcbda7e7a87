//! Pages, as full as a database's.

use crate::persist::content::encode;
use crate::persist::rows::{PageSize, ScannedRow, page_of};
use crate::persist::store::Page;

/// The next page of what is found.
pub(super) fn page_within(
    found: &mut dyn Iterator<Item = ScannedRow>,
    most_rows: u32,
    with_gone: bool,
) -> Page {
    let (mut size, mut rows) = (PageSize::new(most_rows), Vec::new());
    while !size.is_full()
        && let Some(row) = found.next()
    {
        let mut state = Vec::new();
        if let Ok(Some(value)) = &row.value {
            encode(&value.content, &mut state);
        }
        size.add(u64::try_from(state.len()).expect("a length fits 64 bits"));
        rows.push(row);
    }
    page_of(rows.into_iter(), size.is_full(), with_gone)
}
