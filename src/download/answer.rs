//! Whether the head of an answer is one that was asked for, and where its body belongs. Pure.

use crate::hub::StatusCode;
use crate::hub::header::HeaderMap;

use crate::hub::encoding::Encoding;

/// Where the bytes of an answer belong.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the offset that was asked for.
    Continue,
    /// At the start: the server ignored the range.
    FromZero,
}

/// Decides whether an answer can be used. The error is a reason in words.
pub(super) fn check_answer(
    status: StatusCode,
    headers: &HeaderMap,
    offset: u64,
    size: Option<u64>,
) -> Result<Start, String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(encoding) = text("content-encoding").filter(|encoding| *encoding != "identity") {
        // Ours to read only from the start: a part of a compressed body is nothing.
        return match Encoding::of(headers) {
            Some(_) if status != StatusCode::PARTIAL_CONTENT && offset == 0 => Ok(Start::Continue),
            Some(_) if status != StatusCode::PARTIAL_CONTENT => Ok(Start::FromZero),
            _ => Err(format!(
                "it sent a body in the encoding {encoding:?} that was not asked for"
            )),
        };
    }
    if status == StatusCode::PARTIAL_CONTENT {
        return match text("content-range").and_then(parse_content_range) {
            Some((first, total))
                if first == offset && (total.is_none() || size.is_none() || total == size) =>
            {
                Ok(Start::Continue)
            }
            _ => Err("it sent another range than the one asked for".to_owned()),
        };
    }
    let announced = text("content-length").and_then(|length| length.parse::<u64>().ok());
    match (announced, size) {
        (Some(announced), Some(size)) if announced != size => Err(format!(
            "it announced {announced} bytes for a file of {size}"
        )),
        _ if offset > 0 => Ok(Start::FromZero),
        _ => Ok(Start::Continue),
    }
}

/// First byte and total size of `bytes 5-9/10` (RFC 9110, 14.4); the total may be `*`.
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    let total = if total == "*" {
        None
    } else {
        Some(total.parse().ok()?)
    };
    Some((first.trim().parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::header;

    fn checked(
        status: u16,
        headers: &[(&'static str, &'static str)],
        offset: u64,
    ) -> Result<Start, String> {
        let headers: HeaderMap = headers
            .iter()
            .map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        check_answer(
            StatusCode::from_u16(status).unwrap(),
            &headers,
            offset,
            Some(10),
        )
    }

    #[test]
    fn answers() {
        for (status, headers, offset, expected) in [
            (
                200,
                &[("content-length", "10")][..],
                0,
                Some(Start::Continue),
            ),
            (200, &[], 0, Some(Start::Continue)),
            (200, &[("content-length", "11")], 0, None),
            (200, &[("content-length", "10")], 4, Some(Start::FromZero)),
            (
                206,
                &[("content-range", "bytes 4-9/10"), ("content-length", "6")],
                4,
                Some(Start::Continue),
            ),
            (
                206,
                &[("content-range", "bytes 4-6/10"), ("content-length", "3")],
                4,
                Some(Start::Continue),
            ),
            (
                206,
                &[("content-range", "bytes 4-9/*")],
                4,
                Some(Start::Continue),
            ),
            (206, &[("content-range", "bytes 0-9/10")], 4, None),
            (206, &[("content-range", "bytes 4-9/11")], 4, None),
            (206, &[], 4, None),
            (
                200,
                &[("content-encoding", "gzip")],
                0,
                Some(Start::Continue),
            ),
            (
                200,
                &[("content-encoding", "gzip")],
                4,
                Some(Start::FromZero),
            ),
            (
                206,
                &[
                    ("content-encoding", "gzip"),
                    ("content-range", "bytes 4-9/10"),
                ],
                4,
                None,
            ),
            (200, &[("content-encoding", "br")], 0, None),
            (
                200,
                &[("content-encoding", "identity")],
                0,
                Some(Start::Continue),
            ),
        ] {
            assert_eq!(
                checked(status, headers, offset).ok(),
                expected,
                "{status} {headers:?} {offset}"
            );
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(1024))]

        /// Whatever a server writes there, its bytes are used only where they were asked for.
        #[test]
        fn any_content_range(
            text in proptest::prop_oneof![
                "[ -~]{0,40}",
                "bytes ?\\*?[0-9]{0,22} ?-[0-9]{0,22} ?/ ?(\\*|[0-9]{0,22})",
            ],
            offset in 0_u64..20,
        ) {
            if let Some((first, total)) = parse_content_range(&text) {
                proptest::prop_assert!(text.contains(&first.to_string()));
                proptest::prop_assert!(total.is_none_or(|total| text.contains(&total.to_string())));
            }
            let Ok(value) = text.parse() else { return Ok(()) };
            let headers = HeaderMap::from_iter([(header::CONTENT_RANGE, value)]);
            let answer = check_answer(StatusCode::PARTIAL_CONTENT, &headers, offset, Some(20));
            proptest::prop_assert_eq!(
                answer.is_ok(),
                parse_content_range(&text).is_some_and(|(first, total)| {
                    first == offset && total.is_none_or(|total| total == 20)
                })
            );
        }
    }
}
