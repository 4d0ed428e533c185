//! Consent: the document with which a server says who may load it, with how much, and until when. Pure: what was fetched, and the
//! instant at which it is judged, come in; docs/consent.md is its description for operators.
//!
//! Whatever is not plainly a yes is a no: an unknown key may be a condition, so it is refused with the rest.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::wording::grouped;

/// The version of the document that is written and read here.
pub const VERSION: u64 = 1;
/// The scenario name that stands for every scenario, and for none.
pub const ANY: &str = "*";
/// The longest document that is read, in bytes; one is about a hundred.
pub const MOST_BYTES: usize = 4 * 1_024;

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// Always [`VERSION`].
    #[serde(rename = "brimful_consent")]
    pub version: u64,
    /// The scenario that a load must be part of, or [`ANY`].
    pub scenario: String,
    /// The most connections that one generator may open.
    pub most_connections: u64,
    /// When it ends, exclusively (RFC 3339, with an offset). A load must be over by then.
    pub expires: Timestamp,
}

impl Consent {
    /// The document as it is served, ended by a newline.
    #[must_use]
    pub fn render(&self) -> String {
        // Four plain fields under names of text: there is nothing in them that JSON cannot say.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

/// What somebody wants to do to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent<'a> {
    /// As part of which scenario; `None` for none, which only [`ANY`] covers.
    pub scenario: Option<&'a str>,
    /// Connections at the same time.
    pub connections: u64,
    /// For how long; `None` for as long as it is allowed.
    pub lasts: Option<Duration>,
}

/// Why there is no consent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoConsent {
    /// Nothing at the path.
    #[error("it gives none (status {0})")]
    None(u16),
    /// A redirect: whoever answers for another place does not consent for this one.
    #[error("it redirects to {0}, and a redirect is not followed")]
    Redirect(String),
    /// No document.
    #[error("what it gives is no document of consent: {0}")]
    Malformed(String),
    /// A document of another version.
    #[error("its document is of version {0}, and this brimful reads version {VERSION}")]
    Version(String),
    /// For another scenario.
    #[error("it consents to the scenario `{given}`, not to {}", asked.as_ref().map_or("a load without a scenario".to_owned(), |name| format!("`{name}`")))]
    Scenario {
        /// The one that it consents to.
        given: String,
        /// The one that was asked for.
        asked: Option<String>,
    },
    /// Over already.
    #[error("its consent ended at {0}")]
    Expired(Timestamp),
    /// Over before the load would be.
    #[error("its consent ends at {expires}, and the load would last until {until}")]
    TooShort {
        /// When it ends.
        expires: Timestamp,
        /// When the load would.
        until: Timestamp,
    },
    /// For fewer connections.
    #[error("it consents to {} connections, not to {}", grouped(*given), grouped(*asked))]
    Connections {
        /// How many it allows.
        given: u64,
        /// How many were asked for.
        asked: u64,
    },
}

/// Judges what a server answered at `CONSENT_PATH` of `brimful-target-plan`, at the instant `now`: its consent to `intent`, or why there is none.
///
/// # Errors
/// A [`NoConsent`] for the first thing that is not as it must be: status, form, version, scenario, time, connections.
pub fn judge(
    status: u16,
    location: Option<&str>,
    body: &[u8],
    intent: Intent<'_>,
    now: Timestamp,
) -> Result<Consent, NoConsent> {
    match status {
        200 => {}
        300..=399 => return Err(NoConsent::Redirect(printable(location.unwrap_or("nowhere")))),
        _ => return Err(NoConsent::None(status)),
    }
    let consent = read(body)?;
    if consent.scenario != ANY && Some(consent.scenario.as_str()) != intent.scenario {
        return Err(NoConsent::Scenario {
            given: printable(&consent.scenario),
            asked: intent.scenario.map(str::to_owned),
        });
    }
    if now >= consent.expires {
        return Err(NoConsent::Expired(consent.expires));
    }
    // A load that lasts beyond the end of time lasts beyond every consent.
    let lasts = SignedDuration::try_from(intent.lasts.unwrap_or_default()).unwrap_or(SignedDuration::MAX);
    let until = now.saturating_add(lasts).unwrap_or(Timestamp::MAX);
    if until > consent.expires {
        return Err(NoConsent::TooShort { expires: consent.expires, until });
    }
    if intent.connections > consent.most_connections {
        return Err(NoConsent::Connections { given: consent.most_connections, asked: intent.connections });
    }
    Ok(consent)
}

fn read(body: &[u8]) -> Result<Consent, NoConsent> {
    let malformed = |error: serde_json::Error| NoConsent::Malformed(printable(&error.to_string()));
    let value: serde_json::Value = serde_json::from_slice(body).map_err(malformed)?;
    match value.get("brimful_consent") {
        None => Err(NoConsent::Malformed("it has no key `brimful_consent`".to_owned())),
        Some(version) if version.as_u64() == Some(VERSION) => serde_json::from_value(value).map_err(malformed),
        Some(version) => Err(NoConsent::Version(printable(&version.to_string()))),
    }
}

