//! Header fields of forms: where the boundary stands, and which field a part is.
//!
//! Governing text: RFC 9110, section 5.6.6, for parameters; RFC 7578, section 4.2, for the names of fields.

/// Longest boundary that is looked for, in bytes. RFC 2046 allows 70.
const BOUNDARY_MAX: usize = 256;

/// Most header fields of a part; the field of a part with more is not wanted.
const FIELDS_MAX: usize = 16;

/// The boundary that a `Content-Type` names; `None` for what is no form.
pub fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let kind = first_word(content_type);
    if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
        return None;
    }
    parameter(content_type, "boundary")
        .filter(|boundary| (1..=BOUNDARY_MAX).contains(&boundary.len()))
}

/// Which of the `wanted` fields the part with this head is. `None` for any other, and for a file, whatever its name.
pub(super) fn field(head: &[u8], wanted: &'static [&'static str]) -> Option<&'static str> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(head, &mut fields)
    else {
        return None;
    };
    let disposition = fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-disposition"))?
        .value;
    let is_file = ["filename", "filename*"]
        .iter()
        .any(|name| parameter(disposition, name).is_some());
    if is_file || !first_word(disposition).eq_ignore_ascii_case(b"form-data") {
        return None;
    }
    let name = parameter(disposition, "name")?;
    wanted
        .iter()
        .copied()
        .find(|known| known.as_bytes() == name)
}

/// What stands before the parameters.
fn first_word(value: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    value[..end].trim_ascii()
}

/// The value of the first parameter of that name, which is in lower case, without its quotes.
fn parameter(value: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut rest = &value[memchr::memchr(b';', value)? + 1..];
    loop {
        let (key, after) = rest.split_at(memchr::memchr2(b';', b'=', rest)?);
        let is_it = key.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        rest = &after[1..];
        if after[0] == b';' {
            continue;
        }
        let (found, after) = match rest.trim_ascii_start().strip_prefix(b"\"") {
            Some(quoted) => unquote(quoted),
            None => token(rest),
        };
        if is_it {
            return Some(found);
        }
        rest = &after[(memchr::memchr(b';', after)? + 1)..];
    }
}

/// A value up to the closing quote, and what follows that. Only a quote and a backslash are taken for escaped: some
/// clients write a Windows path as it is.
fn unquote(quoted: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    let mut rest = quoted;
    loop {
        rest = match rest {
            [] => return (value, rest),
            [b'"', after @ ..] => return (value, after),
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                value.push(*escaped);
                after
            }
            [byte, after @ ..] => {
                value.push(*byte);
                after
            }
        };
    }
}

/// A value without quotes, and what follows it.
fn token(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let (value, after) = bytes.split_at(memchr::memchr(b';', bytes).unwrap_or(bytes.len()));
    (value.trim_ascii().to_vec(), after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Option<Vec<u8>>) -> Option<String> {
        bytes.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_boundary_is_a_parameter_with_quotes_or_without() {
        for (value, expected) in [
            ("multipart/form-data; boundary=abc", "abc"),
            ("Multipart/Form-Data;BOUNDARY=\"a b;c\"", "a b;c"),
            (
                "multipart/form-data ; charset=utf-8; boundary = x ; y=z",
                "x",
            ),
            (
                "multipart/form-data; flag; x=\"boundary=no\"; boundary=yes",
                "yes",
            ),
            (r#"multipart/form-data; boundary="a\"b""#, "a\"b"),
        ] {
            let found = text(boundary(value.as_bytes()));
            assert_eq!(found.as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_is_no_form_has_no_boundary() {
        let long = format!("multipart/form-data; boundary={}", "x".repeat(300));
        for value in [
            "",
            "application/json",
            "multipart/mixed; boundary=abc",
            "multipart/form-data",
            "multipart/form-data; boundary",
            "multipart/form-data; boundary=",
            "multipart/form-data; xboundary=a",
            &long,
        ] {
            assert_eq!(boundary(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn a_part_is_known_by_its_name_unless_it_is_a_file() {
        let field = |disposition: &str| {
            let head = format!("Content-Type: text/plain\r\n{disposition}\r\n\r\n");
            field(head.as_bytes(), &["model", "stream"])
        };
        for disposition in [
            "Content-Disposition: form-data; name=\"model\"",
            "content-disposition:form-data;name=model",
            "CONTENT-DISPOSITION: Form-Data; x=\"name=stream\"; Name=\"model\"",
        ] {
            assert_eq!(field(disposition), Some("model"), "{disposition}");
        }
        for disposition in [
            "Content-Disposition: form-data; name=\"file\"",
            "Content-Disposition: form-data; name=\"model\"; filename=\"a;b.wav\"",
            "Content-Disposition: form-data; filename*=UTF-8''a; name=\"model\"",
            "Content-Disposition: attachment; name=\"model\"",
            "Content-Disposition: form-data; filename=\"name=model",
            "Content-Disposition: form-data",
            "X: y",
            "no header",
        ] {
            assert_eq!(field(disposition), None, "{disposition}");
        }
    }
}
