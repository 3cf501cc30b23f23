//! The forms of protobuf that OTLP and Prometheus's exposition are made of, appended to bytes.
//!
//! Governing text: the protobuf encoding guide, and `opentelemetry/proto/common/v1/common.proto`, whose `KeyValue` is
//! most of a span. Lengths of attributes are reckoned beforehand, so that nothing is moved and nothing allocated.

use crate::semconv::{Attribute, Value};

/// Wire types.
const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED_32: u32 = 5;

/// Below it a number takes one byte.
const ONE_BYTE: usize = 0x80;

/// Bytes that the length of a [`message`] most often takes: those of a span are from 128 bytes to 16 KiB long.
const LENGTH_GUESS: usize = 2;

/// A field of an unsigned or enumerated type; zero is absent, as proto3 has it.
pub fn number(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        tag(out, field, VARINT);
        put_varint(out, number);
    }
}

/// A `sint32` or `sint64` field; zero is absent.
pub fn signed(out: &mut Vec<u8>, field: u32, signed: i64) {
    number(out, field, zigzag(signed));
}

/// A signed number as an unsigned one that is small where it is near zero.
#[must_use]
pub const fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

/// A repeated field of numbers that take as many bytes as they need; absent without any.
pub fn varints(out: &mut Vec<u8>, field: u32, numbers: impl Iterator<Item = u64> + Clone) {
    let bytes = numbers.clone().map(varint_len).sum();
    if bytes > 0 {
        length(out, field, bytes);
        numbers.for_each(|number| put_varint(out, number));
    }
}

/// A message with its length before it, as one of several in a stream.
pub fn framed(out: &mut Vec<u8>, message: &[u8]) {
    put_varint(out, message.len() as u64);
    out.extend_from_slice(message);
}

/// A `fixed64` field.
pub fn fixed_64(out: &mut Vec<u8>, field: u32, number: u64) {
    tag(out, field, FIXED_64);
    out.extend_from_slice(&number.to_le_bytes());
}

/// A `fixed32` field.
pub fn fixed_32(out: &mut Vec<u8>, field: u32, number: u32) {
    tag(out, field, FIXED_32);
    out.extend_from_slice(&number.to_le_bytes());
}

/// A `bytes` or `string` field.
pub fn bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    length(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// A `string` field, in parts.
pub fn string<const N: usize>(out: &mut Vec<u8>, field: u32, parts: [&str; N]) {
    length(out, field, parts.iter().map(|part| part.len()).sum());
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Tag and length of a field whose bytes follow.
#[inline]
pub fn length(out: &mut Vec<u8>, field: u32, bytes: usize) {
    match u8::try_from(bytes) {
        // Both in one piece: most of a span is short texts.
        Ok(short @ ..0x80) if field < 16 => {
            out.extend_from_slice(&[delimited(field), short]);
        }
        _ => {
            tag(out, field, DELIMITED);
            put_varint(out, bytes as u64);
        }
    }
}

/// A field that is a message of its own.
pub fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, DELIMITED);
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_GUESS]);
    write(out);
    let length = out.len() - start - LENGTH_GUESS;
    let guess = start..start + LENGTH_GUESS;
    if varint_len(length as u64) == LENGTH_GUESS {
        out[guess].copy_from_slice(&[length as u8 | 0x80, (length >> 7) as u8]);
    } else {
        let mut known = Vec::new();
        put_varint(&mut known, length as u64);
        out.splice(guess, known);
    }
}

/// Fields that were written by [`message`] with numbers below 16, one behind another, each as a whole.
pub fn elements(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (tag_len, mut length, mut shift) = (1, 0, 0);
        let mut varint = bytes.get(tag_len..)?.iter().copied();
        let mut len_len = 0;
        loop {
            let byte = varint.next()?;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            len_len += 1;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (element, rest) = bytes.split_at_checked(tag_len + len_len + length)?;
        bytes = rest;
        Some(element)
    })
}

/// A `KeyValue` field.
pub fn attribute(out: &mut Vec<u8>, field: u32, (key, value): &Attribute<'_>) {
    pair(out, field, key, value);
}

/// The same under any key.
pub fn pair(out: &mut Vec<u8>, field: u32, key: &str, value: &Value<'_>) {
    let value_len = value_len(value);
    let pair_len = delimited_len(key.len()) + delimited_len(value_len);
    if pair_len < ONE_BYTE && field < 16 {
        // Both lengths are of one byte too. Most are short, and putting each part by itself took as long as all of this.
        let tags = [
            delimited(field),
            pair_len as u8,
            delimited(1),
            key.len() as u8,
        ];
        out.extend_from_slice(&tags);
        out.extend_from_slice(key.as_bytes());
        short_value(out, value_len as u8, value);
        return;
    }
    length(out, field, pair_len);
    bytes(out, 1, key.as_bytes());
    length(out, 2, value_len);
    any_value(out, value);
}

