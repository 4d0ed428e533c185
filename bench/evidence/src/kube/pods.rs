//! `kubectl get pods -o json` and `kubectl get events -o json`: a list of them, or one by itself.

use jiff::Timestamp;
use serde_json::Value;

use super::events::about;
use super::{Container, Ended, Event, KubeError, Seen};

pub(super) fn read(text: &str) -> Result<Seen, KubeError> {
    let value: Value = serde_json::from_str(text).map_err(|error| KubeError::Json(error.to_string()))?;
    let one = std::slice::from_ref(&value);
    let items = value["items"].as_array().map_or(one, Vec::as_slice);
    let mut seen = Seen::default();
    for item in items {
        match item["kind"].as_str() {
            Some("Pod") => seen.containers.extend(containers(item)),
            Some("Event") => seen.events.extend(event(item)),
            kind => return Err(KubeError::Json(format!("an object of the kind `{}`", kind.unwrap_or("none")))),
        }
    }
    Ok(seen)
}

fn containers(pod: &Value) -> impl Iterator<Item = Container> + '_ {
    let name = text(&pod["metadata"]["name"]);
    let statuses = pod["status"]["containerStatuses"].as_array().map_or(&[][..], Vec::as_slice);
    statuses.iter().map(move |status| Container {
        pod: name.clone(),
        name: text(&status["name"]),
        restarts: status["restartCount"].as_u64().unwrap_or(0),
        last: ended(&status["lastState"]["terminated"]).or_else(|| ended(&status["state"]["terminated"])),
    })
}

fn ended(terminated: &Value) -> Option<Ended> {
    terminated.as_object()?;
    let at = |key: &str| terminated[key].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    Some(Ended {
        reason: text(&terminated["reason"]),
        exit_code: terminated["exitCode"].as_i64(),
        started: at("startedAt"),
        finished: at("finishedAt"),
    })
}

fn event(event: &Value) -> Option<Event> {
    let message = text(&event["message"]);
    let about = about(&message)?;
    let times = event["count"].as_u64().or(event["series"]["count"].as_u64()).unwrap_or(1).max(1);
    let object = &event["involvedObject"];
    let pod = (object["kind"] == "Pod").then(|| text(&object["name"]));
    Some(Event { pod, about, times, message })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("?").to_owned()
}