/// The first part of what a stranger wrote, fit for a terminal.
fn printable(text: &str) -> String {
    const MOST: usize = 120;
    text.chars().take(MOST).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str =
        r#"{ "brimful_consent": 1, "scenario": "*", "most_connections": 1000, "expires": "2026-11-23T18:00:00Z" }"#;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn asked(scenario: Option<&str>, connections: u64, seconds: u64) -> Intent<'_> {
        Intent { scenario, connections, lasts: Some(Duration::from_secs(seconds)) }
    }

    fn told(body: &str, intent: Intent<'_>) -> String {
        judge(200, None, body.as_bytes(), intent, at("2026-11-23T17:00:00Z"))
            .map_or_else(|no| no.to_string(), |_| "yes".to_owned())
    }

    #[test]
    fn what_is_asked_for_is_within_the_document_or_refused() {
        let origin = GOOD.replace("\"*\"", "\"origin\"");
        for (body, intent, says) in [
            (GOOD, asked(None, 1_000, 3_600), "yes"),
            (GOOD, asked(Some("smoke"), 1, 0), "yes"),
            (GOOD, Intent { lasts: None, ..asked(None, 1, 0) }, "yes"),
            (&origin, asked(Some("origin"), 1_000, 3_600), "yes"),
            (&origin, asked(Some("smoke"), 1, 0), "it consents to the scenario `origin`, not to `smoke`"),
            (&origin, asked(Some("*"), 1, 0), "it consents to the scenario `origin`, not to `*`"),
            (&origin, asked(None, 1, 0), "it consents to the scenario `origin`, not to a load without a scenario"),
            (GOOD, asked(None, 1_001, 0), "it consents to 1,000 connections, not to 1,001"),
            (
                GOOD,
                asked(None, 1, 3_601),
                "its consent ends at 2026-11-23T18:00:00Z, and the load would last until 2026-11-23T18:00:01Z",
            ),
        ] {
            assert_eq!(told(body, intent), says, "{body} {intent:?}");
        }
        let endless = Intent { lasts: Some(Duration::MAX), ..asked(None, 1, 0) };
        assert!(told(GOOD, endless).contains("the load would last until 9999-"));
    }

    #[test]
    fn it_ends_at_its_very_instant() {
        let end = at("2026-11-23T18:00:00Z");
        let at_instant = |now| judge(200, None, GOOD.as_bytes(), asked(None, 1, 0), now);
        assert!(at_instant(end - SignedDuration::from_nanos(1)).is_ok());
        assert_eq!(at_instant(end), Err(NoConsent::Expired(end)));
        // An offset is the same instant in other words.
        let elsewhere = GOOD.replace("18:00:00Z", "20:00:00+02:00");
        assert_eq!(judge(200, None, elsewhere.as_bytes(), asked(None, 1, 0), end), Err(NoConsent::Expired(end)));
    }

    #[test]
    fn what_is_not_plainly_a_document_is_none() {
        for (body, says) in [
            ("", "no document of consent: eof while parsing"),
            ("ok\n", "no document of consent: expected"),
            ("[1]", "it has no key `brimful_consent`"),
            ("{}", "it has no key `brimful_consent`"),
            (r#"{ "brimful_consent": 2 }"#, "its document is of version 2, and this brimful reads version 1"),
            (r#"{ "brimful_consent": "1" }"#, "its document is of version \"1\""),
            (r#"{ "brimful_consent": true }"#, "its document is of version true"),
            (r#"{ "brimful_consent": 1 }"#, "missing field `scenario`"),
            (&GOOD.replace("1000", "-1"), "invalid value: integer `-1`"),
            (&GOOD.replace("1000", "\"1000\""), "invalid type: string"),
            (&GOOD.replace("T18:00:00Z", ""), "no document of consent: "),
            (&GOOD.replace("00Z", "00"), "no document of consent: "),
            (&GOOD.replace(" }", ", \"from\": \"10.0.0.1\" }"), "unknown field `from`"),
            (&GOOD.replace("*", "\\u001b[2J"), "it consents to the scenario `?[2j`"),
        ] {
            let said = told(body, asked(None, 1, 0));
            assert!(said.to_lowercase().contains(says), "{body}: {said}");
        }
    }

    #[test]
    fn a_status_speaks_before_the_body() {
        let status = |status, location| {
            judge(status, location, GOOD.as_bytes(), asked(None, 1, 0), at("2026-11-23T17:00:00Z")).unwrap_err()
        };
        assert_eq!(status(404, None).to_string(), "it gives none (status 404)");
        assert_eq!(status(204, None), NoConsent::None(204));
        let said = status(302, Some("http://10.0.0.9/yes")).to_string();
        assert_eq!(said, "it redirects to http://10.0.0.9/yes, and a redirect is not followed");
        assert_eq!(status(308, None), NoConsent::Redirect("nowhere".to_owned()));
    }

    proptest! {
        #[test]
        fn what_is_given_is_what_is_read(scenario in "[a-z*-]{1,20}", most_connections: u64, second in -62_135_596_800_i64..253_402_207_200) {
            let expires = Timestamp::from_second(second).unwrap();
            let consent = Consent { version: VERSION, scenario: scenario.clone(), most_connections, expires };
            prop_assert_eq!(read(consent.render().as_bytes()), Ok(consent.clone()));
            let intent = Intent { scenario: Some(&scenario), connections: most_connections, lasts: None };
            let before = expires.saturating_sub(SignedDuration::from_secs(1)).unwrap();
            prop_assert_eq!(judge(200, None, consent.render().as_bytes(), intent, before).is_ok(), before < expires);
        }

        #[test]
        fn strangers_can_write_what_they_like(status: u16, body: Vec<u8>) {
            prop_assert!(judge(status, None, &body, asked(None, 1, 0), Timestamp::UNIX_EPOCH).is_err());
        }
    }
}
