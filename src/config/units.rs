//! Durations, sizes and addresses as people write them: `1h30m`, `250ms`, `8MiB`, `:8080`.
//!
//! Strict, and so the same in both directions: whole numbers, each unit at most once, the larger unit first.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const DURATIONS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, usize); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// An address to listen on: an IP address and a port, a port alone on this machine, `localhost` and a port, or a colon and a
/// port for all addresses.
#[must_use]
pub fn parse_address(text: &str) -> Option<SocketAddr> {
    let port = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    if let Some(port) = port(text) {
        return Some((Ipv4Addr::LOCALHOST, port).into());
    }
    match text.rsplit_once(':') {
        Some(("", all)) => Some((Ipv4Addr::UNSPECIFIED, port(all)?).into()),
        Some((host, local)) if host.eq_ignore_ascii_case("localhost") => {
            Some((Ipv4Addr::LOCALHOST, port(local)?).into())
        }
        _ => text.parse().ok(),
    }
}

/// Reads a duration such as `600s`, `10m`, `1h30m` or `250ms`.
///
/// # Errors
///
/// Says what would be right.
pub fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    duration(text).ok_or("expected a duration such as 600s, 10m, 1h30m or 250ms")
}

fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = DURATIONS.iter();
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let (count, after) = leading_number(rest)?;
        let unit = &after[..after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len())];
        // Going on from the unit before keeps units in order and single.
        let (_, ms) = units.find(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(count.checked_mul(*ms)?)?;
        rest = &after[unit.len()..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total_ms))
}

/// Writes a duration as [`parse_duration`] reads it, in whole milliseconds.
pub(super) fn write_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, ms) in DURATIONS {
        if rest >= ms {
            text += &format!("{}{unit}", rest / ms);
            rest %= ms;
        }
    }
    if text.is_empty() {
        String::from("0s")
    } else {
        text
    }
}

/// Reads a number of bytes: `8388608`, `8192KiB`, `8MiB`. Decimal units (`8MB`) are refused, since half their users
/// mean the binary ones.
pub(super) fn parse_size(text: &str) -> Option<usize> {
    let (count, unit) = leading_number(text)?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, bytes) = SIZES.iter().find(|(name, _)| *name == unit)?;
    usize::try_from(count).ok()?.checked_mul(*bytes)
}

/// Writes a number of bytes as [`parse_size`] reads it, in the largest unit that divides it.
pub(super) fn write_size(bytes: usize) -> String {
    let unit = SIZES
        .iter()
        .find(|(_, size)| bytes >= *size && bytes.is_multiple_of(*size));
    unit.map_or_else(
        || String::from("0B"),
        |(name, size)| format!("{}{name}", bytes / size),
    )
}

/// Splits off the digits that `text` begins with.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_may_leave_out_the_host() {
        for (text, address) in [
            ("127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("[::]:80", Some("[::]:80")),
            ("8080", Some("127.0.0.1:8080")),
            (":8080", Some("0.0.0.0:8080")),
            ("LocalHost:8080", Some("127.0.0.1:8080")),
            ("+80", None),
            (":+80", None),
            ("70000", None),
            ("here:80", None),
            ("localhost", None),
            ("::1", None),
            ("", None),
        ] {
            let expected = address.map(|address| address.parse().unwrap());
            assert_eq!(parse_address(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_add_up_their_units() {
        let read = |text| duration(text).map(|d| d.as_millis());
        assert_eq!(read("600s"), Some(600_000));
        assert_eq!(read("1h30m"), Some(5_400_000));
        assert_eq!(read("1m250ms"), Some(60_250));
        assert_eq!(read("0s"), Some(0));
    }

    #[test]
    fn what_is_no_plain_duration_is_refused() {
        let wrong = [
            "",
            "10",
            "s",
            "10 m",
            "1.5s",
            "-1s",
            "+1s",
            "1s1s",
            "1s1m",
            "1d",
            "10S",
            "1é",
            "6000000000000000h",
        ];
        for text in wrong {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        assert_eq!(parse_size("8MiB"), Some(8 << 20));
        assert_eq!(parse_size("1024"), Some(1024));
        assert_eq!(parse_size("512B"), Some(512));
        for text in ["", "8MB", "8 MiB", "8Mi", "-1", "1.5GiB", "99999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back(ms in any::<u64>()) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&write_duration(duration)), Ok(duration));
        }

        #[test]
        fn a_written_size_reads_back(bytes in any::<usize>()) {
            prop_assert_eq!(parse_size(&write_size(bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".*") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}
