use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use crate::http1::head::TRAILERS_TOO_LONG;

fn fields(fields: &[(&str, &str)]) -> Fields {
    fields.iter().copied().collect()
}

fn written(fields: &Fields) -> String {
    let mut written = Vec::new();
    fields.write(&mut written);
    String::from_utf8(written).unwrap()
}

fn request(of: &[(&str, &str)]) -> Result<Framing, HeadError> {
    Framing::of_request(Version::HTTP_11, &mut fields(of))
}

/// Decodes pieces as they came; the body, what is left of the last piece, and the decoder.
fn decode(framing: Framing, pieces: &[&[u8]]) -> io::Result<(Vec<u8>, Vec<u8>, Decoder)> {
    let mut decoder = Decoder::new(framing);
    let (mut body, mut rest) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut from = 0;
        while from < bytes.len() && !decoder.is_over() {
            let decoded = decoder.decode(&mut bytes[from..])?;
            body.extend_from_slice(&bytes[from..from + decoded.payload]);
            from += decoded.used;
        }
        rest.extend_from_slice(&bytes[from..]);
    }
    Ok((body, rest, decoder))
}

#[test]
fn a_kept_body_is_unchunked_up_to_its_end_and_told_when_it_is_cut() {
    let text = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\nHTTP/1.1 200 OK";
    let end = text.len() - "HTTP/1.1 200 OK".len();
    for cut in 0..=text.len() {
        let unchunked = unchunk(text[..cut].to_vec()).unwrap();
        assert_eq!(unchunked.is_whole, cut >= end, "{cut}");
        assert_eq!(unchunked.used, cut.min(end), "{cut}");
        assert!(b"abcde".starts_with(&unchunked.data), "{cut}");
    }
    assert!(unchunk(b"data: {}\n\n".to_vec()).is_err());
}

#[test]
fn what_is_no_chunk_stays_none_however_the_body_is_cut() {
    for text in [
        "1\r\na\r\nx\r\n",
        "1\r\na\r\n0\r\na b: c\r\n\r\n",
        "1\r\na\r\n0\r\na: \x01\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
    ] {
        let text = text.as_bytes();
        assert!(decode(Framing::Chunked, &[text]).is_err(), "{text:?}");
        for cut in 0..text.len() {
            let pieces = [&text[..cut], &text[cut..]];
            assert!(decode(Framing::Chunked, &pieces).is_err(), "{text:?} {cut}");
        }
    }
}

fn encode(mut encoder: Encoder, frames: &[Vec<u8>], trailers: Option<&Fields>) -> Vec<u8> {
    let mut out = Output::new();
    for frame in frames {
        encoder.data(Bytes::from(frame.clone()), &mut out).unwrap();
    }
    encoder.end(trailers, &mut out).unwrap();
    let mut written = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(
        out.poll_write(&mut written, &mut cx),
        Poll::Ready(Ok(()))
    ));
    written
}

#[test]
fn a_request_without_a_length_has_no_body() {
    assert_eq!(request(&[]), Ok(Framing::Length(0)));
    assert_eq!(request(&[("content-length", "7")]), Ok(Framing::Length(7)));
    assert_eq!(
        request(&[("transfer-encoding", "Chunked")]),
        Ok(Framing::Chunked)
    );
}

#[test]
fn a_request_whose_end_is_ambiguous_is_refused() {
    for fields in [
        &[("content-length", "1"), ("content-length", "2")][..],
        &[("content-length", "1, 2")],
        &[("content-length", "+1")],
        &[("content-length", "")],
        &[("content-length", "99999999999999999999")],
        &[("content-length", "1"), ("transfer-encoding", "chunked")],
        &[("transfer-encoding", "gzip")],
        &[("transfer-encoding", "gzip, chunked")],
        &[
            ("transfer-encoding", "chunked"),
            ("transfer-encoding", "chunked"),
        ],
    ] {
        assert!(request(fields).is_err(), "{fields:?}");
    }
    let mut chunked = fields(&[("transfer-encoding", "chunked")]);
    assert!(Framing::of_request(Version::HTTP_10, &mut chunked).is_err());
}

#[test]
fn lengths_that_agree_become_one() {
    let agreeing = [("content-length", "5"), ("content-length", "5, 5")];
    let mut agreeing = fields(&agreeing);
    let framing = Framing::of_request(Version::HTTP_11, &mut agreeing);
    assert_eq!(framing, Ok(Framing::Length(5)));
    assert_eq!(agreeing.all(CONTENT_LENGTH).collect::<Vec<_>>(), [b"5"]);
}

#[test]
fn some_responses_have_no_body_whatever_they_say() {
    let long = fields(&[("content-length", "5")]);
    let framing =
        |to_head, status| Framing::of_response(to_head, status, &mut long.clone()).unwrap();
    assert_eq!(framing(false, StatusCode::OK), Framing::Length(5));
    assert_eq!(framing(true, StatusCode::OK), Framing::Length(0));
    assert_eq!(framing(false, StatusCode::NOT_MODIFIED), Framing::Length(0));
    assert_eq!(framing(false, StatusCode::NO_CONTENT), Framing::Length(0));
}

#[test]
fn a_response_without_a_length_lasts_until_the_connection_closes() {
    let framing = Framing::of_response(false, StatusCode::OK, &mut Fields::default()).unwrap();
    let (body, _, mut decoder) = decode(framing, &[b"ab", b"c"]).unwrap();
    assert_eq!(body, b"abc");
    assert!(!decoder.is_over());
    decoder.close().unwrap();
    assert!(decoder.is_done());
}