/// An `AnyValue` field of a `KeyValue`, its length of one byte.
fn short_value(out: &mut Vec<u8>, len: u8, value: &Value<'_>) {
    match value {
        Value::Str(text) => {
            out.extend_from_slice(&[delimited(2), len, delimited(1), text.len() as u8]);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Int(number) => {
            out.extend_from_slice(&[delimited(2), len, 3 << 3]);
            put_varint(out, number.cast_unsigned());
        }
        Value::Float(number) => {
            out.extend_from_slice(&[delimited(2), len, (4 << 3 | FIXED_64) as u8]);
            out.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        _ => {
            out.extend_from_slice(&[delimited(2), len]);
            any_value(out, value);
        }
    }
}

/// The content of an `AnyValue`.
pub fn any_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Str(text) => bytes(out, 1, text.as_bytes()),
        Value::Bool(flag) => {
            tag(out, 2, VARINT);
            out.push(u8::from(*flag));
        }
        Value::Int(number) => {
            tag(out, 3, VARINT);
            put_varint(out, number.cast_unsigned());
        }
        Value::Float(number) => fixed_64(out, 4, number.to_bits()),
        Value::StrList(texts) => {
            length(out, 5, list_len(texts));
            for text in *texts {
                length(out, 1, delimited_len(text.len()));
                bytes(out, 1, text.as_bytes());
            }
        }
    }
}

/// Bytes of the content of an `AnyValue`.
fn value_len(value: &Value<'_>) -> usize {
    match value {
        Value::Str(text) => delimited_len(text.len()),
        Value::Bool(_) => 2,
        Value::Int(number) => 1 + varint_len(number.cast_unsigned()),
        Value::Float(_) => 9,
        Value::StrList(texts) => delimited_len(list_len(texts)),
    }
}

/// Bytes of the content of an `ArrayValue`.
fn list_len(texts: &[&str]) -> usize {
    let element = |text: &&str| delimited_len(delimited_len(text.len()));
    texts.iter().map(element).sum()
}

/// Bytes of a delimited field with a tag of one byte.
const fn delimited_len(bytes: usize) -> usize {
    1 + varint_len(bytes as u64) + bytes
}

/// The tag of a delimited field, where it takes one byte.
const fn delimited(field: u32) -> u8 {
    (field << 3 | DELIMITED) as u8
}

const fn varint_len(number: u64) -> usize {
    if number < 0x80 {
        return 1;
    }
    (u64::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

fn tag(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    put_varint(out, u64::from(field << 3 | wire_type));
}

/// Seven bits to a byte, the lowest first; all but the last byte have the top bit set.
#[inline]
fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
    use proptest::prelude::*;
    use prost::Message as _;

    /// The attribute as the protocol's own types write it.
    fn reference((key, value): &Attribute<'_>) -> Vec<u8> {
        let text = |text: &str| any_value::Value::StringValue(text.to_owned());
        let value = match value {
            Value::Str(value) => text(value),
            Value::Bool(flag) => any_value::Value::BoolValue(*flag),
            Value::Int(number) => any_value::Value::IntValue(*number),
            Value::Float(number) => any_value::Value::DoubleValue(*number),
            Value::StrList(texts) => any_value::Value::ArrayValue(ArrayValue {
                values: texts
                    .iter()
                    .map(|each| AnyValue {
                        value: Some(text(each)),
                    })
                    .collect(),
            }),
        };
        KeyValue {
            key: (*key).to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }
        .encode_to_vec()
    }

    fn check(attribute: &Attribute<'_>) {
        let mut written = Vec::new();
        super::attribute(&mut written, 9, attribute);
        let mut expected = Vec::new();
        bytes(&mut expected, 9, &reference(attribute));
        assert_eq!(written, expected, "{attribute:?}");
    }

    proptest! {
        #[test]
        fn attributes_are_written_as_the_protocols_types_write_them(
            text in ".{0,300}", number: i64, float: f64, flag: bool, list in prop::collection::vec(".{0,150}", 0..4)
        ) {
            check(&("text", text.clone().into()));
            check(&("number", Value::Int(number)));
            check(&("float", Value::Float(float)));
            check(&("flag", Value::Bool(flag)));
            let list: Vec<&str> = list.iter().map(String::as_str).collect();
            check(&("list", Value::StrList(&list)));
        }

        #[test]
        fn a_message_of_any_length_has_its_length_before_it(length in 0usize..40_000) {
            let mut written = vec![1, 2];
            message(&mut written, 4, |out| out.resize(out.len() + length, 7));
            let mut expected = vec![1, 2];
            bytes(&mut expected, 4, &vec![7; length]);
            prop_assert_eq!(written, expected);
        }

        #[test]
        fn elements_are_taken_apart_as_they_were_put_together(
            lengths in prop::collection::vec(0usize..20_000, 0..5)
        ) {
            let mut all = Vec::new();
            let each: Vec<Vec<u8>> = lengths.into_iter().map(|length| {
                let mut written = Vec::new();
                message(&mut written, 2, |out| out.resize(out.len() + length, 7));
                all.extend_from_slice(&written);
                written
            }).collect();
            prop_assert_eq!(elements(&all).collect::<Vec<_>>(), each);
        }
    }
}
