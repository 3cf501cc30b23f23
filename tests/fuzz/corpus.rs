//! Where mutation begins: the fixtures, and what each target makes of them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

/// Largest fixture that is taken: mutations of a long one rarely hit what matters.
const SEED_BYTES_MAX: u64 = 64 << 10;

/// The folder of inputs that were found for a target.
pub(crate) fn found_folder(target: &str) -> PathBuf {
    fixtures().join("fuzz").join(target)
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The inputs that were found for a target.
pub(crate) fn found(target: &str) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    collect(&found_folder(target), &mut files);
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Every fixture but those that were found by fuzzing.
pub(crate) fn everything() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for folder in fs::read_dir(fixtures()).unwrap() {
        let folder = folder.unwrap().path();
        if !folder.ends_with("fuzz") {
            collect(&folder, &mut files);
        }
    }
    assert!(!files.is_empty());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// The files under a folder that are an upstream's or a client's bytes, in order of their names.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = match fs::read_dir(path) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => return,
    };
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            collect(&entry, files);
        } else if !entry.ends_with("expected.json")
            && entry.metadata().unwrap().len() <= SEED_BYTES_MAX
        {
            files.push(entry);
        }
    }
}

/// Queries of the admin API.
pub(crate) fn queries() -> Vec<Vec<u8>> {
    let queries = [
        "",
        "model:gpt*|claude* -end:done ttft>2s",
        "has:error in>=1.5k cost<0.05 status=200 \"a b\"",
        "path:\"/v1/x y\" tpot<=20ms stalls>0 conversation:0af7*",
    ];
    queries.map(|query| query.as_bytes().to_vec()).into()
}

/// Sessions, a message on each line.
pub(crate) fn sessions() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    collect(&fixtures().join("realtime"), &mut files);
    assert!(!files.is_empty());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// What either end of a WebSocket may send: texts whole and in fragments, masked and compressed, and what controls it.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    let text = br#"{"type":"ping"}"#;
    let whole = frame(0x81, text);
    let fragments = [
        frame(0x01, b"{\"a\""),
        frame(0x89, b"still?"),
        frame(0x80, b":1}"),
    ]
    .concat();
    let masked = [&[0x81, 0x82, 1, 2, 3, 4], &[b'{' ^ 1, b'}' ^ 2][..]].concat();
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.flush().unwrap();
    let coded = encoder.get_ref();
    // RFC 7692 §7.2.1 takes the end of an empty block off.
    let coded = frame(0xc1, coded.strip_suffix(&[0, 0, 0xff, 0xff]).unwrap());
    let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
    let close = frame(0x88, &[0x03, 0xe8]);
    let row = [&whole, &fragments, &coded, &masked, &long, &coded, &close].map(|frame| &frame[..]);
    let row = row.concat();
    vec![whole, fragments, masked, coded, long, close, row]
}

/// A short frame that is not masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126, "the length takes one byte");
    [&[first, length], payload].concat()
}

/// Fixtures, each coded.
fn coded(code: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Vec<u8>> {
    everything().iter().map(|seed| code(seed)).collect()
}

pub(crate) fn gzip() -> Vec<Vec<u8>> {
    coded(in_gzip)
}

pub(crate) fn deflate() -> Vec<Vec<u8>> {
    coded(|seed| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(seed).unwrap();
        encoder.finish().unwrap()
    })
}

pub(crate) fn zstd() -> Vec<Vec<u8>> {
    coded(in_zstd)
}

pub(crate) fn stacked() -> Vec<Vec<u8>> {
    coded(|seed| in_zstd(&in_gzip(seed)))
}

fn in_gzip(seed: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(seed).unwrap();
    encoder.finish().unwrap()
}

fn in_zstd(seed: &[u8]) -> Vec<u8> {
    zstd::encode_all(seed, 1).unwrap()
}

/// Everything, and forms.
pub(crate) fn forms() -> Vec<Vec<u8>> {
    let field = "--b1\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n";
    let file = "--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n\
                RIFF\r\n--b\r\n";
    let stream = field
        .replace("model", "stream")
        .replace("\r\nm\r\n", "\r\ntrue\r\n");
    let form = format!("{field}{file}{stream}--b1--\r\n");
    everything()
        .into_iter()
        .chain([form.into_bytes()])
        .collect()
}

const HEAD: &str = "Host: a\r\nX-Empty:\r\nAccept: x, y\r\n";

/// Requests in every framing, one after another on a connection.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    let length = format!("POST /v1/a?b HTTP/1.1\r\n{HEAD}Content-Length: 5\r\n\r\nhello");
    let chunks = format!(
        "POST / HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: x\r\n\r\n"
    );
    let none = format!("GET /v1/models HTTP/1.1\r\n{HEAD}\r\n");
    let old = format!("GET / HTTP/1.0\r\n{HEAD}Connection: keep-alive\r\n\r\n");
    let expect =
        format!("PUT / HTTP/1.1\r\n{HEAD}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx");
    let all = [&length, &chunks, &none, &old, &expect].map(|text| text.clone().into_bytes());
    let row = all.concat();
    all.into_iter().chain([row]).collect()
}

/// Responses in every framing.
pub(crate) fn responses() -> Vec<Vec<u8>> {
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
         6\r\ndata: \r\n4\r\n{}\n\n\r\n0\r\nTrailer: x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 404 No\r\n\r\nclosed",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// Captures in every form.
pub(crate) fn captures() -> Vec<Vec<u8>> {
    let stream = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let verbose = format!(
        "* Trying\n> GET /v1/models HTTP/2\n> Host: a\n> \n< HTTP/2 200 \n< a: b\n< \n{stream}* Connection #0"
    );
    let har = r#"{"log":{"entries":[{"request":{"method":"POST","url":"https://a/v1/chat/completions","httpVersion":
        "h2","headers":[{"name":"a","value":"b"}],"postData":{"text":"{\"model\":\"m\"}"}},"response":{"status":200,
        "headers":[],"bodySize":9,"content":{"size":4,"text":"e30=","encoding":"base64"}},"timings":{"blocked":-1,
        "send":1,"wait":2.5,"receive":3}}]}}"#;
    let alone = format!("HTTP/2 200\ncontent-type: x\n\n{stream}");
    let mut captures: Vec<Vec<u8>> = [verbose, har.to_owned(), alone]
        .map(String::into_bytes)
        .into();
    for response in responses() {
        captures.push([requests().swap_remove(0), response].concat());
    }
    captures
}
