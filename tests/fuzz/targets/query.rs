//! The query language of the admin API: any text is a query or a mistake in it, and a query says the same each time.

use std::time::SystemTime;

use streamgauge::admin::query::Query;
use streamgauge::exchange::Exchange;
use streamgauge::view::Row;

use crate::mutate::Random;
use crate::run::shape;

pub(crate) fn check(input: &[u8], _: &mut Random) -> u64 {
    let text = String::from_utf8_lossy(input);
    let exchange = Exchange::begin(SystemTime::UNIX_EPOCH);
    let row = Row::of(1, &exchange);
    match Query::parse(&text) {
        Ok(query) => {
            let takes = query.takes(&row);
            assert_eq!(
                Query::parse(&text).map(|query| query.takes(&row)),
                Ok(takes)
            );
            shape(format!("{takes}"))
        }
        Err(mistake) => {
            assert!(mistake.position <= text.chars().count());
            assert!(!mistake.message.is_empty());
            shape(mistake.message.split(' ').nth(1).unwrap_or_default())
        }
    }
}
