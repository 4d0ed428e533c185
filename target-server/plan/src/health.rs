//! `grpc.health.v1.Health/Check` in bytes, as far as a health check needs it. No socket here.
//!
//! Two messages of one field each (`grpc/health/v1/health.proto`), in the encoding of protocol buffers, with the five bytes that gRPC
//! puts before a message. Fields that are not known are passed over, as every reader of protocol buffers does.

/// The path of the call (`grpc/health/v1/health.proto`).
pub const CHECK_PATH: &str = "/grpc.health.v1.Health/Check";
/// The type of content of every gRPC call.
pub const CONTENT_TYPE: &str = "application/grpc";
/// Longest message that is read, in bytes. One with a name of a service in it is far shorter.
pub const MESSAGE_MOST: usize = 4 * 1_024;

/// The flag of compression and the length, before every message.
const PREFIX: usize = 5;
/// Field 1, a length and so many bytes: `HealthCheckRequest.service`.
const SERVICE: u64 = 1 << 3 | 2;
/// Field 1, a varint: `HealthCheckResponse.status`.
const STATUS: u64 = 1 << 3;

/// What a server says of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// 0: it does not say.
    Unknown,
    /// 1: it serves. The only one that passes.
    Serving,
    /// 2: it does not serve.
    NotServing,
    /// 3: there is no such service; only `Watch` says so.
    ServiceUnknown,
    /// A number without a name.
    Other(u64),
}

impl Status {
    /// The name in the protocol, or the number.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Unknown => "UNKNOWN".to_owned(),
            Self::Serving => "SERVING".to_owned(),
            Self::NotServing => "NOT_SERVING".to_owned(),
            Self::ServiceUnknown => "SERVICE_UNKNOWN".to_owned(),
            Self::Other(number) => number.to_string(),
        }
    }

    const fn number(self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Serving => 1,
            Self::NotServing => 2,
            Self::ServiceUnknown => 3,
            Self::Other(number) => number,
        }
    }

    const fn of(number: u64) -> Self {
        match number {
            0 => Self::Unknown,
            1 => Self::Serving,
            2 => Self::NotServing,
            3 => Self::ServiceUnknown,
            other => Self::Other(other),
        }
    }
}

/// The question about `service`, ready to be sent; empty for the server as a whole.
#[must_use]
pub fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    // A field with its default value is left out (proto3).
    if !service.is_empty() {
        put_varint(&mut message, SERVICE);
        put_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    framed(&message)
}

/// The answer, ready to be sent.
#[must_use]
pub fn response(status: Status) -> Vec<u8> {
    let mut message = Vec::new();
    if status != Status::Unknown {
        put_varint(&mut message, STATUS);
        put_varint(&mut message, status.number());
    }
    framed(&message)
}

/// Which service the question is about; `None` for bytes that are no question.
#[must_use]
pub fn service_asked(body: &[u8]) -> Option<String> {
    let mut service = Vec::new();
    for field in fields(unframed(body)?)? {
        if let Field { key: SERVICE, bytes, .. } = field {
            service = bytes.to_vec();
        }
    }
    String::from_utf8(service).ok()
}

/// What the answer says; `None` for bytes that are no answer.
#[must_use]
pub fn status_said(body: &[u8]) -> Option<Status> {
    let mut status = 0;
    for field in fields(unframed(body)?)? {
        if let Field { key: STATUS, number, .. } = field {
            status = number;
        }
    }
    Some(Status::of(status))
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![0];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

/// The one message of a body; `None` when it is not whole, is compressed, or is not alone.
fn unframed(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let [0, length @ ..] = prefix else { return None };
    let length = u32::from_be_bytes(length.try_into().ok()?);
    (usize::try_from(length) == Ok(message.len())).then_some(message)
}

/// One field: its key, and the value in the one of two forms that it has.
struct Field<'a> {
    key: u64,
    number: u64,
    bytes: &'a [u8],
}

fn fields(mut rest: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = take_varint(&mut rest)?;
        let (mut number, mut bytes): (u64, &[u8]) = (0, &[]);
        match key & 7 {
            0 => number = take_varint(&mut rest)?,
            1 => bytes = take(&mut rest, 8)?,
            2 => {
                let length = usize::try_from(take_varint(&mut rest)?).ok()?;
                bytes = take(&mut rest, length)?;
            }
            5 => bytes = take(&mut rest, 4)?,
            _ => return None,
        }
        found.push(Field { key, number, bytes });
    }
    Some(found)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    // Ten groups of seven bits hold 64.
    for shift in (0..70).step_by(7) {
        let (&byte, left) = rest.split_first()?;
        *rest = left;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // Seven bits of it, so nothing is cut off.
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_protocol() {
        // Written by hand from the encoding's own description: key 0x0a is field 1 with a length, 0x08 field 1 as a varint.
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(response(Status::Serving), [0, 0, 0, 0, 2, 0x08, 1]);
        assert_eq!(response(Status::Unknown), [0, 0, 0, 0, 0]);
        assert_eq!(status_said(&[0, 0, 0, 0, 2, 0x08, 2]), Some(Status::NotServing));
        assert_eq!(status_said(&[0, 0, 0, 0, 3, 0x08, 0x96, 0x01]), Some(Status::Other(150)));
    }

    #[test]
    fn fields_from_elsewhere_are_passed_over_and_the_last_of_one_counts() {
        let message = [0x12, 1, b'x', 0x08, 2, 0x25, 1, 2, 3, 4, 0x29, 1, 2, 3, 4, 5, 6, 7, 8, 0x08, 1];
        let body = [&[0, 0, 0, 0, message.len() as u8], message.as_slice()].concat();
        assert_eq!(status_said(&body), Some(Status::Serving));
    }

    #[test]
    fn what_is_no_message_is_none() {
        for body in [
            &[][..],
            &[0, 0, 0, 0],
            &[1, 0, 0, 0, 0],
            &[0, 0, 0, 0, 1],
            &[0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 1, 0x08],
            &[0, 0, 0, 0, 2, 0x0a, 1],
            &[0, 0, 0, 0, 1, 0x0b],
        ] {
            assert_eq!(status_said(body), None, "{body:?}");
        }
        assert_eq!(service_asked(&[0, 0, 0, 0, 3, 0x0a, 1, 0xff]), None);
    }

    proptest! {
        #[test]
        fn what_is_put_is_read(service in "\\PC{0,300}", number in any::<u64>()) {
            prop_assert_eq!(service_asked(&request(&service)), Some(service));
            let status = Status::of(number);
            prop_assert_eq!(status_said(&response(status)), Some(status));
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(body.len() >= PREFIX || (status_said(&body), service_asked(&body)) == (None, None));
            prop_assert!(status_said(&body).is_none() || usize::from(body[4]) == body.len() - PREFIX);
            prop_assert!(service_asked(&body).is_none_or(|service| service.len() < body.len()));
        }
    }
}
