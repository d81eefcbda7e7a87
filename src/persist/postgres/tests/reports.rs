//! What README says of reports: who may read them, and what a sum over them counts.

use super::*;
use crate::engine::value::{Content, QuotaSlot, QuotaSlots};
use crate::persist::record::StoredValue;
use crate::quota::State;

/// Two budgets of one unit on one subject.
fn day_and_month() -> StoredValue {
    let mut slots = QuotaSlots::default();
    let mut value = put("", 0).value.unwrap();
    for words in ["BUDGET 9 PER DAY UNIT usd_micro", "BUDGET 90 PER MONTH UNIT usd_micro"] {
        let Content::Quota(limit, word) = used(words, 4).content else { panic!("one limit is a quota") };
        slots.push(QuotaSlot::new(limit, State::Word(word)));
    }
    value.content = Content::Quotas(slots);
    value
}

#[tokio::test]
async fn a_reader_sees_a_row_for_each_limit_and_deleting_takes_the_open_period() {
    let fixture = Fixture::migrated().await;
    let schema = &fixture.schema;
    let admin = PgPool::connect(&server().url()).await.unwrap();
    let grants = format!(
        "CREATE ROLE {schema}_reader LOGIN; GRANT USAGE ON SCHEMA {schema} TO {schema}_reader;
        GRANT SELECT ON {schema}.quota_usage, {schema}.usage_by_month TO {schema}_reader"
    );
    admin.execute(sqlx::raw_sql(AssertSqlSafe(grants))).await.unwrap();
    admin.close().await;
    let url = server().url().replace("postgres@", &format!("{schema}_reader@"));
    let reader = PgPool::connect(&url).await.unwrap();
    let months = async || {
        let sql = format!(
            "SELECT limit_name, month, used::bigint FROM {schema}.usage_by_month ORDER BY month, limit_name"
        );
        sqlx::query_as::<_, (String, String, i64)>(AssertSqlSafe(sql)).fetch_all(&reader).await.unwrap()
    };
    let row = |name: &str, month: &str, used| (name.to_owned(), month.to_owned(), used);

    let epoch = claimed(&fixture.store).await;
    let october = ClosedPeriod {
        database: 0,
        subject: (*b"org/a").into(),
        limit: limit("BUDGET 90 PER MONTH UNIT usd_micro"),
        start: Timestamp::from_millis(1_790_812_800_000),
        end: NOON,
        used: 7,
    };
    let first = Batch {
        closed_periods: vec![october],
        ..batch(epoch, 1, vec![record("org/a", Some(day_and_month()))])
    };
    fixture.store.apply(OWNER, &first).await.unwrap();
    let october = row("usd_micro:budget:month", "2026-10", 7);
    assert_eq!(
        months().await,
        [
            october.clone(),
            row("usd_micro:budget:day", "2026-11", 4),
            row("usd_micro:budget:month", "2026-11", 4)
        ]
    );
    fixture.store.apply(OWNER, &batch(epoch, 2, vec![record("org/a", None)])).await.unwrap();
    assert_eq!(months().await, [october]);
    assert!(
        reader.execute("SELECT * FROM usage_by_month").await.is_err(),
        "the schema stands before the name"
    );
}
