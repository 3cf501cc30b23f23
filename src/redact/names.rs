//! Names of header fields and parameters that speak of a credential, judged by the words that they are made of.

/// Whether the value under a name is a credential, or may be one. Its words are told apart by whatever is no letter
/// (`api_key`, `x-auth-token`, `auth[token]`) and by capitals (`accessToken`); some are also known where nothing parts them
/// (`apikey`).
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.as_bytes();
    let mut start = 0;
    for at in 0..=name.len() {
        let ends = match name.get(at) {
            None => true,
            Some(byte) if !byte.is_ascii_alphabetic() => true,
            Some(byte) => {
                let after_small = at > start && name[at - 1].is_ascii_lowercase();
                after_small && byte.is_ascii_uppercase()
            }
        };
        if !ends {
            continue;
        }
        if is_secret_word(&name[start..at]) {
            return true;
        }
        let is_letter = name.get(at).is_some_and(u8::is_ascii_alphabetic);
        start = if is_letter { at } else { at + 1 };
    }
    false
}

/// How words of a credential begin, by their first letter: `secretkey`, `sessionid`.
const fn beginnings(first: u8) -> &'static [&'static [u8]] {
    match first {
        b's' => &[b"secret", b"session", b"signature"],
        b'p' => &[b"passw"],
        b'j' => &[b"jwt"],
        b'c' => &[b"credential", b"cookie"],
        _ => &[],
    }
}

/// How they end, by their last letter: `authtoken`, but not `tokens`, which are counted, nor `tokenizer`.
const fn endings(last: u8) -> &'static [&'static [u8]] {
    match last {
        b'n' => &[b"token", b"session"],
        b't' => &[b"secret", b"jwt"],
        b's' => &[b"secrets", b"credentials", b"passwords"],
        b'e' => &[b"signature", b"passphrase", b"cookie"],
        b'l' => &[b"credential"],
        b'd' => &[b"password"],
        _ => &[],
    }
}

/// Words that say it by themselves only, by their first letter.
const fn whole(first: u8) -> &'static [&'static [u8]] {
    match first {
        b'k' => &[b"key", b"keys"],
        b's' => &[b"sig", b"sid", b"sessid"],
        b'c' => &[b"code"],
        b'a' => &[b"auth", b"authorization"],
        b'o' => &[b"oauth"],
        b'b' => &[b"bearer"],
        b'p' => &[b"pwd"],
        b't' => &[b"tokenid"],
        _ => &[],
    }
}

/// What a `key` that nothing parts from it is one of: there are also monkeys.
const KINDS_OF_KEY: [&[u8]; 12] = [
    b"api",
    b"access",
    b"account",
    b"app",
    b"auth",
    b"client",
    b"license",
    b"master",
    b"private",
    b"shared",
    b"subscription",
    b"user",
];

/// Most words are told from all of these by their first and last letter: names of every request's fields are looked at.
fn is_secret_word(word: &[u8]) -> bool {
    let (Some(first), Some(last)) = (word.first(), word.last()) else {
        return false;
    };
    let (first, last) = (first.to_ascii_lowercase(), last.to_ascii_lowercase());
    let begins = |known: &&[u8]| is(word.get(..known.len()), known);
    let ends = |known: &&[u8]| {
        let start = word.len().checked_sub(known.len());
        is(start.map(|start| &word[start..]), known)
    };
    let is_kind_of_key = || {
        let kind = word.len().checked_sub(3).map(|end| &word[..end]);
        ends(&&b"key"[..]) && KINDS_OF_KEY.iter().any(|known| is(kind, known))
    };
    beginnings(first).iter().any(begins)
        || endings(last).iter().any(ends)
        || whole(first).iter().any(|known| is(Some(word), known))
        || last == b'y' && is_kind_of_key()
}

fn is(part: Option<&[u8]>, known: &[u8]) -> bool {
    part.is_some_and(|part| part.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_judged_by_its_words_whatever_parts_them() {
        for name in [
            "key",
            "KEY",
            "keys",
            "api_key",
            "api-key",
            "api.key",
            "apikey",
            "apiKey",
            "APIKey",
            "APIKEY",
            "x-api-key",
            "X-Goog-Api-Key",
            "Ocp-Apim-Subscription-Key",
            "subscriptionkey",
            "key2",
            "2key",
            "token",
            "access_token",
            "accessToken",
            "accesstoken",
            "csrfmiddlewaretoken",
            "X-Amz-Security-Token",
            "token[]",
            "auth[token]",
            "user[password]",
            "client_secret",
            "clientSecret",
            "clientsecrets",
            "X-Amz-Signature",
            "sig",
            "X-Goog-Credential",
            "credentials",
            "AWSAccessKeyId",
            "passwd",
            "id_jwt",
            "jwtassertion",
            "session",
            "session_id",
            "sessionid",
            "phpsession",
            "code",
            "auth",
            "Authorization",
            "cookie",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn other_names_are_not() {
        for name in [
            "",
            "-",
            "model",
            "monkey",
            "keyboard",
            "keyword",
            "max_tokens",
            "max_completion_tokens",
            "tokens",
            "tokenizer",
            "api-version",
            "author",
            "codec",
            "encoding",
            "signal",
            "deployment",
            "content-type",
            "accept-encoding",
            "user-agent",
            "host",
            "traceparent",
            "x-request-id",
            "x-stainless-retry-count",
            "openai-organization",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
