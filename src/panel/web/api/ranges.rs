//! A file of any size as an answer: whole, or the part that was asked for (RFC 9110, section 14), as players do. It is read while
//! it is sent, a piece at a time. Knows no resource.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{StatusCode, header},
    web::Bytes,
};
use futures_util::{Stream, stream};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

/// Bytes that are read at a time; a player that pauses holds this much and no thread.
const PIECE: u64 = 256 << 10;

/// What of a file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// From the first byte to the last one, both counted from 0.
    Part(u64, u64),
    /// Nothing that there is.
    Beyond,
}

/// What a `Range` asks for of a file of so many bytes. What is not understood, and several parts at once, mean the whole.
fn wanted(range: &str, length: u64) -> Wanted {
    let Some((first, last)) = range.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::Whole;
    };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().unwrap_or(u64::MAX));
    let (first, last) = match (first, last) {
        ("", "") => return Wanted::Whole,
        // So many at the end.
        ("", count) => match number(count) {
            None => return Wanted::Whole,
            Some(0) => return Wanted::Beyond,
            Some(count) => (length.saturating_sub(count), u64::MAX),
        },
        (first, "") => match number(first) {
            None => return Wanted::Whole,
            Some(first) => (first, u64::MAX),
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => (first, last),
            _ => return Wanted::Whole,
        },
    };
    if first < length { Wanted::Part(first, last.min(length - 1)) } else { Wanted::Beyond }
}

/// Answers with a file, or with what the request wants of it. `tag` is its ETag: who has a part of another file gets the whole.
pub(super) fn answer(request: &HttpRequest, mut head: HttpResponseBuilder, tag: &str, file: File, length: u64) -> HttpResponse {
    let text = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let same = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let wanted = text(header::RANGE).filter(|_| same).map_or(Wanted::Whole, |range| wanted(range, length));
    head.insert_header((header::ACCEPT_RANGES, "bytes"));
    let (first, count) = match wanted {
        Wanted::Whole => (0, length),
        Wanted::Part(first, last) => {
            head.status(StatusCode::PARTIAL_CONTENT);
            head.insert_header((header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}")));
            (first, last - first + 1)
        }
        Wanted::Beyond => {
            head.status(StatusCode::RANGE_NOT_SATISFIABLE);
            head.insert_header((header::CACHE_CONTROL, "no-store"));
            return head.insert_header((header::CONTENT_RANGE, format!("bytes */{length}"))).finish();
        }
    };
    head.body(SizedStream::new(count, pieces(file, first, count)))
}

/// So many bytes of a file from `at`. Where there are fewer now the connection breaks off.
fn pieces(file: File, at: u64, count: u64) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((file, at, count), |(mut file, at, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = move || {
            let mut piece = vec![0; left.min(PIECE) as usize];
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut piece)?;
            Ok::<_, io::Error>((file, piece))
        };
        let (file, piece) = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)??;
        let length = piece.len() as u64;
        Ok::<_, io::Error>(Some((Bytes::from(piece), (file, at + length, left - length))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_part_of_the_file_or_none() {
        for (range, expected) in [
            ("bytes=0-", Wanted::Part(0, 99)),
            ("bytes=0-0", Wanted::Part(0, 0)),
            ("bytes=10-19", Wanted::Part(10, 19)),
            ("bytes=90-1000", Wanted::Part(90, 99)),
            ("bytes=-10", Wanted::Part(90, 99)),
            ("bytes=-1000", Wanted::Part(0, 99)),
            ("bytes=99-99999999999999999999999", Wanted::Part(99, 99)),
            ("bytes=100-", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=19-10", Wanted::Whole),
            ("bytes=0-9,20-29", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("items=0-9", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(wanted(range, 100), expected, "{range}");
        }
        assert_eq!((wanted("bytes=0-", 0), wanted("bytes=-5", 0)), (Wanted::Beyond, Wanted::Beyond));
    }
}
