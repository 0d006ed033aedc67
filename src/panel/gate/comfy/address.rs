//! An address taken apart as the tool will read it, and put together again so that it can be read in one way only. Knows
//! no route.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stays as it is in a segment: what RFC 3986 lets stand there.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');
/// Pairs of a query.
const PAIRS_MAX: usize = 64;

/// A path and a query, decoded once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The path's segments; none of `/`. One may hold a `/` that was written as `%2F`.
    pub(super) segments: Vec<String>,
    /// The query's pairs, in their order.
    pub(super) query: Vec<(String, String)>,
}

impl Address {
    /// Of a path alone, segment by segment as they are meant.
    pub(super) fn of(segments: &[&str]) -> Address {
        Address { segments: segments.iter().map(|segment| (*segment).to_owned()).collect(), query: Vec::new() }
    }

    /// Reads a path and a query. None for what two servers could read in two ways: empty segments, dots, backslashes,
    /// control characters, escapes that are none, text that is no UTF-8.
    pub(super) fn parse(path: &str, query: Option<&str>) -> Option<Address> {
        let rest = path.strip_prefix('/')?;
        let segments = if rest.is_empty() { Vec::new() } else { rest.split('/').map(segment).collect::<Option<_>>()? };
        let query: Vec<_> = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
        (query.len() <= PAIRS_MAX).then_some(Address { segments, query })
    }

    /// The value of a key. An error where it is there twice: servers differ in which they take.
    pub(super) fn one(&self, key: &str) -> Result<Option<&str>, ()> {
        let mut found = self.query.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str());
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(()),
            (first, None) => Ok(first),
        }
    }

    /// The text that a request line holds.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("/");
        for (i, segment) in self.segments.iter().enumerate() {
            let slash = if i > 0 { "/" } else { "" };
            text.push_str(slash);
            text.extend(utf8_percent_encode(segment, KEPT));
        }
        if !self.query.is_empty() {
            text.push('?');
            text.push_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish());
        }
        text
    }
}

/// One segment, decoded.
fn segment(raw: &str) -> Option<String> {
    let escapes = raw.split('%').skip(1);
    let whole = |digits: &str| digits.len() >= 2 && digits.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    if !escapes.into_iter().all(whole) {
        return None;
    }
    let text = percent_decode_str(raw).decode_utf8().ok()?;
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let clean = !text.contains('\\') && !text.chars().any(char::is_control);
    (clean && text.split('/').all(plain)).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(path: &str) -> Option<String> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        Address::parse(path, query).map(|address| address.text())
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_no_address() {
        for path in [
            "",
            "queue",
            "//queue",
            "/queue/",
            "/a//b",
            "/./queue",
            "/a/../queue",
            "/%2e%2e/queue",
            "/a/%2E%2e",
            "/userdata/..%2f..%2fx",
            "/userdata/%2fetc%2fpasswd",
            "/userdata/a%2f%2fb",
            "/a%5cb",
            "/a\\b",
            "/%",
            "/%zz",
            "/%2",
            "/%00",
            "/a%0ab",
            "/%ff",
        ] {
            assert_eq!(parsed(path), None, "{path}");
        }
    }

    #[test]
    fn one_spelling_is_left() {
        assert_eq!(parsed("/").as_deref(), Some("/"));
        assert_eq!(parsed("/%71ueue").as_deref(), Some("/queue"));
        assert_eq!(parsed("/userdata/workflows%2fmy%20one.json").as_deref(), Some("/userdata/workflows%2Fmy%20one.json"));
        assert_eq!(parsed("/view?filename=a+b%2Fc&type=output").as_deref(), Some("/view?filename=a+b%2Fc&type=output"));
        assert_eq!(Address::of(&["object_info", "Load //X?y%"]).text(), "/object_info/Load%20%2F%2FX%3Fy%25");
        // An escape of an escape is a percent sign, and stays one.
        assert_eq!(parsed("/%252e%252e/x").as_deref(), Some("/%252e%252e/x"));
    }

    #[test]
    fn a_key_that_is_there_twice_says_nothing() {
        let address = Address::parse("/view", Some("type=input&type=output&filename=x")).unwrap();
        assert_eq!((address.one("type"), address.one("filename"), address.one("no")), (Err(()), Ok(Some("x")), Ok(None)));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_as_the_same(path in "/[ -~é]{0,30}", query in "[ -~]{0,30}") {
            if let Some(address) = Address::parse(&path, Some(&query)) {
                let text = address.text();
                let (path, query) = text.split_once('?').map_or((text.as_str(), None), |(path, query)| (path, Some(query)));
                prop_assert_eq!(Address::parse(path, query), Some(address));
            }
        }
    }
}