#[test]
fn a_connection_that_closes_inside_a_body_has_cut_it() {
    for framing in [Framing::Length(5), Framing::Chunked] {
        let mut decoder = decode(framing, &[b"2"]).unwrap().2;
        assert_eq!(
            decoder.close().unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}

#[test]
fn what_follows_a_body_is_left() {
    let (body, rest, decoder) = decode(Framing::Length(2), &[b"abGET"]).unwrap();
    assert_eq!((&body[..], &rest[..]), (&b"ab"[..], &b"GET"[..]));
    assert!(decoder.is_done());
    let (body, rest, decoder) = decode(Framing::Chunked, &[b"2\r\nab\r\n0\r\n\r\nGET"]).unwrap();
    assert_eq!((&body[..], &rest[..]), (&b"ab"[..], &b"GET"[..]));
    assert!(decoder.is_done());
}

#[test]
fn extensions_are_bounded_by_the_chunk_and_not_by_the_body() {
    let chunk = format!("1;{}\r\na\r\n", "x".repeat(1000));
    let body = format!("{}0\r\n\r\n", chunk.repeat(100));
    let (read, ..) = decode(Framing::Chunked, &[body.as_bytes()]).unwrap();
    assert_eq!(read.len(), 100);
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(17 << 10));
    assert!(decode(Framing::Chunked, &[long.as_bytes()]).is_err());
}

#[test]
fn trailers_and_extensions_are_read_at_every_cut() {
    let text =
        b"3;a=\"b\"\r\nabc\r\nA \r\n0123456789\r\n0\r\nX-Sum:7\r\nx-two:  2\r\nx-sum: 8\r\n\r\n";
    for cut in 0..text.len() {
        let pieces = [&text[..cut], &text[cut..]];
        let (body, rest, mut decoder) = decode(Framing::Chunked, &pieces).unwrap();
        assert_eq!(body, b"abc0123456789", "{cut}");
        assert!(rest.is_empty() && decoder.is_over() && !decoder.is_done());
        let trailers = decoder.take_trailers().unwrap();
        assert_eq!(written(&trailers), "X-Sum:7\r\nx-two:  2\r\nx-sum: 8\r\n");
        assert!(decoder.is_done());
    }
}

#[test]
fn trailers_have_the_bounds_of_heads() {
    let decoded = |trailers: String| {
        let text = format!("1\r\na\r\n0\r\n{trailers}\r\n");
        let decoded = decode(Framing::Chunked, &[text.as_bytes()]);
        decoded.map(|(.., mut decoder)| decoder.take_trailers().unwrap().len())
    };
    let field = |bytes| format!("x: {}\r\n", "y".repeat(bytes));
    assert_eq!(decoded(field(100 << 10)).unwrap(), 1);
    let long = decoded(field(128 << 10)).unwrap_err();
    assert_eq!(long.to_string(), TRAILERS_TOO_LONG);
    assert_eq!(decoded(field(1).repeat(256)).unwrap(), 256);
    assert!(decoded(field(1).repeat(257)).is_err());
}

#[test]
fn chunks_that_are_none_are_errors() {
    let endless = format!("1;{}", "x".repeat(20_000));
    for text in [
        "g\r\n",
        "\r\n",
        "-1\r\n",
        "1\n",
        "1\r\r",
        "1;\n",
        "1\r\nabc",
        "fffffffffffffffff\r\n",
        "0\r\na b: c\r\n\r\n",
        &endless,
    ] {
        assert!(
            decode(Framing::Chunked, &[text.as_bytes()]).is_err(),
            "{text:?}"
        );
    }
}

#[test]
fn data_before_what_is_no_chunk_is_given_first() {
    let mut decoder = Decoder::new(Framing::Chunked);
    let mut bytes = b"3\r\nabc\r\n2\r\nde\r\nZZ\r\n".to_vec();
    let decoded = decoder.decode(&mut bytes).unwrap();
    assert_eq!(bytes[..decoded.payload], *b"abcde");
    for _ in 0..2 {
        assert!(decoder.decode(&mut bytes[decoded.used..]).is_err());
    }
}

#[test]
fn a_body_that_does_not_keep_its_length_is_an_error() {
    let mut out = Output::new();
    let mut encoder = Encoder::Length(3);
    encoder.data(Bytes::from_static(b"ab"), &mut out).unwrap();
    assert!(encoder.end(None, &mut out).is_err());
    assert!(encoder.data(Bytes::from_static(b"cd"), &mut out).is_err());
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        frames: Vec<Vec<u8>>,
        cuts in proptest::collection::vec(1usize..40, 1..20),
        with_trailers: bool,
    ) {
        let body = frames.concat();
        let trailers = fields(&[("x-end", "1")]);
        let trailers = with_trailers.then_some(&trailers);
        let wire = encode(Encoder::Chunked, &frames, trailers);
        let mut pieces = Vec::new();
        let mut rest = &wire[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        let (decoded, left, mut decoder) = decode(Framing::Chunked, &pieces).unwrap();
        prop_assert_eq!(decoded, body);
        prop_assert!(left.is_empty() && decoder.is_over());
        let took = decoder.take_trailers();
        prop_assert_eq!(took.as_deref().map(written), trailers.map(written));
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes: Vec<u8>) {
        let _ = decode(Framing::Chunked, &[&bytes]);
    }
}
