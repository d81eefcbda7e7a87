//! The rows that faults end with, and the table of all of them.

use std::fmt::Write;

/// What came of one fault.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// How often it happened.
    pub rounds: u64,
    /// Changes that were acknowledged to clients.
    pub acknowledged: u64,
    /// Those of them that the truth does not have.
    pub lost: u64,
    /// What the truth has beyond everything that was sent.
    pub doubled: u64,
    /// How long before the fault the oldest lost change was acknowledged, in milliseconds.
    pub oldest_lost_ms: u64,
    /// The longest that a client waited for replies that nothing durable was asked of, in milliseconds.
    pub worst_reply_ms: u64,
    /// Changes of such clients that were refused with an error, other than for their type.
    pub refused: u64,
}

impl Row {
    /// Adds another stretch of the same fault.
    pub fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.oldest_lost_ms = self.oldest_lost_ms.max(other.oldest_lost_ms);
        self.worst_reply_ms = self.worst_reply_ms.max(other.worst_reply_ms);
        self.refused += other.refused;
    }
}

/// The heads of the columns.
const HEADS: [&str; 8] =
    ["fault", "rounds", "acknowledged", "lost", "doubled", "oldest lost, ms", "worst reply, ms", "refused"];

/// All rows, each by its fault's name, as a table.
pub fn table(rows: &[(&str, Row)]) -> String {
    let cells = rows.iter().map(|(fault, row)| {
        let numbers = [
            row.rounds,
            row.acknowledged,
            row.lost,
            row.doubled,
            row.oldest_lost_ms,
            row.worst_reply_ms,
            row.refused,
        ];
        let mut cells = vec![(*fault).to_owned()];
        cells.extend(numbers.iter().map(u64::to_string));
        cells
    });
    let mut lines = vec![HEADS.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>()];
    lines.extend(cells);
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or_default();
    let widths: Vec<_> = (0..HEADS.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        write!(text, "{:<1$}", line[0], widths[0]).expect("a string takes all that is written");
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            write!(text, " | {cell:>width$}").expect("a string takes all that is written");
        }
        text.push('\n');
    }
    text
}
